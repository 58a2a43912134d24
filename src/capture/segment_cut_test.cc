#include "capture/segment_cut.h"

#include <gtest/gtest.h>

#include "wire/build.h"
#include "wire/checksum.h"
#include "wire/text.h"

namespace haka::capture {
namespace {

constexpr std::uint32_t kIpv4 = 20;
constexpr std::uint32_t kTcp = 20;

// An IPv4 segment FIN+PSH+ACK+CWR, sequence number 1000, of counting bytes.
std::vector<std::uint8_t> make_packet(std::uint32_t payload) {
    std::vector<std::uint8_t> packet(kIpv4 + kTcp + payload);
    packet[0] = 0x45;
    store_be16(&packet[2], static_cast<std::uint16_t>(packet.size()));
    store_be16(&packet[4], 7);
    packet[8] = 64;
    packet[9] = wire::kProtocolTcp;
    packet[15] = 1;
    packet[19] = 2;
    store_be32(&packet[kIpv4 + 4], 1000);
    packet[kIpv4 + 12] = 0x50;
    packet[kIpv4 + 13] = 0x99;
    for (std::uint32_t i = 0; i < payload; ++i) {
        packet[kIpv4 + kTcp + i] = static_cast<std::uint8_t>(i);
    }
    return packet;
}

Frame frame_of(std::vector<std::uint8_t>& packet) {
    return {.data = packet.data(),
            .size = static_cast<std::uint32_t>(packet.size()),
            .original_size = static_cast<std::uint32_t>(packet.size()),
            .when = {},
            .link = LinkType::Raw,
            .checksum = FrameChecksum::Partial};
}

std::vector<std::vector<std::uint8_t>> cut(std::vector<std::uint8_t> packet, std::uint32_t max) {
    std::vector<std::vector<std::uint8_t>> made;
    std::vector<std::uint8_t> room;
    cut_segments(frame_of(packet), max, room,
                 [&made](ByteView bytes) { made.emplace_back(bytes.begin(), bytes.end()); });
    return made;
}

TEST(SegmentCutTest, SegmentsAreWholePacketsThatFollowEachOther) {
    const auto segments = cut(make_packet(25), 10);
    ASSERT_EQ(segments.size(), 3U);
    std::uint32_t at = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        const auto& bytes = segments[i];
        const wire::Headers headers = wire::find_headers(LinkType::Raw, bytes);
        ASSERT_TRUE(headers.transport_ok);
        EXPECT_EQ(headers.malformed, Event::None);
        EXPECT_TRUE(wire::verify_ipv4_header(headers, bytes.data()));
        EXPECT_EQ(wire::verify_transport(headers, bytes), wire::ChecksumCheck::Right);
        EXPECT_EQ(load_be32(&bytes[kIpv4 + 4]), 1000 + at);
        EXPECT_EQ(load_be16(&bytes[4]), 7 + i);
        EXPECT_EQ(headers.end - headers.payload, i < 2 ? 10U : 5U);
        EXPECT_EQ(bytes[headers.payload], at);
        at += 10;
    }
    EXPECT_EQ(segments[0][kIpv4 + 13], 0x90);  // CWR in the first alone, FIN and PSH in the last.
    EXPECT_EQ(segments[1][kIpv4 + 13], 0x10);
    EXPECT_EQ(segments[2][kIpv4 + 13], 0x19);
}

TEST(SegmentCutTest, WhatFitsLeavesWholeWithItsChecksum) {
    for (const std::uint32_t payload : {0U, 9U, 10U}) {
        const auto segments = cut(make_packet(payload), 10);
        ASSERT_EQ(segments.size(), 1U);
        const wire::Headers headers = wire::find_headers(LinkType::Raw, segments[0]);
        EXPECT_EQ(wire::verify_transport(headers, segments[0]), wire::ChecksumCheck::Right);
        EXPECT_EQ(segments[0][kIpv4 + 13], 0x99);
    }
}

TEST(SegmentCutTest, OthersThanTcpAreNotCut) {
    std::vector<std::uint8_t> packet = make_packet(50);
    packet[9] = 89;
    EXPECT_EQ(cut(packet, 10), std::vector<std::vector<std::uint8_t>>{packet});
}

}  // namespace
}  // namespace haka::capture
