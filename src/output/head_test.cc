#include "output/head.h"

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "wire/build.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/segment.h"
#include "wire/tcp.h"

namespace haka::output {
namespace {

using Bytes = std::vector<std::uint8_t>;

const Address kClient4 = Address::ipv4(0x0a000001);
const Address kServer4 = Address::ipv4(0x0a000002);

Address ipv6(std::uint8_t last) {
    std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
    bytes[15] = last;
    return Address::ipv6(bytes.data());
}

constexpr std::array<std::uint8_t, 12> kTimestamp{1, 1, 8, 10, 0, 0, 3, 0xe8, 0, 0, 7, 0xd0};

wire::TcpFields tcp_fields(ByteView options = {}) {
    return {.srcport = 4000,
            .dstport = 80,
            .seq = 500,
            .ack_seq = 900,
            .flags = wire::kAck | wire::kPsh,
            .window_size = 1234,
            .urgent_pointer = 7,
            .options = options};
}

Bytes ipv4_packet(std::string_view payload, ByteView link = {}, ByteView tcp_options = {},
                  ByteView ip_options = {}) {
    Bytes out;
    wire::build_tcp(
        link,
        {.src = kClient4, .dst = kServer4, .ttl = 9, .tos = 4, .id = 77, .options = ip_options},
        tcp_fields(tcp_options), as_bytes(payload), out);
    return out;
}

// With a hop-by-hop and a destination options header of 8 bytes each.
Bytes ipv6_packet(std::string_view payload) {
    Bytes out;
    wire::build_tcp({}, {.src = ipv6(1), .dst = ipv6(2), .flow_label = 5}, tcp_fields(),
                    as_bytes(payload), out);
    const std::array<std::uint8_t, 16> extensions{60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 1, 4, 0, 0, 0, 0};
    out.insert(out.begin() + 40, extensions.begin(), extensions.end());
    out[6] = 0;
    store_be16(&out[4], static_cast<std::uint16_t>(out.size() - 40));
    return out;
}

// A packet and its headers, as the engine has them.
struct Came {
    explicit Came(Bytes packet, LinkType link = LinkType::Raw) : bytes(std::move(packet)) {
        wire::find_headers(link, bytes, headers);
        EXPECT_TRUE(headers.transport_ok);
        frame = {.data = bytes.data(),
                 .size = static_cast<std::uint32_t>(bytes.size()),
                 .original_size = static_cast<std::uint32_t>(bytes.size()),
                 .when = {},
                 .number = 0,
                 .interface = 2,
                 .link = link,
                 .worker = 0};
    }
    Came(const Came&) = delete;
    Came& operator=(const Came&) = delete;

    Bytes bytes;
    wire::Headers headers;
    Frame frame;
};

// Reads a packet back; everything that can be checked of it must be right.
struct Read {
    explicit Read(const Bytes& packet, LinkType link = LinkType::Raw) : bytes(packet) {
        wire::find_headers(link, bytes, headers);
        EXPECT_EQ(headers.malformed, Event::None);
        EXPECT_EQ(headers.end, bytes.size());
        EXPECT_EQ(headers.cut, 0U);
        EXPECT_EQ(wire::verify_transport(headers, bytes), wire::ChecksumCheck::Right);
        if (headers.ip_version == 4) {
            EXPECT_TRUE(wire::verify_ipv4_header(headers, bytes.data()));
        }
        segment = wire::read_segment(headers, bytes);
    }
    [[nodiscard]] std::string_view payload() const {
        return as_text(ByteView(bytes).subspan(headers.payload));
    }
    Bytes bytes;
    wire::Headers headers;
    wire::Segment segment;
};

Bytes piece_of(const Head& head, const Piece& piece, ByteView options, std::string_view payload) {
    Bytes out(100, 0xff);  // Something that was there before.
    build_piece(head, piece, options, as_bytes(payload), out);
    return out;
}

constexpr Piece kPiece{
    .seq = 1000, .ack_seq = 2000, .window = 55, .flags = wire::kAck | wire::kFin};

TEST(HeadTest, PutsTheHeadersBeforeOtherBytes) {
    const Came came(ipv4_packet("hello"));
    const Head head = head_of(came.frame, came.headers);
    EXPECT_EQ(head.bytes.size(), 40U);
    EXPECT_EQ(head.interface, 2U);
    for (const std::string payload : {"", "x", "a longer text than it was"}) {
        const Read read(piece_of(head, kPiece, {}, payload));
        EXPECT_EQ(read.payload(), payload);
        EXPECT_EQ(read.segment.seq, 1000U);
        EXPECT_EQ(read.segment.ack, 2000U);
        EXPECT_EQ(read.segment.window, 55U);
        EXPECT_EQ(read.segment.flags, kPiece.flags);
        EXPECT_EQ(read.segment.urgent, 0U);
        EXPECT_EQ(read.bytes[8], 9);                          // TTL
        EXPECT_EQ(read.bytes[1], 4);                          // TOS
        EXPECT_EQ(load_be16(read.bytes.data() + 20), 4000U);  // Port
    }
}

TEST(HeadTest, PiecesOfOnePacketHaveTheirOwnIds) {
    const Came came(ipv4_packet("hello"));
    const Head head = head_of(came.frame, came.headers);
    for (const std::uint8_t step : {std::uint8_t{0}, std::uint8_t{1}, std::uint8_t{7}}) {
        Piece piece = kPiece;
        piece.id_step = step;
        EXPECT_EQ(load_be16(&Read(piece_of(head, piece, {}, "x")).bytes[4]), 77U + step);
    }
}

TEST(HeadTest, KeepsIpv4AndTcpOptions) {
    const std::array<std::uint8_t, 8> ip_options{1, 7, 7, 4, 0, 0, 0, 0};
    const Came came(ipv4_packet("hello", {}, kTimestamp, ip_options));
    const Read read(
        piece_of(head_of(came.frame, came.headers), kPiece, {}, "an odd payload size!!"));
    EXPECT_EQ(read.headers.transport, 28U);
    EXPECT_EQ(read.headers.payload, 60U);
    EXPECT_EQ(read.payload(), "an odd payload size!!");
    EXPECT_TRUE(read.segment.has_timestamp);
    EXPECT_EQ(read.segment.ts_value, 1000U);
    EXPECT_EQ(read.segment.ts_echo, 2000U);
}

TEST(HeadTest, KeepsIpv6ExtensionHeaders) {
    const Came came(ipv6_packet("hello"));
    ASSERT_EQ(came.headers.transport, 56U);
    const Read read(piece_of(head_of(came.frame, came.headers), kPiece, {}, "goodbye"));
    EXPECT_EQ(read.headers.transport, 56U);
    EXPECT_EQ(load_be16(&read.bytes[4]), 16U + 20U + 7U);
    EXPECT_EQ(read.payload(), "goodbye");
}

TEST(HeadTest, KeepsVlanTagsAndLosesPadding) {
    Bytes link = wire::ethernet_header({.type = 0x8100});
    link.insert(link.end(), {0x00, 0x2a, 0x08, 0x00});
    Bytes packet = ipv4_packet("x", link);
    packet.resize(80);  // Ethernet's padding
    const Came came(packet, LinkType::Ethernet);
    const Read read(piece_of(head_of(came.frame, came.headers), kPiece, {}, "hello"),
                    LinkType::Ethernet);
    EXPECT_EQ(read.headers.vlan, 42U);
    EXPECT_EQ(read.payload(), "hello");
}

TEST(HeadTest, AddsOptionsAsFarAsTheyFit) {
    const Came came(ipv4_packet("hello", {}, kTimestamp));
    const Head head = head_of(came.frame, came.headers);
    std::array<std::uint8_t, 28> sack{1, 1, 5, 26};
    const Read read(piece_of(head, kPiece, sack, ""));
    EXPECT_EQ(read.headers.payload, 20U + 20 + 12 + 28);
    EXPECT_EQ(read.segment.bad, Event::None);
    EXPECT_TRUE(read.segment.has_timestamp);

    const std::array<std::uint8_t, 40> nops{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
                                            1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    EXPECT_EQ(Read(piece_of(head, kPiece, nops, "x")).headers.payload, 20U + 60);
    EXPECT_EQ(Read(piece_of(head, kPiece, nops, "x")).payload(), "x");
}

TEST(HeadTest, TheLargestDatagramHasItsLength) {
    const Came came(ipv4_packet("hello"));
    const std::string payload(65'535 - 40, 'x');
    const Read read(piece_of(head_of(came.frame, came.headers), kPiece, {}, payload));
    EXPECT_EQ(load_be16(&read.bytes[2]), 65'535U);
}

TEST(HeadTest, AnAnswerGoesBackWhereThePacketCameFrom) {
    const Came came(
        ipv4_packet("hello", wire::ethernet_header({.type = wire::kEtherTypeIpv4}), kTimestamp),
        LinkType::Ethernet);
    const Head head =
        answer_to(head_of(came.frame, came.headers), {.used = true, .value = 11, .echo = 1000});
    EXPECT_EQ(head.interface, 3U);
    const Read read(piece_of(head, kPiece, {}, ""), LinkType::Ethernet);
    EXPECT_EQ(Bytes(read.bytes.begin(), read.bytes.begin() + 6),
              Bytes(came.bytes.begin() + 6, came.bytes.begin() + 12));
    EXPECT_EQ(Bytes(read.bytes.begin() + 6, read.bytes.begin() + 12),
              Bytes(came.bytes.begin(), came.bytes.begin() + 6));
    EXPECT_EQ(load_be32(&read.bytes[14 + 12]), 0x0a000002U);
    EXPECT_EQ(load_be32(&read.bytes[14 + 16]), 0x0a000001U);
    EXPECT_EQ(load_be16(&read.bytes[read.headers.transport]), 80U);
    EXPECT_EQ(load_be16(&read.bytes[read.headers.transport + 2]), 4000U);
    EXPECT_EQ(read.segment.ts_value, 11U);
    EXPECT_EQ(read.segment.ts_echo, 1000U);
}

TEST(HeadTest, AnAnswerHasNoOptionsThatWereNotAgreed) {
    const std::array<std::uint8_t, 8> ip_options{1, 7, 7, 4, 0, 0, 0, 0};
    const Came came(ipv4_packet("hello", {}, kTimestamp, ip_options));
    const Head head = answer_to(head_of(came.frame, came.headers), {});
    EXPECT_EQ(head.bytes.size(), 40U);
    EXPECT_FALSE(Read(piece_of(head, kPiece, {}, "")).segment.has_timestamp);
    const Came came6(ipv6_packet("hello"));
    const Read read(piece_of(answer_to(head_of(came6.frame, came6.headers), {}), kPiece, {}, "x"));
    EXPECT_EQ(read.headers.transport, 40U);
    EXPECT_EQ(read.bytes[8 + 15], 2);
    EXPECT_EQ(read.bytes[24 + 15], 1);
}

TEST(HeadTest, APlainHeadKeepsItsNumbersAndTimestamps) {
    const std::array<std::uint8_t, 8> ip_options{1, 7, 7, 4, 0, 0, 0, 0};
    std::array<std::uint8_t, 24> options{1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2};
    std::copy(kTimestamp.begin(), kTimestamp.end(), options.begin() + 12);
    const Came came(ipv4_packet("hello", {}, options, ip_options));
    const Head plain = plain_head(head_of(came.frame, came.headers));
    EXPECT_EQ(plain.interface, 2U);
    EXPECT_EQ(plain.bytes.size(), 20U + 20 + 12);
    EXPECT_EQ(load_be32(&plain.bytes[20 + 8]), 900U);
    EXPECT_EQ(load_be16(&plain.bytes[20 + 14]), 1234U);
    const Read read(piece_of(plain, kPiece, {}, "x"));
    EXPECT_EQ(read.segment.ts_value, 1000U);
    EXPECT_EQ(load_be32(&read.bytes[12]), 0x0a000001U);
    EXPECT_EQ(load_be16(&read.bytes[20]), 4000U);
}

TEST(HeadTest, FindsTheTimestampsValue) {
    const auto find = [](Bytes options) {
        options.insert(options.begin(), 20, 0);
        return find_timestamp(options);
    };
    EXPECT_EQ(find({}), 0U);
    EXPECT_EQ(find({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}), 24U);
    EXPECT_EQ(find({1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 0}), 23U);
    EXPECT_EQ(find({8, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}), 0U);   // Impossible size.
    EXPECT_EQ(find({0, 0, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}), 0U);  // Behind the list's end.
    EXPECT_EQ(find({1, 1, 8, 10, 0, 0, 0, 1}), 0U);              // Beyond the header.
}

}  // namespace
}  // namespace haka::output
