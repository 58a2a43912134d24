#include "app/doctor.h"

#include <gtest/gtest.h>

namespace haka::app {
namespace {

class DoctorTest : public testing::Test {
protected:
    DoctorTest() {
        facts_.net_admin = true;
        facts_.net_raw = true;
        facts_.packet_sockets = true;
        facts_.queues = true;
        facts_.ipv4_forwarding = true;
        facts_.has_rule_tools = facts_.rules_listed = true;
        facts_.interfaces["a"] = good();
        facts_.interfaces["b"] = good();
        append_iptables_rules(facts_.queue_rules,
                              "-A FORWARD -j NFQUEUE --queue-balance 0:1 --queue-bypass", false);
    }
    static InterfaceFacts good() {
        InterfaceFacts facts;
        facts.exists = facts.ethernet = facts.up = facts.carrier = true;
        facts.mtu = 1500;
        return facts;
    }
    // All findings that aren't ok, and the remedies of each.
    [[nodiscard]] std::string bad(const LiveSource& source) const {
        std::string text;
        for (const Finding& finding : examine(source, facts_)) {
            if (finding.verdict != Verdict::Ok) {
                EXPECT_FALSE(finding.remedy.empty()) << finding.what;
                append_findings(text, {finding}, {});
            }
        }
        return text;
    }
    void expect(const LiveSource& source, std::string_view line, std::string_view remedy) {
        const std::string text = bad(source);
        EXPECT_NE(text.find(line), std::string::npos) << line << " in\n" << text;
        EXPECT_NE(text.find(remedy), std::string::npos) << remedy << " in\n" << text;
    }

    LiveSource queues_{.kind = LiveKind::Queues, .first_queue = 0, .last_queue = 1};
    LiveSource pair_{.kind = LiveKind::Pair, .interfaces = {"a", "b"}};
    LiveSource passive_{.kind = LiveKind::Passive, .interfaces = {"a"}};
    SystemFacts facts_;
};

TEST_F(DoctorTest, NothingIsWrongWhereNothingIs) {
    EXPECT_EQ(bad(queues_), "");
    EXPECT_EQ(bad(pair_), "");
    EXPECT_EQ(bad(passive_), "");
    EXPECT_EQ(bad({}), "");
}

TEST_F(DoctorTest, AfXdpNeedsMore) {
    pair_.af_xdp = true;
    expect(pair_, "fail  privileges: CAP_BPF and CAP_IPC_LOCK missing",
           "setcap cap_net_admin,cap_net_raw,cap_bpf,cap_ipc_lock+ep");
    expect(pair_, "fail  AF_XDP: this haka was built without it", "-DHAKA_AF_XDP=ON");
    facts_.bpf = facts_.ipc_lock = facts_.built_with_xdp = true;
    expect(pair_, "fail  kernel: it has no AF_XDP", "live.af_xdp=false");
    facts_.xdp_sockets = true;
    EXPECT_EQ(bad(pair_), "");
    for (InterfaceFacts* interface : {&facts_.interfaces["a"], &facts_.interfaces["b"]}) {
        interface->mtu = 3819;
    }
    expect(pair_, "fail  a: AF_XDP takes an MTU of 3818 at most", "ip link set b mtu 3818");
    facts_.interfaces["a"] = facts_.interfaces["b"] = good();
    facts_.interfaces["a"].queues = 2;
    expect(pair_, "fail  a: it receives by 2 queues", "ethtool -L a combined 1");
    facts_.interfaces["a"] = good();
    facts_.interfaces["b"].takes_tags = true;
    expect(pair_, "warn  b: the card may take VLAN tags", "ethtool -K b rxvlan off");
}

TEST_F(DoctorTest, MissingPrivilegesAreNamed) {
    facts_.net_admin = false;
    expect(queues_, "fail  privileges: CAP_NET_ADMIN missing", "setcap cap_net_admin");
    EXPECT_EQ(bad(passive_), "");
    facts_.net_raw = false;
    expect(pair_, "fail  privileges: CAP_NET_ADMIN and CAP_NET_RAW missing", "sudo haka");
    expect(passive_, "fail  privileges: CAP_NET_RAW missing", "sudo haka");
}

TEST_F(DoctorTest, MissingPartsOfTheKernelAreNamed) {
    facts_.queues = false;
    expect(queues_, "fail  kernel: it has no NFQUEUE", "modprobe nfnetlink_queue");
    EXPECT_EQ(bad(pair_), "");
    facts_.packet_sockets = false;
    expect(pair_, "fail  kernel: it has no AF_PACKET", "modprobe af_packet");
}

TEST_F(DoctorTest, AQueueThatAnotherReadsPrevents) {
    facts_.queue_owners[1] = 4711;
    expect(queues_, "fail  queue 1: another program reads it (port id 4711)", "ps -p 4711");
    facts_.queue_owners = {{2, 4711}};
    EXPECT_EQ(bad(queues_), "");
}

TEST_F(DoctorTest, WithoutARuleNothingComes) {
    facts_.queue_rules.clear();
    expect(queues_, "warn  rules: none sends packets to queues 0 to 1",
           "iptables-legacy -I FORWARD -j NFQUEUE --queue-balance 0:1 --queue-bypass");
    expect({.kind = LiveKind::Queues, .first_queue = 4, .last_queue = 4}, "to queue 4",
           "queue flags bypass to 4; }; }'");
    facts_.rules_listed = false;
    expect(queues_, "warn  rules: they can't be listed", "sudo haka doctor");
    facts_.has_rule_tools = false;
    expect(queues_, "warn  rules: neither iptables nor nft is here", "apt-get install");
}

TEST_F(DoctorTest, RulesThatDoNotFitAreShown) {
    expect({.kind = LiveKind::Queues, .first_queue = 1, .last_queue = 2},
           "sends packets to queues 0 to 1, read are queues 1 to 2", "haka run --nfqueue 0:2");
    facts_.ipv6_forwarding = true;
    expect(queues_, "warn  rules: none sends IPv6 packets to queues 0 to 1", "ip6tables-legacy");
    append_iptables_rules(facts_.queue_rules, "-A OUTPUT -j NFQUEUE --queue-num 0", true);
    expect(queues_, "only forwarded packets are supported", "FORWARD chain");
}

TEST_F(DoctorTest, DirectionsMustMeet) {
    append_iptables_rules(
        facts_.queue_rules,
        "-A FORWARD -p tcp -j NFQUEUE --queue-balance 0:1 --queue-bypass --queue-cpu-fanout", true);
    expect(queues_, "spreads packets by CPU", "leave --queue-cpu-fanout");
    facts_.queue_rules.clear();
    append_nft_rules(facts_.queue_rules,
                     "table inet t {\n chain c {\n  type filter hook forward priority 0\n"
                     "  queue flags bypass,fanout to 0-1\n");
    expect(queues_, "spreads packets by CPU", "nft: fanout");
}

TEST_F(DoctorTest, WhatWeSendMustNotBeTranslatedTwice) {
    append_iptables_translations(facts_.translations, "-A POSTROUTING -o wan -j MASQUERADE", false,
                                 0x48616b61);
    expect(queues_, "warn  rules: \"-A POSTROUTING -o wan -j MASQUERADE\" translates addresses",
           "sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1");
    facts_.tracks_liberally = true;
    expect(queues_, "translates",
           "iptables-legacy -t raw -I OUTPUT ! -o wan -m mark --mark 1214344033 -j CT --notrack");
    const std::string_view mended = "-A OUTPUT ! -o wan -m mark --mark 0x48616b61 -j CT --notrack";
    append_iptables_translations(facts_.translations, mended, true, 0x48616b61);
    append_iptables_translations(facts_.translations, mended, false, 5);
    EXPECT_NE(bad(queues_), "");
    append_iptables_translations(facts_.translations, mended, false, 0x48616b61);
    EXPECT_EQ(bad(queues_), "");
    append_nft_translations(facts_.translations,
                            "table ip6 t {\n chain p {\n  oifname \"wan\" masquerade\n");
    EXPECT_EQ(bad(queues_), "");
    append_nft_translations(facts_.translations,
                            "table ip6 t {\n chain p {\n  tcp dport 80 dnat to fd00::1\n");
    expect(queues_, "translates", "ip6tables-legacy -t raw -I OUTPUT ! -o OUTSIDE");
}

TEST_F(DoctorTest, SaysWhatHappensToPacketsWhileTheEngineIsDown) {
    std::string text;
    append_iptables_rules(facts_.queue_rules, "-A FORWARD -p udp -j NFQUEUE --queue-num 0", false);
    append_findings(text, examine(queues_, facts_), {});
    EXPECT_NE(text.find("--queue-bypass\"; while the engine is down its packets pass"),
              std::string::npos);
    EXPECT_NE(text.find("--queue-num 0\"; while the engine is down its packets are dropped"),
              std::string::npos);
}

TEST_F(DoctorTest, AMachineThatForwardsNothingSeesNothing) {
    facts_.ipv4_forwarding = false;
    expect(queues_, "warn  forwarding:", "sysctl -w net.ipv4.ip_forward=1");
    EXPECT_EQ(bad(pair_), "");
}

TEST_F(DoctorTest, InterfacesMustBeThereAndUp) {
    facts_.interfaces["a"].up = false;
    expect(pair_, "fail  a: down", "ip link set a up");
    expect(passive_, "fail  a: down", "ip link set a up");
    facts_.interfaces["a"].up = true;
    facts_.interfaces["a"].carrier = false;
    expect(pair_, "warn  a: no carrier", "ethtool a");
    facts_.interfaces["b"].ethernet = false;
    expect(pair_, "fail  b: not an Ethernet interface", "ip -brief link");
    facts_.interfaces["a"] = {};
    expect(passive_, "fail  a: there is no such interface", "ip -brief link");
}

TEST_F(DoctorTest, APairMustBeAloneAndAlike) {
    facts_.interfaces["b"].mtu = 9000;
    expect(pair_, "fail  a and b: packets of MTU 9000 don't fit the other's MTU 1500",
           "ip link set b mtu 1500");
    facts_.interfaces["b"].master = "br0";
    expect(pair_, "fail  b: it belongs to br0", "ip link set b nomaster");
    facts_.interfaces["b"].engine = 4711;
    expect(pair_, "fail  b: another haka stands there", "kill 4711");
    facts_.interfaces["b"].gro = true;
    EXPECT_EQ(bad(pair_).find("GRO"), std::string::npos);
    facts_.interfaces["b"].lro = true;
    expect(pair_, "fail  b: LRO", "ethtool -K b lro off");
    facts_.interfaces["a"].addresses = {"10.0.0.1"};
    expect(pair_, "warn  a: it has an address (10.0.0.1)", "ip address flush dev a");
    EXPECT_EQ(bad(pair_).find("pass twice"), std::string::npos);
    facts_.interfaces["b"].addresses = {"10.0.1.1"};
    expect(pair_, "fail  a and b: both have addresses", "ip address flush dev b");
    EXPECT_EQ(bad(passive_), "");
}

TEST(SystemFactsTest, TheLoopbackInterfaceIsSeen) {
    const SystemFacts facts = look_at_system({"lo", "no-such-one", "a/b"}, Look::WithoutRules);
    EXPECT_TRUE(facts.interfaces.at("lo").exists);
    EXPECT_TRUE(facts.interfaces.at("lo").ethernet);
    EXPECT_FALSE(facts.interfaces.at("no-such-one").exists);
    EXPECT_FALSE(facts.interfaces.at("a/b").exists);
}

}  // namespace
}  // namespace haka::app
