// Sequence numbers: the only place that knows they wrap at 2^32. Everyone else counts in stream
// offsets: 64 bits, 0 is the first byte behind the SYN, -1 the SYN itself.
#pragma once

#include <cstdint>

namespace haka::stream {

// How far `a` lies behind `b` on the circle (RFC 1982), negative if before it. Time stamps and
// acknowledgement numbers compare the same way.
[[nodiscard]] constexpr std::int32_t circle_distance(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b);
}

// The sequence number of a stream offset.
[[nodiscard]] constexpr std::uint32_t to_seq(std::uint32_t isn, std::uint64_t offset) {
    return isn + 1 + static_cast<std::uint32_t>(offset);
}

// The offset that `seq` means: of all that share its 32 bits the one closest to `near`, which lies
// in [near - 2^31, near + 2^31). Negative: before the first byte. Precondition: near < 2^62.
[[nodiscard]] constexpr std::int64_t to_offset(std::uint32_t seq, std::uint32_t isn,
                                               std::uint64_t near) {
    return static_cast<std::int64_t>(near) + circle_distance(seq, to_seq(isn, near));
}

}  // namespace haka::stream
