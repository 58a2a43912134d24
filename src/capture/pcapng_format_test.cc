#include "capture/pcapng_format.h"

#include <gtest/gtest.h>

#include "capture/test_captures.h"

namespace haka::capture {
namespace {

using test::Bytes;
using test::Pcapng;
using test::read_bytes;

constexpr std::uint16_t kName = 2;
constexpr std::uint16_t kResolution = 9;
constexpr std::uint16_t kOffset = 14;

Bytes as_vector(std::string_view text) {
    const ByteView bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

TEST(PcapngFormatTest, ReadsSeveralSectionsInTheirOwnByteOrder) {
    Pcapng file;
    for (const bool is_big_endian : {false, true, false}) {
        file.section(is_big_endian).interface(1).packet({.ticks = 5'000'001, .data = "hello"});
    }
    const auto all = read_bytes(file.bytes());
    EXPECT_EQ(all.damage, "");
    ASSERT_EQ(all.frames.size(), 3U);
    for (std::uint32_t i = 0; i < 3; ++i) {
        EXPECT_EQ(all.frames[i].data, "hello");
        EXPECT_EQ(all.frames[i].ns, 5'000'001'000);
        EXPECT_EQ(all.frames[i].number, i + 1);
        EXPECT_EQ(all.frames[i].interface, i);
    }
}

TEST(PcapngFormatTest, EachInterfaceHasItsOwnLinkTypeClockAndName) {
    for (const bool is_big_endian : {false, true}) {
        Pcapng file;
        file.section(is_big_endian);
        const Bytes minus_one(8, 0xff);
        file.interface(1, 96, {{kName, as_vector("eth0")}, {kResolution, {9}}});
        file.interface(113, 0, {{kResolution, {3}}, {kOffset, minus_one}});
        file.interface(276, 0, {{kResolution, {0x80 | 10}}, {0, {}}, {kResolution, {1}}});
        file.packet({.interface = 2, .ticks = 1536, .data = "c"});
        file.packet({.interface = 1, .ticks = 1500, .data = "b"});
        file.packet({.interface = 0, .ticks = 1, .data = "a", .original_size = 99});
        const auto all = read_bytes(file.bytes());
        ASSERT_EQ(all.interfaces.size(), 3U);
        EXPECT_EQ(all.interfaces[0].name, "eth0");
        EXPECT_EQ(all.interfaces[0].snaplen, 96U);
        EXPECT_EQ(all.interfaces[2].link, LinkType::LinuxSll2);
        ASSERT_EQ(all.frames.size(), 3U);
        EXPECT_EQ(all.frames[0].ns, 1'500'000'000);
        EXPECT_EQ(all.frames[0].link, LinkType::LinuxSll2);
        EXPECT_EQ(all.frames[1].ns, 500'000'000);
        EXPECT_EQ(all.frames[1].interface, 1U);
        EXPECT_EQ(all.frames[2].ns, 1);
        EXPECT_EQ(all.frames[2].original_size, 99U);
    }
}

TEST(PcapngFormatTest, ClocksSaturate) {
    EXPECT_EQ(Clock(6).at(UINT64_MAX).ns, INT64_MAX);
    EXPECT_EQ(Clock(0).at(UINT64_MAX).ns, INT64_MAX);
    EXPECT_EQ(Clock(0x80).at(UINT64_MAX).ns, INT64_MAX);
    EXPECT_EQ(Clock(9, INT64_MIN).at(0).ns, INT64_MIN);
    EXPECT_EQ(Clock(0, INT64_MAX).at(UINT64_MAX).ns, INT64_MAX);
}

TEST(PcapngFormatTest, ClocksOfEveryResolutionAgree) {
    EXPECT_EQ(Clock(0).at(3).ns, 3'000'000'000);
    EXPECT_EQ(Clock(9).at(INT64_MAX).ns, INT64_MAX);
    EXPECT_EQ(Clock(12).at(1'999).ns, 1);
    EXPECT_EQ(Clock(28).at(UINT64_MAX).ns, 1);
    EXPECT_EQ(Clock(127).at(UINT64_MAX).ns, 0);
    EXPECT_EQ(Clock(0x80 | 1).at(3).ns, 1'500'000'000);
    EXPECT_EQ(Clock(0x80 | 64).at(1ULL << 63).ns, 500'000'000);
    EXPECT_EQ(Clock(0x80 | 127).at(UINT64_MAX).ns, 0);
    EXPECT_EQ(Clock(6, -2).at(5'000'001).ns, 3'000'001'000);
    EXPECT_EQ(Clock(6, 2).at(1).ns, 2'000'001'000);
}

TEST(PcapngFormatTest, ReadsSimpleAndObsoletePackets) {
    for (const bool is_big_endian : {false, true}) {
        Pcapng file;
        file.section(is_big_endian).interface(1, 4).interface(101);
        file.simple_packet("cut ", 1000).simple_packet("abc", 3);
        file.obsolete_packet({.interface = 1, .ticks = 1ULL << 32, .data = "old"});
        const auto all = read_bytes(file.bytes());
        ASSERT_EQ(all.frames.size(), 3U);
        EXPECT_EQ(all.frames[0].data, "cut ");
        EXPECT_EQ(all.frames[0].original_size, 1000U);
        EXPECT_EQ(all.frames[0].ns, 0);
        EXPECT_EQ(all.frames[1].data, "abc");
        EXPECT_EQ(all.frames[2].data, "old");
        EXPECT_EQ(all.frames[2].interface, 1U);
        EXPECT_EQ(all.frames[2].ns, (1LL << 32) * 1000);
    }
}

TEST(PcapngFormatTest, PassesOverOtherBlocksWhateverTheirSize) {
    Pcapng file;
    file.section();
    file.block(4, file.body().text("names")).interface(1);
    for (const std::size_t size : {0U, 4U, 4096U, 3'000'000U}) {
        file.block(0x00000bad, file.body().raw(Bytes(size, 0x55)));
        file.packet({.data = "x"});
    }
    for (const std::size_t block_size : {std::size_t{48}, std::size_t{4096}, kBlockSize}) {
        const auto all = read_bytes(file.bytes(), {.block_size = block_size});
        EXPECT_EQ(all.frames.size(), 4U);
        EXPECT_EQ(all.damage, "");
    }
}

TEST(PcapngFormatTest, RefusesALinkTypeWhenItsFirstPacketComes) {
    const std::string refusal =
        "x: link type USB_LINUX (189) is not supported; supported are Ethernet, raw IP, BSD "
        "loopback, Linux cooked v1 and v2";
    Pcapng alone;
    alone.section().interface(189).packet({.data = "x"});
    EXPECT_EQ(read_bytes(alone.bytes()).error, refusal);

    Pcapng among;
    among.section().interface(189).interface(1).packet({.interface = 1, .data = "x"});
    const std::size_t at = among.bytes().size();
    auto all = read_bytes(among.bytes());
    EXPECT_EQ(all.damage, "");
    ASSERT_EQ(all.frames.size(), 1U);
    EXPECT_EQ(all.frames[0].interface, 0U);  // The one that can't be read isn't counted.

    all = read_bytes(among.packet({.data = "usb"}).packet({.interface = 1, .data = "y"}).bytes());
    EXPECT_EQ(all.frames.size(), 1U);
    EXPECT_EQ(all.damage,
              refusal + "; met at byte " + std::to_string(at) + " (inside the record of packet 2)");
}

TEST(PcapngFormatTest, AFileWithoutPacketsIsSound) {
    for (const auto& bytes : {Pcapng().section().bytes(), Pcapng().section().interface(9).bytes(),
                              Pcapng().section().interface(1).bytes()}) {
        const auto all = read_bytes(bytes);
        EXPECT_EQ(all.error, "");
        EXPECT_EQ(all.damage, "");
        EXPECT_TRUE(all.frames.empty());
    }
}

TEST(PcapngFormatTest, BoundsTheNumberOfInterfaces) {
    Pcapng file;
    file.section();
    for (std::size_t i = 0; i < PcapngFormat::kInterfacesMax; ++i) {
        file.interface(1);
    }
    file.packet({.interface = PcapngFormat::kInterfacesMax - 1, .data = "x"});
    EXPECT_EQ(read_bytes(file.bytes()).damage, "");
    const auto all = read_bytes(file.section().interface(1).bytes());
    EXPECT_EQ(all.frames.size(), 1U);
    EXPECT_NE(all.damage.find("more than 4096 interfaces; split the file"), std::string::npos);
}

// One packet, then the block that is damaged, at a place known to the byte.
struct Damage {
    const char* what;
    Bytes block;
    const char* message;  // In front of " at byte ...".
};

std::vector<Damage> damages() {
    const Pcapng any;
    const auto block = [&](std::uint32_t type, const test::Builder& fields) {
        return Pcapng().block(type, fields).bytes();
    };
    const auto body = [&] { return any.body(); };
    Bytes wrong_trailer = Pcapng().packet({.data = "x"}).bytes();
    wrong_trailer[wrong_trailer.size() - 4] ^= 8;
    return {
        {"odd", body().u32(6).u32(34).raw(Bytes(40)).bytes, "impossible block length 34"},
        {"short", body().u32(6).u32(8).raw(Bytes(40)).bytes, "impossible block length 8"},
        {"huge", body().u32(6).u32(0x00100004).raw(Bytes(40)).bytes,
         "impossible block length 1048580"},
        {"trailer", wrong_trailer, "block length 36 that its end repeats as 44"},
        {"small packet", block(6, body().u64(0).u64(0)), "impossible block length 28"},
        {"small simple", block(3, body()), "impossible block length 12"},
        {"small section", block(0x0a0d0d0a, body().u32(0x1a2b3c4d)), "impossible block length 16"},
        {"small interface", block(1, body()), "impossible block length 12"},
        {"magic", block(0x0a0d0d0a, body().u32(1).u64(0).u64(0)), "impossible byte-order magic"},
        {"interface", Pcapng().packet({.interface = 1, .data = "x"}).bytes(),
         "packet of interface 1, which no block describes,"},
        {"too long", block(6, body().u32(0).u64(0).u32(5).u32(5).u32(0)),
         "impossible packet length 5"},
        {"simple too long", block(3, body().u32(9).u64(0)), "impossible packet length 9"},
        {"option", block(1, body().u32(1).u32(0).u16(kName).u16(5).u32(0)),
         "impossible length 5 of option 2"},
        {"clock", block(1, body().u32(1).u32(0).u16(kResolution).u16(2).u32(0)),
         "impossible length 2 of option 9"},
    };
}

TEST(PcapngFormatTest, NamesEachDamageAndItsPlace) {
    Pcapng start;
    start.section().interface(1).packet({.data = "good"});
    for (const Damage& damage : damages()) {
        Bytes bytes = start.bytes();
        bytes.insert(bytes.end(), damage.block.begin(), damage.block.end());
        const auto all = read_bytes(bytes);
        EXPECT_EQ(all.frames.size(), 1U) << damage.what;
        const std::string prefix = std::string("x: ") + damage.message + " at byte " +
                                   std::to_string(start.bytes().size()) + " (";
        EXPECT_EQ(all.damage.substr(0, prefix.size()), prefix) << damage.what;
    }
}

TEST(PcapngFormatTest, ASkippedBlocksEndMustRepeatItsLength) {
    Pcapng file;
    file.section().interface(1).packet({.data = "good"}).block(5, file.body().u32(0));
    Bytes bytes = file.bytes();
    bytes.back() ^= 1;
    const auto all = read_bytes(bytes);
    EXPECT_EQ(all.frames.size(), 1U);
    EXPECT_EQ(all.damage, "x: block length 16 that its end repeats as 16777232 at byte " +
                              std::to_string(bytes.size() - 4) +
                              " (inside a block behind packet 1)");
}

TEST(PcapngFormatTest, RefusesOtherVersions) {
    EXPECT_EQ(read_bytes(Pcapng().section(false, 2).bytes()).error,
              "x: pcapng version 2.0 is not supported; supported is 1.x");
}

}  // namespace
}  // namespace haka::capture
