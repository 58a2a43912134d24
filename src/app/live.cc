#include "app/live.h"

#include <ctime>
#include <fmt/format.h>
#include <memory>

#include "app/doctor.h"
#include "app/version.h"
#include "control/exposer.h"
#include "control/live_engine.h"
#include "control/notify.h"
#include "control/server.h"
#include "engine/live_run.h"

namespace haka::app {
namespace {

Instant clock_now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return {time.tv_sec * kSecond.ns + time.tv_nsec};
}

LiveSource source_of(const engine::RunOptions& run) {
    LiveSource source;
    if (run.live.queue) {
        source.kind = LiveKind::Queues;
        source.first_queue = *run.live.queue;
        source.last_queue = static_cast<std::uint16_t>(*run.live.queue + run.settings.workers - 1);
    } else {
        source.kind = run.live.peer.empty() ? LiveKind::Passive : LiveKind::Pair;
        source.interfaces.push_back(run.live.interface);
        if (!run.live.peer.empty()) {
            source.interfaces.push_back(run.live.peer);
            source.af_xdp = run.settings.live.af_xdp;
        }
    }
    return source;
}

engine::RunOutcome refused(std::string why) {
    engine::RunOutcome outcome;
    outcome.setup_failed = true;
    outcome.message = std::move(why);
    return outcome;
}

// What stands around a run. It is there before the first packet and goes before the run does.
class Surroundings {
public:
    Surroundings(const Options& options, const engine::RunOptions& run, engine::LiveRun& live,
                 engine::StopFlag& stop)
        : options_(options),
          run_(run),
          engine_(live, run,
                  {.version = kVersion,
                   .revision = kRevision,
                   .source = source_text(run),
                   .stop = [&stop] { stop.requested.store(1); }}) {
        live.set_on_turn([this, &stop] { turn(stop.requested.load() != 0); });
    }

    // Returns why the run can't begin, empty when it can.
    [[nodiscard]] std::string open(const engine::Sinks& sinks) {
        const ControlSettings& control = run_.settings.control;
        if (!control.socket.empty()) {
            auto opened = control::Server::open(control, engine_);
            // Nobody asked for the usual place: a second engine goes without.
            if (opened.server == nullptr && control.socket != ControlSettings().socket) {
                return opened.error;
            }
            if (opened.server == nullptr) {
                (void)sinks.err(fmt::format("haka: no control socket: {}\n", opened.error));
            }
            server_ = std::move(opened.server);
        }
        if (!options_.metrics.empty()) {
            auto opened = control::Exposer::open(options_.metrics, engine_);
            if (opened.exposer == nullptr) {
                return opened.error;
            }
            exposer_ = std::move(opened.exposer);
        }
        return {};
    }

private:
    // The run's own thread, some 50 times a second: that it comes here is what `alive` means.
    void turn(bool stopping) {
        const Instant now = clock_now();
        if (!told_ready_) {
            told_ready_ = true;
            notifier_.ready(fmt::format("live on {}", source_text(run_)));
        }
        if (stopping && !told_stopping_) {
            told_stopping_ = true;
            notifier_.stopping("the run ends");
        }
        if (notifier_.watchdog() && now - told_alive_ >= *notifier_.watchdog()) {
            told_alive_ = now;
            notifier_.alive();
        }
    }

    const Options& options_;
    const engine::RunOptions& run_;
    control::LiveEngine engine_;
    control::Notifier notifier_ = control::Notifier::of_environment();
    std::unique_ptr<control::Server> server_;
    std::unique_ptr<control::Exposer> exposer_;
    Instant told_alive_{INT64_MIN};
    bool told_ready_ = false;
    bool told_stopping_ = false;
};

}  // namespace

std::string source_text(const engine::RunOptions& run) {
    if (run.live.queue) {
        const std::uint32_t last = *run.live.queue + run.settings.workers - 1;
        return last == *run.live.queue ? fmt::format("--nfqueue {}", last)
                                       : fmt::format("--nfqueue {}:{}", *run.live.queue, last);
    }
    return fmt::format("-i {}{}{}", run.live.interface, run.live.peer.empty() ? "" : ":",
                       run.live.peer);
}

engine::RunOutcome run_live(const Options& options, const engine::RunOptions& run,
                            const engine::Sinks& sinks, engine::StopFlag& stop) {
    if (std::string why = refusal_of(source_of(run)); !why.empty()) {
        return refused(std::move(why));
    }
    auto live = std::make_unique<engine::LiveRun>(run, sinks, stop);
    if (!live->open()) {
        return live->go();  // Says why.
    }
    engine::RunOutcome outcome;
    {
        Surroundings surroundings(options, run, *live, stop);
        if (std::string why = surroundings.open(sinks); !why.empty()) {
            return refused(std::move(why));
        }
        outcome = live->go();
    }
    if (!options.profile) {
        outcome.summary.lua_time.clear();  // Timed for the metrics alone.
    }
    if (outcome.must_abandon) {
        (void)live.release();  // The hung thread still uses it; the caller ends the process.
    }
    return outcome;
}

}  // namespace haka::app
