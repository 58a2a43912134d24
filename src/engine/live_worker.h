// One worker of a live run: takes packets from its source, walks them, lets them go, and waits. It
// shares nothing with the other workers; to the rest of the program it hands over what was said,
// and takes tasks.
//
//   any thread -- post() --> tasks, run between two batches
//   source -> batch -> Worker::walk -> source        journal -> handed over -> the writing thread
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "capture/filter.h"
#include "capture/live_source.h"
#include "engine/journal.h"
#include "engine/worker.h"

namespace haka::engine {

class LiveWorker {
public:
    using Task = std::function<void(Worker&, Journal&)>;

    struct Parts {
        std::unique_ptr<Worker> worker;
        std::unique_ptr<capture::LiveSource> source;
        std::unique_ptr<capture::Filter> filter;  // Null: every packet is walked.
        std::uint32_t records_bytes_max = 0;
    };
    explicit LiveWorker(Parts parts);
    ~LiveWorker();
    LiveWorker(const LiveWorker&) = delete;
    LiveWorker& operator=(const LiveWorker&) = delete;

    // The thread's function: until stop(), or until the source fails or the policy ends the run.
    void run();

    // From any thread.
    void stop();
    // Runs `task` in the worker's thread before its next batch. Tasks that are left when the worker
    // stops aren't run.
    void post(Task task);
    [[nodiscard]] const capture::LiveCounts& counts() const { return source_->counts(); }
    [[nodiscard]] std::uint64_t batches() const { return batches_.get(); }
    // Prints, alerts and other records that were thrown away because nobody wrote them in time.
    [[nodiscard]] std::uint64_t records_lost() const { return records_lost_.get(); }
    [[nodiscard]] bool is_running() const { return running_.load(std::memory_order_acquire); }

    // From the writing thread: what was said since the last call, false when nothing was.
    [[nodiscard]] bool take_records(std::vector<std::uint8_t>& records);
    // The same for a worker that has ended, or hangs in a rule: also what it has not handed over.
    void take_rest(std::vector<std::uint8_t>& records);
    // What the source has to say, lines.
    [[nodiscard]] std::vector<std::string> take_remarks();

    // While the worker runs, for what may be asked from any thread; all of it afterwards.
    [[nodiscard]] Worker& worker() { return *worker_; }
    // After run(): why the source failed; empty: it didn't.
    [[nodiscard]] const std::string& failure() const { return source_->failure(); }

private:
    struct Clocks {
        Instant now;   // Never jumps.
        Instant wall;  // What people are shown.
    };
    [[nodiscard]] static Clocks read_clocks();
    [[nodiscard]] bool turn();
    [[nodiscard]] std::span<Frame> select(std::span<Frame> frames);
    void run_tasks();
    void hand_over();
    void look_after(Instant now);
    void wait(Instant now);
    void drain();

    std::unique_ptr<Worker> worker_;
    std::unique_ptr<capture::LiveSource> source_;
    std::unique_ptr<capture::Filter> filter_;
    std::uint32_t records_bytes_max_;
    int wake_fd_;
    std::vector<pollfd> waits_;
    std::vector<Frame> selected_;
    Journal journal_;
    Instant looked_{INT64_MIN};
    Instant passed_{INT64_MIN};  // When timers were last looked at.
    capture::Count batches_;
    capture::Count records_lost_;
    std::atomic<bool> stop_{false};
    std::atomic<bool> stop_walk_{false};
    std::atomic<bool> running_{true};

    // One buffer goes to and fro: the worker fills it while it isn't full, the writer empties it.
    std::vector<std::uint8_t> handed_;
    std::atomic<bool> is_handed_{false};

    std::atomic<bool> has_tasks_{false};
    std::mutex mutex_;  // Of what comes now; taken once a second at most without any task.
    std::vector<Task> tasks_;
    std::vector<std::string> remarks_;
};

}  // namespace haka::engine
