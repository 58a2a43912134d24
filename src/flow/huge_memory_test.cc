#include "flow/huge_memory.h"

#include <bit>

#include <gtest/gtest.h>

namespace haka::flow {
namespace {

TEST(HugeMemoryTest, IsZeroedAlignedAndWritableToItsEnd) {
    for (const std::size_t size :
         {std::size_t{4096}, kHugePageSize - 4096, kHugePageSize, 3 * kHugePageSize}) {
        const HugeMemory memory = allocate_huge(size);
        const auto address = std::bit_cast<std::uintptr_t>(memory.get());
        EXPECT_EQ(address % (size < kHugePageSize ? 4096 : kHugePageSize), 0U) << size;
        EXPECT_EQ(memory.get()[0], 0);
        EXPECT_EQ(memory.get()[size - 1], 0);
        memory.get()[0] = 1;
        memory.get()[size - 1] = 1;
    }
}

}  // namespace
}  // namespace haka::flow
