#include "control/live_engine.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <fmt/format.h>
#include <optional>

namespace haka::control {
namespace {

// A worker that doesn't answer for so long is in a rule that hangs, or as good as.
constexpr std::chrono::milliseconds kPatience{1000};
constexpr std::chrono::seconds kReloadPatience{25};  // `haka ctl` waits for 30.

Instant clock_now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return {time.tv_sec * kSecond.ns + time.tv_nsec};
}

// How many answers are still out. The tasks share it, for they may run when nobody waits any more.
class Waiting {
public:
    explicit Waiting(std::size_t count) : answered_(count, false) {}

    void answer(std::size_t place) {
        const std::lock_guard lock(mutex_);
        answered_[place] = true;
        changed_.notify_all();
    }
    std::vector<bool> wait() {
        std::unique_lock lock(mutex_);
        (void)changed_.wait_for(lock, kPatience, [this] {
            return std::find(answered_.begin(), answered_.end(), false) == answered_.end();
        });
        return answered_;
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<bool> answered_;
};

}  // namespace

LiveEngine::LiveEngine(engine::LiveRun& run, const engine::RunOptions& options, About about)
    : run_(run),
      about_(std::move(about)),
      policy_(options.policy),
      pass_through_(options.settings.pass_through ||
                    (!options.live.queue && options.live.peer.empty())),
      start_(clock_now()),
      log_levels_(options.log_levels),
      last_(run.workers().size()) {
    log_levels_.try_emplace("default", "info");
}

// What a task writes to must live as long as the task: it is shared with it.
std::vector<bool> LiveEngine::ask_all(const std::function<Ask(std::size_t worker)>& what_of) const {
    const auto workers = run_.workers();
    const auto waiting = std::make_shared<Waiting>(workers.size());
    for (std::size_t i = 0; i < workers.size(); ++i) {
        workers[i]->post(
            [waiting, i, what = what_of(i)](engine::Worker& worker, engine::Journal& journal) {
                what(worker, journal);
                waiting->answer(i);
            });
    }
    return waiting->wait();
}

bool LiveEngine::ask(std::size_t worker, Ask what) const {
    const auto waiting = std::make_shared<Waiting>(1);
    run_.workers()[worker]->post(
        [waiting, what = std::move(what)](engine::Worker& asked, engine::Journal& journal) {
            what(asked, journal);
            waiting->answer(0);
        });
    return waiting->wait().front();
}

Figures LiveEngine::figures() {
    const auto workers = run_.workers();
    std::vector<std::shared_ptr<engine::WorkerFigures>> told;
    for (std::size_t i = 0; i < workers.size(); ++i) {
        told.push_back(std::make_shared<engine::WorkerFigures>());
    }
    const std::vector<bool> answered = ask_all([&told](std::size_t i) {
        return [into = told[i]](engine::Worker& worker, engine::Journal&) {
            *into = worker.figures();
        };
    });
    Figures figures;
    const engine::LiveRun::ReloadFigures reloads = run_.reload_figures();
    figures.policy = {.generation = reloads.generation,
                      .generations_live = 1,
                      .reloads_done = reloads.done,
                      .reloads_failed = reloads.failed,
                      .last_reload_seconds = reloads.last_seconds,
                      .last_error = reloads.last_error};
    const std::lock_guard lock(mutex_);
    for (std::size_t i = 0; i < workers.size(); ++i) {
        if (answered[i]) {
            last_[i] = std::move(*told[i]);
        }
        figures.policy.generations_live =
            std::max(figures.policy.generations_live, last_[i].generations);
        figures.workers.push_back({.figures = last_[i],
                                   .queue_depth = workers[i]->counts().waiting.get(),
                                   .kernel_drops = workers[i]->counts().kernel_lost.get(),
                                   .answered = answered[i]});
    }
    return figures;
}

Status LiveEngine::status() {
    Status status;
    const Figures now = figures();
    status.generation = now.policy.generation;
    for (const WorkerSight& worker : now.workers) {
        status.packets += worker.figures.summary.packets_in;
        for (const std::uint32_t count : worker.figures.connections) {
            status.connections += count;
        }
    }
    status.version = about_.version;
    status.revision = about_.revision;
    status.policy = policy_;
    status.source = about_.source;
    status.workers = static_cast<std::uint32_t>(run_.workers().size());
    status.uptime_seconds = static_cast<double>((clock_now() - start_).ns) * 1e-9;
    status.pass_through = pass_through_;
    const std::lock_guard lock(mutex_);
    status.log_levels = log_levels_;
    return status;
}

Listing LiveEngine::connections(const engine::ConnectionFilter& filter, std::size_t rows_max) {
    Listing listing;
    for (std::size_t i = 0; i < run_.workers().size() && !listing.is_cut; ++i) {
        struct Search {
            engine::Listed listed;
            bool goes_on = true;
        };
        const auto search = std::make_shared<Search>();
        search->listed.rows_max = rows_max - listing.rows.size();
        while (search->goes_on) {
            const bool answered =
                ask(i, [search, filter](engine::Worker& worker, engine::Journal&) {
                    search->goes_on = worker.list(filter, clock_now(), search->listed);
                });
            if (!answered) {
                listing.is_cut = true;  // The rest of this worker's.
                return listing;
            }
        }
        auto& rows = search->listed.rows;
        listing.rows.insert(listing.rows.end(), std::make_move_iterator(rows.begin()),
                            std::make_move_iterator(rows.end()));
        listing.is_cut = search->listed.is_cut;
    }
    return listing;
}

Outcome LiveEngine::end_connection(std::uint64_t id, engine::EndKind kind) {
    using enum engine::ConnectionFate;
    bool ended_before = false;
    bool silent = false;
    for (std::size_t i = 0; i < run_.workers().size(); ++i) {
        struct Search {
            engine::EndRequest request;
            engine::ConnectionFate fate = Searching;
        };
        const auto search = std::make_shared<Search>();
        search->request = {.id = id, .kind = kind};
        bool answered = true;
        while (answered && search->fate == Searching) {
            answered = ask(i, [search](engine::Worker& worker, engine::Journal& journal) {
                search->fate = worker.end_connection(search->request, clock_now(), journal);
                search->request.next_place += engine::kPlacesAtOnce;
            });
        }
        silent = silent || !answered;
        if (!answered) {
            continue;
        }
        if (search->fate == Ended) {
            return {true, fmt::format("connection {} is {}", id,
                                      kind == engine::EndKind::Drop ? "dropped" : "reset")};
        }
        if (search->fate == PassesThrough) {
            return {false, "nothing may be changed: the engine only looks (--pass-through)"};
        }
        ended_before = ended_before || search->fate == EndedBefore;
    }
    if (silent) {
        return {false, "a worker doesn't answer, a rule may hang; try again"};
    }
    return {false,
            ended_before
                ? fmt::format("connection {} has ended already", id)
                : fmt::format("there is no connection {}; `haka ctl connections` lists them", id)};
}

Outcome LiveEngine::reload() {
    struct Told {
        std::mutex mutex;
        std::condition_variable changed;
        std::optional<engine::LiveReload::Result> result;
    };
    const auto told = std::make_shared<Told>();  // It may be told when nobody waits any more.
    run_.reload([told](const engine::LiveReload::Result& result) {
        const std::lock_guard lock(told->mutex);
        told->result = result;
        told->changed.notify_all();
    });
    std::unique_lock lock(told->mutex);
    if (!told->changed.wait_for(lock, kReloadPatience,
                                [&told] { return told->result.has_value(); })) {
        return {false, "the policy still loads; the log will say what comes of it"};
    }
    const engine::LiveReload::Result& result = *told->result;
    if (!result.error.empty()) {
        return {false, fmt::format("the policy could not be reloaded, generation {} goes on: {}",
                                   result.generation, result.error)};
    }
    // Each worker has got it, and takes it before what is asked of it now.
    const std::vector<bool> taken =
        ask_all([](std::size_t) { return [](engine::Worker&, engine::Journal&) {}; });
    const bool all = std::find(taken.begin(), taken.end(), false) == taken.end();
    return {true, fmt::format("policy {} reloaded: generation {}{}", policy_, result.generation,
                              all ? "" : "; not all workers have taken it yet")};
}

Outcome LiveEngine::set_log_level(std::string_view module, report::LogLevel level) {
    const std::string name(module);
    const std::vector<bool> answered = ask_all([&name, level](std::size_t) {
        return [name, level](engine::Worker& worker, engine::Journal& journal) {
            worker.set_log_level(name, level, journal);
        };
    });
    const std::lock_guard lock(mutex_);
    log_levels_[name] = report::to_string(level);
    const bool all = std::find(answered.begin(), answered.end(), false) == answered.end();
    return {true, fmt::format("{}: {}{}", name == "default" ? "all modules" : name,
                              report::to_string(level),
                              all ? "" : "; not all workers have answered yet")};
}

Outcome LiveEngine::stop() {
    about_.stop();
    return {true, "the run ends"};
}

}  // namespace haka::control
