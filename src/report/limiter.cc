#include "report/limiter.h"

#include <algorithm>

#include "report/text.h"

namespace haka::report {

namespace {

std::int64_t second_of(Instant when) {
    const std::int64_t seconds = when.ns / kSecond.ns;
    return when.ns % kSecond.ns < 0 ? seconds - 1 : seconds;
}

}  // namespace

void append_held_back(std::string& out, const HeldBack& held) {
    out += event_name(held.event);
    out += ": ";
    append_number(out, held.count);
    out += " more in this second";
}

bool AlertLimiter::admit(Event event, Instant when, std::vector<HeldBack>& told) {
    advance(when, told);
    std::uint64_t& seen = seen_[static_cast<std::size_t>(event)];
    seen += 1;
    if (seen <= kPerSecond) {
        return true;
    }
    held_back_ = true;
    return false;
}

void AlertLimiter::advance(Instant when, std::vector<HeldBack>& told) {
    const std::int64_t second = second_of(when);
    if (started_ && second <= second_ && second >= second_ - kBackwards.ns / kSecond.ns) {
        return;
    }
    finish(told);
    started_ = true;
    second_ = second;
}

void AlertLimiter::finish(std::vector<HeldBack>& told) {
    if (held_back_) {
        // The first second an Instant knows begins before the first Instant.
        const std::int64_t begin = std::max(second_, INT64_MIN / kSecond.ns);
        for (std::size_t i = 0; i < seen_.size(); ++i) {
            if (seen_[i] > kPerSecond) {
                told.push_back({.event = static_cast<Event>(i),
                                .count = seen_[i] - kPerSecond,
                                .second = Instant{} + kSecond * begin});
            }
        }
        held_back_ = false;
    }
    seen_.fill(0);
}

}  // namespace haka::report
