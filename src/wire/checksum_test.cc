#include "wire/checksum.h"

#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace haka::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

// RFC 1071 word for word: add big-endian words, an odd byte as the high half of the last.
std::uint16_t slow_checksum(ByteView bytes) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
        const std::uint32_t low = i + 1 < bytes.size() ? bytes[i + 1] : 0;
        sum += bytes[i] * 256U + low;
        if (sum > 0xffff) {
            sum -= 0xffff;
        }
    }
    return static_cast<std::uint16_t>(0xffff - sum);
}

Bytes random_bytes(std::mt19937& random, std::size_t size) {
    Bytes bytes(size);
    for (auto& byte : bytes) {
        byte = static_cast<std::uint8_t>(random());
    }
    return bytes;
}

TEST(ChecksumTest, MatchesTheExampleOfRfc1071) {
    const Bytes bytes = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    EXPECT_EQ(internet_checksum(bytes), 0x220d);
}

TEST(ChecksumTest, EqualsTheSlowOneAtEveryLengthAndAlignment) {
    for (std::uint32_t seed = 1; seed <= 4; ++seed) {
        std::mt19937 random(seed);
        const Bytes bytes = random_bytes(random, 300);
        for (std::size_t offset = 0; offset < 64; ++offset) {
            for (std::size_t size = 0; size <= 200; ++size) {
                const ByteView part = ByteView(bytes).subspan(offset, size);
                ASSERT_EQ(internet_checksum(part), slow_checksum(part))
                    << "seed " << seed << " offset " << offset << " size " << size;
            }
        }
    }
}

TEST(ChecksumTest, LosesNoCarryInLongRunsOfOnes) {
    for (const std::size_t size : {1448U, 65535U, 1U << 20, (1U << 20) + 7}) {
        const Bytes ones(size, 0xff);
        EXPECT_EQ(internet_checksum(ones), slow_checksum(ones)) << size;
    }
    EXPECT_EQ(finish(~PartialSum{0}), 0);
    EXPECT_EQ(finish(0), 0xffff);
}

TEST(ChecksumTest, PiecesAddUp) {
    std::mt19937 random(7);
    const Bytes bytes = random_bytes(random, 101);
    for (std::size_t cut = 0; cut <= 100; cut += 2) {
        const PartialSum head = sum_bytes(ByteView(bytes).first(cut));
        EXPECT_EQ(finish(sum_bytes(ByteView(bytes).subspan(cut), head)), slow_checksum(bytes));
    }
}

TEST(ChecksumTest, FollowsAChangedField) {
    std::mt19937 random(11);
    for (int round = 0; round < 2000; ++round) {
        Bytes bytes = random_bytes(random, 40);
        const std::uint16_t before = internet_checksum(bytes);
        const std::size_t at = random() % 10 * 4;
        const std::uint32_t old_word = load_be32(&bytes[at]);
        const std::uint32_t extremes[] = {0, 0xffffffff, 0xffff,
                                          static_cast<std::uint32_t>(random())};
        const std::uint32_t new_word = extremes[random() % 4];
        store_be32(&bytes[at], new_word);
        EXPECT_EQ(update_checksum32(before, old_word, new_word), slow_checksum(bytes));
        const std::uint16_t half = load_be16(&bytes[at]);
        const std::uint16_t middle = internet_checksum(bytes);
        store_be16(&bytes[at], static_cast<std::uint16_t>(~half));
        EXPECT_EQ(update_checksum(middle, half, static_cast<std::uint16_t>(~half)),
                  slow_checksum(bytes));
    }
}

// Packets laid out by hand: IP version, protocol, extra bytes between IP and transport header.
Bytes packet(int version, std::uint8_t protocol, std::size_t payload_size,
             const Bytes& extra = {}) {
    Bytes bytes(version == 4 ? 20 : 40, 0);
    if (version == 4) {
        bytes[0] = static_cast<std::uint8_t>(0x45 + extra.size() / 4);
        bytes[9] = protocol;
        store_be32(&bytes[12], 0x0a000001);
        store_be32(&bytes[16], 0x0a0000ff);
    } else {
        bytes[0] = 0x60;
        bytes[6] = extra.empty() ? protocol : 43;
        for (std::uint8_t i = 8; i < 40; ++i) {
            bytes[i] = static_cast<std::uint8_t>(i * 7);
        }
    }
    bytes.insert(bytes.end(), extra.begin(), extra.end());
    const std::size_t transport = bytes.size();
    bytes.resize(transport + (protocol == kProtocolTcp ? 20 : 8));
    for (std::size_t i = transport; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::uint8_t>(i * 31);
    }
    if (protocol == kProtocolTcp) {
        bytes[transport + 12] = 0x50;
    } else if (protocol == kProtocolUdp) {
        store_be16(&bytes[transport + 4], static_cast<std::uint16_t>(8 + payload_size));
    }
    for (std::size_t i = 0; i < payload_size; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(i * 17));
    }
    store_be16(&bytes[version == 4 ? 2 : 4],
               static_cast<std::uint16_t>(bytes.size() - (version == 4 ? 0 : 40)));
    return bytes;
}

std::size_t field_of(const Headers& headers) {
    if (headers.protocol == kProtocolTcp) {
        return headers.transport + 16;
    }
    return headers.transport + (headers.protocol == kProtocolUdp ? 6 : 2);
}

// The transport checksum by the slow sum over a pseudo header written out.
std::uint16_t slow_transport(const Headers& h, Bytes frame, ByteView target) {
    store_be16(&frame[field_of(h)], 0);
    Bytes summed;
    const ByteView view = frame;
    if (h.protocol != kProtocolIcmp) {
        const ByteView source = h.ip_version == 4 ? view.subspan(12, 4) : view.subspan(8, 16);
        summed.assign(source.begin(), source.end());
        summed.insert(summed.end(), target.begin(), target.end());
        Bytes tail(8);
        store_be32(tail.data(), h.end - h.transport);
        tail[7] = h.protocol;
        summed.insert(summed.end(), tail.begin(), tail.end());
    }
    const ByteView covered = view.subspan(h.transport, h.end - h.transport);
    summed.insert(summed.end(), covered.begin(), covered.end());
    return slow_checksum(summed);
}

TEST(ChecksumTest, ComputesAndVerifiesEveryTransport) {
    struct Case {
        int version;
        std::uint8_t protocol;
        Event event;
    };
    const std::vector<Case> cases = {
        {4, kProtocolTcp, Event::TcpBadChecksum},   {6, kProtocolTcp, Event::TcpBadChecksum},
        {4, kProtocolUdp, Event::UdpBadChecksum},   {6, kProtocolUdp, Event::UdpBadChecksum},
        {4, kProtocolIcmp, Event::IcmpBadChecksum}, {6, kProtocolIcmpv6, Event::IcmpBadChecksum}};
    for (const Case& c : cases) {
        for (std::size_t size = 0; size < 140; ++size) {
            SCOPED_TRACE(testing::Message() << c.version << " " << int{c.protocol} << " " << size);
            Bytes frame = packet(c.version, c.protocol, size);
            const Headers h = find_headers(LinkType::Raw, frame);
            ASSERT_TRUE(h.transport_ok);
            EXPECT_EQ(verify_transport(h, frame), ChecksumCheck::Wrong);
            ASSERT_TRUE(compute_transport(h, frame));
            const ByteView target =
                ByteView(frame).subspan(c.version == 4 ? 16 : 24, c.version == 4 ? 4 : 16);
            EXPECT_EQ(load_be16(&frame[field_of(h)]), slow_transport(h, frame, target));
            EXPECT_EQ(verify_transport(h, frame), ChecksumCheck::Right);
            frame.back() ^= 0x10;
            EXPECT_EQ(verify_transport(h, frame), ChecksumCheck::Wrong);
            EXPECT_EQ(bad_checksum_event(c.protocol), c.event);
        }
    }
    EXPECT_EQ(bad_checksum_event(47), Event::None);
}

TEST(ChecksumTest, ZeroMeansAbsentForUdpOverIpv4Only) {
    Bytes v4 = packet(4, kProtocolUdp, 3);
    Bytes v6 = packet(6, kProtocolUdp, 3);
    const Headers h4 = find_headers(LinkType::Raw, v4);
    const Headers h6 = find_headers(LinkType::Raw, v6);
    store_be16(&v4[field_of(h4)], 0);
    store_be16(&v6[field_of(h6)], 0);
    EXPECT_EQ(verify_transport(h4, v4), ChecksumCheck::Absent);
    EXPECT_EQ(verify_transport(h6, v6), ChecksumCheck::Wrong);
}

// A UDP sum that comes out as zero must not be written as "none".
TEST(ChecksumTest, NeverWritesTheZeroThatMeansAbsent) {
    Bytes frame = packet(4, kProtocolUdp, 2);
    const Headers h = find_headers(LinkType::Raw, frame);
    for (std::uint32_t word = 0; word < 0x10000; ++word) {
        store_be16(&frame[h.payload], static_cast<std::uint16_t>(word));
        ASSERT_TRUE(compute_transport(h, frame));
        ASSERT_NE(load_be16(&frame[field_of(h)]), 0);
    }
    EXPECT_EQ(verify_transport(h, frame), ChecksumCheck::Right);
}

TEST(ChecksumTest, SaysWhatCannotBeVerified) {
    Bytes frame = packet(4, kProtocolTcp, 30);
    const ByteView cut = ByteView(frame).first(60);
    EXPECT_EQ(verify_transport(find_headers(LinkType::Raw, cut), cut), ChecksumCheck::Unverifiable);
    frame[6] = 0x20;
    const Headers fragment = find_headers(LinkType::Raw, frame);
    EXPECT_EQ(verify_transport(fragment, frame), ChecksumCheck::Unverifiable);
    const Bytes before = frame;
    EXPECT_FALSE(compute_transport(fragment, frame));
    EXPECT_EQ(frame, before);
    EXPECT_EQ(verify_transport(Headers{}, {}), ChecksumCheck::Unverifiable);
}

// A length field that a rule overwrote after the headers were found must not lead outside.
TEST(ChecksumTest, StaysInsideWhenLengthsAreOverwritten) {
    Bytes udp = packet(4, kProtocolUdp, 3);
    const Headers h = find_headers(LinkType::Raw, udp);
    store_be16(&udp[h.transport + 4], 60000);
    EXPECT_FALSE(compute_transport(h, udp));
    Bytes tcp = packet(4, kProtocolTcp, 0, {1, 1, 1, 1});
    const Headers tcp_headers = find_headers(LinkType::Raw, tcp);
    tcp[0] = 0x4f;
    EXPECT_TRUE(compute_transport(tcp_headers, tcp));
    compute_ipv4_header(tcp_headers, tcp);
    EXPECT_TRUE(verify_ipv4_header(ByteView(tcp).first(24)));
    Bytes routed = packet(6, kProtocolTcp, 0, {6, 0, 0, 1, 0, 0, 0, 0});
    const Headers routed_headers = find_headers(LinkType::Raw, routed);
    ASSERT_TRUE(routed_headers.transport_ok);
    EXPECT_FALSE(compute_transport(routed_headers, routed));  // No address in the routing header.
    routed[41] = 0xff;
    EXPECT_FALSE(compute_transport(routed_headers, routed));
}

TEST(ChecksumTest, SourceRoutesUseTheFinalDestination) {
    const Bytes loose = {131, 11, 4, 10, 9, 9, 9, 10, 8, 8, 8, 0};
    Bytes v4 = packet(4, kProtocolTcp, 5, loose);
    const Headers h4 = find_headers(LinkType::Raw, v4);
    ASSERT_TRUE(compute_transport(h4, v4));
    EXPECT_EQ(load_be16(&v4[field_of(h4)]), slow_transport(h4, v4, ByteView(v4).subspan(27, 4)));
    v4[22] = 12;  // The route is used up: the destination field is the final one.
    ASSERT_TRUE(compute_transport(h4, v4));
    EXPECT_EQ(load_be16(&v4[field_of(h4)]), slow_transport(h4, v4, ByteView(v4).subspan(16, 4)));

    for (const auto& [type, offset] : {std::pair{0, 64}, std::pair{4, 48}}) {
        Bytes routing = {6, 4, static_cast<std::uint8_t>(type), 1, 0, 0, 0, 0};
        for (std::uint8_t i = 0; i < 32; ++i) {
            routing.push_back(static_cast<std::uint8_t>(i * 5 + 1));
        }
        Bytes v6 = packet(6, kProtocolTcp, 5, routing);
        const Headers h6 = find_headers(LinkType::Raw, v6);
        ASSERT_TRUE(compute_transport(h6, v6));
        const auto target = ByteView(v6).subspan(static_cast<std::size_t>(offset), 16);
        EXPECT_EQ(load_be16(&v6[field_of(h6)]), slow_transport(h6, v6, target)) << type;
    }
}

TEST(ChecksumTest, VerifiesAndWritesIpv4Headers) {
    Bytes frame = packet(4, kProtocolTcp, 0, {1, 1, 1, 1});
    EXPECT_FALSE(verify_ipv4_header(ByteView(frame).first(24)));
    compute_ipv4_header(find_headers(LinkType::Raw, frame), frame);
    EXPECT_TRUE(verify_ipv4_header(ByteView(frame).first(24)));
    frame[21] ^= 1;
    EXPECT_FALSE(verify_ipv4_header(ByteView(frame).first(24)));
}

}  // namespace
}  // namespace haka::wire
