#include "wire/text.h"

#include <array>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wire/build.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace haka::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array kLinks = {LinkType::Ethernet, LinkType::Raw,      LinkType::Null,
                               LinkType::Loop,     LinkType::LinuxSll, LinkType::LinuxSll2,
                               LinkType::Ipv4,     LinkType::Ipv6};

// Lines that are their own text form.
const std::vector<std::string> kLines = {
    "IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [S.], seq 1000, ack 2001, win 65535, options [mss "
    "1460,sackOK,TS val 1 ecr 0,nop,wscale 7], length 5 \"GET \\x00\"",
    "IP6 2001:db8::1.1234 > 2001:db8::2.80: Flags [F], seq 0, win 0, length 0, flow 7, ttl 255",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [none], seq 4294967295, win 1, length 0, id 7, df, rb",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [FSRP.UEW], seq 1, ack 0, win 1, urg 0, res 15, length 0",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], seq 1, ack 2, win 1, options [nop,nop,sack 2 "
    "{1:2}{4294967290:3}], length 0",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], seq 1, win 1, options [tfo 0x,md5 "
    "0x000102030405060708090a0b0c0d0e0f,eol], length 0",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], seq 1, win 1, options [opt 2 0x01,opt 254 "
    "0xf989aabb,nop,eol], length 0",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [S], seq 1, win 1, options [raw 0x63000000], length 0",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], seq 1, ack 1, win 1, length 1000",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], seq 1, ack 1, win 1, length 0, bad-cksum",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], seq 1, ack 1, win 1, length 0, ttl 3, tos 184, "
    "bad-ip-cksum, cksum 0x1234",
    "IP 10.0.0.1.1 > 10.0.0.2.2: Flags [.], seq 1, ack 1, win 1, length 0, ip-options 0x01010101, "
    "ip-cksum 0x0000, pad 6",
    "IP 10.0.0.1.53 > 10.0.0.2.1024: UDP, length 4 \"\\\"\\\\\\r\\n\", cksum 0x0000",
    "IP6 ::ffff:10.0.0.1.53 > ::1.1024: UDP, length 0",
    "IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 2, length 4 \"ping\"",
    "IP 10.0.0.1 > 10.0.0.2: ICMP type 3 code 1, id 0, seq 0, length 0",
    "IP6 ::1 > ::2: ICMP6 echo reply, id 1, seq 2, length 0",
    "IP 10.0.0.1 > 10.0.0.2: frag 7:0+, proto 6, length 8 0x0102030405060708",
    "IP6 ::1 > ::2: frag 4000000000:1480, proto 17, length 3 0x010203",
    "IP 10.0.0.1 > 10.0.0.2: proto 47, length 2 0xabcd"};

TEST(TextTest, WritesWhatItReads) {
    for (const std::string& line : kLines) {
        for (const LinkType link : kLinks) {
            const bool is_ipv6 = line.starts_with("IP6");
            if (link == LinkType::Ipv4 ? is_ipv6 : link == LinkType::Ipv6 && !is_ipv6) {
                continue;
            }
            const Parsed parsed = parse_text(line, link);
            ASSERT_TRUE(parsed) << line << "\n" << parsed.column << ": " << parsed.error;
            EXPECT_EQ(to_text(parsed.bytes, link), line);
        }
    }
}

TEST(TextTest, WritesLinkHeaders) {
    const std::string tail = "IP 10.0.0.1.1 > 10.0.0.2.2: UDP, length 0";
    for (const std::string& head :
         {std::string("vlan 7, "), std::string("svlan 4095, vlan 0, "),
          std::string("aa:bb:cc:dd:ee:ff > 00:01:02:03:04:05, vlan 1, ")}) {
        const Parsed parsed = parse_text(head + tail, LinkType::Ethernet);
        ASSERT_TRUE(parsed) << parsed.error;
        EXPECT_EQ(to_text(parsed.bytes, LinkType::Ethernet), head + tail);
    }
    const Parsed parsed = parse_text("link 0x00000002, " + tail, LinkType::Null);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(to_text(parsed.bytes, LinkType::Null), "link 0x00000002, " + tail);
}

TEST(TextTest, NamesWhatTheWordsCannotSay) {
    EXPECT_EQ(to_text({}, LinkType::Ethernet), "frame.truncated, bytes 0x");
    const Bytes arp = ethernet_header({.type = 0x0806});
    EXPECT_EQ(to_text(arp, LinkType::Ethernet),
              "not IP, type 0x0806, bytes 0x0200000000020200000000010806");
    const Bytes bad = {0x45, 0, 0, 1};
    EXPECT_EQ(to_text(bad, LinkType::Raw), "frame.truncated, bytes 0x45000001");
}

Bytes random_bytes(std::mt19937& random, std::size_t size) {
    Bytes bytes(size);
    for (auto& byte : bytes) {
        byte = static_cast<std::uint8_t>(random());
    }
    return bytes;
}

Bytes random_options(std::mt19937& random) {
    const std::vector<Bytes> known = {
        {1},       {0},     {2, 4, 5, 0xb4}, {3, 3, 7},
        {4, 2},    {99, 2}, {34, 2},         {8, 10, 1, 2, 3, 4, 5, 6, 7, 8},
        {2, 3, 1}, {99, 0}, {99, 44}};
    Bytes options;
    for (auto i = random() % 6; i > 0; --i) {
        const Bytes& option = known[random() % known.size()];
        if (options.size() + option.size() <= 40) {
            options.insert(options.end(), option.begin(), option.end());
        }
    }
    return options;
}

Bytes random_packet(std::mt19937& random, LinkType link) {
    const bool is_ipv6 = link == LinkType::Ipv6 || (link != LinkType::Ipv4 && random() % 2 == 0);
    const auto word = [&] { return static_cast<std::uint16_t>(random()); };
    const auto byte = [&] { return static_cast<std::uint8_t>(random()); };
    const Bytes addresses = random_bytes(random, 32);
    const Bytes ip_options = random_bytes(random, random() % 3 * 4);
    IpFields ip{
        .src = is_ipv6 ? Address::ipv6(&addresses[0]) : Address::ipv4(random() & 0xffffffff),
        .dst = is_ipv6 ? Address::ipv6(&addresses[16]) : Address::ipv4(1),
        .ttl = byte(),
        .tos = byte(),
        .id = word(),
        .flow_label = is_ipv6 ? static_cast<std::uint32_t>(random() & 0xfffff) : 0U};
    if (!is_ipv6) {
        ip.flags = random() % 2 == 0 ? kIpv4DontFragment : kIpv4Reserved;
        ip.options = ip_options;
    }
    const Bytes header = default_link_header(link, ip.src.family);
    const Bytes payload =
        random() % 4 == 0 ? Bytes(random() % 80, 'x') : random_bytes(random, random() % 50);
    const Bytes options = random_options(random);
    Bytes frame;
    switch (random() % 4) {
        case 0:
            build_udp(header, ip, {.srcport = word(), .dstport = word()}, payload, frame);
            break;
        case 1:
            build_icmp(header, ip, {.type = byte(), .code = byte(), .id = word()}, payload, frame);
            break;
        case 2:
            ip.frag_offset = static_cast<std::uint32_t>(random() % 100 * 8);
            ip.flags |= kIpv4MoreFragments;
            build_ip(header, ip, byte(), payload, frame);
            break;
        default:
            build_tcp(header, ip,
                      {.srcport = word(),
                       .dstport = word(),
                       .seq = word(),
                       .ack_seq = word(),
                       .res = static_cast<std::uint8_t>(random() % 16),
                       .flags = byte(),
                       .window_size = word(),
                       .urgent_pointer = word(),
                       .options = options},
                      payload, frame);
    }
    return frame;
}

// Half of the packets are whole and must need no `bytes`, the other half is damaged.
TEST(TextTest, GivesEveryFrameBack) {
    std::mt19937 random(20240612);
    for (int round = 0; round < 6000; ++round) {
        const LinkType link = kLinks[random() % kLinks.size()];
        Bytes frame = random_packet(random, link);
        const bool is_whole = round % 2 == 0;
        if (!is_whole) {
            frame.resize(frame.size() - random() % frame.size() / 3);
            frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
            frame.resize(frame.size() + random() % 3, 0);
        }
        const std::string text = to_text(frame, link);
        const Parsed parsed = parse_text(text, link);
        ASSERT_TRUE(parsed) << text << "\n" << parsed.column << ": " << parsed.error;
        ASSERT_EQ(parsed.bytes, frame) << round << "\n" << text;
        if (is_whole) {
            ASSERT_EQ(text.find(", bytes "), std::string::npos) << text;
        }
    }
}

}  // namespace
}  // namespace haka::wire
