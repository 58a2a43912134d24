// A live run's reloads: who asked for one, and what they are told.
// Tested by: live_reload_test.cc
#include <algorithm>
#include <ctime>
#include <fmt/format.h>
#include <iterator>
#include <utility>

#include "engine/black_box.h"
#include "engine/live_run.h"

namespace haka::engine {

namespace {

double seconds_since_1970() {
    timespec time{};
    clock_gettime(CLOCK_REALTIME, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace

void LiveRun::reload(ReloadDone done) {
    const std::unique_lock lock(reload_mutex_);
    if (ended_ || workers_.empty()) {
        done({.generation = reload_figures_.generation, .error = "the run ends"});
        return;
    }
    asking_.push_back(std::move(done));
}

LiveRun::ReloadFigures LiveRun::reload_figures() const {
    const std::lock_guard lock(reload_mutex_);
    return reload_figures_;
}

// Who asks while one is being loaded waits for the next: the file may have changed in between.
void LiveRun::ask_for_reload() {
    std::vector<ReloadDone> asking;
    {
        const std::lock_guard lock(reload_mutex_);
        asking = std::exchange(asking_, {});
    }
    const int signalled = stop_.reload.load();
    if (asking.empty() && signalled == reloaded_) {
        return;
    }
    reloaded_ = signalled;
    auto& told = reload_->is_loading() ? told_later_ : told_now_;
    std::ranges::move(asking, std::back_inserter(told));
    reload_->ask(Clock::now());
}

void LiveRun::look_at_reload() {
    ask_for_reload();
    const auto result = reload_->look(Clock::now());
    if (!result) {
        return;
    }
    const bool done = result->error.empty();
    tell(done
             ? fmt::format("policy {} reloaded: generation {}", options_.policy, result->generation)
             : fmt::format("the policy could not be reloaded, generation {} goes on: {}",
                           result->generation, result->error));
    if (options_.black_box != nullptr) {
        options_.black_box->note_generation(result->generation);
    }
    {
        const std::lock_guard lock(reload_mutex_);
        reload_figures_.generation = result->generation;
        (done ? reload_figures_.done : reload_figures_.failed) += 1;
        reload_figures_.last_seconds = seconds_since_1970();
        reload_figures_.last_error = result->error;
    }
    for (const ReloadDone& told : std::exchange(told_now_, std::exchange(told_later_, {}))) {
        told(*result);
    }
}

void LiveRun::end_reloads() {
    const std::lock_guard lock(reload_mutex_);
    ended_ = true;
    for (auto* const waiting : {&told_now_, &told_later_, &asking_}) {
        for (const ReloadDone& told : std::exchange(*waiting, {})) {
            told({.generation = reload_figures_.generation, .error = "the run ends"});
        }
    }
}

}  // namespace haka::engine
