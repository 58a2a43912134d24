#include "report/eve.h"

#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace haka::report {
namespace {

using Json = nlohmann::ordered_json;

constexpr Instant kWhen{1795428000123456789};

Address address(std::string_view text) {
    return Address::parse(text).value();
}

Where tcp_packet() {
    Where where;
    where.when = kWhen;
    where.packet = 12;
    where.ip_version = 4;
    where.protocol = 6;
    where.source = address("1.2.3.4");
    where.destination = address("5.6.7.8");
    where.source_port = 1122;
    where.destination_port = 3344;
    where.flow_id = 99;
    where.to_server = true;
    return where;
}

Alert small_alert() {
    Alert alert;
    alert.reference = 7;
    alert.rule = "firewall";
    alert.description = "Packet dropped : drop by default";
    return alert;
}

Alert full_alert() {
    Alert alert = small_alert();
    alert.is_update = true;
    alert.blocked = true;
    alert.severity = Level::High;
    alert.confidence = Level::Medium;
    alert.completion = Completion::Failed;
    alert.start_time = Instant{0};
    alert.end_time = kWhen;
    alert.method_description = "SQL injection";
    alert.method_references = {"cve/2013-1", "http://example.org"};
    alert.references = {"ticket 5"};
    alert.sources = {
        {.values = {"name only"}, .address = {}, .port = {}},
        {.values = {"192.168.10.1", "48922"}, .address = address("192.168.10.1"), .port = 48922}};
    alert.targets = {
        {.kind = Node::Kind::Service, .values = {"tcp/22", "ssh"}, .address = {}, .port = {}},
        {.values = {"2001:db8::1"}, .address = address("2001:db8::1"), .port = {}}};
    return alert;
}

std::string alert_line(const Alert& alert, const Where& where, const EveOptions& options = {}) {
    std::string out;
    append_alert(out, alert, where, options);
    return out;
}

Json parsed(const std::string& line) {
    EXPECT_EQ(line.find('\n'), line.size() - 1);
    Json json = Json::parse(line, nullptr, false);
    EXPECT_TRUE(json.is_object()) << line;
    return json;
}

TEST(EveTest, WritesAnAlertInSuricatasOrder) {
    EXPECT_EQ(alert_line(small_alert(), tcp_packet()),
              R"({"timestamp":"2026-11-23T10:00:00.123456+0000","flow_id":99,"pcap_cnt":12,)"
              R"("event_type":"alert","src_ip":"1.2.3.4","src_port":1122,"dest_ip":"5.6.7.8",)"
              R"("dest_port":3344,"proto":"TCP","ip_v":4,"pkt_src":"wire/pcap",)"
              R"("community_id":"1:wCb3OG7yAFWelaUydu0D+125CLM=","direction":"to_server",)"
              R"("alert":{"action":"allowed","gid":1,"signature_id":1846269936,"rev":1,)"
              R"("signature":"Packet dropped : drop by default","category":"","severity":3},)"
              R"("haka":{"alert":7,"rule":"firewall","generation":1}})"
              "\n");
}

TEST(EveTest, AppendsBehindWhatIsThere) {
    std::string out = "earlier{";
    append_alert(out, small_alert(), tcp_packet(), {});
    EXPECT_TRUE(out.starts_with("earlier{{\"timestamp\""));
}

TEST(EveTest, KeepsEverythingOfAnAlert) {
    const Json json = parsed(alert_line(full_alert(), tcp_packet()));
    const Json& alert = json["alert"];
    EXPECT_EQ(alert["action"], "blocked");
    EXPECT_EQ(alert["severity"], 1);
    EXPECT_EQ(alert["references"], Json({"cve/2013-1", "http://example.org"}));
    EXPECT_EQ(alert["source"].dump(), R"({"ip":"192.168.10.1","port":48922})");
    EXPECT_EQ(alert["target"].dump(), R"({"ip":"2001:0db8:0000:0000:0000:0000:0000:0001"})");
    EXPECT_EQ(json["haka"].dump(),
              R"({"alert":7,"update":true,"rule":"firewall","generation":1,)"
              R"("start_time":"1970-01-01T00:00:00.000000+0000",)"
              R"("end_time":"2026-11-23T10:00:00.123456+0000","confidence":"medium",)"
              R"("completion":"failed","method":"SQL injection",)"
              R"("sources":[{"kind":"address","values":["name only"]},)"
              R"({"kind":"address","values":["192.168.10.1","48922"]}],)"
              R"("targets":[{"kind":"service","values":["tcp/22","ssh"]},)"
              R"({"kind":"address","values":["2001:db8::1"]}],"references":["ticket 5"]})");
}

TEST(EveTest, PrefersConfidenceAsANumber) {
    Alert alert = full_alert();
    alert.confidence_number = 0.25;
    EXPECT_EQ(parsed(alert_line(alert, tcp_packet()))["haka"]["confidence"], 0.25);
}

TEST(EveTest, CompressesIpv6OnRequest) {
    Where where = tcp_packet();
    where.ip_version = 6;
    where.source = address("2001:db8::1");
    where.destination = address("2001:db8::2");
    const Json expanded = parsed(alert_line(small_alert(), where));
    EXPECT_EQ(expanded["src_ip"], "2001:0db8:0000:0000:0000:0000:0000:0001");
    EXPECT_EQ(expanded["ip_v"], 6);
    const Json compressed =
        parsed(alert_line(small_alert(), where, {.ipv6 = Ipv6Form::Compressed}));
    EXPECT_EQ(compressed["dest_ip"], "2001:db8::2");
    EXPECT_EQ(compressed["community_id"], expanded["community_id"]);
}

TEST(EveTest, ShowsIcmpTypeInsteadOfPorts) {
    Where where = tcp_packet();
    where.protocol = 1;
    where.source_port = 3;
    where.destination_port = 1;
    const Json json = parsed(alert_line(small_alert(), where));
    EXPECT_EQ(json["proto"], "ICMP");
    EXPECT_EQ(json["icmp_type"], 3);
    EXPECT_EQ(json["icmp_code"], 1);
    EXPECT_FALSE(json.contains("src_port"));
    EXPECT_FALSE(json.contains("dest_port"));
}

TEST(EveTest, LeavesOutPortsThatWereNotRead) {
    Where where = tcp_packet();
    where.has_ports = false;
    const Json fragment = parsed(alert_line(small_alert(), where));
    EXPECT_FALSE(fragment.contains("src_port"));
    EXPECT_FALSE(fragment.contains("community_id"));
    where.protocol = 47;  // Has none anyway.
    EXPECT_TRUE(parsed(alert_line(small_alert(), where)).contains("community_id"));
}

TEST(EveTest, SaysOnlyWhenAndWhatOfAFrameThatIsNotIp) {
    Where where;
    where.when = kWhen;
    where.vlan = 5;
    where.vlan_count = 2;
    std::string out;
    append_anomaly(out, Event::FrameTruncated, where, {.packet_source = "wire/pcap"});
    EXPECT_EQ(out,
              R"({"timestamp":"2026-11-23T10:00:00.123456+0000","event_type":"anomaly",)"
              R"("vlan":[5],"pkt_src":"wire/pcap",)"
              R"("anomaly":{"type":"decode","event":"frame.truncated"},"haka":{"generation":1}})"
              "\n");
}

TEST(EveTest, GivesEachEventItsAnomalyType) {
    EXPECT_EQ(anomaly_type(Event::Ipv6BadHeader), "decode");
    EXPECT_EQ(anomaly_type(Event::FragmentOverlap), "decode");
    EXPECT_EQ(anomaly_type(Event::TcpBadChecksum), "decode");
    EXPECT_EQ(anomaly_type(Event::TcpBadFlags), "decode");
    EXPECT_EQ(anomaly_type(Event::UdpBadHeader), "decode");
    EXPECT_EQ(anomaly_type(Event::TcpBadAck), "stream");
    EXPECT_EQ(anomaly_type(Event::TcpOverlapDiffers), "stream");
    EXPECT_EQ(anomaly_type(Event::StreamUnread), "stream");
    EXPECT_EQ(anomaly_type(Event::RuleError), "applayer");
}

TEST(EveTest, NumbersRulesForEver) {
    EXPECT_EQ(signature_id("firewall"), 1846269936U);
    EXPECT_EQ(signature_id(""), 18652612U);
    for (int i = 0; i < 1000; ++i) {
        const std::uint32_t id = signature_id("rule " + std::to_string(i));
        EXPECT_GE(id, 1U);
        EXPECT_LE(id, 0x7fffffffU);
    }
}

class RandomAlerts {
public:
    explicit RandomAlerts(unsigned seed) : random_(seed) {}

    Alert alert() {
        Alert alert;
        alert.reference = number();
        alert.is_update = one_in(2);
        alert.blocked = one_in(2);
        alert.rule = bytes();
        alert.description = bytes();
        alert.method_description = bytes();
        if (one_in(2)) {
            alert.start_time = when();
            alert.severity = Level::Medium;
            alert.confidence_number = static_cast<double>(random_()) / 3;
            alert.completion = Completion::Successful;
        }
        for (std::size_t i = random_() % 3; i > 0; --i) {
            alert.references.push_back(bytes());
            alert.method_references.push_back(bytes());
            alert.sources.push_back({.values = {bytes(), bytes()}, .address = any(), .port = 1});
            alert.targets.push_back({.values = {}, .address = {}, .port = {}});
        }
        return alert;
    }

    Where where() {
        Where where;
        where.when = when();
        where.packet = random_() % 3;
        where.ip_version = one_in(3) ? 0 : 4;
        where.protocol = static_cast<std::uint8_t>(random_());
        where.source = any();
        where.destination = any();
        where.source_port = static_cast<std::uint16_t>(random_());
        where.destination_port = static_cast<std::uint16_t>(random_());
        where.has_ports = one_in(2);
        where.vlan_count = static_cast<std::uint8_t>(random_() % 3);
        if (one_in(2)) {
            where.flow_id = number();
            where.to_server = one_in(2);
        }
        return where;
    }

private:
    bool one_in(unsigned n) { return random_() % n == 0; }
    std::uint64_t number() { return std::uint64_t{random_()} << 19; }
    Instant when() {
        return {static_cast<std::int64_t>(std::uint64_t{random_()} << 32 | random_())};
    }
    Address any() {
        std::array<std::uint8_t, 16> bytes;
        for (auto& byte : bytes) {
            byte = static_cast<std::uint8_t>(random_());
        }
        return one_in(2) ? Address::ipv6(bytes.data())
                         : Address::ipv4(static_cast<std::uint32_t>(random_()));
    }
    std::string bytes() {
        std::string text(random_() % 20, '\0');
        for (char& c : text) {
            c = static_cast<char>(random_());
        }
        return text;
    }

    std::mt19937 random_;
};

// What keys of `json` are missing, or are not in `optional` either; empty when all is well.
std::string odd_keys(const Json& json, const std::set<std::string>& required,
                     const std::set<std::string>& optional) {
    std::string odd;
    for (const std::string& key : required) {
        odd += json.contains(key) ? "" : key + " is missing ";
    }
    for (const auto& [key, value] : json.items()) {
        odd += required.contains(key) || optional.contains(key) ? "" : key + " is unknown ";
    }
    return odd;
}

TEST(EveTest, IsOneValidLineForAnyBytes) {
    constexpr unsigned kSeed = 20261123;
    RandomAlerts random(kSeed);
    for (int round = 0; round < 5000; ++round) {
        const std::string line = alert_line(random.alert(), random.where());
        ASSERT_EQ(line.find('\n'), line.size() - 1);
        const Json json = Json::parse(line, nullptr, false);
        ASSERT_TRUE(json.is_object()) << "seed " << kSeed << ", round " << round << ": " << line;
        ASSERT_EQ(
            odd_keys(json, {"timestamp", "event_type", "pkt_src", "alert", "haka"},
                     {"flow_id", "pcap_cnt", "vlan", "src_ip", "src_port", "dest_ip", "dest_port",
                      "proto", "ip_v", "icmp_type", "icmp_code", "direction", "community_id"}),
            "");
        ASSERT_EQ(
            odd_keys(json["alert"],
                     {"action", "gid", "signature_id", "rev", "signature", "category", "severity"},
                     {"references", "source", "target"}),
            "");
    }
}

}  // namespace
}  // namespace haka::report
