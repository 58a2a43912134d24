#include "engine/run.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include "engine/test_input.h"

namespace haka::engine {
namespace {

using testing::ExitedWithCode;

class RunTest : public testing::Test {
protected:
    RunTest() {
        options_.output = folder_.file("out.pcap");
        options_.settings.seed = 1;
    }

    void put(const std::vector<test::Packet>& packets) {
        packets_ = test::bytes_of(packets);
        options_.input = test::write_capture(folder_.file("in.pcap"), packets);
    }
    RunOutcome go(std::string_view policy) {
        options_.policy = folder_.write("policy.lua", as_bytes(policy));
        out_.clear();
        log_.clear();
        const auto into = [](std::string& text) {
            return [&text](std::string_view more) {
                text += more;
                return true;
            };
        };
        return run(options_, {.out = into(out_), .log = into(log_), .err = into(log_)}, stop_);
    }
    [[nodiscard]] std::vector<test::Bytes> written() const {
        return test::read_capture(options_.output);
    }
    [[nodiscard]] std::vector<test::Bytes> first(std::size_t count) const {
        return {packets_.begin(), packets_.begin() + static_cast<std::ptrdiff_t>(count)};
    }
    // A rule that hangs ends with its process. In a child: runs, says what came, and leaves.
    [[noreturn]] void hang(std::string_view policy) {
        const RunOutcome outcome = go(policy);
        std::fputs(outcome.message.c_str(), stderr);
        std::_Exit(outcome.must_abandon && outcome.failed ? 1 : 0);
    }

    capture::test::Folder folder_;
    std::vector<test::Bytes> packets_;
    RunOptions options_;
    StopFlag stop_;
    std::string out_;
    std::string log_;
};

TEST_F(RunTest, WritesEveryPacketAsItCameWithoutRules) {
    put(test::crowd(20));
    const RunOutcome outcome = go("");
    EXPECT_FALSE(outcome.failed) << outcome.message;
    EXPECT_EQ(outcome.message, "");
    EXPECT_EQ(written(), packets_);
    EXPECT_EQ(outcome.summary.packets_in, 200U);
    EXPECT_EQ(outcome.summary.packets_out, 200U);
    EXPECT_EQ(outcome.summary.packets_dropped, 0U);
    EXPECT_EQ(outcome.summary.connections, 20U);
    EXPECT_EQ(outcome.summary.connections_peak, 20U);
}

TEST_F(RunTest, RulesDecideAndAreNamedInTheSummary) {
    std::vector<test::Packet> packets = test::whole_connection(4000);
    const auto refused = test::whole_connection(4001);
    packets.insert(packets.end(), refused.begin(), refused.end());
    put(packets);
    const RunOutcome outcome = go(R"(
        haka.rule{ name = "no 4001", hooks = { "tcp-connection-new" },
                   eval = function (self, pkt)
                       if pkt.tcp.srcport == 4001 then pkt:drop() end
                   end })");
    EXPECT_FALSE(outcome.failed) << outcome.message;
    EXPECT_EQ(written(), first(10));
    EXPECT_EQ(outcome.summary.packets_dropped, 10U);
    EXPECT_EQ(outcome.summary.drops_by_rule.at("no 4001"), 1U);
}

TEST_F(RunTest, ARuleThatHangsIsNamedAndEverythingBeforeItsPacketIsWritten) {
    put(test::whole_connection(4000));
    options_.settings.lua.rule_timeout = kMillisecond * 100;
    constexpr std::string_view kPolicy = R"(
        haka.rule{ hooks = { "tcp-up" }, name = "sticky",
                   eval = function (self, pkt)
                       if #pkt.payload == #"another question" then while true do end end
                   end })";
    EXPECT_EXIT(hang(kPolicy), ExitedWithCode(1),
                "rule \"sticky\" .*policy.lua:2.* on packet 6 ran longer than lua.rule_timeout");
    EXPECT_EQ(written(), first(5));
}

TEST_F(RunTest, AHangOfOneWorkerLosesNothingThatCameBeforeOfTheOther) {
    put(test::crowd(40));
    options_.settings.workers = 2;
    options_.settings.lua.rule_timeout = kMillisecond * 100;
    constexpr std::string_view kPolicy = R"(
        haka.rule{ hooks = { "tcp-connection-new" },
                   eval = function (self, pkt)
                       if pkt.tcp.srcport == 20030 then while true do end end
                   end })";
    EXPECT_EXIT(hang(kPolicy), ExitedWithCode(1), "on packet 31 ran longer");
    EXPECT_EQ(written(), first(30));
}

TEST_F(RunTest, AHangAtTheEndOfTheInputLosesNothing) {
    put(test::whole_connection(4000));
    options_.settings.lua.rule_timeout = kMillisecond * 100;
    EXPECT_EXIT(hang("haka.on_exit(function () while true do end end)"), ExitedWithCode(1),
                "ran longer than lua.rule_timeout");
    EXPECT_EQ(written(), packets_);
}

TEST_F(RunTest, EndsInOrderWhenAskedToStop) {
    put(test::whole_connection(4000));
    stop_.requested = 1;
    const RunOutcome outcome = go("");
    EXPECT_FALSE(outcome.must_abandon);
    EXPECT_TRUE(outcome.failed);
    EXPECT_NE(outcome.message.find("interrupted"), std::string::npos) << outcome.message;
    EXPECT_EQ(written(), first(written().size()));
}

TEST_F(RunTest, DamageEndsTheInputAndEverythingBeforeItIsWritten) {
    put(test::whole_connection(4000));
    const std::string whole = folder_.content("in.pcap");
    const std::string cut = whole.substr(0, whole.size() - 10);
    options_.input = folder_.write("cut.pcap", as_bytes(cut));
    const RunOutcome outcome = go("");
    EXPECT_TRUE(outcome.failed);
    EXPECT_FALSE(outcome.setup_failed);
    const std::string place = "truncated at byte " + std::to_string(cut.size());
    EXPECT_NE(outcome.message.find(place), std::string::npos) << outcome.message;
    EXPECT_EQ(written(), first(9));
}

TEST_F(RunTest, FatalEndsTheRunBehindItsPacket) {
    put(test::whole_connection(4000));
    const RunOutcome outcome = go(R"(
        haka.rule{ hooks = { "tcp-up" }, eval = function (self, pkt)
            if #pkt.payload > 0 then haka.log.fatal("test", "that's enough") end
        end })");
    EXPECT_TRUE(outcome.failed);
    EXPECT_EQ(outcome.message, "haka.log.fatal: the policy ended the run");
    EXPECT_NE(log_.find("that's enough"), std::string::npos);
    ASSERT_GE(written().size(), 3U);
    EXPECT_LE(written().size(), 4U);
    EXPECT_EQ(written(), first(written().size()));
}

TEST_F(RunTest, WritesAlertsAsEveLines) {
    put(test::whole_connection(4000));
    options_.eve = folder_.file("eve.json");
    const RunOutcome outcome = go(R"(
        haka.rule{ hooks = { "tcp-connection-new" }, eval = function (self, pkt)
            haka.alert{ description = "seen" }
        end })");
    EXPECT_FALSE(outcome.failed) << outcome.message;
    const std::string eve = folder_.content("eve.json");
    EXPECT_EQ(std::count(eve.begin(), eve.end(), '\n'), 1);
    EXPECT_NE(eve.find("\"signature\":\"seen\""), std::string::npos) << eve;
    EXPECT_NE(eve.find("\"src_port\":4000"), std::string::npos) << eve;
    EXPECT_NE(out_.find("seen"), std::string::npos);
}

TEST_F(RunTest, QuietHidesAlertsButNotPrints) {
    put(test::whole_connection(4000));
    options_.quiet = true;
    (void)go(R"(
        haka.rule{ hooks = { "tcp-connection-new" }, eval = function (self, pkt)
            haka.alert{ description = "seen" }
            print("printed")
        end })");
    EXPECT_EQ(out_, "printed\n");
}

TEST_F(RunTest, RefusesASecondLinkTypeInAPcapAndNamesTheRemedy) {
    const auto packets = test::whole_connection(4000);
    const test::Bytes datagram(packets[1].bytes.begin() + 14, packets[1].bytes.end());
    options_.input = test::write_capture(
        folder_.file("in.pcapng"), {packets[0], {.bytes = datagram, .when = {}, .interface = 1}},
        {{.link = LinkType::Ethernet}, {.link = LinkType::Raw}});
    const RunOutcome refused = go("");
    EXPECT_TRUE(refused.failed);
    EXPECT_NE(refused.message.find(".pcapng"), std::string::npos) << refused.message;
    EXPECT_EQ(written(), (std::vector<test::Bytes>{packets[0].bytes}));

    options_.output = folder_.file("out.pcapng");
    EXPECT_FALSE(go("").failed);
    EXPECT_EQ(written(), (std::vector<test::Bytes>{packets[0].bytes, datagram}));
}

TEST_F(RunTest, TwoWorkersSayAndWriteWhatOneDoes) {
    put(test::crowd(300));
    options_.eve = folder_.file("eve.json");
    constexpr std::string_view kPolicy = R"(
        haka.rule{ hooks = { "tcp-connection-new" }, eval = function (self, pkt)
            local port = pkt.tcp.srcport
            print("new", port)
            if port % 7 == 0 then
                pkt:drop()
            elseif port % 11 == 0 then
                haka.alert{ description = "port " .. port }
                pkt:reset()
            end
        end }
        haka.rule{ hooks = { "tcp-connection-up" }, eval = function (self, pkt)
            haka.log("test", "%s", pkt.stream:peek())
        end }
        haka.rule{ hooks = { "tcp-connection-end" }, eval = function (self, pkt)
            print(pkt.connection.srcport, pkt.reason)
        end })";
    options_.settings.workers = 1;
    EXPECT_EQ(go(kPolicy).message, "");
    const auto packets = written();
    const std::string out = out_;
    const std::string log = log_;
    const std::string eve = folder_.content("eve.json");
    EXPECT_NE(out.find("closed"), std::string::npos);
    EXPECT_FALSE(log.empty());
    for (const std::uint32_t workers : {2U, 4U}) {
        options_.settings.workers = workers;
        EXPECT_EQ(go(kPolicy).message, "");
        EXPECT_EQ(written(), packets);
        EXPECT_EQ(out_, out);
        EXPECT_EQ(log_, log);
        EXPECT_EQ(folder_.content("eve.json"), eve);
    }
}

TEST_F(RunTest, AFilterLeavesTheRestOut) {
    put(test::crowd(5));
    options_.filter = "port 20003";
    const RunOutcome outcome = go("");
    EXPECT_EQ(outcome.summary.packets_in, 10U);
    EXPECT_EQ(written().size(), 10U);
}

TEST_F(RunTest, RefusesWhatCannotStartAndSaysWhy) {
    put(test::whole_connection(4000));
    const auto expect_refused = [&](std::string_view policy, const std::string& why) {
        const RunOutcome outcome = go(policy);
        EXPECT_TRUE(outcome.setup_failed);
        EXPECT_NE(outcome.message.find(why), std::string::npos) << outcome.message;
    };
    expect_refused("haka.rule{", "policy.lua:1");
    options_.filter = "port port";
    expect_refused("", "port port");
    options_.filter.clear();
    options_.output = folder_.file("no/out.pcap");
    expect_refused("", "out.pcap");
    options_.output = folder_.file("out.pcap");
    options_.eve = folder_.file("no/eve.json");
    expect_refused("", "eve.json");
    options_.eve.clear();
    options_.input = folder_.file("none.pcap");
    expect_refused("", "none.pcap");
}

TEST_F(RunTest, TellsOfTextThatCouldNotBeWrittenAndGoesOn) {
    put(test::whole_connection(4000));
    options_.policy = folder_.write("policy.lua", as_bytes(R"(
        haka.rule{ hooks = { "tcp-up" }, eval = function () print("x") end })"));
    const auto refuse = [](std::string_view) { return false; };
    const RunOutcome outcome = run(options_, {.out = refuse, .log = refuse, .err = refuse}, stop_);
    EXPECT_TRUE(outcome.failed);
    EXPECT_TRUE(outcome.message.starts_with("can't write to standard output")) << outcome.message;
    EXPECT_EQ(outcome.message.find('\n'), std::string::npos);
    EXPECT_EQ(written(), packets_);
}

TEST_F(RunTest, TellsWhatAPolicySaidWhileItLoaded) {
    put(test::whole_connection(4000));
    options_.settings.workers = 2;
    (void)go("print('loading')");
    EXPECT_EQ(out_, "loading\n");
}

TEST_F(RunTest, CountsTimeInRulesWhenAsked) {
    put(test::whole_connection(4000));
    options_.profile = true;
    const RunOutcome outcome =
        go("haka.rule{ name = 'timed', hooks = { 'tcp-up' }, eval = function () end }");
    EXPECT_EQ(outcome.summary.lua_time.at("timed").calls, 10U);
}

TEST_F(RunTest, CheckListsTheRulesByHookInTheOrderOfThePacket) {
    options_.policy = folder_.write("policy.lua", as_bytes(R"(
        haka.rule{ name = "second", hooks = { "tcp-connection-new" }, eval = function () end }
        haka.rule{ name = "first", hooks = { "ipv4-up" }, eval = function () end })"));
    const CheckOutcome outcome = check(options_, StopFlag{});
    EXPECT_FALSE(outcome.failed) << outcome.message;
    const std::size_t first = outcome.listing.find("ipv4-up\n");
    const std::size_t second = outcome.listing.find("tcp-connection-new\n");
    EXPECT_LT(first, second) << outcome.listing;
    EXPECT_LT(outcome.listing.find("first"), second);
    EXPECT_GT(outcome.listing.find("second"), second);
}

TEST_F(RunTest, CheckRefusesWhatCannotWork) {
    options_.policy = folder_.write(
        "policy.lua", as_bytes("haka.rule{ hooks = { 'tcp-upp' }, eval = function () end }"));
    const CheckOutcome outcome = check(options_, StopFlag{});
    EXPECT_TRUE(outcome.failed);
    EXPECT_NE(outcome.message.find("tcp-up"), std::string::npos) << outcome.message;
    options_.policy = folder_.write("policy.lua", as_bytes("-- nothing"));
    EXPECT_EQ(check(options_, StopFlag{}).listing, "no rules: every packet passes\n");
}

}  // namespace
}  // namespace haka::engine
