// Bytes as they lie on the wire, and the only place that reads integers out of them.
//
// ByteView never owns: whoever hands one out says how long it stays valid.
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace haka {

using ByteView = std::span<const std::uint8_t>;
using MutableByteView = std::span<std::uint8_t>;

// Reads a big-endian integer at `p`. Precondition: the field lies inside the caller's bytes.
[[nodiscard]] inline std::uint16_t load_be16(const std::uint8_t* p) {
    std::uint16_t value = 0;
    std::memcpy(&value, p, sizeof value);
    return __builtin_bswap16(value);
}

[[nodiscard]] inline std::uint32_t load_be32(const std::uint8_t* p) {
    std::uint32_t value = 0;
    std::memcpy(&value, p, sizeof value);
    return __builtin_bswap32(value);
}

[[nodiscard]] inline std::uint64_t load_be64(const std::uint8_t* p) {
    std::uint64_t value = 0;
    std::memcpy(&value, p, sizeof value);
    return __builtin_bswap64(value);
}

inline void store_be16(std::uint8_t* p, std::uint16_t value) {
    value = __builtin_bswap16(value);
    std::memcpy(p, &value, sizeof value);
}

inline void store_be32(std::uint8_t* p, std::uint32_t value) {
    value = __builtin_bswap32(value);
    std::memcpy(p, &value, sizeof value);
}

// Integers in the machine's order, for file formats that say which order they were written in.
template <typename T>
[[nodiscard]] inline T load_native(const std::uint8_t* p) {
    T value{};
    std::memcpy(&value, p, sizeof value);
    return value;
}

template <typename T>
inline void store_native(std::uint8_t* p, T value) {
    std::memcpy(p, &value, sizeof value);
}

// The same bytes as text. Valid as long as `bytes`.
[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace haka
