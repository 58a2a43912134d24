#include "app/setting.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

namespace haka::app {
namespace {

class SettingTest : public testing::Test {
protected:
    std::string set(std::string_view text) { return set_from_text(table_, text); }

    Settings settings_;
    std::vector<Setting> table_ = settings_table(settings_);
};

TEST_F(SettingTest, EveryFieldHasANameOfItsOwn) {
    std::set<std::string> names;
    for (const Setting& setting : table_) {
        EXPECT_TRUE(names.insert(setting.full_name()).second) << setting.full_name();
    }
    // 22 of tcp, 4 of fragments, 4 of exceptions, 6 of lua, 34 of http, 3 of live, 5 of nfqueue,
    // 5 of control, 2 of policy, 6 of supervisor, 1 of eve, 4 at the top.
    EXPECT_EQ(names.size(), 97U);
}

TEST_F(SettingTest, EveryOffenceOfHttpHasItsOwnAction) {
    for (std::size_t i = 0; i < kHttpEventCount; ++i) {
        const auto event = static_cast<Event>(kFirstHttpEvent + i);
        std::string key(event_name(event));
        std::ranges::replace(key, '-', '_');
        EXPECT_EQ(set(key + "=reset"), "");
        EXPECT_EQ(settings_.http.action(event), Exception::Reset) << key;
        EXPECT_EQ(set(key + "=pass"), "");
        EXPECT_EQ(settings_.http.action(event), Exception::Pass) << key;
    }
    EXPECT_NE(set("http.bare_lf=bypass"), "");
    EXPECT_EQ(set("http.head_bytes_max=65"), "");
    EXPECT_EQ(set("http.line_bytes_max=66"), "");
    EXPECT_EQ(set("http.headers_max=67"), "");
    EXPECT_EQ(set("http.pipeline_max=68"), "");
    EXPECT_EQ(settings_.http.head_bytes_max, 65U);
    EXPECT_EQ(settings_.http.line_bytes_max, 66U);
    EXPECT_EQ(settings_.http.headers_max, 67U);
    EXPECT_EQ(settings_.http.pipeline_max, 68U);
}

TEST_F(SettingTest, EveryNameWritesToItsOwnField) {
    EXPECT_EQ(set("tcp.midstream=ignore"), "");
    EXPECT_EQ(set("tcp.normalise=all"), "");
    EXPECT_EQ(set("tcp.clear_urgent=false"), "");
    EXPECT_EQ(set("tcp.clear_reserved=true"), "");
    EXPECT_EQ(set("tcp.ttl_min=27"), "");
    EXPECT_EQ(set("tcp.connections_max=11"), "");
    EXPECT_EQ(set("tcp.half_open_percent=12"), "");
    EXPECT_EQ(set("tcp.held_bytes_max=13"), "");
    EXPECT_EQ(set("tcp.held_segments_max=14"), "");
    EXPECT_EQ(set("tcp.edits_max=25"), "");
    EXPECT_EQ(set("tcp.edited_bytes_max=26"), "");
    EXPECT_EQ(set("tcp.undecided_bytes_max=15"), "");
    EXPECT_EQ(set("tcp.undecided_time_max=16"), "");
    EXPECT_EQ(set("tcp.stream_memory_max=65537"), "");
    EXPECT_EQ(set("tcp.early_ack_packets=18"), "");
    EXPECT_EQ(set("tcp.syn_timeout=19"), "");
    EXPECT_EQ(set("tcp.syn_ack_timeout=20"), "");
    EXPECT_EQ(set("tcp.established_timeout=21"), "");
    EXPECT_EQ(set("tcp.half_closed_timeout=22"), "");
    EXPECT_EQ(set("tcp.time_wait_timeout=23"), "");
    EXPECT_EQ(set("tcp.dropped_timeout=24"), "");
    EXPECT_EQ(set("tcp.midstream_after_restart=28"), "");
    const TcpSettings& tcp = settings_.tcp;
    EXPECT_EQ(tcp.midstream, Midstream::Ignore);
    EXPECT_EQ(tcp.normalise, Normalise::All);
    EXPECT_FALSE(tcp.clear_urgent);
    EXPECT_TRUE(tcp.clear_reserved);
    EXPECT_EQ(tcp.ttl_min, 27U);
    EXPECT_EQ(tcp.connections_max, 11U);
    EXPECT_EQ(tcp.half_open_percent, 12U);
    EXPECT_EQ(tcp.held_bytes_max, 13U);
    EXPECT_EQ(tcp.held_segments_max, 14U);
    EXPECT_EQ(tcp.edits_max, 25U);
    EXPECT_EQ(tcp.edited_bytes_max, 26U);
    EXPECT_EQ(tcp.undecided_bytes_max, 15U);
    EXPECT_EQ(tcp.undecided_time_max, kSecond * 16);
    EXPECT_EQ(tcp.stream_memory_max, 65'537U);
    EXPECT_EQ(tcp.early_ack_packets, 18U);
    EXPECT_EQ(tcp.syn_timeout, kSecond * 19);
    EXPECT_EQ(tcp.syn_ack_timeout, kSecond * 20);
    EXPECT_EQ(tcp.established_timeout, kSecond * 21);
    EXPECT_EQ(tcp.half_closed_timeout, kSecond * 22);
    EXPECT_EQ(tcp.time_wait_timeout, kSecond * 23);
    EXPECT_EQ(tcp.dropped_timeout, kSecond * 24);
    EXPECT_EQ(tcp.midstream_after_restart, kSecond * 28);
    EXPECT_EQ(set("tcp.midstream_after_restart=0"), "");
}

TEST_F(SettingTest, TheOtherSectionsToo) {
    EXPECT_EQ(set("fragments.datagrams_max=31"), "");
    EXPECT_EQ(set("fragments.fragments_per_datagram_max=32"), "");
    EXPECT_EQ(set("fragments.bytes_max=65538"), "");
    EXPECT_EQ(set("fragments.timeout=34"), "");
    EXPECT_EQ(set("exceptions.table_full=reset"), "");
    EXPECT_EQ(set("exceptions.hold=bypass"), "");
    EXPECT_EQ(set("exceptions.memory=drop"), "");
    EXPECT_EQ(set("exceptions.malformed=drop"), "");
    EXPECT_EQ(set("lua.memory_max=1048577"), "");
    EXPECT_EQ(set("lua.rule_timeout=0.5"), "");
    EXPECT_EQ(set("lua.output_max=1025"), "");
    EXPECT_EQ(set("lua.packets_max=44"), "");
    EXPECT_EQ(set("lua.on_error=accept"), "");
    EXPECT_EQ(set("lua.unsafe=true"), "");
    EXPECT_EQ(set("live.ring_frames=50"), "");
    EXPECT_EQ(set("live.send_buffer=65587"), "");
    EXPECT_EQ(set("live.af_xdp=true"), "");
    EXPECT_EQ(set("live.records_bytes_max=65588"), "");
    EXPECT_EQ(set("nfqueue.length_max=53"), "");
    EXPECT_EQ(set("nfqueue.copy_range=182"), "");
    EXPECT_EQ(set("nfqueue.socket_buffer=65591"), "");
    EXPECT_EQ(set("nfqueue.mark=56"), "");
    EXPECT_EQ(set("nfqueue.fail_open=true"), "");
    EXPECT_EQ(set("control.socket=/tmp/x"), "");
    EXPECT_EQ(set("control.clients_max=51"), "");
    EXPECT_EQ(set("control.line_max=256"), "");
    EXPECT_EQ(set("control.rows_max=53"), "");
    EXPECT_EQ(set("control.timeout=54"), "");
    EXPECT_EQ(set("supervisor.enabled=false"), "");
    EXPECT_EQ(set("supervisor.fail_open=true"), "");
    EXPECT_EQ(set("supervisor.rule_faults_max=61"), "");
    EXPECT_EQ(set("supervisor.rule_faults_time=62"), "");
    EXPECT_EQ(set("supervisor.last_packets=0"), "");
    EXPECT_EQ(set("supervisor.captures=/tmp"), "");
    EXPECT_EQ(set("supervisor.captures=1"), "supervisor.captures must be the name of a folder");
    EXPECT_EQ(set("policy.generations_max=45"), "");
    EXPECT_EQ(set("policy.generation_deadline=46"), "");
    EXPECT_EQ(set("eve.ipv6_compress=true"), "");
    EXPECT_EQ(set("checksums=all"), "");
    EXPECT_EQ(set("pass_through=true"), "");
    EXPECT_EQ(set("seed=48"), "");
    EXPECT_EQ(set("workers=49"), "");
    EXPECT_EQ(settings_.fragments.datagrams_max, 31U);
    EXPECT_EQ(settings_.fragments.fragments_per_datagram_max, 32U);
    EXPECT_EQ(settings_.fragments.bytes_max, 65'538U);
    EXPECT_EQ(settings_.fragments.timeout, kSecond * 34);
    EXPECT_EQ(settings_.exceptions.table_full, Exception::Reset);
    EXPECT_EQ(settings_.exceptions.hold, Exception::Bypass);
    EXPECT_EQ(settings_.exceptions.memory, Exception::Drop);
    EXPECT_EQ(settings_.exceptions.malformed, Exception::Drop);
    EXPECT_EQ(settings_.lua.memory_max, 1'048'577U);
    EXPECT_EQ(settings_.lua.rule_timeout, kMillisecond * 500);
    EXPECT_EQ(settings_.lua.output_max, 1025U);
    EXPECT_EQ(settings_.lua.packets_max, 44U);
    EXPECT_EQ(settings_.lua.on_error, Exception::Pass);
    EXPECT_TRUE(settings_.lua.unsafe);
    EXPECT_EQ(settings_.live.ring_frames, 50U);
    EXPECT_EQ(settings_.live.send_buffer, 65'587U);
    EXPECT_TRUE(settings_.live.af_xdp);
    EXPECT_EQ(settings_.live.records_bytes_max, 65'588U);
    EXPECT_EQ(settings_.nfqueue.length_max, 53U);
    EXPECT_EQ(settings_.nfqueue.copy_range, 182U);
    EXPECT_EQ(settings_.nfqueue.socket_buffer, 65'591U);
    EXPECT_EQ(settings_.nfqueue.mark, 56U);
    EXPECT_TRUE(settings_.nfqueue.fail_open);
    EXPECT_EQ(settings_.control.socket, "/tmp/x");
    EXPECT_EQ(settings_.control.clients_max, 51U);
    EXPECT_EQ(settings_.control.line_max, 256U);
    EXPECT_EQ(settings_.control.rows_max, 53U);
    EXPECT_EQ(settings_.control.timeout, kSecond * 54);
    EXPECT_FALSE(settings_.supervisor.enabled);
    EXPECT_TRUE(settings_.supervisor.fail_open);
    EXPECT_EQ(settings_.supervisor.rule_faults_max, 61U);
    EXPECT_EQ(settings_.supervisor.rule_faults_time, kSecond * 62);
    EXPECT_EQ(settings_.supervisor.last_packets, 0U);
    EXPECT_EQ(settings_.supervisor.captures, "/tmp");
    EXPECT_EQ(settings_.policy.generations_max, 45U);
    EXPECT_EQ(settings_.policy.generation_deadline, kSecond * 46);
    EXPECT_TRUE(settings_.eve_ipv6_compress);
    EXPECT_EQ(settings_.checksums, ChecksumMode::All);
    EXPECT_TRUE(settings_.pass_through);
    EXPECT_EQ(settings_.seed, 48U);
    EXPECT_EQ(settings_.workers, 49U);
}

TEST_F(SettingTest, WhatIsWrongIsNamedAndChangesNothing) {
    EXPECT_EQ(set("tcp.midstream"), "\"tcp.midstream\" is not of the form section.key=value");
    EXPECT_EQ(set("=1"), "\"=1\" is not of the form section.key=value");
    EXPECT_EQ(set("tpc.midstream=drop"), "unknown section [tpc]; did you mean [tcp]?");
    EXPECT_EQ(set("quite.wrong=1"), "unknown section [quite]");
    EXPECT_EQ(set("tcp.midstraem=drop"),
              "unknown setting tcp.midstraem; did you mean tcp.midstream?");
    EXPECT_EQ(set("worker=2"), "unknown setting worker; did you mean workers?");
    EXPECT_EQ(set("workers=65"), "workers must be a whole number from 1 to 64, not 65");
    EXPECT_EQ(set("tcp.midstream=7"), "tcp.midstream must be drop, ignore or accept, not 7");
    EXPECT_EQ(set("exceptions.malformed=bypass"),
              "exceptions.malformed must be drop or pass, not \"bypass\"; did you mean pass?");
    EXPECT_EQ(settings_.workers, 1U);
    EXPECT_EQ(settings_.tcp.midstream, Midstream::Drop);
    EXPECT_EQ(settings_.exceptions.malformed, Exception::Pass);
}

TEST(SettingValueTest, TextBecomesWhatItLooksLike) {
    EXPECT_EQ(value_of("true"), SettingValue(true));
    EXPECT_EQ(value_of("false"), SettingValue(false));
    EXPECT_EQ(value_of("-7"), SettingValue(std::int64_t{-7}));
    EXPECT_EQ(value_of("0.5"), SettingValue(0.5));
    EXPECT_EQ(value_of("30s"), SettingValue("30s"));
    EXPECT_EQ(value_of("\"drop\""), SettingValue("drop"));
    EXPECT_EQ(value_of("'7'"), SettingValue("7"));
    EXPECT_EQ(value_of("\""), SettingValue("\""));
    EXPECT_EQ(value_of(""), SettingValue(""));
}

}  // namespace
}  // namespace haka::app
