// What the sender of an edited direction has sent again lately. When its receiver says of bytes
// that they came twice (D-SACK, RFC 2883), they are acknowledged, and the edits among them are
// forgotten: which of its bytes are meant the sender must hear all the same, else it takes for lost
// what was only late.
#pragma once

#include <array>
#include <cstddef>

#include "stream/recovery.h"

namespace haka::stream {

class Resent {
public:
    using Range = Recovery::Range;
    static constexpr std::size_t kMax = 16;  // The oldest is forgotten for one more.

    // Input bytes that the sender sent again, and what left of them.
    void note(Range input, Range output) {
        known_[next_] = {.input = input, .output = output};
        next_ = (next_ + 1) % kMax;
    }
    // The input bytes that an output block stands for, told once. Empty: nobody knows.
    [[nodiscard]] Range take(Range output) {
        for (One& one : known_) {
            if (one.output.begin < output.end && output.begin < one.output.end) {
                const Range input = one.input;
                one = {};
                return input;
            }
        }
        return {};
    }

private:
    struct One {
        Range input;
        Range output;
    };
    std::array<One, kMax> known_{};
    std::size_t next_ = 0;
};

}  // namespace haka::stream
