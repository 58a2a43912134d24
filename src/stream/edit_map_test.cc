#include "stream/edit_map.h"

#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

constexpr std::size_t kMany = 256;

using Patches = std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint32_t, std::uint32_t>>;

Patches patches_of(const std::vector<EditMap::Patch>& patches) {
    Patches all;
    for (const EditMap::Patch& patch : patches) {
        all.emplace_back(patch.input, patch.output, patch.erased, patch.inserted);
    }
    return all;
}
Patches patches_of(const EditMap& map) {
    return patches_of(map.patches());
}

TEST(EditMapTest, ASplitCountsAgainstTheLimit) {
    EditMap map;
    ASSERT_TRUE(map.edit(0, 10, 0, 6, 1));
    EXPECT_FALSE(map.edit(13, 30, 1, 1, 2));  // Would be three.
    EXPECT_EQ(patches_of(map), (Patches{{10, 10, 0, 6}}));
    EXPECT_FALSE(map.edit(13, 13, 1, 0, 1));  // Would be two.
    EXPECT_EQ(patches_of(map), (Patches{{10, 10, 0, 6}}));
    EXPECT_TRUE(map.edit(13, 13, 3, 0, 1));  // The second half is gone: still one.
    EXPECT_EQ(patches_of(map), (Patches{{10, 10, 0, 3}}));
}

TEST(EditMapTest, ASackBlockFromTheMidstOfAnInsertionDoesNotNameTheByteBehindIt) {
    // Its sender would never send the byte again, and with it the insertion's first part.
    EditMap map;
    ASSERT_TRUE(map.edit(0, 10, 0, 3, kMany));
    EXPECT_EQ(map.sacked_begin(11), 11U);
    EXPECT_EQ(map.sacked_begin(13), 11U);
    EXPECT_EQ(map.sacked_begin(14), 11U);
    ASSERT_TRUE(map.edit(13, 13, 1, 1, kMany));
    EXPECT_EQ(map.sacked_begin(13), 11U);
}

}  // namespace
}  // namespace haka::stream
