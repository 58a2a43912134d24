// The kinds of bytes that heads are made of, and the search for the first byte that isn't of a
// kind, 16 at a time where the machine can.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "base/bytes.h"

namespace haka::http {

#ifdef __SSE2__
namespace block {

// 0xff for each byte from `low` to `high`, as numbers without sign.
inline __m128i in_range(__m128i bytes, std::uint8_t low, std::uint8_t high) {
    const __m128i from_low = _mm_sub_epi8(bytes, _mm_set1_epi8(static_cast<char>(low)));
    const __m128i width = _mm_set1_epi8(static_cast<char>(high - low));
    return _mm_cmpeq_epi8(_mm_min_epu8(from_low, width), from_low);
}

inline __m128i equal(__m128i bytes, char c) {
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

inline __m128i either(__m128i a, __m128i b) {
    return _mm_or_si128(a, b);
}

}  // namespace block
#endif

// Each kind says of one byte whether it is of it, and gives 0xff for each byte of 16 that isn't.

// Text that a line may have: no control character but the tab.
struct Text {
    static constexpr bool has(std::uint8_t c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }
#ifdef __SSE2__
    static __m128i others_in(__m128i bytes) {
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
        const __m128i control = block::either(low, block::equal(bytes, 0x7f));
        return _mm_andnot_si128(block::equal(bytes, '\t'), control);
    }
#endif
};

// What names and methods are made of (RFC 9110, 5.6.2).
struct Token {
    static constexpr bool has(std::uint8_t c) {
        return c > 0x20 && c < 0x7f && !(c >= '(' && c <= ')') && !(c >= ':' && c <= '@') &&
               !(c >= '[' && c <= ']') && c != '"' && c != ',' && c != '/' && c != '{' && c != '}';
    }
#ifdef __SSE2__
    static __m128i others_in(__m128i bytes) {
        using block::either, block::equal, block::in_range;
        const __m128i outside = either(in_range(bytes, 0, 0x20), in_range(bytes, 0x7f, 0xff));
        const __m128i ranges = either(in_range(bytes, '(', ')'),
                                      either(in_range(bytes, ':', '@'), in_range(bytes, '[', ']')));
        const __m128i singles =
            either(either(equal(bytes, '"'), equal(bytes, ',')),
                   either(equal(bytes, '/'), either(equal(bytes, '{'), equal(bytes, '}'))));
        return either(outside, either(ranges, singles));
    }
#endif
};

// What nearly all names of headers are made of: fewer comparisons than all of Token.
struct Letter {
    static constexpr bool has(std::uint8_t c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
    }
#ifdef __SSE2__
    static __m128i others_in(__m128i bytes) {
        const __m128i small = block::either(bytes, _mm_set1_epi8(0x20));
        const __m128i letters =
            block::either(block::in_range(small, 'a', 'z'), block::equal(bytes, '-'));
        return block::equal(letters, 0);
    }
#endif
};

struct NoBlank {
    static constexpr bool has(std::uint8_t c) { return c != ' ' && c != '\t'; }
#ifdef __SSE2__
    static __m128i others_in(__m128i bytes) {
        return block::either(block::equal(bytes, ' '), block::equal(bytes, '\t'));
    }
#endif
};

template <typename Kind>
inline constexpr auto kTableOf = [] {
    std::array<bool, 256> table{};
    for (std::size_t c = 0; c < table.size(); ++c) {
        table.at(c) = Kind::has(static_cast<std::uint8_t>(c));
    }
    return table;
}();

// A bit for each of 16 bytes from `at` on that isn't of the kind; none for what lies behind the
// end. Precondition: at < bytes.size().
template <typename Kind>
inline std::uint32_t others_among_16(ByteView bytes, std::uint32_t at) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
#ifdef __SSE2__
    if (size >= 16) [[likely]] {
        const std::uint32_t from = std::min(at, size - 16);
        __m128i loaded;
        std::memcpy(&loaded, bytes.data() + from, sizeof loaded);
        return static_cast<std::uint32_t>(_mm_movemask_epi8(Kind::others_in(loaded))) >>
               (at - from);
    }
#endif
    std::uint32_t found = 0;
    for (std::uint32_t i = 0; i < std::min(16U, size - at); ++i) {
        found |= kTableOf<Kind>[bytes[at + i]] ? 0U : 1U << i;
    }
    return found;
}

// The first byte at or behind `at` that isn't of the kind, or the size.
// Precondition: at <= bytes.size().
template <typename Kind>
inline std::uint32_t find_other(ByteView bytes, std::uint32_t at) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
    for (; at < size; at += 16) {
        if (const std::uint32_t found = others_among_16<Kind>(bytes, at); found != 0) {
            return at + static_cast<std::uint32_t>(__builtin_ctz(found));
        }
    }
    return size;
}

}  // namespace haka::http
