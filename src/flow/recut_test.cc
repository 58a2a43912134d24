#include "flow/recut.h"

#include <algorithm>
#include <random>

#include <gtest/gtest.h>

#include "flow/fragments.h"
#include "wire/checksum.h"

namespace haka::flow {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t kNet = 14;

// Link header, `ip` and `size` bytes of data as one frame.
Bytes frame_with(std::uint16_t ether_type, const Bytes& ip, std::uint32_t size) {
    Bytes bytes(kNet);
    store_be16(&bytes[12], ether_type);
    bytes.insert(bytes.end(), ip.begin(), ip.end());
    for (std::uint32_t i = 0; i < size; ++i) {
        bytes.push_back(static_cast<std::uint8_t>(i * 7 + i / 256));
    }
    return bytes;
}

Bytes ipv4_frame(const Bytes& options, std::uint32_t size) {
    Bytes ip(20);
    ip.insert(ip.end(), options.begin(), options.end());
    ip[0] = static_cast<std::uint8_t>(0x40 | ip.size() / 4);
    store_be16(&ip[2], static_cast<std::uint16_t>(ip.size() + size));
    store_be16(&ip[4], 0x1234);
    ip[8] = 64;
    ip[9] = 59;
    store_be32(&ip[12], 0x0a000001);
    store_be16(&ip[10], wire::internet_checksum(ip));
    return frame_with(0x0800, ip, size);
}

Bytes ipv6_frame(std::uint32_t size) {
    Bytes ip(48);
    ip[0] = 0x60;
    store_be16(&ip[4], static_cast<std::uint16_t>(8 + size));
    ip[40] = 59;  // Behind a hop-by-hop header (its number is 0) of padding.
    ip[42] = 1;
    ip[43] = 4;
    return frame_with(0x86dd, ip, size);
}

Frame frame_of(Bytes& bytes) {
    Frame frame;
    frame.data = bytes.data();
    frame.size = frame.original_size = static_cast<std::uint32_t>(bytes.size());
    frame.number = 42;
    frame.when = Instant{99};
    frame.interface = 3;
    return frame;
}

FragmentShape shape_of(std::uint8_t version, std::uint32_t size_max) {
    return {.ip_version = version,
            .identification = 0x1234,
            .net = kNet,
            .unfragmentable = version == 4 ? 0U : 48U,
            .size_max = size_max};
}

// Joins the fragments again; they must be valid, and none too large.
Bytes rejoin(const Recut& cut, std::uint32_t size_max) {
    Defragmenter defragmenter({.fragments_per_datagram_max = 9000}, 1);
    auto kind = FragmentOutcome::Held;
    for (const Frame& frame : cut.frames) {
        EXPECT_EQ(kind, FragmentOutcome::Held);
        EXPECT_LE(frame.size - kNet, size_max);
        EXPECT_EQ(frame.number, 42U);
        EXPECT_EQ(frame.interface, 3U);
        const wire::Headers headers = wire::find_headers(frame.link, frame.bytes());
        EXPECT_EQ(headers.cut, 0U);
        EXPECT_EQ(headers.end, frame.size);
        if (headers.ip_version == 4) {
            EXPECT_TRUE(
                wire::verify_ipv4_header(frame.bytes().subspan(kNet, headers.transport - kNet)));
        }
        EXPECT_TRUE(headers.fragment);
        kind = defragmenter.add(frame, headers, Instant{}).kind;
    }
    EXPECT_EQ(kind, FragmentOutcome::Joined);
    const ByteView joined = defragmenter.joined().bytes();
    return {joined.begin(), joined.end()};
}

TEST(RecutTest, FragmentsJoinToWhatWasCut) {
    for (const std::uint32_t data : {9U, 100U, 1000U, 1480U, 1481U, 4000U, 65'487U}) {
        for (const std::uint32_t size_max : {64U, 65U, 72U, 576U, 1500U, 9000U}) {
            SCOPED_TRACE(::testing::Message() << data << " in " << size_max);
            for (const std::uint8_t version : {std::uint8_t{4}, std::uint8_t{6}}) {
                Bytes bytes = version == 4 ? ipv4_frame({}, data) : ipv6_frame(data);
                Recut cut;
                ASSERT_TRUE(recut(frame_of(bytes), shape_of(version, size_max), cut));
                if (bytes.size() - kNet <= size_max) {
                    ASSERT_EQ(cut.frames.size(), 1U);
                    EXPECT_TRUE(std::ranges::equal(cut.frames[0].bytes(), bytes));
                } else {
                    ASSERT_GT(cut.frames.size(), 1U);
                    EXPECT_EQ(rejoin(cut, size_max), bytes);
                }
            }
        }
    }
}

TEST(RecutTest, PaddingBehindTheDatagramIsLeftOut) {
    Bytes bytes = ipv4_frame({}, 10);
    const std::size_t size = bytes.size();
    bytes.resize(60, 0xff);
    Recut cut;
    ASSERT_TRUE(recut(frame_of(bytes), shape_of(4, 1500), cut));
    EXPECT_EQ(cut.frames[0].size, size);
}

TEST(RecutTest, OnlyCopiedOptionsAreInLaterFragments) {
    // Record route (not copied), no operation, router alert (copied), end.
    Bytes bytes = ipv4_frame({7, 7, 4, 0, 0, 0, 0, 1, 0x94, 4, 0, 0, 0, 0, 0, 0}, 100);
    Recut cut;
    ASSERT_TRUE(recut(frame_of(bytes), shape_of(4, 76), cut));
    ASSERT_GT(cut.frames.size(), 2U);
    EXPECT_EQ(cut.frames[0].data[kNet], 0x49);
    EXPECT_EQ(cut.frames[1].data[kNet], 0x46);
    EXPECT_EQ(cut.frames[1].data[kNet + 20], 0x94);
    EXPECT_EQ(rejoin(cut, 76), bytes);
}

TEST(RecutTest, OptionsThatCantBeReadDoNoHarm) {
    std::mt19937 random(1);
    for (int i = 0; i < 2000; ++i) {
        Bytes options(40);
        std::ranges::generate(options, [&] { return static_cast<std::uint8_t>(random() % 16); });
        options[0] = static_cast<std::uint8_t>(options[0] | 0x80);
        Bytes bytes = ipv4_frame(options, 100);
        Recut cut;
        ASSERT_TRUE(recut(frame_of(bytes), shape_of(4, 100), cut));
        ASSERT_EQ(rejoin(cut, 100), bytes);
    }
}

TEST(RecutTest, RefusesWhatItCantCut) {
    Recut cut;
    Bytes bytes = ipv4_frame({}, 100);
    EXPECT_FALSE(recut(frame_of(bytes), shape_of(4, 27), cut)) << "no room for 8 bytes";
    EXPECT_TRUE(recut(frame_of(bytes), shape_of(4, 28), cut));
    EXPECT_FALSE(recut(frame_of(bytes), shape_of(6, 28), cut)) << "another family";
    bytes.pop_back();
    EXPECT_FALSE(recut(frame_of(bytes), shape_of(4, 28), cut)) << "bytes are missing";
    EXPECT_TRUE(cut.frames.empty());
    bytes = ipv6_frame(100);
    EXPECT_FALSE(recut(frame_of(bytes), shape_of(6, 48 + 15), cut));
    EXPECT_TRUE(recut(frame_of(bytes), shape_of(6, 48 + 16), cut));
    bytes[kNet + 41] = 1;  // The hop-by-hop header became longer.
    EXPECT_FALSE(recut(frame_of(bytes), shape_of(6, 100), cut));
    bytes.resize(kNet + 10);
    EXPECT_FALSE(recut(frame_of(bytes), shape_of(6, 100), cut));
    bytes.resize(kNet - 1);
    EXPECT_FALSE(recut(frame_of(bytes), shape_of(4, 100), cut));
}

}  // namespace
}  // namespace haka::flow
