// What writing and reading the text form share. For text.cc and text_parse.cc alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace haka::wire::detail {

// In the order of the flags' bits, FIN first.
inline constexpr std::string_view kFlagLetters = "FSRP.UEW";

// Payloads longer than this that are nothing but kFiller are written as their length alone.
inline constexpr std::size_t kFillerShown = 32;
inline constexpr std::uint8_t kFiller = 'x';

inline constexpr std::uint8_t kDefaultTtl = 64;

// Lower-case hex with 0x in front.
[[nodiscard]] std::string hex(ByteView bytes);

// Which checksum a packet carries, against the right one: to say "bad" without a number.
[[nodiscard]] constexpr std::uint16_t spoilt(std::uint16_t right) {
    return static_cast<std::uint16_t>(~right);
}

}  // namespace haka::wire::detail
