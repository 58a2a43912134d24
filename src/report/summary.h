// What a run comes to: counted by each worker for itself, added up by the main thread, shown at the
// end.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <numeric>
#include <optional>
#include <string>

#include "base/event.h"
#include "base/time.h"
#include "flow/connection.h"
#include "report/console.h"

namespace haka::report {

constexpr std::size_t kEndReasonCount = static_cast<std::size_t>(flow::EndReason::EndOfInput) + 1;

// Counts by a rule's name. Names come from the policy, and each reload may bring others.
template <typename Count>
using ByRule = std::map<std::string, Count, std::less<>>;
using RuleCounts = ByRule<std::uint64_t>;
constexpr std::size_t kRuleNamesMax = 4096;  // The rest is counted under kOtherRules.
constexpr const char* kOtherRules = "(other rules)";

template <typename Count>
Count& of_rule(ByRule<Count>& counts, const std::string& name) {
    return counts.size() < kRuleNamesMax || counts.contains(name) ? counts[name]
                                                                  : counts[kOtherRules];
}

// Upper bounds of the classes that calls of a rule fall into by their time; one more class is for
// what took longer.
constexpr std::array<Duration, 10> kRuleTimeBounds = {{{1'000},
                                                       {3'000},
                                                       {10'000},
                                                       {30'000},
                                                       {100'000},
                                                       {300'000},
                                                       {1'000'000},
                                                       {10'000'000},
                                                       {100'000'000},
                                                       {1'000'000'000}}};

struct RuleTime {
    std::uint64_t calls = 0;
    Duration total;
    std::array<std::uint64_t, kRuleTimeBounds.size() + 1> classes{};

    void add(Duration span) {
        calls += 1;
        total.ns += span.ns;
        std::size_t place = 0;
        while (place < kRuleTimeBounds.size() && span > kRuleTimeBounds.at(place)) {
            place += 1;
        }
        classes.at(place) += 1;
    }
    RuleTime& operator+=(const RuleTime& other) {
        calls += other.calls;
        total.ns += other.total.ns;
        for (std::size_t i = 0; i < classes.size(); ++i) {
            classes.at(i) += other.classes.at(i);
        }
        return *this;
    }
};

struct Summary {
    std::uint64_t packets_in = 0;
    std::uint64_t packets_out = 0;  // Injected ones, too.
    std::uint64_t packets_dropped = 0;
    std::uint64_t packets_injected = 0;
    std::uint64_t packets_absorbed = 0;  // Of edited streams: their bytes leave elsewhere, or not.
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::optional<Instant> first_packet;  // Earliest and latest time stamp.
    std::optional<Instant> last_packet;

    std::array<std::uint64_t, kEventCount> drops{};  // By reason, Event::Rule included.
    std::array<std::uint64_t, kEventCount>
        changes{};  // The same of those that left with other bytes.
    RuleCounts drops_by_rule;
    std::array<std::uint64_t, kEventCount> events{};
    RuleCounts alerts_by_rule;
    RuleCounts errors_by_rule;

    std::uint64_t connections = 0;  // All that were seen to begin.
    std::array<std::uint64_t, kEndReasonCount> connections_ended{};
    std::uint64_t connections_open = 0;
    std::uint64_t connections_peak = 0;  // At most so many at a time: the workers' peaks added.
    std::uint64_t stream_bytes = 0;      // Put in order.
    std::uint64_t stream_gaps = 0;

    std::uint64_t checksum_errors = 0;
    std::uint64_t malformed_frames = 0;

    ByRule<RuleTime> lua_time;  // Only with --profile.

    double wall_seconds = 0;  // The longest of the parts that were added.
    double cpu_seconds = 0;

    [[nodiscard]] std::uint64_t packets_changed() const {
        return std::accumulate(changes.begin(), changes.end(), std::uint64_t{0});
    }
    void count_drop(Event event) { drops[static_cast<std::size_t>(event)] += 1; }
    void count_change(Event event) { changes[static_cast<std::size_t>(event)] += 1; }
    void count_event(Event event) { events[static_cast<std::size_t>(event)] += 1; }
    void count_end(flow::EndReason reason) {
        connections_ended[static_cast<std::size_t>(reason)] += 1;
    }

    // Adds what another worker counted.
    Summary& operator+=(const Summary& other);
};

// Aligned lines; rows that are zero are left out.
void append_summary(std::string& out, const Summary& summary, const ConsoleStyle& style);

}  // namespace haka::report
