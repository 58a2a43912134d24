// Watches the workers' entries into Lua from outside: an entry that lasts too long is a hang, and
// nothing stops a rule that hangs in compiled code but the end of the process.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/settings.h"
#include "base/time.h"
#include "engine/worker.h"

namespace haka::engine {

class RuleWatch {
public:
    using Clock = std::chrono::steady_clock;
    // A rule whose thread had less than half of lua.rule_timeout on a processor, for others had it,
    // is given so many times the limit.
    static constexpr int kWaitPatience = 3;
    // For rules at work when asked to stop.
    static constexpr std::chrono::milliseconds kStopPatience{500};

    // `workers` must outlive this.
    RuleWatch(std::vector<Worker*> workers, const LuaSettings& settings)
        : settings_(settings), entries_(workers.size()), workers_(std::move(workers)) {}

    struct Hang {
        std::size_t worker = 0;
        std::uint64_t packet = 0;
        std::string rule;  // Its name; empty: none is known.
        std::string what;  // Which rule, on which packet, what is wrong.
    };
    // `stopping_since`: when the run was asked to stop, if it was.
    [[nodiscard]] std::optional<Hang> look(Clock::time_point now,
                                           std::optional<Clock::time_point> stopping_since);

private:
    struct Entry {
        std::uint64_t number = 0;
        Clock::time_point since;
        Instant processor;  // Of the worker's thread, then.
    };
    [[nodiscard]] Clock::duration inside(std::size_t index, Clock::time_point now);
    [[nodiscard]] bool is_too_long(std::size_t index, Clock::duration lasted) const;
    [[nodiscard]] Hang hang(std::size_t index, const std::string& what) const;

    LuaSettings settings_;
    std::vector<Entry> entries_;
    std::vector<Worker*> workers_;
};

}  // namespace haka::engine
