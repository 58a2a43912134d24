// Tested by: live_reload_test.cc
#include "engine/live_reload.h"

#include <atomic>
#include <ctime>
#include <fmt/format.h>
#include <malloc.h>
#include <thread>
#include <utility>

namespace haka::engine {

// Shared with the loading thread, which may outlive everything.
struct LiveReload::Loading {
    std::thread thread;
    std::atomic<bool> done{false};
    std::vector<std::unique_ptr<Policy>> policies;  // One a worker; fewer: it failed.
    std::string error;
};

LiveReload::~LiveReload() {
    if (loading_ == nullptr) {
        return;
    }
    if (hangs_) {
        loading_->thread.detach();
    } else {
        loading_->thread.join();
    }
}

void LiveReload::ask(Clock::time_point now) {
    if (loading_ != nullptr) {
        again_ = true;
        return;
    }
    begin(now);
}

void LiveReload::begin(Clock::time_point now) {
    again_ = false;
    since_ = now;
    loading_ = std::make_shared<Loading>();
    std::vector<const Worker*> workers;
    for (const auto& worker : workers_) {
        workers.push_back(&worker->worker());
    }
    const std::uint32_t generation = generation_ + 1;
    loading_->thread =
        std::thread([loading = loading_.get(), kept = loading_, workers, generation] {
            for (const Worker* const worker : workers) {
                Policy::Loaded loaded = worker->prepare(generation);
                if (loaded.policy == nullptr) {
                    loading->error = std::move(loaded.error);
                    break;
                }
                loading->policies.push_back(std::move(loaded.policy));
            }
            loading->done.store(true, std::memory_order_release);
        });
}

// Closing a Lua state takes milliseconds that no packet shall wait for. The C library keeps what a
// state had, in pieces between blocks of others that outlive it: each policy would leave some.
void LiveReload::end_retired() {
    bool any = false;
    for (const auto& worker : workers_) {
        any = !worker->worker().take_retired().empty() || any;
    }
    if (any) {
        (void)malloc_trim(0);
    }
}

std::optional<LiveReload::Result> LiveReload::look(Clock::time_point now) {
    end_retired();
    if (loading_ == nullptr) {
        return std::nullopt;
    }
    if (!loading_->done.load(std::memory_order_acquire)) {
        if (hangs_ && again_) {
            again_ = false;
            return Result{.generation = generation_,
                          .error =
                              "an earlier reload still loads, for ever as it seems: only a "
                              "restart ends it"};
        }
        if (!hangs_ && now - since_ > patience_) {
            hangs_ = true;
            return Result{
                .generation = generation_,
                .error = fmt::format("still loading after {:g} s: does it loop?",
                                     std::chrono::duration<double>(now - since_).count())};
        }
        return std::nullopt;
    }
    loading_->thread.join();
    const std::shared_ptr<Loading> loaded = std::exchange(loading_, nullptr);
    Result result{.generation = generation_, .error = loaded->error};
    if (std::exchange(hangs_, false)) {
        result.error = "it has loaded in the end, too late: ask again";
    } else if (result.error.empty()) {
        result = hand_over(std::move(loaded->policies));
    }
    if (again_) {
        begin(now);
    }
    return result;
}

LiveReload::Result LiveReload::hand_over(std::vector<std::unique_ptr<Policy>> policies) {
    generation_ += 1;
    for (std::size_t i = 0; i < policies.size(); ++i) {
        if (i != 0) {
            policies[i]->loading_journal.clear();  // Each said the same.
        }
        // A task can be copied, a policy can't.
        const auto shared = std::make_shared<std::unique_ptr<Policy>>(std::move(policies[i]));
        workers_[i]->post([shared](Worker& worker, Journal& journal) {
            timespec time{};
            clock_gettime(CLOCK_MONOTONIC, &time);
            worker.reload(std::move(*shared), {time.tv_sec * kSecond.ns + time.tv_nsec}, journal);
        });
    }
    return {.generation = generation_, .error = {}};
}

}  // namespace haka::engine
