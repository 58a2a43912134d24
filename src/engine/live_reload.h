// Replaces the policy of a live run: loads it for every worker in a thread of its own, beside the
// one at work, and hands it over only when it could be loaded for all.
//
//   ask() -> loading thread: Worker::prepare() for each -> look(): a task for each worker
//
// All functions are for one thread, the run's.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/live_worker.h"

namespace haka::engine {

class LiveReload {
public:
    using Clock = std::chrono::steady_clock;

    struct Result {
        std::uint32_t generation = 0;  // Of the policy that new connections take now.
        std::string error;             // Empty: a new one. Else the old one goes on.
    };

    // The workers must outlive this. Loading may take `patience`.
    LiveReload(std::span<const std::unique_ptr<LiveWorker>> workers, Clock::duration patience)
        : workers_(workers),
          patience_(patience),
          generation_(workers.front()->worker().generation()) {}
    ~LiveReload();
    LiveReload(const LiveReload&) = delete;
    LiveReload& operator=(const LiveReload&) = delete;

    // While one is being loaded, the next begins behind it, once however often it was asked for.
    void ask(Clock::time_point now);
    // To be called now and then. Says once what became of a reload.
    [[nodiscard]] std::optional<Result> look(Clock::time_point now);
    [[nodiscard]] bool is_loading() const { return loading_ != nullptr; }
    // A policy loads for ever: nothing stops its thread but the end of the process.
    [[nodiscard]] bool hangs() const { return hangs_; }

private:
    struct Loading;

    void begin(Clock::time_point now);
    void end_retired();
    [[nodiscard]] Result hand_over(std::vector<std::unique_ptr<Policy>> policies);

    std::span<const std::unique_ptr<LiveWorker>> workers_;
    Clock::duration patience_;
    std::shared_ptr<Loading> loading_;  // Null: nothing is being loaded.
    Clock::time_point since_;
    std::uint32_t generation_;
    bool again_ = false;
    bool hangs_ = false;
};

}  // namespace haka::engine
