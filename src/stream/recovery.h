// Which bytes are to be sent again because they were lost, while the receiver still answers: from
// its SACK blocks (RFC 6675) or, if it sends none, from its repeated ACKs (RFC 6582). When it is
// silent the RetransmitTimer decides. Counts in output offsets.
//
//     acked                    a block            a block          sent
//   ----|------- hole ---------[#######]-- hole --[####]-------------|
//
// A hole with enough behind it is lost, and is sent again once; and once more if it is there still
// when the first copy has had its time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/time.h"

namespace haka::stream {

class Recovery {
public:
    struct Range {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;

        [[nodiscard]] bool empty() const { return begin >= end; }
        friend bool operator==(const Range&, const Range&) = default;
    };
    // Blocks that one direction remembers. Further ones are forgotten: what they name is sent
    // again.
    static constexpr std::size_t kBlocksMax = 128;
    static constexpr std::uint32_t kRepeatsForLoss = 3;  // RFC 5681, 3.2.

    // The receiver has everything below `acked` already.
    explicit Recovery(std::uint64_t acked) : acked_(acked) {}

    // A SACK block of an ACK that answered() is told of next. What it says of acknowledged bytes is
    // of no use here.
    void sacked(Range block);
    // The receiver has everything below `acked`. `repeats`: the ACK said that a second time.
    void answered(std::uint64_t acked, bool repeats);
    // Nobody answered in time: everything that no block names counts as lost.
    void timed_out();

    // The next bytes to send again, at most `size_max`, from below `end`; empty: none now.
    // `round_trip`: how long a copy takes to be answered.
    [[nodiscard]] Range next(std::uint64_t end, std::uint64_t sent, std::uint32_t size_max,
                             Instant now, Duration round_trip);

    [[nodiscard]] bool knows_holes() const { return !blocks_.empty(); }
    // What the receiver has behind its ACK: ascending, apart.
    [[nodiscard]] const std::vector<Range>& blocks() const { return blocks_; }
    // Bytes up to here were sent twice.
    [[nodiscard]] std::uint64_t sent_again() const { return sent_again_; }

private:
    [[nodiscard]] Range hole_from(std::uint64_t offset, std::uint64_t sent) const;
    [[nodiscard]] bool is_lost(std::uint64_t offset, std::uint32_t segment) const;

    std::vector<Range> blocks_;  // Ascending, apart.
    std::uint64_t acked_;
    std::uint64_t recover_ = 0;     // Recovery ends when this is acknowledged (RFC 6582).
    std::uint64_t pass_ = 0;        // Holes below have been sent again in this pass.
    std::uint64_t sent_again_ = 0;  // The highest pass_ ever.
    Instant pass_at_;               // When the pass began.
    std::uint32_t repeats_ = 0;
    bool advanced_ = false;   // By the last ACK.
    bool timed_out_ = false;  // The first hole is lost, whatever is known.
};

}  // namespace haka::stream
