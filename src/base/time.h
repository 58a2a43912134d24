// Points in time and spans of it. Time is the packet's (file) or the monotonic clock's (live);
// whoever needs it is given it, no room below `engine` reads a clock.
#pragma once

#include <compare>
#include <cstdint>

namespace haka {

// Nanoseconds; a capture's instants count from 1970-01-01 UTC and may be negative or run backwards.
struct Instant {
    std::int64_t ns = 0;

    friend constexpr auto operator<=>(Instant, Instant) = default;
};

struct Duration {
    std::int64_t ns = 0;

    friend constexpr auto operator<=>(Duration, Duration) = default;
};

constexpr Duration kMillisecond{1'000'000};
constexpr Duration kSecond{1'000'000'000};

// Saturates instead of wrapping: file time stamps are hostile.
[[nodiscard]] constexpr Instant operator+(Instant at, Duration by) {
    std::int64_t sum = 0;
    if (__builtin_add_overflow(at.ns, by.ns, &sum)) {
        sum = by.ns > 0 ? INT64_MAX : INT64_MIN;
    }
    return {sum};
}

[[nodiscard]] constexpr Duration operator-(Instant a, Instant b) {
    std::int64_t difference = 0;
    if (__builtin_sub_overflow(a.ns, b.ns, &difference)) {
        difference = a.ns > b.ns ? INT64_MAX : INT64_MIN;
    }
    return {difference};
}

[[nodiscard]] constexpr Duration operator*(Duration by, std::int64_t times) {
    return {by.ns * times};
}

}  // namespace haka
