#include "engine/loading.h"

#include <chrono>
#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <thread>
#include <utility>

namespace haka::engine {
namespace {

// Shared with the thread, which may outlive the call.
struct Loading {
    std::mutex mutex;
    std::condition_variable done;
    bool is_done = false;
    Worker::Made made;
};

}  // namespace

LoadedWorker load_worker(const WorkerOptions& options, const StopFlag& stop) {
    using Clock = std::chrono::steady_clock;
    constexpr std::chrono::milliseconds kLook{20};
    constexpr std::chrono::milliseconds kStopPatience{300};
    const auto loading = std::make_shared<Loading>();
    std::thread thread([loading, options] {
        Worker::Made made = Worker::make(options);
        const std::lock_guard lock(loading->mutex);
        loading->made = std::move(made);
        loading->is_done = true;
        loading->done.notify_one();
    });
    const Duration patience = options.settings.lua.rule_timeout * kLoadPatience;
    const auto until = Clock::now() + std::chrono::nanoseconds(patience.ns);
    const auto stop_from = Clock::now() + kStopPatience;  // A policy that is about done may end.
    std::unique_lock lock(loading->mutex);
    while (!loading->is_done) {
        const bool stopped = stop.requested.load() != 0 && Clock::now() >= stop_from;
        if (stopped || Clock::now() >= until) {
            lock.unlock();
            thread.detach();
            const std::string why =
                stopped ? std::string("interrupted while it was loading")
                        : fmt::format(
                              "still loading after {} s ({} times lua.rule_timeout): does "
                              "it loop?",
                              static_cast<double>(patience.ns) * 1e-9, kLoadPatience);
            return {nullptr, fmt::format("{}: {}", options.script.policy, why), true, false};
        }
        loading->done.wait_for(lock, kLook);
    }
    lock.unlock();
    thread.join();
    return {std::move(loading->made.worker), std::move(loading->made.error), false,
            loading->made.fatal};
}

}  // namespace haka::engine
