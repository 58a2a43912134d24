// Keeps a flood of one engine event from flooding the reader: in each second of packet time the
// first ten occurrences are told, the others are counted and told as one line.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/time.h"

namespace haka::report {

// Occurrences of one second that were not told one by one.
struct HeldBack {
    Event event = Event::None;
    std::uint64_t count = 0;
    Instant second;  // Its begin.
};

// `tcp.no-connection: 12 more in this second`, without a newline.
void append_held_back(std::string& out, const HeldBack& held);

// Fed in packet order by one thread. Time that runs back by up to kBackwards belongs to the second
// at hand, so a jitter of clocks can't reopen it; further back begins a new one (another file).
class AlertLimiter {
public:
    static constexpr std::uint64_t kPerSecond = 10;
    static constexpr Duration kBackwards = kSecond * 60;

    // Whether to tell this occurrence one by one. What the second before has held back, when this
    // one begins another, is appended to `told`, in the order of Event.
    [[nodiscard]] bool admit(Event event, Instant when, std::vector<HeldBack>& told);

    // Packet time has come to `when`; for quiet events whose second must end.
    void advance(Instant when, std::vector<HeldBack>& told);

    // The end of the input: the rest is told.
    void finish(std::vector<HeldBack>& told);

private:
    std::array<std::uint64_t, kEventCount> seen_{};
    std::int64_t second_ = 0;
    bool started_ = false;
    bool held_back_ = false;  // Some event has more than kPerSecond.
};

}  // namespace haka::report
