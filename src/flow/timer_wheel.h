// When does each connection's time run out: a hierarchical wheel over the links that lie in the
// connections. Lazily re-armed: a packet only moves last_seen; when the wheel reports a
// connection, the caller computes its true deadline and arms it again or ends it.
//
// Time counts in ticks of 2^27 ns (134 ms). A deadline's tick is rounded up, so nothing is reported
// early. An armed deadline T lies above the wheel's hand H, in the level of the highest 6-bit digit
// in which T and H differ, in the bucket of T's digit there.
//
// Invariant: a connection is reported by the first expire(now) with tick(now) >= T. That depends on
// nothing but `now` and its own deadline, so any number of workers that are told every packet's
// time see the same. The hand never goes back: when time does, deadlines armed at or behind it wait
// in a heap, so that a clock that jumps to and fro costs a logarithm, not a new wheel.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "flow/connection_table.h"

namespace haka::flow {

class TimerWheel {
public:
    // `table` must outlive the wheel.
    explicit TimerWheel(ConnectionTable& table) : table_(&table) { heads_.fill(kNoIndex); }

    // Sets the connection's deadline; an armed one is moved.
    void arm(Connection& connection, Instant deadline);
    // Does nothing if it isn't armed.
    void cancel(Connection& connection);
    [[nodiscard]] static bool is_armed(const Connection& connection) {
        return connection.timer_previous != kNoIndex;
    }

    // Is an expire(now) due? For every packet; false means that it would report nothing.
    [[nodiscard]] bool due(Instant now) const { return now.ns >= due_at_ns_; }

    // The earliest now for which due() is true.
    [[nodiscard]] Instant wakes_at() const { return {due_at_ns_}; }

    // Replaces `out` by the indices of all connections whose time has come, ascending by
    // (deadline, id). They are no longer armed; each one's deadline is <= now.
    void expire(Instant now, std::vector<std::uint32_t>& out);

private:
    static constexpr unsigned kTickBits = 27;
    static constexpr unsigned kDigitBits = 6;
    static constexpr unsigned kDigits = 1U << kDigitBits;
    static constexpr unsigned kLevels = 7;  // 42 bits; ticks have 37.
    // Instants may be negative: added to ticks so that digits are of an unsigned number.
    static constexpr std::int64_t kTickBias = std::int64_t{1} << (63 - kTickBits);
    // In timer_previous of a bucket's first connection: marker | bucket.
    static constexpr std::uint32_t kBucketMarker = 0x8000'0000;
    // In timer_previous of a connection in the heap; timer_next is its place there.
    static constexpr std::uint32_t kHeapMarker = 0xffff'fffe;

    struct Late {
        std::uint64_t tick = 0;
        std::uint32_t index = 0;
    };
    struct Due {
        Instant deadline;
        std::uint64_t id = 0;
        std::uint32_t index = 0;
    };

    [[nodiscard]] static std::uint64_t tick_of(Instant now);
    [[nodiscard]] static std::uint64_t tick_of_deadline(Instant deadline);
    void link(Connection& connection, std::uint64_t tick);
    void unlink(Connection& connection);
    void report(Connection& connection);
    void advance(std::uint64_t tick);
    void report_bucket(unsigned level, unsigned digit);
    void spread_bucket(unsigned level, unsigned digit);
    void heap_push(Connection& connection, std::uint64_t tick);
    void heap_remove(std::uint32_t place);
    void heap_sift_up(std::uint32_t place, Late late);
    void heap_sift_down(std::uint32_t place, Late late);
    void heap_put(std::uint32_t place, Late late);
    void update_due_at();

    ConnectionTable* table_;
    std::uint64_t hand_ = 0;  // Highest tick that expire() was told, biased.
    std::int64_t due_at_ns_ = INT64_MIN;
    std::array<std::uint64_t, kLevels> occupied_{};  // A bit a bucket.
    std::array<std::uint32_t, kLevels * kDigits> heads_{};
    std::vector<Late> late_;
    std::vector<Due> due_;  // Kept for its capacity.
};

}  // namespace haka::flow
