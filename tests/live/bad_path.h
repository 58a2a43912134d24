// What a bad path does to frames: some get lost, some are overtaken, all take their time. Seeded,
// so that the same frames suffer the same.
#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"

namespace haka::live {

struct PathOptions {
    double loss_percent = 0;
    double reorder_percent = 0;  // So many are held back for 0.2 to 3 ms beyond the others.
    Duration delay{};            // Of each frame.
};

class BadPath {
public:
    BadPath(const PathOptions& options, std::uint64_t seed) : options_(options), random_(seed) {}

    // Whether the frame goes on at once. If not it is lost, or due() has it later.
    bool passes(ByteView frame, unsigned side, Instant now) {
        if (happens(options_.loss_percent)) {
            lost_ += 1;
            return false;
        }
        Duration delay = options_.delay;
        if (happens(options_.reorder_percent)) {
            reordered_ += 1;
            delay.ns += std::uniform_int_distribution<std::int64_t>(200'000, 3'000'000)(random_);
        }
        if (delay.ns == 0) {
            return true;
        }
        held_.emplace(now + delay, Held{{frame.begin(), frame.end()}, side});
        return false;
    }

    struct Held {
        std::vector<std::uint8_t> bytes;
        unsigned side = 0;
    };
    // The frames whose time has come, in order.
    [[nodiscard]] std::vector<Held> due(Instant now) {
        std::vector<Held> frames;
        while (!held_.empty() && held_.begin()->first <= now) {
            frames.push_back(std::move(held_.begin()->second));
            held_.erase(held_.begin());
        }
        return frames;
    }
    [[nodiscard]] Instant wakes_at() const {
        return held_.empty() ? Instant{INT64_MAX} : held_.begin()->first;
    }
    [[nodiscard]] std::uint64_t lost() const { return lost_; }
    [[nodiscard]] std::uint64_t reordered() const { return reordered_; }

private:
    bool happens(double percent) {
        return percent > 0 && std::uniform_real_distribution(0.0, 100.0)(random_) < percent;
    }

    PathOptions options_;
    std::mt19937_64 random_;
    std::multimap<Instant, Held> held_;
    std::uint64_t lost_ = 0;
    std::uint64_t reordered_ = 0;
};

}  // namespace haka::live
