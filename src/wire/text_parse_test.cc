#include <algorithm>
#include <random>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "wire/checksum.h"
#include "wire/tcp.h"
#include "wire/text.h"

namespace haka::wire {
namespace {

constexpr std::string_view kGood =
    "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [P.], seq 1, ack 2, win 3, options [nop,nop,TS val 1 "
    "ecr 0], length 3 \"a\\x41\\n\", ttl 3, id 7, df";

TEST(ParseTextTest, MakesAPacketWithRightChecksums) {
    const Parsed parsed = parse_text(kGood, LinkType::Ethernet);
    ASSERT_TRUE(parsed) << parsed.error;
    const Headers h = find_headers(LinkType::Ethernet, parsed.bytes);
    EXPECT_EQ(verify_transport(h, parsed.bytes), ChecksumCheck::Right);
    EXPECT_TRUE(verify_ipv4_header(ByteView(parsed.bytes).subspan(14, 20)));
    const auto tcp = TcpView::parse(ByteView(parsed.bytes).subspan(h.transport));
    EXPECT_EQ(tcp->srcport(), 1234);
    EXPECT_EQ(tcp->dstport(), 80);
    EXPECT_EQ(tcp->flags(), kPsh | kAck);
    EXPECT_EQ(as_text(tcp->payload()), "aA\n");
}

TEST(ParseTextTest, LetsTheWriterBeBrief) {
    const auto size_of = [](std::string_view tail) {
        const std::string head = "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], seq 1";
        const Parsed parsed = parse_text(head + std::string(tail), LinkType::Raw);
        EXPECT_TRUE(parsed) << parsed.error;
        return parsed.bytes.size();
    };
    EXPECT_EQ(size_of(", length 0"), 40U);
    EXPECT_EQ(size_of(", length \"GET\""), 43U);
    EXPECT_EQ(size_of(", length 0x010203"), 43U);
    EXPECT_EQ(size_of(", length 1000"), 1040U);
    EXPECT_EQ(parse_text("IP 1.1.1.1 > 2.2.2.2: proto 99, length 2", LinkType::Raw).bytes.back(),
              'x');
}

TEST(ParseTextTest, SpoilsChecksumsOnRequest) {
    const std::string line = "IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 1 \"a\", ";
    const Parsed bad = parse_text(line + "bad-cksum", LinkType::Raw);
    EXPECT_EQ(verify_transport(find_headers(LinkType::Raw, bad.bytes), bad.bytes),
              ChecksumCheck::Wrong);
    const Parsed bad_ip = parse_text(line + "bad-ip-cksum", LinkType::Raw);
    EXPECT_FALSE(verify_ipv4_header(ByteView(bad_ip.bytes).first(20)));
    const Parsed absent = parse_text(line + "cksum 0x0000", LinkType::Raw);
    EXPECT_EQ(verify_transport(find_headers(LinkType::Raw, absent.bytes), absent.bytes),
              ChecksumCheck::Absent);
}

TEST(ParseTextTest, NamesTheColumnOfAnError) {
    struct Case {
        std::string_view line;
        std::size_t column;
    };
    const std::vector<Case> cases = {
        {"", 1},
        {"IPX", 1},
        {"IP 10.0.0.1 10.0.0.2: UDP, length 0", 12},
        {"IP 10.0.0.1.1 > 10.0.0.2.2 UDP, length 0", 27},
        {"IP 10.0.0.1 > 10.0.0.2.2: UDP, length 0", 4},
        {"IP 10.0.0.1.1 > 10.0.0.2.70000: UDP, length 0", 17},
        {"IP 10.0.0.1.1 > ::2.2: UDP, length 0", 17},
        {"IP6 10.0.0.1.1 > ::2.2: UDP, length 0", 5},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: TCP, length 0", 27},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: Flags [PS], seq 1, length 0", 35},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: Flags [S], seq 4294967296, length 0", 42},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: Flags [S], seq x, length 0", 42},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: Flags [S], seq 1, options [foo], length 0", 54},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: Flags [S], seq 1, options [opt 9 0x012], length 0", 64},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: UDP, length 2 \"abc\"", 46},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: UDP, length 2 \"abc", 45},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: UDP, length \"\\q\"", 41},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: UDP, length 0, ttl 256", 46},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: UDP, length 0, flow 1", 42},
        {"IP6 ::1.1 > ::2.2: UDP, length 0, df", 35},
        {"IP 1.1.1.1.1 > 2.2.2.2.2: UDP, length 0, what", 42},
        {"IP 1.1.1.1 > 2.2.2.2: frag 1:4, proto 6, length 0", 31},
        {"vlan 4096, IP 1.1.1.1 > 2.2.2.2: proto 6, length 0", 6}};
    for (const Case& c : cases) {
        const Parsed parsed = parse_text(c.line, LinkType::Ethernet);
        EXPECT_FALSE(parsed) << c.line;
        EXPECT_EQ(parsed.column, c.column) << c.line << "\n" << parsed.error;
        EXPECT_TRUE(parsed.bytes.empty());
    }
}

TEST(ParseTextTest, BoundsSizes) {
    const std::string head = "IP 1.1.1.1 > 2.2.2.2: proto 6, length ";
    EXPECT_TRUE(parse_text(head + "65415", LinkType::Raw));
    EXPECT_FALSE(parse_text(head + "65416", LinkType::Raw));
    EXPECT_FALSE(parse_text(head + "70000", LinkType::Raw));
    std::string options;
    for (int i = 0; i < 40; ++i) {
        options += i == 0 ? "nop" : ",nop";
    }
    const std::string tcp = "IP 1.1.1.1.1 > 2.2.2.2.2: Flags [S], seq 1, options [";
    EXPECT_TRUE(parse_text(tcp + options + "], length 0", LinkType::Raw));
    EXPECT_FALSE(parse_text(tcp + options + ",nop], length 0", LinkType::Raw));
    EXPECT_FALSE(
        parse_text(tcp + "opt 9 0x" + std::string(80, '0') + "], length 0", LinkType::Raw));
}

// Every prefix and many damaged copies: an error with a column, or a packet; never a crash.
TEST(ParseTextTest, SurvivesDamagedLines) {
    for (std::size_t size = 0; size <= kGood.size(); ++size) {
        const Parsed parsed = parse_text(kGood.substr(0, size), LinkType::Ethernet);
        EXPECT_EQ(static_cast<bool>(parsed), parsed.column == 0);
        EXPECT_LE(parsed.column, size + 1);
    }
    std::mt19937 random(3);
    for (int round = 0; round < 20000; ++round) {
        std::string line(kGood);
        for (auto i = 1 + random() % 3; i > 0; --i) {
            line[random() % line.size()] = static_cast<char>(random() % 128);
        }
        const Parsed parsed = parse_text(line, LinkType::Ethernet);
        EXPECT_EQ(static_cast<bool>(parsed), parsed.column == 0);
    }
}

}  // namespace
}  // namespace haka::wire
