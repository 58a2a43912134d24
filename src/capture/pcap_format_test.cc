#include "capture/pcap_format.h"

#include <gtest/gtest.h>

#include "capture/test_captures.h"

namespace haka::capture {
namespace {

using test::Pcap;
using test::read_bytes;

TEST(PcapFormatTest, ReadsBothByteOrdersAndClocks) {
    for (const bool is_big_endian : {false, true}) {
        for (const std::uint32_t magic : {Pcap::kMicro, Pcap::kNano}) {
            Pcap file({.is_big_endian = is_big_endian, .magic = magic, .link = 101});
            file.packet("first", {.seconds = 3'000'000'000, .fraction = 999'999}, 1500);
            file.packet("", {.seconds = 0, .fraction = 7});
            const auto all = read_bytes(file.bytes());
            ASSERT_EQ(all.frames.size(), 2U);
            const std::int64_t unit = magic == Pcap::kNano ? 1 : 1000;
            EXPECT_EQ(all.frames[0], (test::Seen{.data = "first",
                                                 .original_size = 1500,
                                                 .ns = 3'000'000'000'000'000'000 + 999'999 * unit,
                                                 .number = 1,
                                                 .interface = 0,
                                                 .link = LinkType::Raw}));
            EXPECT_EQ(all.frames[1].ns, 7 * unit);
            EXPECT_EQ(all.frames[1].number, 2U);
            EXPECT_EQ(all.damage, "");
            ASSERT_EQ(all.interfaces.size(), 1U);
            EXPECT_EQ(all.interfaces[0].link, LinkType::Raw);
            EXPECT_EQ(all.interfaces[0].snaplen, 65535U);
        }
    }
}

TEST(PcapFormatTest, HostileTimesDontOverflow) {
    const Pcap::Time last = {.seconds = UINT32_MAX, .fraction = UINT32_MAX};
    const auto all = read_bytes(Pcap().packet("x", last).bytes());
    ASSERT_EQ(all.frames.size(), 1U);
    EXPECT_EQ(all.frames[0].ns, 4'294'967'295'000'000'000 + 4'294'967'295'000);
}

TEST(PcapFormatTest, AFrameIsAtLeastAsLongAsItsCapturedBytes) {
    const auto all = read_bytes(Pcap().packet("longer", {}, 2).bytes());
    ASSERT_EQ(all.frames.size(), 1U);
    EXPECT_EQ(all.frames[0].data, "longer");
    EXPECT_EQ(all.frames[0].original_size, 6U);
}

TEST(PcapFormatTest, TheLargestFrameIsReadAndOneByteMoreIsDamage) {
    const std::string largest(kFrameSizeMax, 'x');
    auto all = read_bytes(Pcap().packet("a").packet(largest).bytes());
    ASSERT_EQ(all.frames.size(), 2U);
    EXPECT_EQ(all.frames[1].data, largest);
    EXPECT_EQ(all.damage, "");

    all = read_bytes(Pcap().packet("a").packet(largest + "y").bytes());
    EXPECT_EQ(all.frames.size(), 1U);
    EXPECT_EQ(all.damage,
              "x: impossible packet length 262145 at byte 41 (inside the record of packet 2)");
}

TEST(PcapFormatTest, IgnoresHowLongTheFrameCheckIs) {
    const auto all = read_bytes(Pcap({.link = 0x40000000 | 0x04000000 | 1}).packet("x").bytes());
    EXPECT_EQ(all.frames.size(), 1U);
    EXPECT_EQ(all.interfaces.at(0).link, LinkType::Ethernet);
}

TEST(PcapFormatTest, RefusesOtherLinkTypesByName) {
    EXPECT_EQ(read_bytes(Pcap({.link = 9}).bytes()).error,
              "x: link type PPP (9) is not supported; supported are Ethernet, raw IP, BSD "
              "loopback, Linux cooked v1 and v2");
}

TEST(PcapFormatTest, RefusesOtherVersions) {
    EXPECT_EQ(read_bytes(Pcap({.major = 3}).bytes()).error,
              "x: pcap version 3.4 is not supported; supported is 2.4");
}

TEST(PcapFormatTest, KnowsItsMagicsAlone) {
    for (const std::uint32_t magic : {0xa1b2c3d4U, 0xd4c3b2a1U, 0xa1b23c4dU, 0x4d3cb2a1U}) {
        EXPECT_NE(PcapFormat::from_magic(magic), nullptr);
    }
    for (const std::uint32_t magic : {0xa1b2cd34U, 0x0a0d0d0aU, 0U}) {
        EXPECT_EQ(PcapFormat::from_magic(magic), nullptr);
    }
}

}  // namespace
}  // namespace haka::capture
