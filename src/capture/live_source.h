// Packets as the kernel hands them over, and their way back. One for each worker, used by its
// thread alone; the counters may be read by any.
//
//   receive() -> frames -> the worker's walk -> pass(), send() -> finish_batch()
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <poll.h>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "capture/block.h"
#include "capture/way_out.h"

namespace haka::capture {

// A number that one thread counts and others look at.
class Count {
public:
    void add(std::uint64_t more) {
        value_.store(value_.load(std::memory_order_relaxed) + more, std::memory_order_relaxed);
    }
    void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
    [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

struct LiveCounts {
    Count packets;      // Received.
    Count bytes;        // Of these.
    Count passed;       // Left as they came.
    Count sent;         // Left changed, or made here.
    Count refused;      // That the kernel didn't take on their way out.
    Count kernel_lost;  // Came faster than they were received; the kernel's count.
    Count cut;          // Longer than a buffer, or than nfqueue.copy_range, and so not sent on.
    Count waiting;      // Packets in the kernel's queue when last looked at (NFQUEUE).
};

class LiveSource : public WayOut {
public:
    // What has come, a batch of it at most; never waits. Frames and their bytes, which may be
    // written, stay until finish_batch().
    [[nodiscard]] virtual std::span<Frame> receive(Instant wall) = 0;
    // What was not passed is dropped, what was sent leaves.
    virtual void finish_batch() = 0;
    // Readable when something has come.
    [[nodiscard]] virtual std::span<const pollfd> ready_fds() const = 0;
    // Looks after things that need no haste: counts, interfaces that went and came. Returns what
    // there is to say, lines without a newline, each once.
    [[nodiscard]] virtual std::vector<std::string> look_after() = 0;
    // Nothing will ever come again; why.
    [[nodiscard]] virtual const std::string& failure() const = 0;

    [[nodiscard]] const LiveCounts& counts() const { return counts_; }

protected:
    LiveCounts counts_;
};

// The sources of a run, one for each worker; or why there are none, and the remedy.
struct LiveSources {
    std::vector<std::unique_ptr<LiveSource>> sources;
    std::vector<Interface> interfaces;  // By Frame::interface.
    std::string error;
};

}  // namespace haka::capture
