// Tested by: live_worker_test.cc
#include "engine/live_run.h"

#include <algorithm>
#include <filesystem>
#include <fmt/format.h>

#include <sys/stat.h>

#include "capture/nfqueue.h"
#include "capture/packet_pair.h"
#include "capture/xdp_pair.h"
#include "engine/black_box.h"
#include "engine/loading.h"
#include "engine/worker_options.h"

namespace haka::engine {
namespace {

constexpr std::chrono::milliseconds kTurn{20};
constexpr std::chrono::milliseconds kFlushEvery{200};
constexpr std::chrono::milliseconds kStopLook{5};

bool looks_only(const RunOptions& options) {
    return !options.live.queue && options.live.peer.empty();
}

// Nothing leaves one interface, so there is nothing to decide. Recorded and overheard traffic are
// alike: its ends don't hear us, and packets may be missing.
RunOptions adapt(const RunOptions& options) {
    RunOptions adapted = options;
    adapted.settings.pass_through = options.settings.pass_through || looks_only(options);
    adapted.mode = adapted.settings.pass_through ? stream::Mode::File : stream::Mode::Live;
    return adapted;
}

capture::LiveSources open_sources(const RunOptions& options) {
    const Settings& settings = options.settings;
    if (options.live.queue) {
        return capture::open_nfqueues({.first = *options.live.queue,
                                       .workers = settings.workers,
                                       .settings = settings.nfqueue});
    }
    if (settings.live.af_xdp && !options.live.peer.empty()) {
        return capture::open_xdp_pair({.interface = options.live.interface,
                                       .peer = options.live.peer,
                                       .settings = settings.live,
                                       .workers = settings.workers});
    }
    return capture::open_packet_pair({.interface = options.live.interface,
                                      .peer = options.live.peer,
                                      .settings = settings.live,
                                      .workers = settings.workers});
}

std::string name_of(const RunOptions& options) {
    if (options.live.queue) {
        return options.settings.workers == 1
                   ? fmt::format("queue {}", *options.live.queue)
                   : fmt::format("queues {} to {}", *options.live.queue,
                                 *options.live.queue + options.settings.workers - 1);
    }
    return options.live.peer.empty()
               ? fmt::format("{}, looking only", options.live.interface)
               : fmt::format("{} and {}", options.live.interface, options.live.peer);
}

// Of what has that name.
std::pair<std::uint64_t, std::uint64_t> file_at(const std::string& path) {
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) {
        return {};
    }
    return {status.st_dev, status.st_ino};
}

}  // namespace

LiveRun::LiveRun(const RunOptions& options, const Sinks& sinks, const StopFlag& stop)
    : options_(options), sinks_(sinks), stop_(stop), start_(Clock::now()), flushed_(start_) {}

bool LiveRun::open() {
    std::string error = open_parts();
    if (error.empty()) {
        error = open_files();
    }
    outcome_.setup_failed = !error.empty();
    outcome_.message = std::move(error);
    return !outcome_.setup_failed;
}

std::string LiveRun::open_parts() {
    const RunOptions adapted = adapt(options_);
    std::vector<LiveWorker::Parts> parts;
    for (std::uint32_t i = 0; i < adapted.settings.workers; ++i) {
        LiveWorker::Parts& part = parts.emplace_back();
        part.records_bytes_max = adapted.settings.live.records_bytes_max;
        WorkerOptions options = worker_options(adapted, i);
        options.walks_batches = true;
        LoadedWorker loaded = load_worker(options, stop_);
        if (loaded.worker == nullptr) {
            outcome_.must_abandon = loaded.hangs;
            outcome_.failed = loaded.fatal;
            return loaded.error;
        }
        part.worker = std::move(loaded.worker);
        if (!adapted.filter.empty()) {
            auto compiled = capture::Filter::compile(adapted.filter);
            if (compiled.filter == nullptr) {
                return compiled.error;
            }
            part.filter = std::move(compiled.filter);
        }
    }
    // Last: from here on packets wait for us.
    capture::LiveSources opened = open_sources(adapted);
    if (!opened.error.empty()) {
        return opened.error;
    }
    interfaces_ = std::move(opened.interfaces);
    std::vector<Worker*> watched;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        parts[i].source = std::move(opened.sources[i]);
        watched.push_back(parts[i].worker.get());
        workers_.push_back(std::make_unique<LiveWorker>(std::move(parts[i])));
    }
    watch_.emplace(std::move(watched), adapted.settings.lua);
    reload_figures_.generation = workers_.front()->worker().generation();
    reload_.emplace(
        workers_, std::chrono::nanoseconds((adapted.settings.lua.rule_timeout * kLoadPatience).ns));
    return {};
}

std::string LiveRun::open_files() {
    if (!options_.output.empty()) {
        if (std::string error = open_capture(); !error.empty()) {
            return error;
        }
    }
    if (!options_.eve.empty() && options_.eve != "-") {
        const auto start = options_.restarts == 0 ? capture::FileSink::Start::Empty
                                                  : capture::FileSink::Start::Append;
        auto sink = capture::FileSink::open(options_.eve, start);
        if (sink.sink == nullptr) {
            return fmt::format("{}: {}", options_.eve, sink.error);
        }
        eve_ = std::move(sink.sink);
    }
    merger_ = std::make_unique<Merger>(
        sinks_, options_,
        [this](std::uint32_t index) {
            return &interfaces_[std::min<std::size_t>(index, interfaces_.size() - 1)];
        },
        writer_.get(), eve_.get());
    return {};
}

// Another file after each restart: what was written before stays.
std::string LiveRun::capture_name() const {
    if (options_.restarts == 0 || options_.output == "-") {
        return options_.output;
    }
    const std::filesystem::path path(options_.output);
    return (path.parent_path() / fmt::format("{}-{}{}", path.stem().string(), options_.restarts,
                                             path.extension().string()))
        .string();
}

std::string LiveRun::open_capture() {
    auto opened = capture::FileWriter::open(capture_name());
    if (opened.writer == nullptr) {
        return opened.error;
    }
    writer_ = std::move(opened.writer);
    writer_->describe(interfaces_);
    capture_file_ = file_at(capture_name());
    return {};
}

void LiveRun::tell(const std::string& line) {
    (void)sinks_.err(fmt::format("haka: {}\n", line));
}

void LiveRun::tell_once(bool& told, const std::string& line) {
    if (!told) {
        told = true;
        tell(line);
    }
}

void LiveRun::fail(const std::string& line) {
    if (!outcome_.message.empty()) {
        outcome_.message += '\n';
    }
    outcome_.message += line;
    outcome_.failed = true;
}

RunOutcome LiveRun::go() {
    if (outcome_.setup_failed) {
        return std::move(outcome_);
    }
    merger_->write(workers_.front()->worker().loading_journal());
    for (const auto& worker : workers_) {
        threads_.emplace_back([&live = *worker] { live.run(); });
    }
    if (options_.black_box != nullptr) {
        options_.black_box->note_open();
    }
    if (!options_.quiet) {
        tell(fmt::format("live on {} with {} worker{}; Ctrl-C ends it", name_of(options_),
                         workers_.size(), workers_.size() == 1 ? "" : "s"));
    }
    while (!outcome_.must_abandon && is_any_running()) {
        turn();
        std::this_thread::sleep_for(stopping_since_ ? kStopLook : kTurn);
    }
    finish();
    return std::move(outcome_);
}

bool LiveRun::is_any_running() const {
    return std::ranges::any_of(workers_, [](const auto& worker) { return worker->is_running(); });
}

void LiveRun::turn() {
    write_records();
    // One that ended by itself (fatal, its interface is gone) ends the others.
    const bool one_ended =
        !std::ranges::all_of(workers_, [](const auto& worker) { return worker->is_running(); });
    if (!stopping_since_ && (stop_.requested.load() != 0 || one_ended)) {
        stop_workers();
    }
    if (const int asked = stop_.reopen.load(); asked != reopened_) {
        reopened_ = asked;
        reopen_files();
    }
    look_at_reload();
    look_at_rules();
    if (on_turn_) {
        on_turn_();
    }
}

void LiveRun::write_records() {
    std::uint64_t lost = 0;
    for (const auto& worker : workers_) {
        if (worker->take_records(records_)) {
            merger_->write(records_);
        }
        for (const std::string& line : worker->take_remarks()) {
            tell(line);
        }
        lost += worker->records_lost();
    }
    if (lost != 0) {
        tell_once(told_lost_,
                  "what is said comes faster than it can be written: some of it is "
                  "thrown away; traffic goes on");
    }
    const auto now = Clock::now();
    if (now - flushed_ >= kFlushEvery) {
        flushed_ = now;
        merger_->flush();
        if (sinks_.flush) {
            sinks_.flush();
        }
    }
    if (const std::string news = merger_->take_news(); !news.empty()) {
        tell(fmt::format("{}; traffic goes on", news));
    }
}

void LiveRun::stop_workers() {
    stopping_since_ = Clock::now();
    for (const auto& worker : workers_) {
        worker->stop();
    }
}

void LiveRun::look_at_rules() {
    if (const auto hang = watch_->look(Clock::now(), stopping_since_)) {
        abandon(*hang);
    }
}

// A rule hangs: the others end as they should, this one's thread ends with the process.
void LiveRun::abandon(const RuleWatch::Hang& hung) {
    stop_workers();
    const auto until = Clock::now() + RuleWatch::kStopPatience;
    const auto others_run = [&] {
        for (std::size_t i = 0; i < workers_.size(); ++i) {
            if (i != hung.worker && workers_[i]->is_running()) {
                return true;
            }
        }
        return false;
    };
    while (others_run() && Clock::now() < until) {
        std::this_thread::sleep_for(kStopLook);
    }
    if (options_.black_box != nullptr && !stop_.requested.load()) {
        options_.black_box->note_fault({.worker = static_cast<std::uint32_t>(hung.worker),
                                        .rule = hung.rule,
                                        .what = hung.what});
    }
    fail(hung.what);
    outcome_.must_abandon = true;
}

void LiveRun::reopen_files() {
    if (sinks_.reopen) {
        if (const std::string error = sinks_.reopen(); !error.empty()) {
            tell(error);
        }
    }
    reopen_capture();
    reopen_eve();
}

// Only after it was moved away: else it would begin anew, and what is in it be lost.
void LiveRun::reopen_capture() {
    if (writer_ == nullptr || options_.output == "-" || file_at(capture_name()) == capture_file_) {
        return;
    }
    (void)writer_->flush();
    std::unique_ptr<capture::FileWriter> old = std::exchange(writer_, nullptr);
    if (const std::string error = open_capture(); !error.empty()) {
        writer_ = std::move(old);
        tell(fmt::format("{}; the old file is written on", error));
        return;
    }
    merger_->set_writer(writer_.get());
}

void LiveRun::reopen_eve() {
    if (eve_ == nullptr) {
        return;
    }
    (void)eve_->flush();
    auto opened = capture::FileSink::open(options_.eve, capture::FileSink::Start::Append);
    if (opened.sink == nullptr) {
        tell(fmt::format("{}: {}; the old file is written on", options_.eve, opened.error));
        return;
    }
    eve_ = std::move(opened.sink);
    merger_->set_eve(eve_.get());
}

void LiveRun::finish() {
    if (outcome_.must_abandon) {
        for (std::thread& thread : threads_) {
            thread.detach();  // One of them hangs; the caller ends the process.
        }
    } else {
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }
    std::uint64_t lost = 0;
    for (const auto& worker : workers_) {
        worker->take_rest(records_);
        merger_->write(records_);
        for (const std::string& line : worker->take_remarks()) {
            tell(line);
        }
        // The one that hangs counts nothing meanwhile; others that still run would.
        outcome_.summary += worker->worker().summary();
        lost += worker->records_lost();
        if (!outcome_.must_abandon && worker->worker().is_fatal()) {
            fail("haka.log.fatal: the policy ended the run");
        }
        if (!worker->failure().empty()) {
            fail(worker->failure());
        }
    }
    tell_losses();
    merger_->finish();
    if (lost != 0) {
        fail(
            fmt::format("{} records (alerts, prints, packets) were thrown away: they came faster "
                        "than they could be written",
                        lost));
    }
    if (!merger_->problem().empty()) {
        fail(fmt::format("{}; {} packets and events that came later are not written",
                         merger_->problem(), merger_->unwritten()));
    }
    end_reloads();
    outcome_.must_abandon = outcome_.must_abandon || reload_->hangs();
    outcome_.summary.wall_seconds = std::chrono::duration<double>(Clock::now() - start_).count();
    outcome_.summary.cpu_seconds = cpu_seconds();
}

// Of traffic, where it has met the kernel.
void LiveRun::tell_losses() {
    std::uint64_t refused = 0;
    std::uint64_t cut = 0;
    for (const auto& worker : workers_) {
        refused += worker->counts().refused.get();
        cut += worker->counts().cut.get();
    }
    if (refused != 0) {
        tell(fmt::format("packets that should have left and the kernel didn't take: {}", refused));
    }
    if (cut != 0) {
        tell(fmt::format("packets longer than could be taken, which were not sent on: {}", cut));
    }
}

RunOutcome run_live(const RunOptions& options, const Sinks& sinks, const StopFlag& stop) {
    auto run = std::make_unique<LiveRun>(options, sinks, stop);
    (void)run->open();
    RunOutcome outcome = run->go();
    if (outcome.must_abandon) {
        (void)run.release();  // The hung thread still uses it; the caller ends the process.
    }
    return outcome;
}

}  // namespace haka::engine
