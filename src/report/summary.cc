#include "report/summary.h"

#include <algorithm>
#include <charconv>
#include <utility>
#include <vector>

#include "report/text.h"

namespace haka::report {

namespace {

constexpr std::size_t kLabelColumns = 13;
constexpr std::size_t kNumberColumns = 15;

void append_fixed(std::string& out, double value, int decimals) {
    std::array<char, 400> digits;
    const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value,
                                      std::chars_format::fixed, decimals);
    out.append(digits.data(), result.ptr);
}

void append_bytes(std::string& out, std::uint64_t bytes) {
    append_rounded(out, static_cast<double>(bytes));
    out += bytes < 1000 ? " B" : "B";
}

double in_seconds(Duration span) {
    return static_cast<double>(span.ns) / 1e9;
}

// Rows of `label  number  text`; a section's label stands in its first row only.
class Rows {
public:
    Rows(std::string& out, const ConsoleStyle& style) : out_(out), style_(style) {}

    void section(std::string_view label) { label_ = label; }

    // The caller appends the rest of the text, then calls end().
    std::string& begin(std::uint64_t number, std::string_view text) {
        number_.clear();
        append_grouped(number_, number);
        return begin(number_, text);
    }
    std::string& begin(std::string_view number, std::string_view text) {
        if (style_.colour && !label_.empty()) {
            out_ += "\x1b[1m";
            out_ += label_;
            out_ += "\x1b[0m";
        } else {
            out_ += label_;
        }
        out_.append(kLabelColumns - std::min(label_.size(), kLabelColumns), ' ');
        label_ = {};
        out_.append(kNumberColumns - std::min(number.size(), kNumberColumns), ' ');
        out_ += number;
        out_ += "  ";
        append_printable(out_, text);
        return out_;
    }
    void end() { out_ += '\n'; }

    // Nothing when `number` is 0.
    void row(std::uint64_t number, std::string_view text) {
        if (number > 0) {
            begin(number, text);
            end();
        }
    }

private:
    std::string& out_;
    const ConsoleStyle& style_;
    std::string_view label_;
    std::string number_;
};

void append_packets(Rows& rows, const Summary& summary) {
    rows.section("packets");
    std::string& out = rows.begin(summary.packets_in, "read, ");
    append_bytes(out, summary.bytes_in);
    if (summary.first_packet && summary.last_packet &&
        *summary.first_packet < *summary.last_packet) {
        out += ", ";
        append_fixed(out, in_seconds(*summary.last_packet - *summary.first_packet), 3);
        out += " s of traffic";
    }
    rows.end();
    if (summary.packets_out > 0) {
        append_bytes(rows.begin(summary.packets_out, "passed, "), summary.bytes_out);
        rows.end();
    }
    rows.row(summary.packets_dropped, "dropped");
    rows.row(summary.packets_changed(), "changed");
    rows.row(summary.packets_injected, "injected");
    rows.row(summary.packets_absorbed, "held back or erased");
    rows.row(summary.malformed_frames, "malformed");
    rows.row(summary.checksum_errors, "with a wrong checksum");
}

void append_events(Rows& rows, std::string_view label,
                   const std::array<std::uint64_t, kEventCount>& counts) {
    rows.section(label);
    for (std::size_t i = 0; i < counts.size(); ++i) {
        if (counts[i] > 0) {
            std::string& out = rows.begin(counts[i], event_name(static_cast<Event>(i)));
            out += ": ";
            out += event_sentence(static_cast<Event>(i));
            rows.end();
        }
    }
}

// The most frequent first.
void append_rules(Rows& rows, std::string_view label, const RuleCounts& counts) {
    std::vector<std::pair<std::uint64_t, std::string_view>> sorted;
    for (const auto& [rule, count] : counts) {
        sorted.emplace_back(count, rule);
    }
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    rows.section(label);
    for (const auto& [count, rule] : sorted) {
        rows.row(count, rule);
    }
}

void append_connections(Rows& rows, const Summary& summary) {
    rows.section("connections");
    if (summary.connections > 0) {
        std::string& out = rows.begin(summary.connections, "seen");
        if (summary.connections_peak > 0) {
            out += ", at most ";
            append_grouped(out, summary.connections_peak);
            out += " at a time";
        }
        rows.end();
    }
    for (std::size_t i = 0; i < kEndReasonCount; ++i) {
        rows.row(summary.connections_ended[i], to_string(static_cast<flow::EndReason>(i)));
    }
    rows.row(summary.connections_open, "still open");
    rows.section("streams");
    rows.row(summary.stream_bytes, "bytes in order");
    rows.row(summary.stream_gaps, "gaps");
}

// The most expensive first.
void append_lua_time(Rows& rows, const Summary& summary) {
    std::vector<std::pair<std::string_view, RuleTime>> sorted(summary.lua_time.begin(),
                                                              summary.lua_time.end());
    std::stable_sort(sorted.begin(), sorted.end(),
                     [](const auto& a, const auto& b) { return a.second.total > b.second.total; });
    rows.section("Lua");
    std::string number;
    for (const auto& [rule, time] : sorted) {
        if (time.calls == 0) {
            continue;
        }
        number.clear();
        append_fixed(number, in_seconds(time.total), 3);
        number += " s";
        std::string& out = rows.begin(number, rule);
        out += ": ";
        append_grouped(out, time.calls);
        out += time.calls == 1 ? " call, " : " calls, ";
        append_grouped(
            out, static_cast<std::uint64_t>(std::max<std::int64_t>(0, time.total.ns)) / time.calls);
        out += " ns each";
        rows.end();
    }
}

void append_speed(Rows& rows, const Summary& summary) {
    if (!(summary.wall_seconds > 0)) {
        return;
    }
    rows.section("time");
    std::string number;
    append_fixed(number, summary.wall_seconds, 3);
    number += " s";
    std::string& out = rows.begin(number, "");
    if (summary.cpu_seconds > 0) {
        append_fixed(out, summary.cpu_seconds, 3);
        out += " s of CPU, ";
    }
    append_rounded(out, static_cast<double>(summary.packets_in) / summary.wall_seconds);
    out += " packets/s";
    rows.end();
}

template <typename Counts>
void add_each(Counts& to, const Counts& from) {
    for (std::size_t i = 0; i < to.size(); ++i) {
        to[i] += from[i];
    }
}

template <typename Count>
void add_rules(ByRule<Count>& to, const ByRule<Count>& from) {
    for (const auto& [rule, count] : from) {
        of_rule(to, rule) += count;
    }
}

}  // namespace

Summary& Summary::operator+=(const Summary& other) {
    packets_in += other.packets_in;
    packets_out += other.packets_out;
    packets_dropped += other.packets_dropped;
    packets_injected += other.packets_injected;
    packets_absorbed += other.packets_absorbed;
    bytes_in += other.bytes_in;
    bytes_out += other.bytes_out;
    if (other.first_packet) {
        first_packet = std::min(first_packet.value_or(*other.first_packet), *other.first_packet);
    }
    if (other.last_packet) {
        last_packet = std::max(last_packet.value_or(*other.last_packet), *other.last_packet);
    }
    add_each(drops, other.drops);
    add_each(changes, other.changes);
    add_rules(drops_by_rule, other.drops_by_rule);
    add_each(events, other.events);
    add_rules(alerts_by_rule, other.alerts_by_rule);
    add_rules(errors_by_rule, other.errors_by_rule);
    connections += other.connections;
    add_each(connections_ended, other.connections_ended);
    connections_open += other.connections_open;
    connections_peak += other.connections_peak;
    stream_bytes += other.stream_bytes;
    stream_gaps += other.stream_gaps;
    checksum_errors += other.checksum_errors;
    malformed_frames += other.malformed_frames;
    add_rules(lua_time, other.lua_time);
    wall_seconds = std::max(wall_seconds, other.wall_seconds);
    cpu_seconds += other.cpu_seconds;
    return *this;
}

void append_summary(std::string& out, const Summary& summary, const ConsoleStyle& style) {
    Rows rows(out, style);
    append_packets(rows, summary);
    append_events(rows, "dropped", summary.drops);
    append_events(rows, "changed", summary.changes);
    append_rules(rows, "by rule", summary.drops_by_rule);
    append_connections(rows, summary);
    append_events(rows, "events", summary.events);
    append_rules(rows, "alerts", summary.alerts_by_rule);
    append_lua_time(rows, summary);
    append_speed(rows, summary);
}

}  // namespace haka::report
