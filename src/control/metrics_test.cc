#include "control/metrics.h"

#include <prometheus/text_serializer.h>
#include <set>

#include <gtest/gtest.h>

#include "control/fake_engine.h"

namespace haka::control {
namespace {

class MetricsTest : public testing::Test {
protected:
    MetricsTest() {
        engine_.figures_now.workers = {test::busy_worker(), test::busy_worker()};
        engine_.figures_now.policy = {.generation = 3,
                                      .generations_live = 2,
                                      .reloads_done = 2,
                                      .reloads_failed = 1,
                                      .last_reload_seconds = 1.5e9,
                                      .last_error = ""};
    }
    [[nodiscard]] std::string page() {
        return prometheus::TextSerializer().Serialize(
            metric_families(engine_.status(), engine_.figures(),
                            {.resident_bytes = 4096, .cpu_seconds = 0.5, .open_files = 9}));
    }
    void expect_line(const std::string& line) {
        const std::string text = page();
        EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << line << " in\n" << text;
    }

    test::FakeEngine engine_;
};

TEST_F(MetricsTest, CountsPackets) {
    expect_line("haka_packets_received_total{worker=\"1\"} 100");
    expect_line("haka_bytes_received_total{worker=\"0\"} 10000");
    expect_line("haka_packets_sent_total 190");
    expect_line("haka_packets_dropped_total{reason=\"rule\"} 8");
    expect_line("haka_packets_dropped_total{reason=\"tcp.bad-ack\"} 0");
    expect_line("haka_packets_modified_total{reason=\"tcp.edited\"} 14");
    expect_line("haka_events_total{event=\"tcp.gap\"} 2");
    expect_line("haka_kernel_drops_total{worker=\"0\"} 12");
    expect_line("haka_queue_depth{worker=\"0\"} 11");
}

TEST_F(MetricsTest, CountsConnectionsByState) {
    expect_line("haka_connections_active{state=\"ESTABLISHED\"} 4");
    expect_line("haka_connections_active{state=\"TIME_WAIT\"} 0");
    expect_line("haka_connections_created_total 6");
    expect_line("haka_connections_ended_total{reason=\"closed\"} 2");
}

TEST_F(MetricsTest, TheTimeOfARuleIsAHistogram) {
    expect_line("haka_rule_duration_seconds_count{rule=\"filter\"} 4");
    expect_line("haka_rule_duration_seconds_bucket{rule=\"filter\",le=\"1e-06\"} 0");
    expect_line("haka_rule_duration_seconds_bucket{rule=\"filter\",le=\"3e-06\"} 2");
    expect_line("haka_rule_duration_seconds_bucket{rule=\"filter\",le=\"1\"} 2");
    expect_line("haka_rule_duration_seconds_bucket{rule=\"filter\",le=\"+Inf\"} 4");
}

TEST_F(MetricsTest, TellsThePolicyAndTheProcess) {
    expect_line("haka_policy_generation 3");
    expect_line("haka_policy_reloads_total{result=\"failed\"} 1");
    expect_line("haka_policy_last_reload_timestamp_seconds 1500000000");
    expect_line("process_resident_memory_bytes 4096");
}

TEST_F(MetricsTest, EveryFamilyIsThereBeforeAnythingHappened) {
    std::set<std::string> names;
    for (const auto& family : metric_families({}, engine_.figures(), {})) {
        EXPECT_TRUE(names.insert(family.name).second) << family.name;
        EXPECT_FALSE(family.help.empty()) << family.name;
        const bool total = family.name.ends_with("_total");
        EXPECT_EQ(total, family.type == prometheus::MetricType::Counter) << family.name;
    }
    engine_.figures_now = {};
    std::set<std::string> idle;
    for (const auto& family : metric_families({}, engine_.figures(), {})) {
        idle.insert(family.name);
    }
    EXPECT_EQ(idle, names);
}

TEST_F(MetricsTest, WhatRulesOfAnEarlierPolicyDidStays) {
    for (WorkerSight& worker : engine_.figures_now.workers) {
        worker.figures.rules.clear();
        worker.figures.rules.push_back(
            {.name = "new", .place = "policy.lua:4", .errors = 0, .time = {}});
    }
    expect_line("haka_rule_errors_total{rule=\"filter\"} 2");
    expect_line("haka_rule_duration_seconds_count{rule=\"filter\"} 4");
    expect_line("haka_rule_duration_seconds_count{rule=\"new\"} 0");
}

TEST_F(MetricsTest, NamesOfRulesCannotBreakThePage) {
    for (WorkerSight& worker : engine_.figures_now.workers) {
        worker.figures.rules[0].name = "a\"b\n\xff";
        worker.figures.summary.errors_by_rule["a\"b\n\xff"] = 1;
        worker.figures.summary.errors_by_rule["a\"b?\xfe"] = 1;  // The same when shown.
    }
    expect_line("haka_rule_errors_total{rule=\"a\\\"b??\"} 4");
}

TEST(ProcessFiguresTest, AreThere) {
    const ProcessFigures process = process_figures();
    EXPECT_GT(process.resident_bytes, 100'000);
    EXPECT_GE(process.open_files, 3);
}

}  // namespace
}  // namespace haka::control
