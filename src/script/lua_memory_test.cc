#include "script/lua_memory.h"

#include <cstring>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace haka::script {
namespace {

TEST(LuaMemoryTest, KeepsWhatLiesInABlockWhenItIsResized) {
    LuaMemory memory(1U << 20);
    for (const std::size_t small : {std::size_t{1}, std::size_t{16}, std::size_t{255}}) {
        for (const std::size_t large : {std::size_t{17}, std::size_t{256}, std::size_t{5000}}) {
            void* block = LuaMemory::allocate(&memory, nullptr, 0, small);
            std::memset(block, 7, small);
            block = LuaMemory::allocate(&memory, block, small, large);
            block = LuaMemory::allocate(&memory, block, large, small);
            const auto* bytes = static_cast<const std::uint8_t*>(block);
            for (std::size_t i = 0; i < std::min(small, large); ++i) {
                ASSERT_EQ(bytes[i], 7);
            }
            EXPECT_EQ(memory.used(), small);
            EXPECT_EQ(LuaMemory::allocate(&memory, block, small, 0), nullptr);
            EXPECT_EQ(memory.used(), 0U);
        }
    }
}

TEST(LuaMemoryTest, RefusesWhatWouldPassTheBoundAndChangesNothing) {
    LuaMemory memory(100);
    void* block = LuaMemory::allocate(&memory, nullptr, 0, 100);
    ASSERT_NE(block, nullptr);
    EXPECT_EQ(LuaMemory::allocate(&memory, nullptr, 0, 1), nullptr);
    EXPECT_EQ(LuaMemory::allocate(&memory, block, 100, 101), nullptr);
    EXPECT_EQ(memory.used(), 100U);
    block = LuaMemory::allocate(&memory, block, 100, 60);
    EXPECT_NE(LuaMemory::allocate(&memory, nullptr, 0, 40), nullptr);
}

// Blocks that live at the same time never share a byte.
TEST(LuaMemoryTest, BlocksDoNotOverlap) {
    LuaMemory memory(64U << 20);
    struct Block {
        std::uint8_t* bytes = nullptr;
        std::size_t size = 0;
        std::uint8_t mark = 0;
    };
    std::vector<Block> blocks;
    std::mt19937 random(3);
    std::uint64_t total = 0;
    for (int step = 0; step < 50'000; ++step) {
        if (blocks.empty() || random() % 3 != 0) {
            const std::size_t size = 1 + random() % 400;
            Block block{static_cast<std::uint8_t*>(LuaMemory::allocate(&memory, nullptr, 0, size)),
                        size, static_cast<std::uint8_t>(random())};
            std::memset(block.bytes, block.mark, size);
            blocks.push_back(block);
            total += size;
        } else {
            std::swap(blocks[random() % blocks.size()], blocks.back());
            const Block block = blocks.back();
            blocks.pop_back();
            for (std::size_t i = 0; i < block.size; ++i) {
                ASSERT_EQ(block.bytes[i], block.mark);
            }
            (void)LuaMemory::allocate(&memory, block.bytes, block.size, 0);
            total -= block.size;
        }
        ASSERT_EQ(memory.used(), total);
    }
    for (const Block& block : blocks) {
        (void)LuaMemory::allocate(&memory, block.bytes, block.size, 0);
    }
}

}  // namespace
}  // namespace haka::script
