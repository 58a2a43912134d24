// Words and numbers as all writers of this room spell them. Everything appends to the caller's
// string and reads no clock and no locale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/address.h"
#include "base/time.h"

namespace haka::report {

// How many bytes the UTF-8 character at `at` has (1 to 4), 0 if the bytes there aren't one: cut
// off, overlong, surrogate, beyond U+10FFFF (RFC 3629). `code` is set when they are.
[[nodiscard]] std::size_t utf8_size(std::string_view text, std::size_t at, char32_t& code);

// For a terminal: printable UTF-8 as it is; control characters, invalid bytes and characters that
// turn the writing direction as \n, \t, \xNN, so that no text can move the cursor or hide.
void append_printable(std::string& out, std::string_view text);

// Columns that printable text takes, one per character.
[[nodiscard]] std::size_t columns(std::string_view text);

void append_number(std::string& out, std::uint64_t value);
// With thousands separators: 1,234,567.
void append_grouped(std::string& out, std::uint64_t value);
// One to three leading digits and a unit: 950, 1.2 k, 34.5 M.
void append_rounded(std::string& out, double value);

// The shortest digits that read back as `value`; "nan", "inf" as they are.
void append_real(std::string& out, double value);

// UTC with microseconds.
enum class TimeForm : std::uint8_t {
    Readable,  // 2026-11-23 10:00:00.123456
    Eve        // 2026-11-23T10:00:00.123456+0000
};
void append_time(std::string& out, Instant when, TimeForm form);

enum class Ipv6Form : std::uint8_t {
    Compressed,  // 2001:db8::1
    Expanded     // 2001:0db8:0000:0000:0000:0000:0000:0001
};
void append_address(std::string& out, const Address& address, Ipv6Form form);

// "TCP", "UDP", "ICMP", "IPv6-ICMP" ...; the number for what has no name here.
void append_protocol(std::string& out, std::uint8_t protocol);

}  // namespace haka::report
