#include "report/summary.h"

#include <string>

#include <gtest/gtest.h>

namespace haka::report {
namespace {

std::string shown(const Summary& summary, const ConsoleStyle& style = {}) {
    std::string out;
    append_summary(out, summary, style);
    return out;
}

Summary busy_worker() {
    Summary summary;
    summary.packets_in = 1'600'000;
    summary.packets_out = 1'590'002;
    summary.packets_dropped = 10'000;
    summary.changes.at(static_cast<std::size_t>(Event::TcpEdited)) = 5;
    summary.packets_injected = 2;
    summary.packets_absorbed = 3;
    summary.bytes_in = 98'200'000;
    summary.bytes_out = 97'000'000;
    summary.first_packet = Instant{0};
    summary.last_packet = Instant{} + kMillisecond * 10500;
    summary.drops[static_cast<std::size_t>(Event::Rule)] = 9000;
    summary.drops[static_cast<std::size_t>(Event::TcpNoConnection)] = 1000;
    summary.drops_by_rule = {{"a", 1000}, {"firewall", 8000}};
    summary.count_event(Event::TcpGap);
    summary.alerts_by_rule = {{"firewall\x1b", 8000}};
    summary.connections = 200'000;
    summary.connections_ended[static_cast<std::size_t>(flow::EndReason::Closed)] = 199'999;
    summary.count_end(flow::EndReason::Reset);
    summary.connections_peak = 5000;
    summary.stream_bytes = 1'234'567;
    summary.stream_gaps = 1;
    summary.checksum_errors = 4;
    summary.malformed_frames = 6;
    summary.lua_time = {{"firewall", {.calls = 1000, .total = kMillisecond * 2}}};
    summary.wall_seconds = 0.1;
    summary.cpu_seconds = 0.095;
    return summary;
}

TEST(SummaryTest, AlignsWhatHappened) {
    EXPECT_EQ(
        shown(busy_worker()),
        "packets            1,600,000  read, 98.2 MB, 10.500 s of traffic\n"
        "                   1,590,002  passed, 97.0 MB\n"
        "                      10,000  dropped\n"
        "                           5  changed\n"
        "                           2  injected\n"
        "                           3  held back or erased\n"
        "                           6  malformed\n"
        "                           4  with a wrong checksum\n"
        "dropped                9,000  rule: by a rule\n"
        "                       1,000  tcp.no-connection: no connection found for tcp packet\n"
        "changed                    5  tcp.edited: bytes of an edited or held stream, cut anew\n"
        "by rule                8,000  firewall\n"
        "                       1,000  a\n"
        "connections          200,000  seen, at most 5,000 at a time\n"
        "                     199,999  closed\n"
        "                           1  reset\n"
        "streams            1,234,567  bytes in order\n"
        "                           1  gaps\n"
        "events                     1  tcp.gap: bytes that the receiver acknowledged are missing\n"
        "alerts                 8,000  firewall\\x1b\n"
        "Lua                  0.002 s  firewall: 1,000 calls, 2,000 ns each\n"
        "time                 0.100 s  0.095 s of CPU, 16.0 M packets/s\n");
}

TEST(SummaryTest, LeavesOutRowsThatAreZero) {
    EXPECT_EQ(shown({}), "packets                    0  read, 0 B\n");
}

TEST(SummaryTest, LabelsASectionOnceAndInBold) {
    EXPECT_TRUE(shown({}, {.colour = true}).starts_with("\x1b[1mpackets\x1b[0m      "));
}

TEST(SummaryTest, AddsWorkers) {
    Summary sum;
    sum += busy_worker();
    EXPECT_EQ(shown(sum), shown(busy_worker()));

    Summary other = busy_worker();
    other.first_packet = Instant{-5};
    other.last_packet = Instant{1};
    other.wall_seconds = 0.05;
    sum += other;
    EXPECT_EQ(sum.packets_in, 3'200'000U);
    EXPECT_EQ(sum.packets_out, 3'180'004U);
    EXPECT_EQ(sum.packets_dropped, 20'000U);
    EXPECT_EQ(sum.packets_injected, 4U);
    EXPECT_EQ(sum.packets_absorbed, 6U);
    EXPECT_EQ(sum.bytes_in, 196'400'000U);
    EXPECT_EQ(sum.bytes_out, 194'000'000U);
    EXPECT_EQ(sum.first_packet, Instant{-5});
    EXPECT_EQ(sum.last_packet, Instant{} + kMillisecond * 10500);
    EXPECT_EQ(sum.drops[static_cast<std::size_t>(Event::Rule)], 18'000U);
    EXPECT_EQ(sum.drops_by_rule.at("firewall"), 16'000U);
    EXPECT_EQ(sum.events[static_cast<std::size_t>(Event::TcpGap)], 2U);
    EXPECT_EQ(sum.alerts_by_rule.begin()->second, 16'000U);
    EXPECT_EQ(sum.connections, 400'000U);
    EXPECT_EQ(sum.connections_ended[static_cast<std::size_t>(flow::EndReason::Reset)], 2U);
    EXPECT_EQ(sum.connections_peak, 10'000U);
    EXPECT_EQ(sum.stream_bytes, 2'469'134U);
    EXPECT_EQ(sum.stream_gaps, 2U);
    EXPECT_EQ(sum.checksum_errors, 8U);
    EXPECT_EQ(sum.malformed_frames, 12U);
    EXPECT_EQ(sum.lua_time.at("firewall").calls, 2000U);
    EXPECT_EQ(sum.lua_time.at("firewall").total, kMillisecond * 4);
    EXPECT_DOUBLE_EQ(sum.wall_seconds, 0.1);
    EXPECT_DOUBLE_EQ(sum.cpu_seconds, 0.19);

    Summary empty;
    sum += empty;
    EXPECT_EQ(sum.first_packet, Instant{-5});
}

TEST(SummaryTest, NamesEveryReason) {
    Summary summary;
    summary.drops.fill(1);
    summary.connections_ended.fill(1);
    const std::string text = shown(summary);
    for (std::size_t i = 0; i < kEventCount; ++i) {
        EXPECT_NE(text.find(event_sentence(static_cast<Event>(i))), std::string::npos);
    }
    for (std::size_t i = 0; i < kEndReasonCount; ++i) {
        EXPECT_NE(text.find(to_string(static_cast<flow::EndReason>(i))), std::string::npos);
    }
}

}  // namespace
}  // namespace haka::report
