// Tested by: recovery_test.cc
#include "stream/recovery.h"

#include <algorithm>

namespace haka::stream {

namespace {

constexpr Duration kGrace = kMillisecond;  // Clocks and queues: a pass is never shorter.

}  // namespace

void Recovery::sacked(Range block) {
    block.begin = std::max(block.begin, acked_);
    if (block.empty()) {
        return;
    }
    // All blocks that it touches become one.
    auto first = std::ranges::lower_bound(blocks_, block.begin, {}, &Range::end);
    auto last = first;
    for (; last != blocks_.end() && last->begin <= block.end; ++last) {
        block = {.begin = std::min(block.begin, last->begin),
                 .end = std::max(block.end, last->end)};
    }
    if (first != last) {
        *first = block;
        blocks_.erase(first + 1, last);
    } else if (blocks_.size() < kBlocksMax) {
        blocks_.insert(first, block);
    }
}

void Recovery::answered(std::uint64_t acked, bool repeats) {
    advanced_ = acked > acked_;
    acked_ = std::max(acked_, acked);
    repeats_ = repeats ? repeats_ + 1 : 0;
    const auto first = std::ranges::upper_bound(blocks_, acked_, {}, &Range::end);
    blocks_.erase(blocks_.begin(), first);
    timed_out_ = timed_out_ && !advanced_;
}

void Recovery::timed_out() {
    timed_out_ = true;
    pass_ = acked_;
}

// The first bytes from `offset` on that no block names.
Recovery::Range Recovery::hole_from(std::uint64_t offset, std::uint64_t sent) const {
    for (auto block = std::ranges::upper_bound(blocks_, offset, {}, &Range::end);
         block != blocks_.end(); ++block) {
        if (block->begin > offset) {
            return {.begin = offset, .end = block->begin};
        }
        offset = block->end;
    }
    return {.begin = offset, .end = sent};
}

// RFC 6675, 4: three blocks behind it, or more than two segments' bytes of them.
bool Recovery::is_lost(std::uint64_t offset, std::uint32_t segment) const {
    std::uint64_t bytes = 0;
    std::uint32_t count = 0;
    for (auto block = blocks_.rbegin(); block != blocks_.rend() && block->begin > offset; ++block) {
        bytes += block->end - block->begin;
        count += 1;
        if (count >= kRepeatsForLoss || bytes > 2 * std::uint64_t{segment}) {
            return true;
        }
    }
    return false;
}

Recovery::Range Recovery::next(std::uint64_t end, std::uint64_t sent, std::uint32_t size_max,
                               Instant now, Duration round_trip) {
    const Duration patience{round_trip.ns + round_trip.ns / 2 + kGrace.ns};
    if (pass_ > acked_ && now - pass_at_ > patience) {
        pass_ = acked_;
    }
    Range hole = hole_from(std::max(acked_, pass_), sent);
    if (hole.empty() || hole.begin >= end) {
        return {};
    }
    const bool first = hole.begin == acked_;
    const bool recovers = acked_ < recover_;
    const bool repeated = !recovers && repeats_ >= kRepeatsForLoss;
    const bool of_first = first && (timed_out_ || repeated || (recovers && advanced_));
    if (!of_first && !is_lost(hole.begin, size_max)) {
        return {};
    }
    hole.end = std::min({hole.end, hole.begin + size_max, sent});
    if (pass_ <= acked_) {
        pass_at_ = now;
        if (!recovers) {
            recover_ = sent;
        }
    }
    pass_ = hole.end;
    sent_again_ = std::max(sent_again_, pass_);
    repeats_ = 0;
    timed_out_ = false;
    return hole;
}

}  // namespace haka::stream
