#include "watched_engine.h"

#include <numeric>

#include "../case_shorthand.h"
#include "capture/test_folder.h"

namespace haka::receivers {

std::unique_ptr<WatchedEngine> WatchedEngine::make(const std::string& policy,
                                                   const Settings& settings, stream::Mode mode,
                                                   std::string& error) {
    const capture::test::Folder folder;
    engine::WorkerOptions options;
    options.settings = settings;
    options.settings.seed = 1;
    options.mode = mode;
    options.writes_packets = true;
    options.script.policy = folder.write("policy.lua", as_bytes(policy + witness()));
    options.script.lua = options.settings.lua;
    options.script.seed = 1;
    auto made = engine::Worker::make(options);
    if (made.worker == nullptr) {
        error = made.error;
        return nullptr;
    }
    auto engine = std::make_unique<WatchedEngine>();
    engine->worker_ = std::move(made.worker);
    return engine;
}

void WatchedEngine::walk(LinkType link, ByteView frame, std::uint32_t original_size, Instant when,
                         Watch& watch) {
    bytes_.assign(frame.begin(), frame.end());
    Frame one{.data = bytes_.data(),
              .size = static_cast<std::uint32_t>(bytes_.size()),
              .original_size = original_size,
              .when = when,
              .number = ++number_,
              .link = link};
    link_ = link;
    watch.came(number_, link, frame);
    if (trace_ != nullptr) {
        *trace_ += "    < " + test::shorten(frame, link) + "\n";
    }
    worker_->walk({&one, 1}, journal_, stop_);
    take(watch);
}

void WatchedEngine::finish(Watch& watch) {
    worker_->finish(journal_);
    take(watch);
}

void WatchedEngine::take(Watch& watch) {
    journal_.take(records_);
    for (engine::RecordReader record(records_); !record.done(); record.next()) {
        if (record.head().kind == engine::RecordKind::Print) {
            std::string_view text = record.first();
            text.remove_suffix(text.ends_with('\n') ? 1 : 0);
            (void)watch.printed(text);
            if (trace_ != nullptr) {
                *trace_ += "    : " + std::string(text) + "\n";
            }
        } else if (record.head().kind == engine::RecordKind::Packet) {
            watch.left(link_, as_bytes(record.second()));
            if (trace_ != nullptr) {
                *trace_ += "    > " + test::shorten(as_bytes(record.second()), link_) + "\n";
            }
        }
    }
}

bool WatchedEngine::adds_up() const {
    const report::Summary summary = worker_->summary();
    const std::uint64_t reasons =
        std::accumulate(summary.drops.begin(), summary.drops.end(), std::uint64_t{0});
    return reasons == summary.packets_dropped &&
           summary.packets_in + summary.packets_injected ==
               summary.packets_out + summary.packets_dropped + summary.packets_absorbed;
}

}  // namespace haka::receivers
