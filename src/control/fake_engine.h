// An engine for the tests beside it: it answers what it is told to, and notes what it was asked.
#pragma once

#include <string>
#include <vector>

#include "control/engine.h"

namespace haka::control::test {

class FakeEngine final : public Engine {
public:
    Status status_now{.version = "0.1.0",
                      .revision = "abc",
                      .policy = "/etc/haka/policy.lua",
                      .source = "--nfqueue 0",
                      .workers = 1,
                      .uptime_seconds = 61.5,
                      .connections = 2,
                      .packets = 100,
                      .pass_through = false,
                      .log_levels = {{"default", "info"}}};
    Figures figures_now;
    Listing listing;
    Outcome outcome{.done = true, .message = "done"};
    std::vector<std::string> asked;

    [[nodiscard]] Status status() override { return status_now; }
    [[nodiscard]] Figures figures() override { return figures_now; }
    [[nodiscard]] Listing connections(const engine::ConnectionFilter& filter,
                                      std::size_t rows_max) override {
        asked.push_back("connections " + std::to_string(filter.port.value_or(0)) + " " +
                        std::to_string(rows_max));
        return listing;
    }
    Outcome end_connection(std::uint64_t id, engine::EndKind kind) override {
        asked.push_back((kind == engine::EndKind::Drop ? "drop " : "reset ") + std::to_string(id));
        return outcome;
    }
    Outcome reload() override {
        asked.emplace_back("reload");
        return outcome;
    }
    Outcome set_log_level(std::string_view module, report::LogLevel level) override {
        asked.push_back("log-level " + std::string(module) + " " +
                        std::string(report::to_string(level)));
        return outcome;
    }
    Outcome stop() override {
        asked.emplace_back("stop");
        return outcome;
    }
};

// A worker that has seen something of everything.
inline WorkerSight busy_worker() {
    WorkerSight sight;
    report::Summary& summary = sight.figures.summary;
    summary.packets_in = 100;
    summary.packets_out = 95;
    summary.packets_dropped = 5;
    summary.packets_injected = 2;
    summary.packets_absorbed = 3;
    summary.bytes_in = 10'000;
    summary.bytes_out = 9'500;
    summary.drops.at(static_cast<std::size_t>(Event::Rule)) = 4;
    summary.drops.at(static_cast<std::size_t>(Event::TcpOutOfWindow)) = 1;
    summary.changes.at(static_cast<std::size_t>(Event::TcpEdited)) = 7;
    summary.events.at(static_cast<std::size_t>(Event::TcpGap)) = 1;
    summary.drops_by_rule["filter"] = 4;
    summary.alerts_by_rule["filter"] = 6;
    summary.connections = 3;
    summary.connections_ended.at(static_cast<std::size_t>(flow::EndReason::Closed)) = 1;
    summary.stream_bytes = 5'000;
    summary.stream_gaps = 1;
    sight.figures.connections.at(static_cast<std::size_t>(flow::State::Established)) = 2;
    sight.figures.stream_memory = 4096;
    sight.figures.lua_memory = 1'000'000;
    sight.figures.table_memory = 2'000'000;
    engine::RuleFigures rule{.name = "filter", .place = "policy.lua:3", .errors = 1, .time = {}};
    rule.time.add({2'000});
    rule.time.add({kSecond.ns * 2});
    summary.errors_by_rule["filter"] = rule.errors;
    summary.lua_time["filter"] = rule.time;
    sight.figures.rules.push_back(rule);
    sight.queue_depth = 11;
    sight.kernel_drops = 12;
    return sight;
}

}  // namespace haka::control::test
