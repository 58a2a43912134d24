// When bytes that nobody else would send again are to be sent again (RFC 6298).
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "base/time.h"

namespace haka::stream {

class RetransmitTimer {
public:
    static constexpr Duration kFirst = kSecond;            // RFC 6298, 2.1: nothing measured yet.
    static constexpr Duration kMin = kMillisecond * 200;   // As Linux: delayed ACKs take 40 ms.
    static constexpr Duration kMax = kSecond * 60;         // RFC 6298, 2.5.
    static constexpr Duration kProbe = kMillisecond * 50;  // RFC 8985, 7.2: beyond a delayed ACK.
    static constexpr Duration kProbeHole =
        kMillisecond * 10;                          // The receiver has said what it lacks.
    static constexpr std::uint32_t kTriesMax = 16;  // As Linux' tcp_retries2, and a probe.

    // Bytes up to `offset` were sent for the first time. One measurement at a time.
    void sent(std::uint64_t offset, Instant now) {
        if (!measuring_) {
            measuring_ = true;
            measured_ = offset;
            measured_at_ = now;
        }
    }
    // Karn: what was sent twice can't be measured.
    void sent_again() { measuring_ = false; }
    // Everything below `offset` has arrived.
    void acknowledged(std::uint64_t offset, Instant now) {
        tries_ = 0;
        if (measuring_ && offset >= measured_) {
            measuring_ = false;
            sample(now - measured_at_);
        }
    }
    // It ran out: the next wait is twice as long. False: tried often enough.
    [[nodiscard]] bool back_off() {
        measuring_ = false;
        return ++tries_ <= kTriesMax;
    }
    // Until the next try. The first one is a probe after two round trips (RFC 8985, 7.2).
    [[nodiscard]] Duration wait(bool knows_holes) const {
        const Duration least = knows_holes ? kProbeHole : kProbe;
        return tries_ == 0 && smoothed_ >= 0
                   ? std::min(timeout(), Duration{std::max(2 * smoothed_, least.ns)})
                   : timeout();
    }
    // RFC 6298.
    [[nodiscard]] Duration timeout() const {
        const std::uint32_t probes = smoothed_ >= 0 && tries_ != 0 ? 1 : 0;
        const std::int64_t doubled = wait_.ns << std::min(tries_ - probes, 8U);
        return {std::min(doubled, kMax.ns)};
    }
    // How long an answer takes.
    [[nodiscard]] Duration round_trip() const { return {smoothed_ < 0 ? wait_.ns : smoothed_}; }

private:
    // RFC 6298, 2.2 and 2.3.
    void sample(Duration round_trip) {
        const std::int64_t r = std::max<std::int64_t>(round_trip.ns, 0);
        if (smoothed_ < 0) {
            smoothed_ = r;
            variation_ = r / 2;
        } else {
            variation_ = (3 * variation_ + std::abs(smoothed_ - r)) / 4;
            smoothed_ = (7 * smoothed_ + r) / 8;
        }
        wait_.ns = std::clamp(smoothed_ + 4 * variation_, kMin.ns, kMax.ns);
    }

    Duration wait_ = kFirst;
    std::int64_t smoothed_ = -1;
    std::int64_t variation_ = 0;
    std::uint64_t measured_ = 0;
    Instant measured_at_;
    std::uint32_t tries_ = 0;
    bool measuring_ = false;
};

}  // namespace haka::stream
