// One run over live traffic: a worker for each source, in a thread of its own, until somebody asks
// it to stop. The calling thread runs no Lua: it writes what the workers say, watches for a rule
// that hangs, and looks after signals.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "capture/file_sink.h"
#include "capture/file_writer.h"
#include "engine/live_reload.h"
#include "engine/live_worker.h"
#include "engine/merger.h"
#include "engine/rule_watch.h"
#include "engine/run.h"

namespace haka::engine {

class LiveRun {
public:
    // All must outlive this.
    LiveRun(const RunOptions& options, const Sinks& sinks, const StopFlag& stop);

    // Loads the policy and opens the sources. Nothing is let in before go().
    [[nodiscard]] bool open();
    // Called by go()'s thread some 50 times a second.
    void set_on_turn(std::function<void()> on_turn) { on_turn_ = std::move(on_turn); }
    // From any thread: the policy's file, as it is from now on, is loaded anew. `done` is told what
    // came of it, by go()'s thread; it must not ask again at once.
    using ReloadDone = std::function<void(const LiveReload::Result&)>;
    void reload(ReloadDone done);
    struct ReloadFigures {
        std::uint32_t generation = 1;
        std::uint64_t done = 0;
        std::uint64_t failed = 0;
        double last_seconds = 0;  // Since 1970; 0: there was none.
        std::string last_error;   // Empty: it went well.
    };
    [[nodiscard]] ReloadFigures reload_figures() const;
    // Until the end; once.
    [[nodiscard]] RunOutcome go();

    [[nodiscard]] std::span<const std::unique_ptr<LiveWorker>> workers() const { return workers_; }
    [[nodiscard]] const std::vector<capture::Interface>& interfaces() const { return interfaces_; }

private:
    using Clock = RuleWatch::Clock;
    using FileId = std::pair<std::uint64_t, std::uint64_t>;  // Device and number; 0, 0: none.

    [[nodiscard]] std::string open_parts();
    [[nodiscard]] std::string open_files();
    [[nodiscard]] std::string capture_name() const;
    [[nodiscard]] std::string open_capture();
    void turn();
    void write_records();
    void tell(const std::string& line);
    void tell_once(bool& told, const std::string& line);
    void look_at_rules();
    void abandon(const RuleWatch::Hang& hung);
    void stop_workers();
    void reopen_files();
    void reopen_capture();
    void reopen_eve();
    // live_run_reload.cc
    void ask_for_reload();
    void look_at_reload();
    void end_reloads();
    void finish();
    void tell_losses();
    [[nodiscard]] bool is_any_running() const;
    void fail(const std::string& line);

    const RunOptions& options_;
    const Sinks& sinks_;
    const StopFlag& stop_;
    std::vector<capture::Interface> interfaces_;
    std::vector<std::unique_ptr<LiveWorker>> workers_;
    std::vector<std::thread> threads_;
    std::unique_ptr<capture::FileWriter> writer_;
    FileId capture_file_;  // That it writes.
    std::unique_ptr<capture::FileSink> eve_;
    std::unique_ptr<Merger> merger_;
    std::optional<RuleWatch> watch_;
    std::optional<LiveReload> reload_;
    std::vector<ReloadDone> told_now_;    // Of what is being loaded;
    std::vector<ReloadDone> told_later_;  // it had begun when these asked.
    mutable std::mutex reload_mutex_;     // Of the next three.
    std::vector<ReloadDone> asking_;
    ReloadFigures reload_figures_;
    bool ended_ = false;
    std::function<void()> on_turn_;
    std::vector<std::uint8_t> records_;
    Clock::time_point start_;
    Clock::time_point flushed_;
    std::optional<Clock::time_point> stopping_since_;
    int reopened_ = 0;
    int reloaded_ = 0;
    bool told_lost_ = false;
    RunOutcome outcome_;
};

// As run(), over live traffic.
[[nodiscard]] RunOutcome run_live(const RunOptions& options, const Sinks& sinks,
                                  const StopFlag& stop);

}  // namespace haka::engine
