#include "stream/stream_memory.h"

#include <vector>

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

TEST(StreamMemoryTest, RoundsUpToPowersOfTwo) {
    EXPECT_EQ(StreamMemory::block_size(0), 256U);
    EXPECT_EQ(StreamMemory::block_size(256), 256U);
    EXPECT_EQ(StreamMemory::block_size(257), 512U);
    EXPECT_EQ(StreamMemory::block_size(StreamMemory::kBlockMax), StreamMemory::kBlockMax);
}

TEST(StreamMemoryTest, GivesExactlyUpToTheCap) {
    StreamMemory memory(TcpSettings{.stream_memory_max = 1024});
    const StreamMemory::Block a = memory.take(512);
    const StreamMemory::Block b = memory.take(512);
    EXPECT_NE(a.data, nullptr);
    EXPECT_NE(b.data, nullptr);
    EXPECT_EQ(memory.used(), 1024U);
    EXPECT_EQ(memory.take(1).data, nullptr);
    memory.give(a);
    EXPECT_EQ(memory.take(513).data, nullptr);
    const StreamMemory::Block c = memory.take(300);
    EXPECT_EQ(c.data, a.data);  // Recycled.
    memory.give(b);
    memory.give(c);
    EXPECT_EQ(memory.used(), 0U);
    EXPECT_EQ(memory.cached(), 1024U);
}

TEST(StreamMemoryTest, RefusesWhatNoBlockHolds) {
    StreamMemory memory(TcpSettings{.stream_memory_max = UINT64_MAX});
    EXPECT_EQ(memory.take(std::uint64_t{StreamMemory::kBlockMax} + 1).data, nullptr);
    EXPECT_EQ(memory.take(UINT64_MAX).data, nullptr);
}

TEST(StreamMemoryTest, KeepsLittleIdle) {
    StreamMemory memory(TcpSettings{});
    std::vector<StreamMemory::Block> blocks;
    blocks.reserve(100);
    for (int i = 0; i < 100; ++i) {
        blocks.push_back(memory.take(1U << 20));
    }
    for (const StreamMemory::Block block : blocks) {
        memory.give(block);
    }
    EXPECT_EQ(memory.used(), 0U);
    EXPECT_LE(memory.cached(), StreamMemory::kCachedMax);
}

}  // namespace
}  // namespace haka::stream
