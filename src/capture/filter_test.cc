#include "capture/filter.h"

#include <vector>

#include <gtest/gtest.h>

namespace haka::capture {
namespace {

std::vector<std::uint8_t> tcp_packet(std::vector<std::uint8_t> link_header) {
    std::vector<std::uint8_t> packet = std::move(link_header);
    const std::vector<std::uint8_t> rest = {
        0x45, 0,    0, 40, 0, 0, 0, 0, 64, 6, 0, 0, 10,   0, 0, 1, 10, 0, 0, 2,  // IPv4
        0x30, 0x39, 0, 80, 0, 0, 0, 0, 0,  0, 0, 0, 0x50, 2, 0, 0, 0,  0, 0, 0};
    packet.insert(packet.end(), rest.begin(), rest.end());
    return packet;
}

bool matches(const char* expression, std::vector<std::uint8_t> packet, LinkType link) {
    const auto compiled = Filter::compile(expression);
    EXPECT_TRUE(compiled.filter) << compiled.error;
    Frame frame;
    frame.data = packet.data();
    frame.size = static_cast<std::uint32_t>(packet.size());
    frame.original_size = frame.size;
    frame.link = link;
    const bool is_match = compiled.filter->matches(frame);
    EXPECT_EQ(compiled.filter->matches(frame), is_match);  // Also when it is compiled already.
    return is_match;
}

TEST(FilterTest, MatchesWhateverTheLinkType) {
    const auto ethernet = tcp_packet({1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 8, 0});
    const auto loopback = tcp_packet({2, 0, 0, 0});
    const auto cooked = tcp_packet({0, 0, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0, 8, 0});
    const auto cooked2 = tcp_packet({8, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 1, 2, 3, 4, 5, 6, 0, 0});
    for (const char* expression : {"tcp port 80", "", "host 10.0.0.1", "dst net 10.0.0.0/8"}) {
        EXPECT_TRUE(matches(expression, ethernet, LinkType::Ethernet)) << expression;
        EXPECT_TRUE(matches(expression, tcp_packet({}), LinkType::Raw)) << expression;
        EXPECT_TRUE(matches(expression, tcp_packet({}), LinkType::Ipv4)) << expression;
        EXPECT_TRUE(matches(expression, loopback, LinkType::Null)) << expression;
        EXPECT_TRUE(matches(expression, cooked, LinkType::LinuxSll)) << expression;
        EXPECT_TRUE(matches(expression, cooked2, LinkType::LinuxSll2)) << expression;
    }
    for (const char* expression : {"udp", "port 81", "ip6"}) {
        EXPECT_FALSE(matches(expression, ethernet, LinkType::Ethernet)) << expression;
        EXPECT_FALSE(matches(expression, tcp_packet({}), LinkType::Raw)) << expression;
    }
}

TEST(FilterTest, WhatMakesNoSenseForALinkTypeMatchesNothingThere) {
    EXPECT_FALSE(matches("ether host 01:02:03:04:05:06", tcp_packet({}), LinkType::Raw));
    EXPECT_TRUE(matches("ether host 01:02:03:04:05:06",
                        tcp_packet({1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2, 3, 8, 0}),
                        LinkType::Ethernet));
}

TEST(FilterTest, SeesTheBytesThatWereCaptured) {
    EXPECT_FALSE(matches("tcp port 80", {}, LinkType::Ethernet));
    EXPECT_FALSE(matches("tcp port 80", {0x45, 0}, LinkType::Raw));
}

TEST(FilterTest, NamesExpressionAndComplaint) {
    const auto compiled = Filter::compile("tcp prot 80");
    EXPECT_EQ(compiled.filter, nullptr);
    EXPECT_EQ(compiled.error.find("filter \"tcp prot 80\": "), 0U) << compiled.error;
    EXPECT_NE(compiled.error.find("; see pcap-filter(7)"), std::string::npos) << compiled.error;
}

}  // namespace
}  // namespace haka::capture
