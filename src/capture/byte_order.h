// Integers of a file that says in which order it was written.
#pragma once

#include <bit>
#include <cstdint>

#include "base/bytes.h"

namespace haka::capture {

static_assert(std::endian::native == std::endian::little);

template <bool kBigEndian>
[[nodiscard]] inline std::uint32_t load_u32(const std::uint8_t* p) {
    return kBigEndian ? load_be32(p) : load_native<std::uint32_t>(p);
}

// The order as a value, for what isn't read often enough to deserve a template.
struct ByteOrder {
    bool is_big_endian = false;

    [[nodiscard]] std::uint16_t load16(const std::uint8_t* p) const {
        return is_big_endian ? load_be16(p) : load_native<std::uint16_t>(p);
    }
    [[nodiscard]] std::uint32_t load32(const std::uint8_t* p) const {
        return is_big_endian ? load_be32(p) : load_native<std::uint32_t>(p);
    }
    [[nodiscard]] std::uint64_t load64(const std::uint8_t* p) const {
        return is_big_endian ? load_be64(p) : load_native<std::uint64_t>(p);
    }
};

}  // namespace haka::capture
