#include "wire/headers.h"

#include <algorithm>
#include <array>
#include <random>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace haka::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::array kLinks = {LinkType::Null, LinkType::Ethernet, LinkType::Raw,
                               LinkType::Loop, LinkType::LinuxSll, LinkType::Ipv4,
                               LinkType::Ipv6, LinkType::LinuxSll2};

Bytes hex(std::string_view text) {
    Bytes bytes;
    int high = -1;
    for (const char c : text) {
        if (c == ' ') {
            continue;
        }
        const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
        if (high < 0) {
            high = digit;
        } else {
            bytes.push_back(static_cast<std::uint8_t>(high * 16 + digit));
            high = -1;
        }
    }
    return bytes;
}

Bytes join(const std::vector<Bytes>& parts) {
    Bytes all;
    for (const Bytes& part : parts) {
        all.insert(all.end(), part.begin(), part.end());
    }
    return all;
}

const Bytes kMac = hex("020000000001 020000000002");
const Bytes kEth4 = join({kMac, hex("0800")});
const Bytes kEth6 = join({kMac, hex("86dd")});
// A segment of 20 bytes of header and the payload "abc".
const Bytes kTcp = hex("04d2 0050 00000001 00000002 5018 1000 0000 0000 616263");
const Bytes kUdp = hex("04d2 0035 000b 0000 616263");
const Bytes kIcmp = hex("0800 0000 0001 0002 616263");

Bytes ipv4(std::uint8_t protocol, const Bytes& payload, std::uint16_t fragment = 0,
           const Bytes& options = {}) {
    Bytes ip = hex("4500 0000 0001 0000 4006 0000 0a000001 0a000002");
    ip[0] = static_cast<std::uint8_t>(0x45 + options.size() / 4);
    store_be16(&ip[2], static_cast<std::uint16_t>(20 + options.size() + payload.size()));
    store_be16(&ip[6], fragment);
    ip[9] = protocol;
    return join({ip, options, payload});
}

Bytes ipv6(std::uint8_t next, const Bytes& payload) {
    Bytes ip =
        hex("60000000 0000 0640 20010db8000000000000000000000001"
            "20010db8000000000000000000000002");
    store_be16(&ip[4], static_cast<std::uint16_t>(payload.size()));
    ip[6] = next;
    return join({ip, payload});
}

void expect_invariants(const Headers& h, std::size_t size) {
    ASSERT_LE(h.net, h.transport);
    ASSERT_LE(h.transport, h.payload);
    ASSERT_LE(h.payload, h.end);
    ASSERT_LE(h.end, size);
    if (h.ip_version == 0) {
        ASSERT_EQ(h.net, h.payload);
        ASSERT_FALSE(h.transport_ok);
        ASSERT_FALSE(h.fragment);
    }
    if (!h.transport_ok) {
        ASSERT_EQ(h.transport, h.payload);
    }
    if (h.fragment) {
        ASSERT_FALSE(h.transport_ok);
    }
    if (h.transport_ok) {
        ASSERT_EQ(h.malformed, Event::None);
    }
}

TEST(HeadersTest, FindsTcpBehindEthernetAndLeavesPaddingOut) {
    const Bytes frame = join({kEth4, ipv4(6, kTcp), Bytes(17, 0)});
    const Headers h = find_headers(LinkType::Ethernet, frame);
    EXPECT_EQ(h.net, 14U);
    EXPECT_EQ(h.transport, 34U);
    EXPECT_EQ(h.payload, 54U);
    EXPECT_EQ(h.end, 57U);
    EXPECT_EQ(h.cut, 0U);
    EXPECT_EQ(h.ether_type, 0x0800);
    EXPECT_EQ(h.ip_version, 4);
    EXPECT_EQ(h.protocol, kProtocolTcp);
    EXPECT_TRUE(h.transport_ok);
    EXPECT_FALSE(h.fragment);
    EXPECT_EQ(h.malformed, Event::None);
}

// The same datagram behind every link header, options in IP: only the offsets differ.
TEST(HeadersTest, ReadsEveryLinkType) {
    const Bytes v4 = ipv4(6, kTcp, 0, hex("01010101"));
    const Bytes v6 = ipv6(6, kTcp);
    struct Case {
        LinkType link;
        Bytes header;
        std::uint8_t version;
    };
    const std::vector<Case> cases = {
        {LinkType::Raw, {}, 4},
        {LinkType::Raw, {}, 6},
        {LinkType::Ipv4, {}, 4},
        {LinkType::Ipv6, {}, 6},
        {LinkType::Null, hex("02000000"), 4},
        {LinkType::Null, hex("00000002"), 4},
        {LinkType::Null, hex("1e000000"), 6},
        {LinkType::Null, hex("0000001c"), 6},
        {LinkType::Null, hex("18000000"), 6},
        {LinkType::Null, hex("0a000000"), 6},
        {LinkType::Loop, hex("00000002"), 4},
        {LinkType::Loop, hex("00000018"), 6},
        {LinkType::Ethernet, kEth4, 4},
        {LinkType::Ethernet, kEth6, 6},
        {LinkType::LinuxSll, hex("0000 0001 0006 0200000000010000 0800"), 4},
        {LinkType::LinuxSll, hex("0000 0001 0006 0200000000010000 86dd"), 6},
        {LinkType::LinuxSll, hex("0000 0001 0006 0200000000010000 8100 0007 0800"), 4},
        {LinkType::LinuxSll2, hex("0800 0000 00000001 0001 00 06 0200000000010000"), 4},
        {LinkType::LinuxSll2, hex("86dd 0000 00000001 0001 00 06 0200000000010000"), 6},
    };
    for (std::size_t i = 0; i < cases.size(); ++i) {
        SCOPED_TRACE(i);
        const Bytes frame = join({cases[i].header, cases[i].version == 4 ? v4 : v6});
        const Headers h = find_headers(cases[i].link, frame);
        EXPECT_EQ(h.net, cases[i].header.size());
        EXPECT_EQ(h.ip_version, cases[i].version);
        EXPECT_EQ(h.ether_type, cases[i].version == 4 ? 0x0800 : 0x86dd);
        EXPECT_EQ(h.transport, h.net + (cases[i].version == 4 ? 24 : 40));
        EXPECT_EQ(h.payload, h.transport + 20);
        EXPECT_EQ(h.end, frame.size());
        EXPECT_TRUE(h.transport_ok);
    }
}

TEST(HeadersTest, LoopIsNetworkOrderOnly) {
    const Bytes frame = join({hex("02000000"), ipv4(6, kTcp)});
    EXPECT_EQ(find_headers(LinkType::Loop, frame).ip_version, 0);
}

TEST(HeadersTest, StepsOverVlanTagsUpToTheBound) {
    for (std::size_t count = 1; count <= 9; ++count) {
        SCOPED_TRACE(count);
        Bytes frame = kMac;
        for (std::size_t i = 0; i < count; ++i) {
            const Bytes tag = i == 0 ? hex("88a8 e00a") : hex("8100 0014");
            frame.insert(frame.end(), tag.begin(), tag.end());
        }
        frame = join({frame, hex("0800"), ipv4(17, kUdp)});
        const Headers h = find_headers(LinkType::Ethernet, frame);
        EXPECT_EQ(h.vlan, 10);
        EXPECT_EQ(h.vlan_count, std::min<std::size_t>(count, 8));
        EXPECT_EQ(h.ip_version, count <= 8 ? 4 : 0);
        EXPECT_EQ(h.ether_type, count <= 8 ? 0x0800 : 0x8100);
        EXPECT_EQ(h.transport_ok, count <= 8);
    }
}

TEST(HeadersTest, LeavesOtherProtocolsAlone) {
    const Headers arp = find_headers(LinkType::Ethernet, join({kMac, hex("0806"), Bytes(28, 1)}));
    EXPECT_EQ(arp.ip_version, 0);
    EXPECT_EQ(arp.ether_type, 0x0806);
    EXPECT_EQ(arp.malformed, Event::None);
    const Headers llc = find_headers(LinkType::Ethernet, join({kMac, hex("0026"), Bytes(38, 1)}));
    EXPECT_EQ(llc.ether_type, 0);
    const Headers gre = find_headers(LinkType::Raw, ipv4(47, kTcp));
    EXPECT_EQ(gre.protocol, 47);
    EXPECT_FALSE(gre.transport_ok);
    EXPECT_EQ(gre.malformed, Event::None);
    EXPECT_EQ(gre.payload, gre.transport);
}

TEST(HeadersTest, NamesImpossibleIpv4Headers) {
    const Bytes good = join({kEth4, ipv4(6, kTcp)});
    const auto event_with = [&](std::size_t offset, std::uint8_t value) {
        Bytes frame = good;
        frame[offset] = value;
        const Headers h = find_headers(LinkType::Ethernet, frame);
        EXPECT_EQ(h.ip_version, h.malformed == Event::None ? 4 : 0);
        return h.malformed;
    };
    EXPECT_EQ(event_with(14, 0x45), Event::None);
    EXPECT_EQ(event_with(14, 0x44), Event::Ipv4BadHeader);
    EXPECT_EQ(event_with(14, 0x65), Event::Ipv4BadHeader);
    EXPECT_EQ(event_with(14, 0x4f), Event::Ipv4BadHeader);  // 60 bytes of header in 43.
    EXPECT_EQ(event_with(17, 19), Event::Ipv4BadHeader);    // Total length below the header.
    EXPECT_EQ(find_headers(LinkType::Raw, hex("00")).malformed, Event::FrameTruncated);
    EXPECT_EQ(find_headers(LinkType::Ipv6, ipv4(6, Bytes(1, 0))).malformed, Event::FrameTruncated);
    EXPECT_EQ(find_headers(LinkType::Ipv6, ipv4(6, Bytes(40, 0))).malformed, Event::Ipv6BadHeader);
}

// Every prefix of a frame: the invariants hold, and what is missing is counted as cut.
TEST(HeadersTest, CountsWhatTheSnaplenCutOff) {
    const Bytes frame = join({kEth4, ipv4(6, kTcp)});
    for (std::size_t size = 0; size <= frame.size(); ++size) {
        SCOPED_TRACE(size);
        const Headers h = find_headers(LinkType::Ethernet, ByteView(frame).first(size));
        expect_invariants(h, size);
        if (size < 34) {
            EXPECT_EQ(h.malformed, Event::FrameTruncated);
            continue;
        }
        EXPECT_EQ(h.cut, frame.size() - size);
        EXPECT_EQ(h.transport_ok, size >= 54);
        EXPECT_EQ(h.malformed, size >= 54 ? Event::None : Event::FrameSnaplen);
    }
}

TEST(HeadersTest, ChecksTheTcpHeaderLength) {
    for (std::uint32_t words = 0; words < 16; ++words) {
        SCOPED_TRACE(words);
        Bytes tcp = join({kTcp, Bytes(4, 0)});  // 27 bytes: 5 or 6 words of header fit.
        tcp[12] = static_cast<std::uint8_t>(words << 4);
        const Bytes frame = join({kEth4, ipv4(6, tcp)});
        const Headers h = find_headers(LinkType::Ethernet, frame);
        const bool is_right = words == 5 || words == 6;
        EXPECT_EQ(h.transport_ok, is_right);
        EXPECT_EQ(h.malformed, is_right ? Event::None : Event::TcpBadHeader);
        EXPECT_EQ(h.payload, is_right ? h.transport + words * 4 : h.transport);
        // With the option bytes cut off, a longer header may still have been right.
        const Headers cut = find_headers(LinkType::Ethernet, ByteView(frame).first(54));
        if (words == 6) {
            EXPECT_EQ(cut.malformed, Event::FrameSnaplen);
        }
        if (words > 6 || words < 5) {
            EXPECT_EQ(cut.malformed, Event::TcpBadHeader);
        }
    }
    const Headers tiny = find_headers(LinkType::Raw, ipv4(6, Bytes(19, 0x50)));
    EXPECT_EQ(tiny.malformed, Event::TcpBadHeader);
}

TEST(HeadersTest, ChecksUdpAndIcmp) {
    for (std::uint16_t length = 0; length < 14; ++length) {
        SCOPED_TRACE(length);
        Bytes udp = kUdp;
        store_be16(&udp[4], length);
        const Headers h = find_headers(LinkType::Raw, ipv4(17, udp));
        EXPECT_EQ(h.transport_ok, length >= 8 && length <= 11);
        EXPECT_EQ(h.malformed, h.transport_ok ? Event::None : Event::UdpBadHeader);
    }
    const Headers cut = find_headers(LinkType::Raw, ByteView(ipv4(17, kUdp)).first(29));
    EXPECT_TRUE(cut.transport_ok);
    EXPECT_EQ(cut.cut, 2U);
    EXPECT_EQ(find_headers(LinkType::Raw, ipv4(17, Bytes(7, 0))).malformed, Event::UdpBadHeader);
    EXPECT_TRUE(find_headers(LinkType::Raw, ipv4(1, kIcmp)).transport_ok);
    EXPECT_TRUE(find_headers(LinkType::Raw, ipv6(58, kIcmp)).transport_ok);
    EXPECT_FALSE(find_headers(LinkType::Raw, ipv6(1, kIcmp)).transport_ok);
    EXPECT_FALSE(find_headers(LinkType::Raw, ipv4(58, kIcmp)).transport_ok);
    EXPECT_EQ(find_headers(LinkType::Raw, ipv4(1, Bytes(7, 0))).malformed, Event::IcmpBadHeader);
}

TEST(HeadersTest, TellsFragmentsFromWholeDatagrams) {
    for (const std::uint16_t field : std::array<std::uint16_t, 3>{0x2000, 0x0001, 0x3fff}) {
        const Headers h = find_headers(LinkType::Ethernet, join({kEth4, ipv4(6, kTcp, field)}));
        EXPECT_TRUE(h.fragment);
        EXPECT_FALSE(h.transport_ok);
        EXPECT_EQ(h.transport, 34U);
        EXPECT_EQ(h.payload, 34U);
        EXPECT_EQ(h.end, 57U);
    }
    EXPECT_TRUE(
        find_headers(LinkType::Ethernet, join({kEth4, ipv4(6, kTcp, 0x4000)})).transport_ok);

    const Bytes first = join({hex("0600 0001 00000001"), kTcp});
    const Headers part = find_headers(LinkType::Raw, ipv6(44, first));
    EXPECT_TRUE(part.fragment);
    EXPECT_EQ(part.protocol, 6);
    EXPECT_EQ(part.transport, 48U);
    const Bytes atomic = join({hex("0600 0000 00000001"), kTcp});
    const Headers whole = find_headers(LinkType::Raw, ipv6(44, atomic));
    EXPECT_FALSE(whole.fragment);
    EXPECT_TRUE(whole.transport_ok);
}

TEST(HeadersTest, WalksIpv6ExtensionHeaders) {
    const Bytes chain = join({hex("2b00 0104 00000000"),                // Hop-by-hop -> routing
                              hex("3c02 0400 00000000"), Bytes(16, 1),  // -> destination options
                              hex("3300 0104 00000000"),                // -> authentication
                              hex("0604 0000 00000001 00000001"), Bytes(12, 0), kTcp});
    const Headers h = find_headers(LinkType::Raw, ipv6(0, chain));
    EXPECT_EQ(h.malformed, Event::None);
    EXPECT_TRUE(h.transport_ok);
    EXPECT_EQ(h.transport, 40U + 8 + 24 + 8 + 24);
    // No next header.
    EXPECT_EQ(find_headers(LinkType::Raw, ipv6(59, Bytes(3, 0))).malformed, Event::None);
    // Hop-by-hop anywhere else, a header beyond the datagram, and one cut in its middle.
    const Bytes late = join({hex("0000 0104 00000000 0600 0104 00000000"), kTcp});
    EXPECT_EQ(find_headers(LinkType::Raw, ipv6(60, late)).malformed, Event::Ipv6BadHeader);
    const Headers longer = find_headers(LinkType::Raw, ipv6(60, hex("06ff 0104 00000000")));
    EXPECT_EQ(longer.malformed, Event::Ipv6BadHeader);
    EXPECT_EQ(longer.ip_version, 6);
    EXPECT_EQ(find_headers(LinkType::Raw, ipv6(60, hex("0600 01"))).malformed,
              Event::Ipv6BadHeader);
    EXPECT_EQ(find_headers(LinkType::Raw, ipv6(51, hex("0600 0000 00000001"))).malformed,
              Event::Ipv6BadHeader);
    EXPECT_EQ(find_headers(LinkType::Raw, ByteView(ipv6(0, chain)).first(60)).malformed,
              Event::FrameSnaplen);
    EXPECT_EQ(find_headers(LinkType::Raw, ByteView(ipv6(0, chain)).first(50)).malformed,
              Event::FrameSnaplen);
    // IPv4 knows the authentication header alone.
    const Bytes ah = join({hex("0604 0000 00000001 00000001"), Bytes(12, 0), kTcp});
    EXPECT_TRUE(find_headers(LinkType::Raw, ipv4(51, ah)).transport_ok);
    EXPECT_EQ(find_headers(LinkType::Raw, ipv4(51, hex("0600"))).malformed, Event::Ipv4BadHeader);
    EXPECT_EQ(find_headers(LinkType::Raw, ipv4(60, late)).protocol, 60);
}

TEST(HeadersTest, BoundsTheNumberOfExtensionHeaders) {
    for (std::size_t count = 8; count <= 11; ++count) {
        Bytes chain;
        for (std::size_t i = 0; i < count; ++i) {
            const Bytes header = hex(i + 1 == count ? "0600 0104 00000000" : "3c00 0104 00000000");
            chain.insert(chain.end(), header.begin(), header.end());
        }
        const Headers h = find_headers(LinkType::Raw, ipv6(60, join({chain, kTcp})));
        EXPECT_EQ(h.transport_ok, count < 10) << count;
        EXPECT_EQ(h.malformed, count < 10 ? Event::None : Event::Ipv6BadHeader) << count;
    }
}

// Good packets with a few bytes changed, under every link type.
TEST(HeadersTest, KeepsItsInvariantsOnDamagedFrames) {
    std::mt19937 random(20240611);
    const std::vector<Bytes> seeds = {join({kEth4, ipv4(6, kTcp)}), join({kEth6, ipv6(0, kTcp)}),
                                      ipv4(17, kUdp), ipv6(44, kTcp),
                                      join({hex("02000000"), ipv4(1, kIcmp)})};
    for (int round = 0; round < 20000; ++round) {
        Bytes frame = seeds[random() % seeds.size()];
        for (std::uint32_t i = random() % 4; i > 0; --i) {
            frame[random() % frame.size()] = static_cast<std::uint8_t>(random());
        }
        frame.resize(frame.size() - random() % frame.size() / 4);
        frame.shrink_to_fit();
        for (const LinkType link : kLinks) {
            SCOPED_TRACE(round);
            expect_invariants(find_headers(link, frame), frame.size());
        }
    }
}

}  // namespace
}  // namespace haka::wire
