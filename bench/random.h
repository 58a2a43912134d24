// Random numbers that are the same everywhere for the same seed (splitmix64).
#pragma once

#include <cstdint>

namespace haka::bench {

// The number that belongs to `index`, without a state: neighbours have nothing in common.
[[nodiscard]] constexpr std::uint64_t scramble(std::uint64_t index) {
    index = (index ^ (index >> 30U)) * 0xbf58476d1ce4e5b9U;
    index = (index ^ (index >> 27U)) * 0x94d049bb133111ebU;
    return index ^ (index >> 31U);
}

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}

    [[nodiscard]] std::uint64_t next() { return scramble(state_ += 0x9e3779b97f4a7c15U); }
    // 0 to `bound` - 1.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) { return next() % bound; }

private:
    std::uint64_t state_;
};

}  // namespace haka::bench
