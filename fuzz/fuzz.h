// What the fuzzers share: promises that are checked in every build type, and input taken apart.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/bytes.h"

namespace haka::fuzz {

inline void require(bool holds, const char* what = "what is required here",
                    int line = __builtin_LINE()) {
    if (!holds) {
        (void)std::fprintf(stderr, "line %d: does not hold: %s\n", line, what);
        std::abort();
    }
}

// Behind the end there are zeros.
class Input {
public:
    explicit Input(ByteView bytes) : left_(bytes) {}

    [[nodiscard]] bool empty() const { return left_.empty(); }
    std::uint8_t byte() {
        if (left_.empty()) {
            return 0;
        }
        const std::uint8_t value = left_.front();
        left_ = left_.subspan(1);
        return value;
    }
    std::uint32_t below(std::uint32_t limit) { return (byte() * 256U + byte()) % limit; }
    // At most `count`.
    std::vector<std::uint8_t> bytes(std::size_t count) {
        count = std::min(count, left_.size());
        std::vector<std::uint8_t> taken(left_.begin(),
                                        left_.begin() + static_cast<std::ptrdiff_t>(count));
        left_ = left_.subspan(count);
        return taken;
    }

private:
    ByteView left_;
};

}  // namespace haka::fuzz
