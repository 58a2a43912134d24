#include "report/console.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace haka::report {
namespace {

constexpr Instant kWhen{1795428000123456789};
constexpr ConsoleStyle kPlain{};
constexpr ConsoleStyle kTerminal{.colour = true, .width = 100, .terminal = true};

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
    return where;
}

Alert firewall_alert() {
    Alert alert;
    alert.reference = 3;
    alert.severity = Level::High;
    alert.rule = "firewall";
    alert.description = "Packet dropped : drop by default";
    alert.sources = {{.values = {"1.2.3.4", "1122"}, .address = {}, .port = {}}};
    alert.targets = {{.values = {"5.6.7.8", "3344"}, .address = {}, .port = {}}};
    return alert;
}

std::string shown(const Alert& alert, const Where& where, const ConsoleStyle& style = kPlain) {
    std::string out;
    append_alert(out, alert, where, style);
    return out;
}

std::string logged(std::string_view module, std::string_view text,
                   const ConsoleStyle& style = kPlain) {
    std::string out;
    append_log(out, {.when = kWhen, .level = LogLevel::Warning, .module = module, .text = text},
               style);
    return out;
}

std::string printed(std::string_view text, const ConsoleStyle& style) {
    std::string out;
    append_print(out, text, style);
    return out;
}

TEST(ConsoleAlertTest, AlignsItsLines) {
    EXPECT_EQ(shown(firewall_alert(), tcp_packet()),
              "alert  high    Packet dropped : drop by default\n"
              "               time 2026-11-23 10:00:00.123456  packet 12  alert 3  rule firewall\n"
              "               source 1.2.3.4 1122  target 5.6.7.8 3344  "
              "community_id 1:wCb3OG7yAFWelaUydu0D+125CLM=\n");
}

TEST(ConsoleAlertTest, EndsItsFirstLineAtTheSeverityWithoutADescription) {
    Alert alert;
    alert.severity = Level::Low;
    alert.is_update = true;
    EXPECT_TRUE(shown(alert, tcp_packet()).starts_with("update low\n"));
}

TEST(ConsoleAlertTest, ShowsEverythingThatWasSaid) {
    Alert alert = firewall_alert();
    alert.is_update = true;
    alert.blocked = true;
    alert.severity = Level::Medium;
    alert.confidence_number = 0.25;
    alert.completion = Completion::Successful;
    alert.method_description = "injection";
    alert.method_references = {"cve/1", "cve/2"};
    alert.references = {"ticket"};
    alert.start_time = Instant{0};
    alert.end_time = kWhen;
    const std::string text = shown(alert, tcp_packet());
    EXPECT_TRUE(text.starts_with("update medium  Packet dropped")) << text;
    for (const char* part :
         {"blocked", "confidence 0.25", "completion successful", "method injection",
          "method references cve/1, cve/2", "references ticket", "start 1970-01-01 00:00:00.000000",
          "end 2026-11-23 10:00:00.123456"}) {
        EXPECT_NE(text.find(part), std::string::npos) << part;
    }
}

TEST(ConsoleAlertTest, NamesThePacketWhenNobodyNamedTheEnds) {
    Alert alert = firewall_alert();
    alert.sources.clear();
    EXPECT_NE(shown(alert, tcp_packet()).find("TCP 1.2.3.4:1122 > 5.6.7.8:3344"),
              std::string::npos);
    Where icmp = tcp_packet();
    icmp.ip_version = 6;
    icmp.protocol = 58;
    icmp.source = address("fe80::1");
    icmp.destination = address("fe80::2");
    icmp.source_port = 128;
    icmp.destination_port = 0;
    EXPECT_NE(shown(alert, icmp).find("IPv6-ICMP type 128 code 0 fe80::1 > fe80::2"),
              std::string::npos);
    icmp.protocol = 17;
    EXPECT_NE(shown(alert, icmp).find("UDP [fe80::1]:128 > [fe80::2]:0"), std::string::npos);
}

TEST(ConsoleAlertTest, BreaksLinesAtTheWidthOnly) {
    const std::string narrow = shown(firewall_alert(), tcp_packet(), {.width = 45});
    std::size_t start = 0;
    while (start < narrow.size()) {
        const std::size_t end = narrow.find('\n', start);
        const std::string line = narrow.substr(start, end - start);
        // A pair that is too long for any line stands alone.
        EXPECT_TRUE(line.size() <= 45 || line.find("  ", 15) == std::string::npos || start == 0)
            << line;
        start = end + 1;
    }
    const std::string wide = shown(firewall_alert(), tcp_packet(), {.width = 0});
    EXPECT_EQ(std::count(wide.begin(), wide.end(), '\n'), 2) << wide;
}

TEST(ConsoleAlertTest, ColoursBySeverityAndKeepsTheText) {
    const std::string plain = shown(firewall_alert(), tcp_packet());
    std::string coloured = shown(firewall_alert(), tcp_packet(), kTerminal);
    EXPECT_TRUE(coloured.starts_with("\x1b[1;31malert\x1b[0m  \x1b[1;31mhigh\x1b[0m    Packet"));
    for (std::size_t at = 0; (at = coloured.find('\x1b')) != std::string::npos;) {
        coloured.erase(at, coloured.find('m', at) - at + 1);
    }
    EXPECT_EQ(coloured, plain);
}

TEST(ConsoleAlertTest, LetsNoTextReachTheTerminalRaw) {
    const std::string evil = "\x1b]0;owned\x07\r\n\xff";
    Alert alert = firewall_alert();
    alert.rule = alert.description = alert.method_description = evil;
    alert.method_references = alert.references = {evil};
    alert.sources[0].values = alert.targets[0].values = {evil};
    const std::string text = shown(alert, tcp_packet());
    EXPECT_EQ(text.find_first_of("\x1b\x07\r\xff"), std::string::npos);
    EXPECT_NE(text.find("\\x1b]0;owned\\x07\\r\\n\\xff"), std::string::npos);
}

TEST(ConsoleLogTest, IsOneLine) {
    EXPECT_EQ(logged("filter", "authorizing http traffic"),
              "2026-11-23 10:00:00.123456 warning filter: authorizing http traffic\n");
    EXPECT_EQ(logged("filter", "", kPlain), "2026-11-23 10:00:00.123456 warning filter: \n");
    EXPECT_EQ(logged("filter", "x", kTerminal),
              "2026-11-23 10:00:00.123456 \x1b[33mwarning\x1b[0m filter: x\n");
}

TEST(ConsoleLogTest, IndentsFurtherLinesAndEscapes) {
    EXPECT_EQ(logged("lua\n", "first\nsecond\x1b[m\n\nthird\n\r\n"),
              "2026-11-23 10:00:00.123456 warning lua\\n: first\n"
              "    second\\x1b[m\n"
              "    \n"
              "    third\n");
}

TEST(ConsolePrintTest, KeepsBytesInAFileAndOneLineOnATerminal) {
    EXPECT_EQ(printed("a\tb\nc\x1b\xff", kPlain), "a\tb\nc\x1b\xff\n");
    EXPECT_EQ(printed("a\tb\nc\x1b\xff", kTerminal), "a\tb\\nc\\x1b\\xff\n");
    EXPECT_EQ(printed("", kTerminal), "\n");
}

}  // namespace
}  // namespace haka::report
