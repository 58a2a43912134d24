#include "report/text.h"

#include <array>
#include <charconv>
#include <cmath>

namespace haka::report {

namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

bool is_plain(unsigned char byte) {
    return byte >= 0x20 && byte < 0x7f;
}

// Controls (C1), and characters that show nothing but change how others are read: separators,
// marks, embeddings and overrides of direction.
bool is_printable(char32_t code) {
    return code >= 0xa0 && !(code >= 0x200b && code <= 0x200f) &&
           !(code >= 0x2028 && code <= 0x202e) && !(code >= 0x2060 && code <= 0x206f) &&
           code != 0xfeff && code != 0x061c && !(code >= 0xe0000 && code <= 0xe0fff);
}

char* put_two(char* at, unsigned value) {
    at[0] = static_cast<char>('0' + value / 10);
    at[1] = static_cast<char>('0' + value % 10);
    return at + 2;
}

struct Date {
    unsigned year, month, day;
};

// The proleptic Gregorian date so many days after 1970-01-01. Counts in years that begin in March,
// so the leap day comes last, in eras of 400 years. An Instant's days lie within 1677 and 2262.
Date date_of(std::int64_t days) {
    const auto shifted = static_cast<std::uint64_t>(days + 719468);  // Days since 0000-03-01.
    const std::uint64_t era = shifted / 146097;
    const std::uint64_t day_of_era = shifted % 146097;
    const std::uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::uint64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    const std::uint64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    const std::uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    const std::uint64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
    return {static_cast<unsigned>(year), static_cast<unsigned>(month), static_cast<unsigned>(day)};
}

}  // namespace

std::size_t utf8_size(std::string_view text, std::size_t at, char32_t& code) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned char first = byte(0);
    std::size_t size = 0;
    char32_t least = 0;
    if (first < 0x80) {
        code = first;
        return 1;
    }
    if ((first & 0xe0) == 0xc0) {
        size = 2, least = 0x80, code = first & 0x1f;
    } else if ((first & 0xf0) == 0xe0) {
        size = 3, least = 0x800, code = first & 0x0f;
    } else if ((first & 0xf8) == 0xf0) {
        size = 4, least = 0x10000, code = first & 0x07;
    } else {
        return 0;
    }
    if (text.size() - at < size) {
        return 0;
    }
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xc0) != 0x80) {
            return 0;
        }
        code = code << 6 | (byte(i) & 0x3f);
    }
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    return code < least || surrogate || code > 0x10ffff ? 0 : size;
}

void append_printable(std::string& out, std::string_view text) {
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t run = at;
        while (at < text.size() && is_plain(static_cast<unsigned char>(text[at]))) {
            ++at;
        }
        out.append(text, run, at - run);
        if (at == text.size()) {
            return;
        }
        char32_t code = 0;
        const std::size_t size = utf8_size(text, at, code);
        if (size > 1 && is_printable(code)) {
            out.append(text, at, size);
            at += size;
            continue;
        }
        for (const std::size_t end = at + (size == 0 ? 1 : size); at < end; ++at) {
            const auto byte = static_cast<unsigned char>(text[at]);
            if (byte == '\n') {
                out += "\\n";
            } else if (byte == '\t') {
                out += "\\t";
            } else if (byte == '\r') {
                out += "\\r";
            } else {
                const char escape[] = {'\\', 'x', kHexDigits[byte >> 4], kHexDigits[byte & 15]};
                out.append(escape, sizeof escape);
            }
        }
    }
}

std::size_t columns(std::string_view text) {
    std::size_t count = 0;
    for (const char c : text) {
        count += (static_cast<unsigned char>(c) & 0xc0) != 0x80;
    }
    return count;
}

void append_number(std::string& out, std::uint64_t value) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    out.append(digits.data(), end);
}

void append_grouped(std::string& out, std::uint64_t value) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    for (const char* digit = digits.data(); digit != end; ++digit) {
        if (digit != digits.data() && (end - digit) % 3 == 0) {
            out += ',';
        }
        out += *digit;
    }
}

void append_rounded(std::string& out, double value) {
    constexpr std::string_view kUnits[] = {"", " k", " M", " G", " T", " P"};
    if (!(value > 0)) {
        value = 0;  // NaN, too.
    }
    std::size_t unit = 0;
    // 999.95 would be shown as 1000.0.
    while (value >= (unit == 0 ? 999.5 : 999.95) && unit + 1 < std::size(kUnits)) {
        value /= 1000;
        ++unit;
    }
    std::array<char, 400> digits;  // The largest double has 309 digits.
    const auto end =
        std::to_chars(digits.data(), digits.data() + digits.size(), std::isinf(value) ? 0 : value,
                      std::chars_format::fixed, unit == 0 ? 0 : 1)
            .ptr;
    out.append(digits.data(), end);
    out += kUnits[unit];
}

void append_real(std::string& out, double value) {
    std::array<char, 32> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
    out.append(digits.data(), end);
}

void append_time(std::string& out, Instant when, TimeForm form) {
    constexpr std::int64_t kDaySeconds = 86400;
    std::int64_t seconds = when.ns / kSecond.ns;
    std::int64_t rest = when.ns % kSecond.ns;
    if (rest < 0) {  // Before 1970: still counted forward from the second's begin.
        rest += kSecond.ns;
        --seconds;
    }
    std::int64_t days = seconds / kDaySeconds;
    std::int64_t second_of_day = seconds % kDaySeconds;
    if (second_of_day < 0) {
        second_of_day += kDaySeconds;
        --days;
    }
    const Date date = date_of(days);
    const auto clock = static_cast<unsigned>(second_of_day);
    const auto micros = static_cast<unsigned>(rest / 1000);
    std::array<char, 31> text;
    char* at = put_two(text.data(), date.year / 100);
    at = put_two(at, date.year % 100);
    *at++ = '-';
    at = put_two(at, date.month);
    *at++ = '-';
    at = put_two(at, date.day);
    *at++ = form == TimeForm::Eve ? 'T' : ' ';
    at = put_two(at, clock / 3600);
    *at++ = ':';
    at = put_two(at, clock / 60 % 60);
    *at++ = ':';
    at = put_two(at, clock % 60);
    *at++ = '.';
    at = put_two(at, micros / 10000);
    at = put_two(at, micros / 100 % 100);
    at = put_two(at, micros % 100);
    out.append(text.data(), at);
    if (form == TimeForm::Eve) {
        out += "+0000";
    }
}

void append_address(std::string& out, const Address& address, Ipv6Form form) {
    if (address.family == Family::Ipv6 && form == Ipv6Form::Compressed) {
        out += address.text();
        return;
    }
    const ByteView bytes = address.wire();
    std::array<char, 39> text;  // Eight groups of four digits, seven colons.
    char* at = text.data();
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (address.family == Family::Ipv4) {
            if (i > 0) {
                *at++ = '.';
            }
            at = std::to_chars(at, text.data() + text.size(), bytes[i]).ptr;
        } else {
            if (i > 0 && i % 2 == 0) {
                *at++ = ':';
            }
            *at++ = kHexDigits[bytes[i] >> 4];
            *at++ = kHexDigits[bytes[i] & 15];
        }
    }
    out.append(text.data(), at);
}

void append_protocol(std::string& out, std::uint8_t protocol) {
    switch (protocol) {
        case 1:
            out += "ICMP";
            return;
        case 2:
            out += "IGMP";
            return;
        case 6:
            out += "TCP";
            return;
        case 17:
            out += "UDP";
            return;
        case 47:
            out += "GRE";
            return;
        case 50:
            out += "ESP";
            return;
        case 51:
            out += "AH";
            return;
        case 58:
            out += "IPv6-ICMP";
            return;
        case 132:
            out += "SCTP";
            return;
        default:
            append_number(out, protocol);
    }
}

}  // namespace haka::report
