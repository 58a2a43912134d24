#include "flow/timer_wheel.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <tuple>

namespace haka::flow {

std::uint64_t TimerWheel::tick_of(Instant now) {
    return static_cast<std::uint64_t>((now.ns >> kTickBits) + kTickBias);  // Rounds down.
}

std::uint64_t TimerWheel::tick_of_deadline(Instant deadline) {
    constexpr std::int64_t kInTick = (std::int64_t{1} << kTickBits) - 1;
    return tick_of(deadline) + ((deadline.ns & kInTick) != 0 ? 1 : 0);
}

void TimerWheel::arm(Connection& connection, Instant deadline) {
    cancel(connection);
    connection.deadline = deadline;
    const std::uint64_t tick = tick_of_deadline(deadline);
    if (tick > hand_) {
        link(connection, tick);
    } else {
        heap_push(connection, tick);
        update_due_at();
    }
}

void TimerWheel::cancel(Connection& connection) {
    if (!is_armed(connection)) {
        return;
    }
    if (connection.timer_previous == kHeapMarker) {
        heap_remove(connection.timer_next);
        update_due_at();
    } else {
        unlink(connection);
    }
    connection.timer_previous = kNoIndex;
    connection.timer_next = kNoIndex;
}

void TimerWheel::link(Connection& connection, std::uint64_t tick) {
    const auto highest = static_cast<unsigned>(std::bit_width(tick ^ hand_)) - 1;
    const unsigned level = highest / kDigitBits;
    const auto digit = static_cast<unsigned>(tick >> (level * kDigitBits)) % kDigits;
    const std::uint32_t bucket = level * kDigits + digit;
    connection.timer_previous = kBucketMarker | bucket;
    connection.timer_next = heads_[bucket];
    if (connection.timer_next != kNoIndex) {
        table_->at(connection.timer_next).timer_previous = connection.index;
    }
    heads_[bucket] = connection.index;
    occupied_[level] |= std::uint64_t{1} << digit;
}

void TimerWheel::unlink(Connection& connection) {
    const std::uint32_t next = connection.timer_next;
    if (next != kNoIndex) {
        table_->at(next).timer_previous = connection.timer_previous;
    }
    if ((connection.timer_previous & kBucketMarker) == 0) {
        table_->at(connection.timer_previous).timer_next = next;
        return;
    }
    const std::uint32_t bucket = connection.timer_previous & ~kBucketMarker;
    heads_[bucket] = next;
    if (next == kNoIndex) {
        occupied_[bucket / kDigits] &= ~(std::uint64_t{1} << bucket % kDigits);
    }
}

void TimerWheel::expire(Instant now, std::vector<std::uint32_t>& out) {
    out.clear();
    due_.clear();
    const std::uint64_t tick = tick_of(now);
    if (tick > hand_) {
        advance(tick);
    }
    while (!late_.empty() && late_.front().tick <= tick) {
        const std::uint32_t index = late_.front().index;
        heap_remove(0);
        report(table_->at(index));
    }
    update_due_at();
    std::ranges::sort(due_, {}, [](const Due& due) { return std::tuple(due.deadline, due.id); });
    out.reserve(due_.size());
    for (const Due& due : due_) {
        out.push_back(due.index);
    }
}

void TimerWheel::report(Connection& connection) {
    connection.timer_previous = kNoIndex;
    connection.timer_next = kNoIndex;
    due_.push_back({connection.deadline, connection.id, connection.index});
}

// Moves the hand. Let `top` be the level of the highest digit that changes. Below it, everything
// armed shares the hand's old digit at `top`, so all of it is behind; at `top`, the buckets that
// the hand jumps over are behind and the one that it lands on is spread anew; above, nothing
// changes.
void TimerWheel::advance(std::uint64_t tick) {
    const auto highest = static_cast<unsigned>(std::bit_width(tick ^ hand_)) - 1;
    const unsigned top = highest / kDigitBits;
    const auto landing = static_cast<unsigned>(tick >> (top * kDigitBits)) % kDigits;
    hand_ = tick;
    for (unsigned level = 0; level <= top; ++level) {
        std::uint64_t behind = occupied_[level];
        if (level == top) {
            behind &= (std::uint64_t{1} << landing) - 1;
        }
        for (; behind != 0; behind &= behind - 1) {
            report_bucket(level, static_cast<unsigned>(std::countr_zero(behind)));
        }
    }
    spread_bucket(top, landing);
}

void TimerWheel::report_bucket(unsigned level, unsigned digit) {
    std::uint32_t index = heads_[level * kDigits + digit];
    heads_[level * kDigits + digit] = kNoIndex;
    occupied_[level] &= ~(std::uint64_t{1} << digit);
    while (index != kNoIndex) {
        Connection& connection = table_->at(index);
        index = connection.timer_next;
        report(connection);
    }
}

void TimerWheel::spread_bucket(unsigned level, unsigned digit) {
    std::uint32_t index = heads_[level * kDigits + digit];
    heads_[level * kDigits + digit] = kNoIndex;
    occupied_[level] &= ~(std::uint64_t{1} << digit);
    while (index != kNoIndex) {
        Connection& connection = table_->at(index);
        index = connection.timer_next;
        const std::uint64_t tick = tick_of_deadline(connection.deadline);
        if (tick <= hand_) {
            report(connection);
        } else {
            link(connection, tick);
        }
    }
}

void TimerWheel::heap_push(Connection& connection, std::uint64_t tick) {
    connection.timer_previous = kHeapMarker;
    late_.emplace_back();
    heap_sift_up(static_cast<std::uint32_t>(late_.size() - 1), {tick, connection.index});
}

void TimerWheel::heap_remove(std::uint32_t place) {
    const Late moved = late_.back();
    const std::uint64_t removed_tick = late_[place].tick;
    late_.pop_back();
    if (place == late_.size()) {
        return;
    }
    if (moved.tick < removed_tick) {
        heap_sift_up(place, moved);
    } else {
        heap_sift_down(place, moved);
    }
}

void TimerWheel::heap_sift_up(std::uint32_t place, Late late) {
    while (place > 0 && late.tick < late_[(place - 1) / 2].tick) {
        heap_put(place, late_[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    heap_put(place, late);
}

void TimerWheel::heap_sift_down(std::uint32_t place, Late late) {
    for (std::size_t child = 2 * std::size_t{place} + 1; child < late_.size();
         child = 2 * std::size_t{place} + 1) {
        if (child + 1 < late_.size() && late_[child + 1].tick < late_[child].tick) {
            ++child;
        }
        if (late.tick <= late_[child].tick) {
            break;
        }
        heap_put(place, late_[child]);
        place = static_cast<std::uint32_t>(child);
    }
    heap_put(place, late);
}

void TimerWheel::heap_put(std::uint32_t place, Late late) {
    late_[place] = late;
    table_->at(late.index).timer_next = place;
}

// The start of the first tick at which something might be reported: the one after the hand, or
// that of the earliest late deadline.
void TimerWheel::update_due_at() {
    std::uint64_t tick = hand_ + 1;
    if (!late_.empty()) {
        tick = std::min(tick, late_.front().tick);
    }
    const std::int64_t unbiased = static_cast<std::int64_t>(tick) - kTickBias;
    // Beyond the end of time nothing is due: the hand is at the last tick.
    due_at_ns_ = unbiased >= kTickBias ? INT64_MAX : unbiased * (std::int64_t{1} << kTickBits);
}

}  // namespace haka::flow
