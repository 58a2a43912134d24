// StreamBuffer under load and at its limits (scenarios L6 and L7).
#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "stream/stream_buffer.h"

namespace haka::stream {
namespace {

const std::vector<std::uint8_t>& zeros() {
    static const std::vector<std::uint8_t> kZeros(2U << 20);
    return kZeros;
}

ByteView some(std::size_t size) {
    return ByteView(zeros()).first(size);
}

TEST(StreamLimitsTest, HoldsExactlyTheBytesAllowed) {
    StreamMemory memory(TcpSettings{.held_bytes_max = 4096, .held_segments_max = 100});
    StreamBuffer buffer(memory);
    EXPECT_EQ(buffer.add(1, some(4000)).refused, Event::None);
    EXPECT_EQ(buffer.add(5000, some(257)).refused, Event::TcpHoldLimit);
    EXPECT_EQ(buffer.held_segments(), 1U);
    EXPECT_EQ(buffer.add(4001, some(1)).refused, Event::TcpHoldLimit);  // Charged as 256.
    EXPECT_EQ(buffer.add(1, some(4000)).refused, Event::None);          // Nothing new.
    EXPECT_EQ(buffer.add(0, some(1)).available, 4001U);
    EXPECT_EQ(buffer.add(5000, some(4096)).refused, Event::None);
    EXPECT_EQ(buffer.add(4001, some(999)).available, 999U + 4096U);
}

TEST(StreamLimitsTest, ChargesTinySegmentsAs256Bytes) {
    StreamMemory memory(TcpSettings{.held_bytes_max = 1024, .held_segments_max = 100});
    StreamBuffer buffer(memory);
    for (std::uint64_t i = 0; i < 4; ++i) {
        EXPECT_EQ(buffer.add(10 + i * 2, some(1)).refused, Event::None);
    }
    EXPECT_EQ(buffer.add(30, some(1)).refused, Event::TcpHoldLimit);
    EXPECT_EQ(buffer.add(0, some(10)).available, 11U);
    EXPECT_EQ(buffer.add(30, some(1)).refused, Event::None);
}

TEST(StreamLimitsTest, HoldsExactlyTheSegmentsAllowed) {
    StreamMemory memory(TcpSettings{.held_bytes_max = 1U << 20, .held_segments_max = 3});
    StreamBuffer buffer(memory);
    for (std::uint64_t i = 1; i <= 3; ++i) {
        EXPECT_EQ(buffer.add(i * 10, some(5)).refused, Event::None);
    }
    EXPECT_EQ(buffer.add(40, some(5)).refused, Event::TcpHoldLimit);
    EXPECT_EQ(buffer.add(12, some(10)).refused, Event::TcpHoldLimit);
    EXPECT_EQ(buffer.known_behind_hole(), 15U);
    EXPECT_EQ(buffer.add(0, some(10)).available, 15U);
    EXPECT_EQ(buffer.add(40, some(5)).refused, Event::None);
}

TEST(StreamLimitsTest, OneSegmentMayFillManyHolesAtOnce) {
    StreamMemory memory(TcpSettings{.held_bytes_max = 1U << 20, .held_segments_max = 3});
    StreamBuffer buffer(memory);
    buffer.add(10, some(5));
    buffer.add(20, some(5));
    EXPECT_EQ(buffer.add(5, some(25)).refused, Event::TcpHoldLimit);  // Would need three more.
    EXPECT_EQ(buffer.held_segments(), 2U);
    EXPECT_EQ(buffer.add(0, some(30)).available, 30U);  // In order it needs none.
}

TEST(StreamLimitsTest, MemoryCapRefusesAndChangesNothing) {
    StreamMemory memory(TcpSettings{.stream_memory_max = 4096});
    StreamBuffer buffer(memory);
    EXPECT_EQ(buffer.add(0, some(2048)).refused, Event::None);
    EXPECT_EQ(memory.used(), 4096U);
    EXPECT_EQ(buffer.add(2048, some(2048)).available, 2048U);
    EXPECT_EQ(buffer.add(4096, some(1)).refused, Event::TcpStreamMemory);
    EXPECT_EQ(buffer.add(5000, some(1)).refused, Event::TcpStreamMemory);
    EXPECT_EQ(buffer.add_gap(5000, 1).refused, Event::TcpStreamMemory);
    EXPECT_EQ(buffer.end(), 4096U);
    EXPECT_EQ(buffer.view().size(), 4096U);
    buffer.acknowledged(1);
    buffer.release(1);
    EXPECT_EQ(buffer.add(4096, some(1)).available, 1U);
    buffer.acknowledged(4097);
    buffer.release(4097);
    EXPECT_EQ(memory.used(), 0U);
}

TEST(StreamLimitsTest, RefusedHoldLeavesNoEmptyBlockBehind) {
    StreamMemory memory(TcpSettings{.held_bytes_max = 0, .held_segments_max = 0});
    StreamBuffer buffer(memory);
    EXPECT_EQ(buffer.add(5, some(5)).refused, Event::TcpHoldLimit);
    EXPECT_EQ(memory.used(), 0U);
}

TEST(StreamLimitsTest, GapAtTheEndIsNeverRefusedByTheHoldLimit) {
    StreamMemory memory(TcpSettings{.held_bytes_max = 1024, .held_segments_max = 1});
    StreamBuffer buffer(memory);
    buffer.add(0, some(3));
    EXPECT_EQ(buffer.add(10, some(3)).refused, Event::None);
    EXPECT_EQ(buffer.add_gap(20, 1).refused, Event::TcpHoldLimit);
    EXPECT_EQ(buffer.add_gap(3, 7).refused, Event::None);
    EXPECT_EQ(buffer.release(3), 3U);
}

TEST(StreamLimitsTest, MemoryFollowsWhatIsOutstandingNotWhatPassed) {
    StreamMemory memory{TcpSettings{}};
    StreamBuffer buffer(memory);
    std::uint64_t most = 0;
    for (std::uint64_t offset = 0; offset < (256U << 20); offset += 1448) {
        ASSERT_EQ(buffer.add(offset, some(1448)).available, 1448U);
        buffer.release(buffer.end());
        buffer.acknowledged(offset - std::min<std::uint64_t>(offset, 65536));
        most = std::max(most, memory.used());
    }
    EXPECT_LE(most, 256U << 10);
}

TEST(StreamLimitsTest, ABurstsBlockShrinksAgain) {
    StreamMemory memory{TcpSettings{}};
    StreamBuffer buffer(memory);
    buffer.add(0, some(1U << 20));
    buffer.release(buffer.end());
    buffer.acknowledged(buffer.end() - 1);
    for (int i = 0; i < 3000; ++i) {
        buffer.add(buffer.end(), some(1000));
        buffer.release(buffer.end());
        buffer.acknowledged(buffer.end() - 1);
    }
    EXPECT_LE(memory.used(), 16U << 10);
}

// Linear work: what a block is moved for was appended to it since the last time, and it stays
// small.
TEST(StreamLimitsTest, OneByteSegmentsInOrder) {  // L6
#ifdef __SANITIZE_ADDRESS__
    constexpr std::uint64_t kTotal = 4U << 20;  // Its checks cost twenty times the work.
#else
    constexpr std::uint64_t kTotal = 64U << 20;
#endif
    StreamMemory memory{TcpSettings{}};
    StreamBuffer buffer(memory);
    for (std::uint64_t offset = 0; offset < kTotal; ++offset) {
        if (buffer.add(offset, some(1)).available != 1) {
            FAIL() << offset;
        }
        if (offset % 1000 == 0) {
            buffer.release(buffer.end());
            buffer.acknowledged(buffer.end());
        }
    }
    EXPECT_EQ(buffer.end(), kTotal);
    EXPECT_LE(memory.used(), 8192U);
}

TEST(StreamLimitsTest, OneByteSegmentsReversedInsideTheLimit) {  // L6
    StreamMemory memory{TcpSettings{}};
    StreamBuffer buffer(memory);
    constexpr std::uint64_t kTurn = 1024;  // held_segments_max, and the one that fills the hole.
    for (std::uint64_t turn = 0; turn < (1U << 20); turn += kTurn + 1) {
        for (std::uint64_t i = kTurn + 1; i-- > 1;) {
            if (buffer.add(turn + i, some(1)).refused != Event::None) {
                FAIL() << turn + i;
            }
        }
        ASSERT_EQ(buffer.add(turn + kTurn + 1, some(1)).refused, Event::TcpHoldLimit);
        ASSERT_EQ(buffer.add(turn, some(1)).available, kTurn + 1);
        buffer.release(buffer.end());
        buffer.acknowledged(buffer.end());
        ASSERT_EQ(memory.used(), 0U);
    }
}

TEST(StreamLimitsTest, ManySegmentsOverlappingByOneConflictingByte) {  // L7
    constexpr std::uint64_t kSegments = 65'535;
    StreamMemory memory(TcpSettings{.held_bytes_max = UINT32_MAX, .held_segments_max = UINT32_MAX});
    std::vector<std::uint64_t> order(kSegments);
    for (std::uint64_t i = 0; i < kSegments; ++i) {
        order[i] = kSegments - 1 - i;
    }
    for (int round = 0; round < 2; ++round) {
        StreamBuffer buffer(memory);
        std::size_t differing = 0;
        for (const std::uint64_t i : order) {
            const auto value = static_cast<std::uint8_t>(i % 251);
            const std::array<std::uint8_t, 4> bytes{value, value, value, value};
            const Added added = buffer.add(1 + i * 3, bytes);
            ASSERT_EQ(added.refused, Event::None);
            differing += added.differs ? 1 : 0;
        }
        EXPECT_GT(differing, kSegments / 3);
        EXPECT_EQ(buffer.add(0, some(1)).available, kSegments * 3 + 2);
        EXPECT_EQ(buffer.held_segments(), 0U);
        std::shuffle(order.begin(), order.end(), std::mt19937(7));  // NOLINT(cert-msc51-cpp)
    }
}

}  // namespace
}  // namespace haka::stream
