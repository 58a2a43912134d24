#include "engine.h"

#include "capture/test_folder.h"

namespace haka::model {

std::unique_ptr<Engine> Engine::make(const std::string& policy, std::string& error) {
    const capture::test::Folder folder;
    engine::WorkerOptions options;
    options.writes_packets = true;
    options.mode = stream::Mode::Live;
    options.walks_batches = true;
    options.settings.seed = 1;
    // A rule may wait long for a line when most packets are lost.
    options.settings.tcp.undecided_time_max = kSecond * 3600;
    // A hole of 60 KB may hide a thousand words.
    options.settings.tcp.edits_max = 10'000;
    options.script.policy = folder.write("policy.lua", as_bytes(policy));
    options.script.lua = options.settings.lua;
    auto made = engine::Worker::make(options);
    if (made.worker == nullptr) {
        error = made.error;
        return nullptr;
    }
    auto engine = std::make_unique<Engine>();
    engine->worker_ = std::move(made.worker);
    return engine;
}

void Engine::take(std::vector<Passing>& out) {
    journal_.take(bytes_);
    for (engine::RecordReader record(bytes_); !record.done(); record.next()) {
        if (record.head().kind == engine::RecordKind::Packet) {
            const ByteView frame = as_bytes(record.second());
            out.push_back({.from_client = record.head().interface == 0,
                           .frame = {frame.begin(), frame.end()}});
        } else if (record.head().kind == engine::RecordKind::Log) {
            log_ += record.first();
        }
    }
}

void Engine::walk(std::vector<Passing>& came, Instant now, std::vector<Passing>& out) {
    frames_.clear();
    for (Passing& passing : came) {
        const auto size = static_cast<std::uint32_t>(passing.frame.size());
        frames_.push_back({.data = passing.frame.data(),
                           .size = size,
                           .original_size = size,
                           .when = now,
                           .number = ++number_,
                           .interface = passing.from_client ? 0U : 1U,
                           .link = LinkType::Raw});
    }
    worker_->walk(frames_, journal_, stop_);
    take(out);
}

void Engine::pass_time(Instant now, std::vector<Passing>& out) {
    worker_->pass_time(now, journal_);
    take(out);
}

std::string Engine::take_log() {
    return std::exchange(log_, {});
}

}  // namespace haka::model
