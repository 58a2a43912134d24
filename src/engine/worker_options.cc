// Tested by: run_test.cc
#include "engine/worker_options.h"

#include <ctime>

#include <sys/resource.h>

#include "engine/black_box.h"

namespace haka::engine {
namespace {

script::Options script_options(const RunOptions& options, std::uint32_t worker) {
    return {.policy = options.policy,
            .lua = options.settings.lua,
            .log_levels = options.log_levels,
            .seed = options.settings.seed,
            .worker = worker,
            .held_segments_max = options.settings.tcp.held_segments_max,
            .edits_max = options.settings.tcp.edits_max,
            .pass_through = options.settings.pass_through,
            .profile = options.profile,
            .disabled_rules = options.black_box == nullptr ? std::vector<std::string>()
                                                           : options.black_box->disabled()};
}

// The clock of a live worker.
Instant monotonic_now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return {time.tv_sec * kSecond.ns + time.tv_nsec};
}

}  // namespace

WorkerOptions worker_options(const RunOptions& options, std::uint32_t index) {
    return {.settings = options.settings,
            .script = script_options(options, index),
            .index = index,
            .writes_packets = !options.output.empty(),
            .writes_eve = !options.eve.empty(),
            .shows_alerts = !options.quiet,
            .out_style = options.out_style,
            .log_style = options.log_style,
            .mode = options.mode,
            .restarted_at = options.restarts == 0 ? std::nullopt : std::optional(monotonic_now()),
            .black_box = options.black_box};
}

double cpu_seconds() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
    };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace haka::engine
