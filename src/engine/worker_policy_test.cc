#include <algorithm>
#include <thread>

#include "engine/black_box.h"
#include "engine/worker_fixture.h"

namespace haka::engine {
namespace {

using test::Packet;
using test::Said;

// Prints who it is for each event of a connection, and for each packet.
std::string teller(std::string_view name) {
    return "local me = '" + std::string(name) + "'\n" + R"(
        haka.rule{ hooks = { "tcp-connection-new" },
                   eval = function (self, pkt) print(me, "new", pkt.connection.srcport) end }
        haka.rule{ hooks = { "tcp-up" }, eval = function () print(me, "packet") end }
        haka.rule{ hooks = { "tcp-connection-up" }, eval = function (self, pkt)
            local data = pkt.stream:read()
            if data then print(me, tostring(data)) end
        end }
        haka.rule{ hooks = { "tcp-connection-end" },
                   eval = function (self, pkt) print(me, "end") end }
        haka.on_exit(function () print(me, "exit") end))";
}

class WorkerPolicyTest : public test::WorkerTest {
protected:
    Said reload(std::string_view policy, Instant now = {}) {
        (void)folder_.write("policy.lua", as_bytes(policy));
        Policy::Loaded loaded = worker_->prepare(worker_->generation() + 1);
        EXPECT_NE(loaded.policy, nullptr) << loaded.error;
        Journal journal;
        worker_->reload(std::move(loaded.policy), now, journal);
        return said(journal);
    }
    static std::vector<Packet> some(const std::vector<Packet>& packets, std::size_t from,
                                    std::size_t to) {
        return {packets.begin() + static_cast<std::ptrdiff_t>(from),
                packets.begin() + static_cast<std::ptrdiff_t>(to)};
    }
};

TEST_F(WorkerPolicyTest, AConnectionStaysWithThePolicyThatAcceptedIt) {
    load(teller("one"));
    const auto old = test::whole_connection(4000);
    const auto young = test::whole_connection(4001);
    (void)walk(some(old, 0, 3));
    EXPECT_EQ(reload(teller("two")).prints, "");
    EXPECT_EQ(worker_->generation(), 2U);
    EXPECT_EQ(walk(some(young, 0, 1)).prints, "two packet\ntwo new 4001\n");
    EXPECT_EQ(walk({old[3], young[1]}).prints, "one packet\none a question\ntwo packet\n");
    EXPECT_EQ(worker_->take_retired().size(), 0U);
}

TEST_F(WorkerPolicyTest, APolicyGoesWithTheLastOfItsConnections) {
    load(teller("one"));
    const auto old = test::whole_connection(4000);
    (void)walk(some(old, 0, 3));
    (void)reload(teller("two"));
    (void)walk(some(old, 3, 10));
    const auto late = test::whole_connection(4001, {kSecond.ns * 61});
    EXPECT_EQ(walk({late[0]}).prints, "one end\ntwo packet\ntwo new 4001\n");
    EXPECT_EQ(walk({late[1]}).prints, "one exit\ntwo packet\n");
    const auto retired = worker_->take_retired();
    ASSERT_EQ(retired.size(), 1U);
    EXPECT_EQ(retired[0]->generation, 1U);
    EXPECT_EQ(counted(Event::PolicyMoved), 0U);
}

TEST_F(WorkerPolicyTest, APolicyWithoutConnectionsGoesAtOnce) {
    load(teller("one"));
    EXPECT_EQ(reload("print('loaded')\n" + teller("two")).prints, "loaded\none exit\n");
    EXPECT_EQ(worker_->take_retired().size(), 1U);
    EXPECT_EQ(finish().prints, "two exit\n");
}

TEST_F(WorkerPolicyTest, BeyondTheMostTheOldestsConnectionsMoveToTheNewest) {
    options_.settings.policy.generations_max = 2;
    load(teller("one"));
    const auto first = test::whole_connection(4001);
    const auto second = test::whole_connection(4002);
    (void)walk(some(first, 0, 4));
    (void)reload(teller("two"));
    (void)walk(some(second, 0, 4));
    EXPECT_EQ(worker_->take_retired().size(), 0U);
    EXPECT_EQ(reload(teller("three")).prints, "one exit\n");
    EXPECT_EQ(worker_->take_retired().size(), 1U);
    EXPECT_EQ(walk({first[4], second[4]}).prints,
              "three packet\nthree new 4001\nthree an answer\n"
              "two packet\ntwo an answer\n");
    EXPECT_EQ(counted(Event::PolicyMoved), 1U);
    EXPECT_EQ(walk({first[5]}).prints, "three packet\nthree another question\n");
    const Said end = finish();
    EXPECT_EQ(std::ranges::count(end.prints, '\n'), 4) << end.prints;  // Two ends, two exits.
}

TEST_F(WorkerPolicyTest, AMovedConnectionMayBeRefused) {
    options_.settings.policy.generations_max = 2;
    load("");
    const auto packets = test::whole_connection(4001);
    (void)walk(some(packets, 0, 3));
    (void)reload("");
    const auto other = test::whole_connection(4002);
    (void)walk(some(other, 0, 3));
    (void)reload(R"(haka.rule{ hooks = { "tcp-connection-new" },
                               eval = function (self, pkt) pkt:drop() end })");
    EXPECT_TRUE(walk(some(packets, 3, 10)).packets.empty());
    EXPECT_EQ(walk(some(other, 3, 10)).packets.size(), 7U);
}

// Reads HTTP, by `rules`.
std::string reader(std::string_view rules) {
    return R"(haka.rule{ hooks = { "tcp-connection-new" },
                         eval = function (self, pkt) pkt.next_dissector = "http" end }
        )" +
           std::string(rules);
}

TEST_F(WorkerPolicyTest, HttpIsNotReadInTheMiddleOfAMovedConnection) {
    options_.settings.policy.generations_max = 2;
    load(reader(R"(haka.rule{ hooks = { "http-request" },
                              eval = function (self, http) print(http.request.uri) end })"));
    test::Conversation talk(4001);
    (void)walk({{talk.syn()}, {talk.syn_ack()}, {talk.ack()}});
    EXPECT_EQ(walk({{talk.send("GET /one HTTP/1.1\r\nHost: a\r\n\r\n")}}).prints, "/one\n");
    (void)reload("");
    (void)walk(some(test::whole_connection(4002), 0, 3));
    (void)reload(reader(R"(haka.rule{ hooks = { "http-request" },
                                      eval = function () print("a request") end })"));
    const Said later = walk(
        {{talk.answer("HTTP/1.1 204 No Content\r\n\r\n")}, {talk.send("not HTTP at all\r\n\r\n")}});
    EXPECT_EQ(counted(Event::PolicyMoved), 1U);
    EXPECT_EQ(later.prints, "");
    EXPECT_EQ(later.packets.size(), 2U);
    EXPECT_EQ(ended(flow::EndReason::Dropped), 0U);
}

TEST_F(WorkerPolicyTest, AnHttpMessageThatIsHalfRewrittenEndsWithItsPolicy) {
    options_.settings.policy.generations_max = 2;
    options_.mode = stream::Mode::Live;
    load(reader(R"(haka.rule{ hooks = { "http-request" }, streamed = true,
        eval = function (self, http)
            http:edit_body()
            http.request.data:wait(100)
        end })"));
    test::Conversation talk(4001);
    (void)walk({{talk.syn()}, {talk.syn_ack()}, {talk.ack()}});
    (void)walk({{talk.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")}});
    (void)reload("");
    (void)walk(some(test::whole_connection(4002), 0, 3));
    (void)reload("");
    EXPECT_EQ(counted(Event::PolicyMoved), 1U);
    const test::Bytes rest = talk.send("rest");
    const Said later = walk({{rest}});
    EXPECT_EQ(std::ranges::count(later.packets, rest), 0);
    EXPECT_EQ(ended(flow::EndReason::Dropped), 1U);
}

TEST_F(WorkerPolicyTest, AtItsDeadlineAnOlderPolicyLetsGo) {
    options_.settings.policy.generation_deadline = kSecond * 10;
    options_.mode = stream::Mode::Live;
    load(teller("one"));
    const auto packets = test::whole_connection(4001);
    (void)walk(some(packets, 0, 4));
    (void)reload(teller("two"), Instant{} + kSecond);
    EXPECT_LE(worker_->wakes_at(), Instant{} + kSecond * 11);
    Journal journal;
    worker_->pass_time(Instant{} + kMillisecond * 10'999, journal);
    EXPECT_EQ(said(journal).prints, "");
    worker_->pass_time(Instant{} + kSecond * 11, journal);
    EXPECT_EQ(said(journal).prints, "one exit\n");
    (void)walk({packets[4]});
    EXPECT_EQ(counted(Event::PolicyMoved), 1U);
}

TEST_F(WorkerPolicyTest, WhatIsLeftOfAnEndedConnectionIsNotCountedAsMoved) {
    options_.settings.policy.generations_max = 2;
    load(teller("one"));
    (void)walk(test::whole_connection(4001));
    (void)reload("");
    (void)walk(some(test::whole_connection(4002), 0, 3));
    EXPECT_EQ(reload("").prints, "one exit\n");
    (void)finish();
    EXPECT_EQ(counted(Event::PolicyMoved), 0U);
}

TEST_F(WorkerPolicyTest, WhatWaitsForARuleThatIsGoneLeaves) {
    options_.settings.policy.generations_max = 2;
    options_.mode = stream::Mode::Live;
    load(R"(haka.rule{ hooks = { "tcp-connection-up" },
                       eval = function (self, pkt) pkt.stream:mark() end })");
    const auto packets = test::whole_connection(4001);
    EXPECT_EQ(std::ranges::count(walk(some(packets, 0, 4)).packets, packets[3].bytes), 0);
    (void)reload("");
    (void)walk(some(test::whole_connection(4002), 0, 3));
    const Said moved = reload(teller("three"));
    EXPECT_EQ(moved.packets.size(), 1U);
    EXPECT_EQ(moved.prints, "three a question\n");
}

TEST_F(WorkerPolicyTest, ConnectionDataEndsInEveryPolicyThatTouchedIt) {
    constexpr std::string_view kTouch = R"(
        haka.rule{ hooks = { "tcp-connection-new" }, eval = function (self, pkt)
            print(tostring(pkt.connection.data))
            pkt.connection.data = "mine"
        end })";
    load(kTouch);
    (void)walk(some(test::whole_connection(4001), 0, 3));
    (void)reload(kTouch);
    auto again = test::whole_connection(4002);
    EXPECT_EQ(walk({again[0]}).prints, "nil\n");
    (void)walk(some(again, 1, 10));
    const auto later = test::whole_connection(4003, {kSecond.ns * 70});
    EXPECT_EQ(walk({later[0]}).prints, "nil\n");  // The place of the one that ended.
}

TEST_F(WorkerPolicyTest, APolicyThatDoesNotLoadChangesNothing) {
    load(teller("one"));
    (void)folder_.write("policy.lua", as_bytes("\nnonsense("));
    const Policy::Loaded loaded = worker_->prepare(worker_->generation() + 1);
    EXPECT_EQ(loaded.policy, nullptr);
    EXPECT_NE(loaded.error.find("policy.lua:2"), std::string::npos) << loaded.error;
    EXPECT_EQ(worker_->generation(), 1U);
    EXPECT_EQ(walk({test::whole_connection(4001)[0]}).prints, "one packet\none new 4001\n");
}

TEST_F(WorkerPolicyTest, LoadsInAnotherThreadWhilePacketsAreWalked) {
    load(teller("one"));
    (void)folder_.write("policy.lua", as_bytes(teller("two")));
    for (std::uint16_t round = 0; round < 20; ++round) {
        Policy::Loaded loaded;
        std::thread other([&] { loaded = worker_->prepare(worker_->generation() + 1); });
        (void)walk(test::whole_connection(static_cast<std::uint16_t>(5000 + round)));
        other.join();
        ASSERT_NE(loaded.policy, nullptr) << loaded.error;
        Journal journal;
        worker_->reload(std::move(loaded.policy), {}, journal);
        std::thread([this] { (void)worker_->take_retired(); }).join();
    }
    EXPECT_EQ(worker_->generation(), 21U);
    EXPECT_EQ(worker_->summary().packets_out, 200U);
}

TEST_F(WorkerPolicyTest, EventsSayWhichGenerationSpoke) {
    options_.writes_eve = true;
    constexpr std::string_view kAlerts = R"(
        haka.rule{ hooks = { "tcp-connection-up" },
                   eval = function (self, pkt) haka.alert{ description = "seen" } end })";
    load(kAlerts);
    const auto old = test::whole_connection(4001);
    (void)walk(some(old, 0, 3));
    (void)reload(kAlerts);
    const auto young = test::whole_connection(4002);
    (void)walk(some(young, 0, 3));
    EXPECT_NE(walk({old[3]}).eve.find(R"("generation":1)"), std::string::npos);
    EXPECT_NE(walk({young[3]}).eve.find(R"("generation":2)"), std::string::npos);
}

TEST_F(WorkerPolicyTest, AnEditedConnectionThatAFaultLostIsReset) {
    BlackBox box(1, 1);
    options_.black_box = &box;
    options_.mode = stream::Mode::Live;
    load(R"(haka.rule{ hooks = { "tcp-connection-up" },
                       eval = function (self, pkt) pkt.stream:replace(1, "A") end })");
    const auto packets = test::whole_connection(4001);
    (void)walk(some(packets, 0, 4));
    options_.restarted_at = Instant{};
    load("");  // As a new process would.
    const Said said = walk({packets[4]});
    ASSERT_EQ(said.packets.size(), 3U);  // A RST for each, and a question for the one at rest.
    EXPECT_EQ(counted(Event::TcpEditLost), 1U);
    EXPECT_EQ(ended(flow::EndReason::Dropped), 1U);
    EXPECT_EQ(walk({packets[5]}).packets.size(), 1U);  // What it says is answered exactly.
}

TEST_F(WorkerPolicyTest, AnEditedConnectionThatHasEndedIsForgotten) {
    BlackBox box(1, 1);
    options_.black_box = &box;
    options_.mode = stream::Mode::Live;
    load(R"(haka.rule{ hooks = { "tcp-connection-up" },
                       eval = function (self, pkt)
                           if pkt.stream:available() > 0 then pkt.stream:replace(1, "A") end
                       end })");
    const auto packets = test::whole_connection(4001);
    const test::Bytes& bytes = packets[0].bytes;
    const auto key =
        flow::make_flow_key(wire::find_headers(LinkType::Ethernet, bytes), bytes.data()).key;
    (void)walk(some(packets, 0, 5));
    EXPECT_TRUE(box.is_edited(key));
    (void)walk(some(packets, 5, packets.size()));
    EXPECT_FALSE(box.is_edited(key));
}

TEST_F(WorkerPolicyTest, SoIsOneWhoseHeldBytesWereAcknowledged) {
    BlackBox box(1, 1);
    options_.black_box = &box;
    options_.mode = stream::Mode::Live;
    load(R"(haka.rule{ hooks = { "tcp-connection-up" }, streamed = true,
                       eval = function (self, pkt) pkt.stream:wait(10000) end })");
    const auto packets = test::whole_connection(4001);
    (void)walk(some(packets, 0, 4));
    options_.restarted_at = Instant{};
    load("");
    (void)walk({packets[4]});
    EXPECT_EQ(counted(Event::TcpEditLost), 1U);
}

TEST_F(WorkerPolicyTest, AfterARestartConnectionsAreTakenUpForAWhile) {
    options_.mode = stream::Mode::Live;
    options_.restarted_at = Instant{};
    options_.settings.tcp.midstream_after_restart = kSecond * 10;
    load("");
    const auto early = test::whole_connection(4001, {kSecond.ns * 9});
    const auto late = test::whole_connection(4002, {kSecond.ns * 10});
    EXPECT_EQ(walk({early[3]}).packets.size(), 1U);
    EXPECT_EQ(walk({late[3]}).packets.size(), 0U);
    EXPECT_EQ(counted(Event::TcpPickedUp), 1U);
}

TEST_F(WorkerPolicyTest, CountsOfRetiredPoliciesStay) {
    constexpr std::string_view kDrops = R"(
        haka.rule{ name = "no", hooks = { "tcp-up" }, eval = function (self, p) p:drop() end })";
    load(kDrops);
    (void)walk({test::whole_connection(4001)[0]});
    (void)reload(kDrops);
    (void)walk({test::whole_connection(4002)[0]});
    EXPECT_EQ(worker_->summary().drops_by_rule.at("no"), 2U);
}

TEST_F(WorkerPolicyTest, ErrorsAndTimesOfRetiredPoliciesStay) {
    options_.script.profile = true;
    constexpr std::string_view kFails = R"(
        haka.rule{ name = "good", hooks = { "tcp-up" }, eval = function () end }
        haka.rule{ name = "bad", hooks = { "tcp-up" }, eval = function () error("bad") end })";
    load(kFails);
    (void)walk({test::whole_connection(4001)[0]});
    (void)reload(kFails);
    (void)walk({test::whole_connection(4002)[0]});
    EXPECT_EQ(worker_->summary().errors_by_rule.at("bad"), 2U);
    EXPECT_EQ(worker_->summary().lua_time.at("good").calls, 2U);
}

}  // namespace
}  // namespace haka::engine
