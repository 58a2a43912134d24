#include "capture/block_reader.h"

#include <algorithm>
#include <span>

#include <gtest/gtest.h>

#include "capture/test_captures.h"

namespace haka::capture {
namespace {

using test::Bytes;
using test::Pcap;
using test::Pcapng;
using test::read_bytes;

// Packets of all sizes from none to a few dozen bytes.
Bytes small_pcap() {
    Pcap file;
    for (std::uint32_t i = 0; i < 40; ++i) {
        file.packet(std::string(i, static_cast<char>('a' + i % 26)), {.seconds = i});
    }
    return file.bytes();
}

Bytes small_pcapng() {
    Pcapng file;
    file.section().interface(1).interface(101);
    for (std::uint32_t i = 0; i < 12; ++i) {
        file.packet({.interface = i % 2, .ticks = i, .data = std::string_view("abcdef", i % 7)});
        file.block(5, file.body().u64(i));
    }
    file.section(true).interface(1).simple_packet("xyz", 3);
    return file.bytes();
}

TEST(BlockReaderTest, FramesAreTheSameHoweverTheBytesAreCut) {
    for (const Bytes& bytes : {small_pcap(), small_pcapng()}) {
        const auto whole = read_bytes(bytes);
        ASSERT_FALSE(whole.frames.empty());
        for (std::size_t block_size = 1; block_size < 200; ++block_size) {
            for (const std::size_t step : {std::size_t{1}, std::size_t{13}, SIZE_MAX}) {
                const auto cut = read_bytes(bytes, {.block_size = block_size, .step = step});
                ASSERT_EQ(cut.frames, whole.frames) << block_size << ' ' << step;
                ASSERT_EQ(cut.damage, "");
            }
        }
    }
}

TEST(BlockReaderTest, BlocksOutliveEachOther) {
    const Bytes bytes = small_pcap();
    const auto whole = read_bytes(bytes);
    auto opened = BlockReader::open(memory_source(bytes), "x", 100);
    ASSERT_TRUE(opened.reader) << opened.error;
    std::vector<Block> blocks;
    for (Block block; opened.reader->read(block);) {
        for (const Frame& frame : block.frames) {
            std::ranges::fill(frame.mutable_bytes(), std::uint8_t{0});
        }
        blocks.push_back(std::move(block));
        block = Block();
    }
    EXPECT_GT(blocks.size(), 3U);
    std::size_t at = 0;
    for (const Block& block : blocks) {
        for (const Frame& frame : block.frames) {
            ASSERT_EQ(as_text(frame.bytes()), std::string(whole.frames.at(at).data.size(), '\0'));
            ++at;
        }
    }
    EXPECT_EQ(at, whole.frames.size());
}

TEST(BlockReaderTest, APipeIsDeliveredAsItComes) {
    const std::size_t step = Pcap().packet("one").bytes().size();
    const Bytes both = Pcap().packet("one").packet("two").packet("three").bytes();
    auto opened = BlockReader::open(memory_source(both, step), "x");
    ASSERT_TRUE(opened.reader);
    Block block;
    ASSERT_TRUE(opened.reader->read(block));
    EXPECT_EQ(block.frames.size(), 1U);
}

std::string truncated(std::size_t cut, std::size_t packets) {
    return "x: truncated at byte " + std::to_string(cut) + " (inside the record of packet " +
           std::to_string(packets + 1) + ")";
}

TEST(BlockReaderTest, EveryTruncatedPcapGivesWhatWasBeforeAndTheOffset) {
    const Bytes bytes = small_pcap();
    const auto whole = read_bytes(bytes);
    std::size_t packets = 0;
    std::size_t end_of_record = 24;
    for (std::size_t cut = 24; cut <= bytes.size(); ++cut) {
        if (packets < whole.frames.size() &&
            cut == end_of_record + 16 + whole.frames[packets].data.size()) {
            end_of_record = cut;
            ++packets;
        }
        for (const std::size_t block_size : {std::size_t{30}, kBlockSize / 256}) {
            const auto all = read_bytes(ByteView(bytes).first(cut), {.block_size = block_size});
            ASSERT_EQ(all.error, "");
            ASSERT_EQ(all.frames.size(), packets) << cut;
            ASSERT_TRUE(std::ranges::equal(all.frames, std::span(whole.frames).first(packets)));
            ASSERT_EQ(all.damage, cut == end_of_record ? "" : truncated(cut, packets));
        }
    }
}

TEST(BlockReaderTest, EveryTruncatedPcapngGivesWhatWasBeforeAndTheOffset) {
    const Bytes bytes = small_pcapng();
    const auto whole = read_bytes(bytes);
    std::size_t sound_ends = 0;
    for (std::size_t cut = 4; cut <= bytes.size(); ++cut) {
        const auto all = read_bytes(ByteView(bytes).first(cut), {.block_size = 64});
        const std::string& message = all.error.empty() ? all.damage : all.error;
        ASSERT_LE(all.frames.size(), whole.frames.size());
        ASSERT_TRUE(
            std::ranges::equal(all.frames, std::span(whole.frames).first(all.frames.size())));
        if (message.empty()) {
            ++sound_ends;
        } else {
            const std::string prefix = "x: truncated at byte " + std::to_string(cut) + " (";
            ASSERT_EQ(message.substr(0, prefix.size()), prefix);
        }
    }
    // One behind each block: section and two interfaces, 12 packets and 12 others, and the last
    // section's three.
    EXPECT_EQ(sound_ends, 3U + 24U + 3U);
    EXPECT_EQ(read_bytes(ByteView(bytes).first(bytes.size() - 2)).damage,
              "x: truncated at byte " + std::to_string(bytes.size() - 2) +
                  " (inside the record of packet 13)");
}

TEST(BlockReaderTest, EveryTruncatedHeaderIsRefused) {
    const Bytes bytes = small_pcap();
    EXPECT_EQ(read_bytes({}).error, "x: the file is empty; capture it again");
    EXPECT_EQ(read_bytes(ByteView(bytes).first(3)).error,
              "x: not a pcap or pcapng file (it has less than 4 bytes); capture it again");
    for (std::size_t cut = 4; cut < 24; ++cut) {
        EXPECT_EQ(read_bytes(ByteView(bytes).first(cut)).error,
                  "x: truncated at byte " + std::to_string(cut) +
                      " (inside the file header); capture it again");
    }
}

TEST(BlockReaderTest, RefusesWhatIsNoCapture) {
    EXPECT_EQ(read_bytes(as_bytes("#!/bin/sh\n")).error,
              "x: not a pcap or pcapng file (it begins with 23 21 2f 62); convert it, e.g. with "
              "editcap -F pcapng");
}

TEST(BlockReaderTest, RepeatsItsEnd) {
    const Bytes bytes = Pcap().packet("a").header(5, 5).bytes();
    auto opened = BlockReader::open(memory_source(bytes), "x");
    Block block;
    ASSERT_TRUE(opened.reader->read(block));
    EXPECT_FALSE(opened.reader->damage());  // Not before its frames were taken.
    for (int i = 0; i < 3; ++i) {
        EXPECT_FALSE(opened.reader->read(block));
        EXPECT_TRUE(block.frames.empty());
        EXPECT_TRUE(opened.reader->damage());
    }
}

}  // namespace
}  // namespace haka::capture
