#include "stream/edit_map.h"

#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "stream/edit_model.h"

namespace haka::stream {
namespace {

constexpr std::size_t kMany = 256;

using Patches = std::vector<std::tuple<std::uint64_t, std::uint64_t, std::uint32_t, std::uint32_t>>;

Patches patches_of(std::span<const EditMap::Patch> patches) {
    Patches all;
    for (const EditMap::Patch& patch : patches) {
        all.emplace_back(patch.input, patch.output, patch.erased, patch.inserted);
    }
    return all;
}
Patches patches_of(const EditMap& map) {
    return patches_of(map.patches());
}

TEST(EditMapTest, WithoutEditsBothSidesAreTheSame) {
    const EditMap map;
    EXPECT_TRUE(map.empty());
    for (const std::uint64_t offset : {0ULL, 1ULL, 1ULL << 40}) {
        EXPECT_EQ(map.to_output(offset), offset);
        EXPECT_EQ(map.acked_input(offset), offset);
        EXPECT_EQ(map.sacked_begin(offset), offset);
    }
}

TEST(EditMapTest, NothingInThePlaceOfNothingIsNoPatch) {
    EditMap map;
    map.edit(0, 5, 0, 0, 0);
    EXPECT_TRUE(map.empty());
}

TEST(EditMapTest, AReplacementOfTheSameSizeMovesNothing) {
    EditMap map;
    map.edit(0, 10, 4, 4, kMany);
    for (std::uint64_t offset = 8; offset < 16; ++offset) {
        EXPECT_EQ(map.to_output(offset), offset);
        EXPECT_EQ(map.acked_input(offset), offset);
        EXPECT_EQ(map.sacked_begin(offset), offset);
    }
}

TEST(EditMapTest, WhatALongerOutputAddsBelongsToTheLastErasedByte) {
    EditMap map;
    map.edit(0, 10, 2, 5, kMany);
    EXPECT_EQ(map.to_output(11), 11U);
    EXPECT_EQ(map.to_output(12), 15U);
    EXPECT_EQ(map.acked_input(11), 11U);
    EXPECT_EQ(map.acked_input(14), 11U);
    EXPECT_EQ(map.acked_input(15), 12U);
    EXPECT_EQ(map.sacked_begin(11), 11U);
    EXPECT_EQ(map.sacked_begin(12), 12U);
    EXPECT_EQ(map.sacked_begin(15), 12U);
}

TEST(EditMapTest, WhatAShorterOutputLeavesOutBelongsToItsLastByte) {
    EditMap map;
    map.edit(0, 10, 5, 2, kMany);
    EXPECT_EQ(map.to_output(11), 11U);
    EXPECT_EQ(map.to_output(12), 12U);
    EXPECT_EQ(map.to_output(14), 12U);
    EXPECT_EQ(map.to_output(15), 12U);
    EXPECT_EQ(map.acked_input(11), 11U);
    EXPECT_EQ(map.acked_input(12), 15U);
    EXPECT_EQ(map.sacked_begin(11), 11U);
    EXPECT_EQ(map.sacked_begin(12), 15U);  // 12 to 14 belong to the byte before.
    EXPECT_EQ(map.sacked_begin(13), 16U);
}

TEST(EditMapTest, AnAckThatReachesErasedBytesAcknowledgesThem) {
    EditMap map;
    map.edit(0, 10, 5, 0, kMany);
    EXPECT_EQ(map.to_output(10), 10U);
    EXPECT_EQ(map.to_output(13), 10U);
    EXPECT_EQ(map.to_output(16), 11U);
    EXPECT_EQ(map.acked_input(9), 9U);
    EXPECT_EQ(map.acked_input(10), 15U);
    EXPECT_EQ(map.acked_input(11), 16U);
    EXPECT_EQ(map.sacked_begin(10), 10U);
    EXPECT_EQ(map.sacked_begin(11), 16U);
}

TEST(EditMapTest, AnInsertionBelongsToTheByteBehindIt) {
    EditMap map;
    map.edit(0, 10, 0, 3, kMany);
    EXPECT_EQ(map.to_output(10), 10U);
    EXPECT_EQ(map.to_output(11), 14U);
    EXPECT_EQ(map.acked_input(10), 10U);
    EXPECT_EQ(map.acked_input(13), 10U);
    EXPECT_EQ(map.acked_input(14), 11U);
    EXPECT_EQ(map.sacked_begin(10), 10U);
}

TEST(EditMapTest, ASackBlockFromTheMidstOfAnInsertionDoesNotNameTheByteBehindIt) {
    // Its sender would never send the byte again, and with it the insertion's first part.
    EditMap map;
    map.edit(0, 10, 0, 3, kMany);
    EXPECT_EQ(map.sacked_begin(11), 11U);
    EXPECT_EQ(map.sacked_begin(13), 11U);
    EXPECT_EQ(map.sacked_begin(14), 11U);
    map.edit(13, 13, 1, 1, kMany);
    EXPECT_EQ(map.sacked_begin(13), 11U);
}

TEST(EditMapTest, EditsAtTheVeryBeginning) {
    EditMap erased;
    erased.edit(0, 0, 3, 0, kMany);
    EXPECT_EQ(erased.to_output(0), 0U);
    EXPECT_EQ(erased.to_output(5), 2U);
    EXPECT_EQ(erased.acked_input(0), 3U);

    EditMap inserted;
    inserted.edit(0, 0, 0, 3, kMany);
    EXPECT_EQ(inserted.to_output(0), 0U);
    EXPECT_EQ(inserted.to_output(1), 4U);
    EXPECT_EQ(inserted.acked_input(0), 0U);
    EXPECT_EQ(inserted.acked_input(3), 0U);
    EXPECT_EQ(inserted.shift(), 0U);
}

TEST(EditMapTest, PatchesThatTouchBecomeOne) {
    EditMap map;
    map.edit(0, 10, 2, 3, kMany);
    map.edit(0, 13, 2, 0, kMany);  // Right behind it.
    EXPECT_EQ(patches_of(map), (Patches{{10, 10, 4, 3}}));
    map.edit(0, 8, 2, 2, kMany);  // Right before it.
    EXPECT_EQ(patches_of(map), (Patches{{8, 8, 6, 5}}));
    map.edit(0, 20, 1, 1, kMany);
    EXPECT_EQ(patches_of(map), (Patches{{8, 8, 6, 5}, {21, 20, 1, 1}}));
    map.edit(0, 9, 12, 0, kMany);  // Over both.
    EXPECT_EQ(patches_of(map), (Patches{{8, 8, 14, 1}}));
}

TEST(EditMapTest, AnInsertionTakenBackLeavesNoPatch) {
    EditMap map;
    map.edit(0, 10, 0, 3, kMany);
    map.edit(0, 20, 0, 3, kMany);
    map.edit(0, 10, 3, 0, kMany);
    EXPECT_EQ(patches_of(map), (Patches{{17, 17, 0, 3}}));
}

TEST(EditMapTest, WhatHasLeftKeepsItsOwnPatch) {
    EditMap map;
    map.edit(0, 10, 2, 6, kMany);
    map.edit(14, 14, 1, 0, kMany);  // Four of the six are away.
    EXPECT_EQ(patches_of(map), (Patches{{10, 10, 2, 4}, {12, 14, 0, 1}}));
    map.edit(15, 15, 0, 2, kMany);  // Both are away now.
    EXPECT_EQ(patches_of(map), (Patches{{10, 10, 2, 4}, {12, 14, 0, 1}, {12, 15, 0, 2}}));
    EXPECT_EQ(map.to_output(12), 14U);
    EXPECT_EQ(map.to_output(13), 18U);
}

TEST(EditMapTest, WhatLiesBeforeAPrunedEditNeverWraps) {
    EditMap shrunk;
    shrunk.edit(0, 100, 50, 0, kMany);
    shrunk.prune(100);
    EXPECT_EQ(shrunk.to_output(20), 0U);
    EXPECT_EQ(shrunk.to_output(150), 100U);
    EditMap grown;
    grown.edit(0, 0, 0, 50, kMany);
    grown.prune(50);
    EXPECT_EQ(grown.acked_input(20), 0U);
    EXPECT_EQ(grown.sacked_begin(20), 0U);
    EXPECT_EQ(grown.acked_input(60), 10U);
}

TEST(EditMapTest, JoinsTheOlderOnesOfTooMany) {
    EditMap map;
    for (std::uint64_t at = 10; at <= 40; at += 10) {
        map.edit(0, at, 1, 3, 4);
    }
    EXPECT_EQ(map.size(), 4U);
    map.edit(0, 50, 1, 3, 4);
    ASSERT_EQ(map.size(), 4U);
    EXPECT_EQ(map.patches()[0].output, 10U);
    EXPECT_EQ(map.patches()[0].output_end(), 23U);
    EXPECT_EQ(map.patches()[0].input, 10U);
    EXPECT_EQ(map.patches()[0].input_end(), 19U);
    EXPECT_EQ(map.patches()[1].output, 30U);
    EXPECT_EQ(map.to_output(19), 23U);
    EXPECT_EQ(map.acked_input(23), 19U);
    for (std::uint64_t input = 0; input < 60; ++input) {
        EXPECT_GE(map.acked_input(map.to_output(input)), input);
    }
    map.edit(0, 100, 0, 1, 1);
    EXPECT_LE(map.size(), 4U);
}

TEST(EditMapTest, APrunedPatchBecomesPartOfTheShift) {
    EditMap map;
    map.edit(0, 10, 2, 5, kMany);
    map.edit(0, 30, 8, 0, kMany);
    map.prune(14);
    EXPECT_EQ(map.size(), 2U);
    map.prune(15);
    EXPECT_EQ(patches_of(map), (Patches{{27, 30, 8, 0}}));
    EXPECT_EQ(map.shift(), 3U);
    EXPECT_EQ(map.to_output(20), 23U);
    map.prune(UINT64_MAX);
    EXPECT_TRUE(map.empty());
    EXPECT_EQ(map.shift(), static_cast<std::uint64_t>(-5));
    EXPECT_EQ(map.to_output(40), 35U);
    EXPECT_EQ(map.acked_input(35), 40U);
    EXPECT_EQ(map.sacked_begin(35), 40U);
}

TEST(EditMapTest, EditsBehindPrunedOnesStandAtTheirInput) {
    EditMap map;
    map.edit(0, 0, 0, 100, kMany);
    map.prune(100);
    map.edit(100, 105, 1, 0, kMany);
    EXPECT_EQ(patches_of(map), (Patches{{5, 105, 1, 0}}));
}

// Random edits, floors that rise, prunes and new input, compared with the model after each step.
class EditMapHistory {
public:
    explicit EditMapHistory(std::uint64_t seed) : random_(seed) { grow(20); }

    void step() {
        switch (below(8)) {
            case 0:
                floor_ += below(model_.output_size() - floor_ + 1);
                return;
            case 1:
                pruned_ += below(floor_ - pruned_ + 1);
                map_.prune(pruned_);
                model_.prune(pruned_);
                return;
            case 2:
                if (model_.output_size() < 80) {
                    grow(below(8));
                }
                return;
            default:
                edit();
        }
    }

    void check() const {
        ASSERT_EQ(patches_of(map_), patches_of(model_.patches()));
        std::uint64_t input_end = 0;
        std::uint64_t output_end = 0;
        for (const EditMap::Patch& patch : map_.patches()) {
            ASSERT_TRUE(patch.erased != 0 || patch.inserted != 0);
            ASSERT_LE(input_end, patch.input);
            ASSERT_LE(output_end, patch.output);
            input_end = patch.input_end();
            output_end = patch.output_end();
        }
        const std::uint64_t known = map_.acked_input(pruned_);
        ASSERT_EQ(known, model_.acked_input(pruned_));
        for (std::uint64_t x = known; x <= model_.input_size() + 2; ++x) {
            // What an insertion before the first unknown byte holds may be pruned.
            const std::uint64_t output = map_.to_output(x);
            ASSERT_GE(output, model_.to_output(x)) << x;
            ASSERT_LE(output, x == known ? pruned_ : model_.to_output(x)) << x;
            ASSERT_LE(output, map_.to_output(x + 1));
            ASSERT_GE(map_.acked_input(output), x);
        }
        for (std::uint64_t y = pruned_; y <= model_.output_size() + 2; ++y) {
            ASSERT_EQ(map_.acked_input(y), model_.acked_input(y)) << y;
            ASSERT_LE(map_.acked_input(y), map_.acked_input(y + 1));
            ASSERT_LE(map_.sacked_begin(y), map_.sacked_begin(y + 1)) << y;
            if (y > pruned_) {
                ASSERT_EQ(map_.sacked_begin(y), model_.sacked_begin(y)) << y;
            }
        }
    }

private:
    void grow(std::uint64_t size) { model_.append(std::vector<std::uint8_t>(size)); }
    std::uint64_t below(std::uint64_t limit) {
        return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random_);
    }
    void edit() {
        const std::uint64_t at = floor_ + below(model_.output_size() - floor_ + 1);
        const std::uint64_t left = model_.output_size() - at;
        const auto erase = static_cast<std::uint32_t>(below(std::min<std::uint64_t>(left, 5) + 1));
        const std::vector<std::uint8_t> insert(below(6));
        map_.edit(floor_, at, erase, static_cast<std::uint32_t>(insert.size()), kMany);
        ASSERT_TRUE(model_.edit(floor_, at, erase, insert, kMany));
    }

    std::mt19937_64 random_;
    EditMap map_;
    test::EditModel model_;
    std::uint64_t floor_ = 0;
    std::uint64_t pruned_ = 0;
};

// An edit may add two patches: one that reaches over the floor is split.
TEST(EditMapTest, NeverHasMorePatchesThanTheLimit) {
    for (const std::size_t limit : {1U, 2U, 3U, 5U}) {
        EditMap map;
        for (std::uint64_t i = 0; i < 20; ++i) {
            map.edit(i * 20 + 4, i * 20 + 8, 0, 2, limit);
            map.edit(i * 20 + 8, i * 20 + 20, 4, 8, limit);
            EXPECT_LE(map.size(), limit);
        }
    }
    EditMap map;
    map.edit(0, 0, 4, 8, 1);
    map.edit(4, 10, 0, 1, 1);
    EXPECT_EQ(map.size(), 1U);
}

TEST(EditMapTest, AgreesWithTheModelOverRandomHistories) {
    for (std::uint64_t seed = 0; seed < 120; ++seed) {
        SCOPED_TRACE("seed " + std::to_string(seed));
        EditMapHistory history(seed);
        for (int step = 0; step < 40; ++step) {
            history.step();
            history.check();
            if (testing::Test::HasFatalFailure()) {
                return;
            }
        }
    }
}

}  // namespace
}  // namespace haka::stream
