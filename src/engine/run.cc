#include "engine/run.h"

#include <algorithm>
#include <chrono>
#include <fmt/format.h>
#include <thread>

#include "capture/file_reader.h"
#include "capture/file_sink.h"
#include "capture/file_writer.h"
#include "capture/filter.h"
#include "engine/conveyor.h"
#include "engine/loading.h"
#include "engine/merger.h"
#include "engine/rule_watch.h"
#include "engine/worker.h"
#include "engine/worker_options.h"
#include "report/progress.h"

namespace haka::engine {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLook{50};  // How often the watch looks.
constexpr auto kStopPatience = RuleWatch::kStopPatience;
constexpr std::chrono::milliseconds kDrawEvery{200};

class Run {
public:
    Run(const RunOptions& options, const Sinks& sinks, const StopFlag& stop)
        : options_(options), sinks_(sinks), stop_(stop) {}

    RunOutcome go();

private:
    [[nodiscard]] std::string open();
    void work(std::size_t index);
    void watch();
    void look_at_rules(Clock::time_point now);
    void abandon(const RuleWatch::Hang& hung);
    void leave_behind();
    void gather();
    void draw(Clock::time_point now);
    void say(const std::string& line);

    const RunOptions& options_;
    const Sinks& sinks_;
    const StopFlag& stop_;
    std::unique_ptr<capture::FileReader> reader_;
    std::unique_ptr<capture::Filter> filter_;
    std::unique_ptr<capture::FileWriter> writer_;
    std::unique_ptr<capture::FileSink> eve_;
    std::vector<std::unique_ptr<Worker>> workers_;
    std::unique_ptr<Conveyor> conveyor_;
    std::unique_ptr<Merger> merger_;
    std::deque<Journal> last_words_;  // Of each worker, from the end of the input.
    std::vector<std::thread> threads_;
    std::atomic<std::uint32_t> at_work_{0};
    std::atomic<bool> stop_workers_{false};
    std::optional<RuleWatch> watch_;
    Clock::time_point start_ = Clock::now();
    Clock::time_point drawn_ = start_;
    Clock::time_point asked_to_stop_{};
    bool progress_shown_ = false;
    RunOutcome outcome_;
};

std::string Run::open() {
    auto reader = capture::FileReader::open(options_.input);
    if (reader.reader == nullptr) {
        return reader.error;
    }
    reader_ = std::move(reader.reader);
    if (!options_.filter.empty()) {
        auto compiled = capture::Filter::compile(options_.filter);
        if (compiled.filter == nullptr) {
            return compiled.error;
        }
        filter_ = std::move(compiled.filter);
    }
    for (std::uint32_t i = 0; i < options_.settings.workers; ++i) {
        LoadedWorker loaded = load_worker(worker_options(options_, i), stop_);
        if (loaded.worker == nullptr) {
            outcome_.must_abandon = loaded.hangs;
            outcome_.failed = loaded.fatal;
            return loaded.error;
        }
        workers_.push_back(std::move(loaded.worker));
    }
    if (!options_.output.empty()) {
        auto writer = capture::FileWriter::open(options_.output);
        if (writer.writer == nullptr) {
            return writer.error;
        }
        writer_ = std::move(writer.writer);
        writer_->describe(reader_->interfaces());
    }
    if (!options_.eve.empty() && options_.eve != "-") {
        auto sink = capture::FileSink::open(options_.eve);
        if (sink.sink == nullptr) {
            return fmt::format("{}: {}", options_.eve, sink.error);
        }
        eve_ = std::move(sink.sink);
    }
    return {};
}

void Run::work(std::size_t index) {
    Worker& worker = *workers_[index];
    worker.note_thread();
    std::uint64_t sequence = 0;
    while (Stage* stage = conveyor_->enter(sequence)) {
        worker.walk(stage->block.frames, stage->journals[index], stop_workers_);
        conveyor_->leave(*stage);
        sequence += 1;
        if (worker.is_fatal()) {
            stop_workers_.store(true);
            conveyor_->stop();
        }
    }
    if (!stop_workers_.load()) {
        worker.finish(last_words_[index]);
    }
    at_work_.fetch_sub(1);
}

void Run::say(const std::string& line) {
    if (!outcome_.message.empty()) {
        outcome_.message += '\n';
    }
    outcome_.message += line;
    outcome_.failed = true;
}

// A rule hangs in compiled code: nothing stops its thread, so everything before its packet is
// written, and the process must end.
void Run::abandon(const RuleWatch::Hang& hung) {
    stop_workers_.store(true);
    conveyor_->stop();
    const auto until = Clock::now() + kStopPatience;
    while (at_work_.load() > 1 && Clock::now() < until) {
        std::this_thread::sleep_for(kLook / 5);
    }
    const std::vector<Stage*> unfinished = conveyor_->unfinished();
    for (Stage* stage : unfinished) {
        merger_->write(stage->journals, hung.packet - 1);
    }
    if (unfinished.empty()) {  // It hangs at the end of the input.
        merger_->write(last_words_);
    }
    say(hung.what);
    outcome_.must_abandon = true;
}

void Run::look_at_rules(Clock::time_point now) {
    const auto stopping_since = asked_to_stop_ == Clock::time_point{}
                                    ? std::nullopt
                                    : std::optional<Clock::time_point>(asked_to_stop_);
    if (const auto hang = watch_->look(now, stopping_since)) {
        abandon(*hang);
    }
}

void Run::draw(Clock::time_point now) {
    if (!options_.progress || now - drawn_ < kDrawEvery) {
        return;
    }
    drawn_ = now;
    report::Progress progress;
    const std::uint64_t size = reader_->size();
    if (size != 0) {
        progress.fraction = static_cast<double>(conveyor_->position()) / static_cast<double>(size);
    }
    progress.packets = workers_.front()->at_work().packet;
    progress.elapsed.ns =
        std::chrono::duration_cast<std::chrono::nanoseconds>(now - start_).count();
    std::string line;
    report::append_progress(line, progress, options_.log_style);
    (void)sinks_.err(line);
    progress_shown_ = true;
}

// The calling thread's loop: writes what is done, watches what isn't.
void Run::watch() {
    while (!outcome_.must_abandon) {
        // Asked first: what the workers finished before they went is then seen by this turn. When
        // asked to stop they leave blocks behind that not all of them have walked.
        const bool all_gone = at_work_.load() == 0;
        Stage* stage = conveyor_->next_done(kLook);
        if (stage != nullptr) {
            merger_->write(stage->journals);
            conveyor_->recycle(*stage);
        }
        const auto now = Clock::now();
        if (stop_.requested.load() != 0 && asked_to_stop_ == Clock::time_point{}) {
            asked_to_stop_ = now;
            stop_workers_.store(true);
            conveyor_->stop();
        }
        if (asked_to_stop_ != Clock::time_point{} && now - asked_to_stop_ > kStopPatience &&
            stage == nullptr && conveyor_->is_reading()) {
            say("interrupted while waiting for input: what could be read is written");
            outcome_.must_abandon = true;
            return;
        }
        look_at_rules(now);
        draw(now);
        if (all_gone && stage == nullptr) {
            return;
        }
        if (conveyor_->is_over()) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
}

// One of the threads hangs; the caller ends the process.
void Run::leave_behind() {
    for (std::thread& thread : threads_) {
        thread.detach();
    }
    if (at_work_.load() <= 1) {  // The one that hangs counts nothing meanwhile.
        for (const auto& worker : workers_) {
            outcome_.summary += worker->summary();
        }
    }
}

// What the workers have to say at their end.
void Run::gather() {
    for (std::thread& thread : threads_) {
        thread.join();
    }
    merger_->write(last_words_);
    for (const auto& worker : workers_) {
        outcome_.summary += worker->summary();
        if (worker->is_fatal()) {
            say("haka.log.fatal: the policy ended the run");
        }
    }
    if (stop_.requested.load() != 0) {
        std::uint64_t reached = workers_.front()->at_work().packet;
        for (const auto& worker : workers_) {
            reached = std::min(reached, worker->at_work().packet);
        }
        say(fmt::format("interrupted at packet {}: everything before it is written", reached));
    }
}

RunOutcome Run::go() {
    if (std::string error = open(); !error.empty()) {
        outcome_.setup_failed = true;
        outcome_.message = std::move(error);
        return std::move(outcome_);
    }
    conveyor_ = std::make_unique<Conveyor>(*reader_, filter_.get(), options_.settings.workers,
                                           options_.settings.seed);
    merger_ = std::make_unique<Merger>(
        sinks_, options_, [this](std::uint32_t index) { return conveyor_->interface(index); },
        writer_.get(), eve_.get());
    merger_->write(workers_.front()->loading_journal());
    std::vector<Worker*> watched;
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        last_words_.emplace_back();
        watched.push_back(workers_[i].get());
    }
    watch_.emplace(std::move(watched), options_.settings.lua);
    at_work_.store(static_cast<std::uint32_t>(workers_.size()));
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        threads_.emplace_back([this, i] { work(i); });
    }
    watch();
    if (outcome_.must_abandon) {
        leave_behind();
    } else {
        gather();
    }
    merger_->finish();
    if (!outcome_.must_abandon && reader_->damage()) {
        say(*reader_->damage());
    }
    if (!merger_->problem().empty()) {
        say(merger_->problem());
    }
    if (progress_shown_) {
        std::string line;
        report::append_progress_end(line, options_.log_style);
        (void)sinks_.err(line);
    }
    outcome_.summary.wall_seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    outcome_.summary.cpu_seconds = cpu_seconds();
    return std::move(outcome_);
}

}  // namespace

RunOutcome run(const RunOptions& options, const Sinks& sinks, const StopFlag& stop) {
    auto run = std::make_unique<Run>(options, sinks, stop);
    RunOutcome outcome = run->go();
    if (outcome.must_abandon) {
        (void)run.release();  // The hung thread still uses it; the caller ends the process.
    }
    return outcome;
}

}  // namespace haka::engine
