#include "capture/offload.h"

#include <vector>

#include <gtest/gtest.h>

#include "wire/checksum.h"
#include "wire/headers.h"

namespace haka::capture {
namespace {

constexpr std::uint32_t kLink = 14;
constexpr std::uint32_t kHeaders = kLink + 20 + 20;

std::vector<std::uint8_t> make_frame(std::uint32_t payload, std::uint8_t protocol) {
    std::vector<std::uint8_t> frame(kHeaders + payload, 0x55);
    store_be16(&frame[12], 0x0800);
    std::fill(frame.begin() + kLink, frame.begin() + kHeaders, 0);
    frame[kLink] = 0x45;
    store_be16(&frame[kLink + 2], static_cast<std::uint16_t>(frame.size() - kLink));
    frame[kLink + 9] = protocol;
    frame[kLink + 15] = 1;
    frame[kLink + 19] = 2;
    frame[kLink + 32] = 0x50;
    frame[kLink + 33] = 0x10;
    return frame;
}

Offload describe(std::vector<std::uint8_t>& bytes, FrameChecksum checksum, OffloadNeeds needs) {
    return describe_offload({.data = bytes.data(),
                             .size = static_cast<std::uint32_t>(bytes.size()),
                             .original_size = static_cast<std::uint32_t>(bytes.size()),
                             .when = {},
                             .checksum = checksum},
                            needs);
}

// What a card does with the frame: sums up from checksum_start, the field's content included.
bool is_right_after_card(std::vector<std::uint8_t> bytes, const Offload& offload) {
    const ByteView covered = ByteView(bytes).subspan(offload.checksum_start);
    const std::uint16_t sum = wire::internet_checksum(covered);
    store_be16(&bytes[offload.checksum_start + std::size_t{offload.checksum_offset}], sum);
    return wire::verify_transport(wire::find_headers(LinkType::Ethernet, bytes), bytes) ==
           wire::ChecksumCheck::Right;
}

TEST(OffloadTest, AShortFrameWithItsChecksumAsksForNothing) {
    auto bytes = make_frame(100, wire::kProtocolTcp);
    const auto before = bytes;
    const Offload offload = describe(bytes, FrameChecksum::Unknown, {.packet_max = 140});
    EXPECT_EQ(offload.flags, 0);
    EXPECT_EQ(offload.kind, Offload::kWhole);
    EXPECT_EQ(bytes, before);
}

TEST(OffloadTest, AChecksumThatIsNotComputedIsLeftToTheCard) {
    auto bytes = make_frame(101, wire::kProtocolTcp);
    bytes[kLink + 36] = 0xab;  // Of bytes that were changed meanwhile.
    const Offload offload = describe(bytes, FrameChecksum::Partial, {.packet_max = 1500});
    EXPECT_EQ(offload.flags, Offload::kNeedsChecksum);
    EXPECT_EQ(offload.kind, Offload::kWhole);
    EXPECT_EQ(offload.checksum_start, kLink + 20);
    EXPECT_EQ(offload.checksum_offset, 16);
    EXPECT_TRUE(is_right_after_card(bytes, offload));
}

TEST(OffloadTest, ALongSegmentIsLeftToBeCut) {
    auto bytes = make_frame(101, wire::kProtocolTcp);
    bytes[kLink + 33] = 0x90;  // CWR
    Offload offload =
        describe(bytes, FrameChecksum::Unknown, {.packet_max = kHeaders - kLink + 100});
    EXPECT_EQ(offload.kind, Offload::kTcpIpv4 | Offload::kEcn);
    EXPECT_EQ(offload.segment_size, 100);
    EXPECT_EQ(offload.header_size, kHeaders);
    EXPECT_EQ(offload.flags, Offload::kNeedsChecksum);
    offload = describe(bytes, FrameChecksum::Unknown,
                       {.packet_max = kHeaders - kLink + 100, .segment_size = 60});
    EXPECT_EQ(offload.segment_size, 60);
    offload = describe(bytes, FrameChecksum::Unknown, {.packet_max = kHeaders - kLink + 101});
    EXPECT_EQ(offload.kind, Offload::kWhole);
}

TEST(OffloadTest, DatagramsThatCameAsOneAreToldApartAgain) {
    auto bytes = make_frame(2000, wire::kProtocolUdp);
    store_be16(&bytes[kLink + 24], static_cast<std::uint16_t>(bytes.size() - kLink - 20));
    const OffloadNeeds needs{.packet_max = 1500, .segment_size = 500, .is_joined_udp = true};
    Offload offload = describe(bytes, FrameChecksum::Partial, needs);
    EXPECT_EQ(offload.kind, Offload::kUdp);
    EXPECT_EQ(offload.segment_size, 500);
    EXPECT_EQ(offload.header_size, kLink + 20 + 8);
    EXPECT_EQ(offload.flags, Offload::kNeedsChecksum);
    offload = describe(bytes, FrameChecksum::Partial, {.packet_max = 1500, .segment_size = 500});
    EXPECT_EQ(offload.kind, Offload::kWhole);
}

TEST(OffloadTest, OthersThanTcpAndUdpAreLeftAlone) {
    auto bytes = make_frame(2000, 89);
    const auto before = bytes;
    const Offload offload = describe(bytes, FrameChecksum::Partial, {.packet_max = 1500});
    EXPECT_EQ(offload.flags, 0);
    EXPECT_EQ(offload.kind, Offload::kWhole);
    EXPECT_EQ(bytes, before);
}

}  // namespace
}  // namespace haka::capture
