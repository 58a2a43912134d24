// live_bridge [options] CLIENT_SIDE SERVER_SIDE: joins two interfaces, with one live worker between
// them, and with a path before and behind it that loses and reorders frames. SIGTERM ends it; what
// it counted goes to standard output then.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <fmt/format.h>
#include <memory>
#include <optional>
#include <poll.h>
#include <string>

#include "app/setting.h"
#include "bad_path.h"
#include "engine/worker.h"
#include "wire.h"

namespace haka::live {
namespace {

struct Options {
    std::string policy;
    std::vector<std::string> settings;
    bool none = false;
    PathOptions before;
    PathOptions behind;
    std::uint64_t seed = 1;
    std::array<std::string, 2> interfaces;
};

volatile std::sig_atomic_t stop_asked = 0;

void ask_to_stop(int /*signal*/) {
    stop_asked = 1;
}

Instant clock_now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return {time.tv_sec * kSecond.ns + time.tv_nsec};
}

double cpu_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

class Bridge {
public:
    explicit Bridge(const Options& options)
        : none_(options.none),
          before_(options.before, options.seed),
          behind_(options.behind, options.seed + 1) {}

    [[nodiscard]] std::string open(const Options& options);
    void run();
    void print_summary();

private:
    void turn(Instant now);
    void collect(Instant now);
    void add(MutableByteView bytes, unsigned side, Instant now);
    void carry(Instant now);
    void leave(ByteView bytes, unsigned from, Instant now);
    void take_records(Instant now);
    void wait(Instant now);

    bool none_;
    std::array<Wire, 2> wires_;
    BadPath before_;
    BadPath behind_;
    std::unique_ptr<engine::Worker> worker_;
    engine::Journal journal_;
    std::atomic<bool> stop_worker_{false};
    std::vector<BadPath::Held> late_;  // Their bytes are among frames_.
    std::vector<Frame> frames_;
    std::vector<std::uint8_t> records_;
    std::uint64_t number_ = 0;
};

std::string Bridge::open(const Options& options) {
    for (std::size_t side = 0; side < 2; ++side) {
        if (std::string error = wires_.at(side).open(options.interfaces.at(side)); !error.empty()) {
            return error;
        }
    }
    if (none_) {
        return {};
    }
    engine::WorkerOptions made;
    const auto table = app::settings_table(made.settings);
    for (const std::string& text : options.settings) {
        if (std::string error = app::set_from_text(table, text); !error.empty()) {
            return error;
        }
    }
    made.settings.seed = options.seed;
    made.script.policy = options.policy;
    made.script.lua = made.settings.lua;
    made.script.seed = options.seed;
    made.writes_packets = true;
    made.mode = stream::Mode::Live;
    made.walks_batches = true;
    engine::Worker::Made result = engine::Worker::make(made);
    worker_ = std::move(result.worker);
    return result.error;
}

void Bridge::run() {
    while (stop_asked == 0) {
        turn(clock_now());
        wait(clock_now());
    }
    if (worker_ != nullptr) {
        worker_->finish(journal_);
        take_records(clock_now());
    }
    for (Wire& wire : wires_) {
        wire.flush();
    }
}

void Bridge::turn(Instant now) {
    collect(now);
    carry(now);
    for (const BadPath::Held& held : behind_.due(now)) {
        wires_.at(held.side).send(held.bytes);
    }
    for (Wire& wire : wires_) {
        wire.flush();
    }
}

void Bridge::collect(Instant now) {
    frames_.clear();
    late_ = before_.due(now);
    for (BadPath::Held& held : late_) {
        add(held.bytes, held.side, now);
    }
    for (unsigned side = 0; side < 2; ++side) {
        for (const MutableByteView bytes : wires_.at(side).receive()) {
            if (before_.passes(bytes, side, now)) {
                add(bytes, side, now);
            }
        }
    }
}

void Bridge::add(MutableByteView bytes, unsigned side, Instant now) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    frames_.push_back({.data = bytes.data(),
                       .size = size,
                       .original_size = size,
                       .when = now,
                       .number = ++number_,
                       .interface = side});
}

void Bridge::carry(Instant now) {
    if (none_) {
        for (const Frame& frame : frames_) {
            leave(frame.bytes(), frame.interface, now);
        }
        return;
    }
    if (!frames_.empty()) {
        worker_->walk(frames_, journal_, stop_worker_);
    }
    if (worker_->wakes_at() <= now) {
        worker_->pass_time(now, journal_);
    }
    take_records(now);
}

void Bridge::leave(ByteView bytes, unsigned from, Instant now) {
    const unsigned to = 1 - from;
    if (behind_.passes(bytes, to, now)) {
        wires_.at(to).send(bytes);
    }
}

void Bridge::take_records(Instant now) {
    journal_.take(records_);
    for (engine::RecordReader record(records_); !record.done(); record.next()) {
        switch (record.head().kind) {
            case engine::RecordKind::Packet:
                leave(as_bytes(record.second()), record.head().interface & 1U, now);
                break;
            case engine::RecordKind::Print:
                fmt::print("{}", record.first());
                break;
            case engine::RecordKind::Log:
            case engine::RecordKind::Alert:
                fmt::print(stderr, "{}", record.first());
                break;
        }
    }
}

// Until a frame comes or something is due.
void Bridge::wait(Instant now) {
    Instant until = std::min(before_.wakes_at(), behind_.wakes_at());
    if (worker_ != nullptr) {
        until = std::min(until, worker_->wakes_at());
    }
    const std::int64_t left = std::clamp<std::int64_t>((until - now).ns, 0, kSecond.ns);
    const timespec patience{.tv_sec = left / kSecond.ns, .tv_nsec = left % kSecond.ns};
    std::array<pollfd, 2> ready{{{.fd = wires_[0].fd(), .events = POLLIN, .revents = 0},
                                 {.fd = wires_[1].fd(), .events = POLLIN, .revents = 0}}};
    // Signals come through here alone, so that none is missed between look and wait.
    sigset_t none{};
    sigemptyset(&none);
    ppoll(ready.data(), ready.size(), &patience, &none);
}

void Bridge::print_summary() {
    if (worker_ != nullptr) {
        report::Summary summary = worker_->summary();
        summary.cpu_seconds = cpu_seconds();
        std::string text;
        report::append_summary(text, summary, {});
        fmt::print("{}", text);
    }
    fmt::print(
        "bridge: {} frames in, {} sent, {} refused, {} missed, {} lost before, {} lost behind, "
        "{} reordered, {:.2f} s of CPU\n",
        number_, wires_[0].sent() + wires_[1].sent(), wires_[0].refused() + wires_[1].refused(),
        wires_[0].missed() + wires_[1].missed(), before_.lost(), behind_.lost(),
        before_.reordered() + behind_.reordered(), cpu_seconds());
}

void catch_signals() {
    struct sigaction action {};
    action.sa_handler = ask_to_stop;
    sigset_t set{};
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT}) {
        sigaction(signal, &action, nullptr);
        sigaddset(&set, signal);
    }
    sigprocmask(SIG_BLOCK, &set, nullptr);
}

int main_of(int argc, char** argv) {
    Options options;
    double reorder = 0;
    double delay_ms = 0;
    CLI::App app("Joins two interfaces, the engine between them.");
    app.add_option("--policy", options.policy, "the worker's policy");
    app.add_option("--set", options.settings, "section.key=value, as of haka")->take_all();
    app.add_flag("--none", options.none, "no engine: only forward");
    app.add_option("--loss-before", options.before.loss_percent, "% lost before the engine");
    app.add_option("--loss-behind", options.behind.loss_percent, "% lost behind the engine");
    app.add_option("--reorder", reorder, "% overtaken, before and behind the engine each");
    app.add_option("--delay", delay_ms, "ms that each frame takes before and behind each");
    app.add_option("--seed", options.seed, "of losses and of the engine");
    app.add_option("client", options.interfaces[0])->required();
    app.add_option("server", options.interfaces[1])->required();
    CLI11_PARSE(app, argc, argv);
    for (PathOptions* path : {&options.before, &options.behind}) {
        path->reorder_percent = reorder;
        path->delay.ns = static_cast<std::int64_t>(delay_ms * 1e6);
    }
    if (options.none != options.policy.empty()) {
        fmt::print(stderr, "live_bridge: either --policy or --none\n");
        return 2;
    }
    catch_signals();
    Bridge bridge(options);
    if (const std::string error = bridge.open(options); !error.empty()) {
        fmt::print(stderr, "live_bridge: {}\n", error);
        return 2;
    }
    fmt::print("ready\n");
    std::fflush(stdout);
    bridge.run();
    bridge.print_summary();
    return 0;
}

}  // namespace
}  // namespace haka::live

int main(int argc, char** argv) {
    return haka::live::main_of(argc, argv);
}
