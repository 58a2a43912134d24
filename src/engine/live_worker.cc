#include "engine/live_worker.h"

#include <algorithm>
#include <ctime>
#include <poll.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include "engine/fault_note.h"

namespace haka::engine {
namespace {

constexpr Duration kLookEvery = kSecond;
// Batches that are still walked after stop(): what waits in the kernel gets its verdict.
constexpr int kLastBatchesMax = 256;

Instant read_clock(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);
    return {time.tv_sec * kSecond.ns + time.tv_nsec};
}

}  // namespace

LiveWorker::LiveWorker(Parts parts)
    : worker_(std::move(parts.worker)),
      source_(std::move(parts.source)),
      filter_(std::move(parts.filter)),
      records_bytes_max_(parts.records_bytes_max),
      wake_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
    for (const pollfd& ready : source_->ready_fds()) {
        waits_.push_back(ready);
    }
    waits_.push_back({.fd = wake_fd_, .events = POLLIN, .revents = 0});
    worker_->set_way_out(source_.get());
}

LiveWorker::~LiveWorker() {
    if (wake_fd_ != -1) {
        close(wake_fd_);
    }
}

LiveWorker::Clocks LiveWorker::read_clocks() {
    return {.now = read_clock(CLOCK_MONOTONIC), .wall = read_clock(CLOCK_REALTIME)};
}

void LiveWorker::run() {
    const FaultNote note(*worker_, worker_->index());
    worker_->note_thread();
    while (!stop_.load(std::memory_order_relaxed) && !worker_->is_fatal() &&
           source_->failure().empty()) {
        if (has_tasks_.load(std::memory_order_acquire)) {
            run_tasks();
        }
        if (!turn()) {
            wait(read_clock(CLOCK_MONOTONIC));
        }
    }
    drain();
    running_.store(false, std::memory_order_release);
}

// False: nothing has come.
bool LiveWorker::turn() {
    const Clocks clocks = read_clocks();
    worker_->set_wall_offset(clocks.wall - clocks.now);
    const std::span<Frame> frames = source_->receive(clocks.wall);
    if (!frames.empty()) {
        batches_.add(1);
        worker_->walk(select(frames), journal_, stop_walk_);
    }
    if (worker_->wakes_at() <= clocks.now || clocks.now - passed_ >= kLookEvery) {
        passed_ = clocks.now;
        worker_->pass_time(clocks.now, journal_);
    }
    source_->finish_batch();
    hand_over();
    if (clocks.now - looked_ >= kLookEvery) {
        look_after(clocks.now);
    }
    return !frames.empty();
}

// What the filter doesn't select passes unlooked.
std::span<Frame> LiveWorker::select(std::span<Frame> frames) {
    if (filter_ == nullptr) {
        return frames;
    }
    selected_.clear();
    for (const Frame& frame : frames) {
        if (filter_->matches(frame)) {
            selected_.push_back(frame);
        } else {
            source_->pass(frame);
        }
    }
    return selected_;
}

void LiveWorker::drain() {
    for (int i = 0; i < kLastBatchesMax && !worker_->is_fatal() && source_->failure().empty();
         ++i) {
        if (!turn()) {
            break;
        }
    }
    worker_->finish(journal_);
    source_->finish_batch();
    look_after(read_clock(CLOCK_MONOTONIC));
}

void LiveWorker::stop() {
    stop_.store(true, std::memory_order_relaxed);
    (void)eventfd_write(wake_fd_, 1);
}

void LiveWorker::post(Task task) {
    {
        const std::lock_guard lock(mutex_);
        tasks_.push_back(std::move(task));
    }
    has_tasks_.store(true, std::memory_order_release);
    (void)eventfd_write(wake_fd_, 1);
}

void LiveWorker::run_tasks() {
    std::vector<Task> tasks;
    {
        const std::lock_guard lock(mutex_);
        has_tasks_.store(false, std::memory_order_relaxed);
        tasks.swap(tasks_);
    }
    for (const Task& task : tasks) {
        task(*worker_, journal_);
    }
}

void LiveWorker::hand_over() {
    const std::size_t size = journal_.committed_bytes();
    if (size == 0) {
        return;
    }
    if (!is_handed_.load(std::memory_order_acquire)) {
        journal_.take(handed_);
        is_handed_.store(true, std::memory_order_release);
    } else if (size > records_bytes_max_) {
        std::vector<std::uint8_t> thrown_away;
        journal_.take(thrown_away);
        std::uint64_t count = 0;
        for (RecordReader record(thrown_away); !record.done(); record.next()) {
            count += 1;
        }
        records_lost_.add(count);
    }
}

bool LiveWorker::take_records(std::vector<std::uint8_t>& records) {
    records.clear();
    if (!is_handed_.load(std::memory_order_acquire)) {
        return false;
    }
    records.swap(handed_);
    is_handed_.store(false, std::memory_order_release);
    return true;
}

void LiveWorker::take_rest(std::vector<std::uint8_t>& records) {
    (void)take_records(records);
    std::vector<std::uint8_t> rest;
    journal_.take(rest);
    records.insert(records.end(), rest.begin(), rest.end());
}

void LiveWorker::look_after(Instant now) {
    looked_ = now;
    std::vector<std::string> said = source_->look_after();
    if (!said.empty()) {
        const std::lock_guard lock(mutex_);
        remarks_.insert(remarks_.end(), said.begin(), said.end());
    }
}

std::vector<std::string> LiveWorker::take_remarks() {
    const std::lock_guard lock(mutex_);
    return std::exchange(remarks_, {});
}

// Until a packet comes, something is due, or somebody calls.
void LiveWorker::wait(Instant now) {
    const std::int64_t left =
        std::clamp<std::int64_t>((worker_->wakes_at() - now).ns, 0, kLookEvery.ns);
    const timespec patience{.tv_sec = left / kSecond.ns, .tv_nsec = left % kSecond.ns};
    if (ppoll(waits_.data(), waits_.size(), &patience, nullptr) <= 0) {
        return;
    }
    for (const pollfd& ready : waits_) {
        if ((ready.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0) {
            look_after(now);
        }
    }
    if (waits_.back().revents != 0) {
        eventfd_t calls = 0;
        (void)eventfd_read(wake_fd_, &calls);
    }
}

}  // namespace haka::engine
