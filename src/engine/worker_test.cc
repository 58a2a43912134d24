#include "engine/worker.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "engine/worker_fixture.h"

namespace haka::engine {
namespace {

using test::Said;
using test::WorkerTest;

constexpr std::string_view kTellEnds = R"(
    haka.rule{ hooks = { "tcp-connection-end" },
               eval = function (self, pkt) print(pkt.connection.srcport, pkt.reason) end })";

TEST_F(WorkerTest, RunsTheHooksInTheOrderOfThePacket) {
    load(R"(
        for _, hook in ipairs{ "raw-up", "ipv4-up", "tcp-up", "tcp-connection-new",
                               "tcp-connection-up", "tcp-connection-down", "tcp-down",
                               "ipv4-down", "raw-down" } do
            haka.rule{ hooks = { hook }, eval = function () print(hook) end }
        end)");
    const auto packets = test::whole_connection(4000);
    EXPECT_EQ(walk({packets[0]}).prints,
              "raw-up\nipv4-up\ntcp-up\ntcp-connection-new\n"
              "tcp-connection-down\ntcp-down\nipv4-down\nraw-down\n");
    EXPECT_EQ(walk({packets[1], packets[2]}).prints.find("tcp-connection-up"), std::string::npos);
    EXPECT_EQ(walk({packets[3]}).prints,
              "raw-up\nipv4-up\ntcp-up\ntcp-connection-up\n"
              "tcp-connection-down\ntcp-down\nipv4-down\nraw-down\n");
}

TEST_F(WorkerTest, LetsPacketsLeaveByteForByte) {
    load("");
    const auto packets = test::crowd(10);
    EXPECT_EQ(walk(packets).packets, test::bytes_of(packets));
}

TEST_F(WorkerTest, AStopIsHeededBetweenBatches) {
    load("");
    stop_ = true;
    EXPECT_TRUE(walk(test::crowd(10)).packets.empty());
}

TEST_F(WorkerTest, WalksOnlyItsOwnFrames) {
    options_.index = 3;  // The frames here are worker 0's.
    load("");
    EXPECT_TRUE(walk(test::crowd(10)).packets.empty());
    EXPECT_EQ(worker_->summary().packets_in, 0U);
}

TEST_F(WorkerTest, DropsWhatBelongsToNoConnection) {
    load("");
    const auto packets = test::whole_connection(4000);
    const Said all = walk({packets[3], packets[4]});
    EXPECT_TRUE(all.packets.empty());
    EXPECT_EQ(dropped(Event::TcpNoConnection), 2U);
}

TEST_F(WorkerTest, EndsAConnectionAsItsPacketsSay) {
    load(kTellEnds);
    EXPECT_EQ(walk(test::whole_connection(4000)).prints, "");  // Late packets may come.
    const auto later = test::whole_connection(4001, {kSecond.ns * 61});
    EXPECT_EQ(walk({later[0]}).prints, "4000 closed\n");
    EXPECT_EQ(ended(flow::EndReason::Closed), 1U);
}

TEST_F(WorkerTest, EndsIdleConnectionsInTheOrderOfTheirDeadlines) {
    load(kTellEnds);
    auto first = test::whole_connection(4000);
    auto second = test::whole_connection(4001, {kSecond.ns});
    auto later = test::whole_connection(4002, {kSecond.ns * 40});
    EXPECT_EQ(walk({second[0], first[0]}).prints, "");
    EXPECT_EQ(walk({later[0]}).prints, "4000 timeout\n4001 timeout\n");
    EXPECT_EQ(ended(flow::EndReason::Timeout), 2U);
}

// No other packet comes: the fragment alone must wake the worker in time. (It may wake sooner, to
// find that nothing is due.)
TEST_F(WorkerTest, WakesForFragmentsThatNobodyCompletes) {
    load("");
    test::Packet packet = test::whole_connection(4000, {}, "twelve bytes")[3];
    store_be16(packet.bytes.data() + 14 + 6, 0x2000);  // More fragments.
    const wire::Headers headers = wire::find_headers(LinkType::Ethernet, packet.bytes);
    wire::compute_ipv4_header(headers, packet.bytes);
    EXPECT_TRUE(walk({packet}).packets.empty());
    const Instant due = packet.when + options_.settings.fragments.timeout;
    Journal journal;
    Instant now = packet.when;
    while (now < due) {
        EXPECT_EQ(dropped(Event::FragmentTimeout), 0U);
        ASSERT_GT(worker_->wakes_at(), now);
        now = worker_->wakes_at();
        worker_->pass_time(now, journal);
    }
    EXPECT_EQ(now, due);
    EXPECT_EQ(dropped(Event::FragmentTimeout), 1U);
}

TEST_F(WorkerTest, EndsWhatIsOpenWithTheInput) {
    load(std::string(kTellEnds) + "\nhaka.on_exit(function () print('bye') end)");
    auto packets = test::crowd(3);
    packets.resize(packets.size() / 2);
    EXPECT_EQ(walk(packets).prints, "");
    EXPECT_EQ(finish().prints, "20000 end of input\n20001 end of input\n20002 end of input\nbye\n");
}

TEST_F(WorkerTest, ADroppedConnectionLetsNothingMorePass) {
    load(R"(haka.rule{ name = "no", hooks = { "tcp-connection-up" },
                       eval = function (self, pkt) pkt:drop() end })");
    const auto packets = test::whole_connection(4000);
    EXPECT_EQ(walk(packets).packets.size(), 3U);
    EXPECT_EQ(dropped(Event::Rule), 1U);
    EXPECT_EQ(dropped(Event::TcpTombstone), packets.size() - 4);
    EXPECT_EQ(ended(flow::EndReason::Dropped), 1U);
}

TEST_F(WorkerTest, AResetGoesToBothEnds) {
    load(R"(haka.rule{ hooks = { "tcp-connection-up" },
                       eval = function (self, pkt) pkt:reset() end })");
    const auto packets = test::whole_connection(4000);
    const Said all = walk({packets.begin(), packets.begin() + 4});
    ASSERT_EQ(all.packets.size(), 5U);
    std::vector<std::uint16_t> to;
    for (std::size_t i = 3; i < 5; ++i) {
        const wire::Headers headers = wire::find_headers(LinkType::Ethernet, all.packets[i]);
        const std::uint8_t* tcp = all.packets[i].data() + headers.transport;
        EXPECT_NE(tcp[13] & wire::kRst, 0);
        to.push_back(load_be16(tcp + 2));
    }
    std::ranges::sort(to);
    EXPECT_EQ(to, (std::vector<std::uint16_t>{80, 4000}));
    EXPECT_EQ(worker_->summary().packets_injected, 2U);
}

TEST_F(WorkerTest, ACorrectedChecksumFollowsAChangedField) {
    load(R"(haka.rule{ hooks = { "ipv4-up" }, eval = function (self, pkt) pkt.ttl = 7 end })");
    const Said all = walk({test::whole_connection(4000)[0]});
    ASSERT_EQ(all.packets.size(), 1U);
    const wire::Headers headers = wire::find_headers(LinkType::Ethernet, all.packets[0]);
    EXPECT_EQ(all.packets[0][14 + 8], 7);
    EXPECT_TRUE(wire::verify_ipv4_header(headers, all.packets[0].data()));
    EXPECT_EQ(worker_->summary().packets_changed(), 1U);
    EXPECT_EQ(worker_->summary().changes.at(static_cast<std::size_t>(Event::Rule)), 1U);
}

TEST_F(WorkerTest, StreamsShowBytesInOrderOnce) {
    load(R"(haka.rule{ hooks = { "tcp-connection-up" }, eval = function (self, pkt)
                print(pkt.direction, pkt.stream:read())
            end })");
    auto packets = test::whole_connection(4000);
    std::swap(packets[3], packets[5]);                // The second question comes first.
    packets.insert(packets.begin() + 6, packets[5]);  // The first one twice.
    const Said all = walk({packets.begin(), packets.begin() + 7});
    const std::size_t first = all.prints.find("a question");
    const std::size_t second = all.prints.find("another question");
    EXPECT_NE(first, std::string::npos) << all.prints;
    EXPECT_NE(second, std::string::npos) << all.prints;
    EXPECT_EQ(all.prints.find("a question", first + 1), std::string::npos) << all.prints;
}

TEST_F(WorkerTest, SendsWhatAPolicyMadeBehindThePacketAtHand) {
    load(R"(haka.rule{ hooks = { "tcp-connection-new" }, eval = function (self, pkt)
                local ip = ipv4.create(haka.packet.new(40))
                ip.src, ip.dst = pkt.tcp.ip.dst, pkt.tcp.ip.src
                local tcp = tcp.create(ip)
                tcp.srcport, tcp.dstport = 1, 2
                tcp:send()
            end })");
    const auto packets = test::whole_connection(4000);
    const Said all = walk({packets[0], packets[1]});
    ASSERT_EQ(all.packets.size(), 3U);
    EXPECT_EQ(all.packets[0], packets[0].bytes);
    EXPECT_EQ(all.packets[2], packets[1].bytes);
    const wire::Headers headers = wire::find_headers(LinkType::Ethernet, all.packets[1]);
    EXPECT_EQ(load_be16(all.packets[1].data() + headers.transport + 2), 2);
    EXPECT_EQ(wire::verify_transport(headers, all.packets[1]), wire::ChecksumCheck::Right);
}

TEST_F(WorkerTest, AFailingRuleGetsTheVerdictOfTheSettings) {
    constexpr std::string_view kFails = R"(
        haka.rule{ name = "broken", hooks = { "ipv4-up" }, eval = function () error("no") end })";
    load(kFails);
    const Said dropped_all = walk({test::whole_connection(4000)[0]});
    EXPECT_TRUE(dropped_all.packets.empty());
    EXPECT_EQ(dropped(Event::RuleError), 1U);
    EXPECT_NE(dropped_all.logs.find("rule \"broken\" on packet 1"), std::string::npos);

    options_.settings.lua.on_error = Exception::Pass;
    load(kFails);
    EXPECT_EQ(walk({test::whole_connection(4000)[0]}).packets.size(), 1U);
}

TEST_F(WorkerTest, WhatAnEventMayPrintIsLimited) {
    options_.settings.lua.output_max = 10'000;
    load(R"(haka.rule{ hooks = { "ipv4-up" }, eval = function ()
                for i = 1, 1000 do print(("x"):rep(99)) end
            end })");
    const Said all = walk({test::whole_connection(4000)[0]});
    EXPECT_LE(all.prints.size(), 10'000U);
    EXPECT_GT(all.prints.size(), 1'000U);
    EXPECT_EQ(dropped(Event::RuleError), 1U);
}

TEST_F(WorkerTest, AFatalLogEndsTheWalkAtItsPacket) {
    load(R"(haka.rule{ hooks = { "tcp-up" }, eval = function (self, pkt)
                if pkt.flags.ack then haka.log.fatal("test", "enough") end
            end })");
    const auto packets = test::whole_connection(4000);
    EXPECT_LE(walk(packets).packets.size(), 2U);
    EXPECT_TRUE(worker_->is_fatal());
}

TEST_F(WorkerTest, KeepsWhatItSaidWhileLoading) {
    load("print('hello')");
    std::string text;
    for (RecordReader record(worker_->loading_journal()); !record.done(); record.next()) {
        text += record.first();
    }
    EXPECT_EQ(text, "hello\n");
}

TEST_F(WorkerTest, RefusesAPolicyThatDoesNotLoad) {
    options_.script.policy = folder_.write("policy.lua", as_bytes("\nnonsense("));
    const Worker::Made made = Worker::make(options_);
    EXPECT_EQ(made.worker, nullptr);
    EXPECT_NE(made.error.find("policy.lua:2"), std::string::npos) << made.error;
}

}  // namespace
}  // namespace haka::engine
