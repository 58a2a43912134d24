#include "stream/recovery.h"

#include <random>

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

using Range = Recovery::Range;

constexpr Instant kStart{5'000'000'000};
constexpr Duration kRoundTrip = kMillisecond * 20;
constexpr Range kNothing{};

// 100-byte segments; the receiver has everything below 1000, and 3000 bytes were sent.
class RecoveryTest : public ::testing::Test {
protected:
    Range next(Duration later = {}, std::uint64_t end = 3000) {
        const Range range = recovery_.next(end, 3000, 100, kStart + later, kRoundTrip);
        return range.empty() ? kNothing : range;
    }
    void answer(std::uint64_t acked, const std::vector<Range>& blocks) {
        for (const Range& block : blocks) {
            recovery_.sacked(block);
        }
        recovery_.answered(acked, acked == acked_);
        acked_ = acked;
    }

    Recovery recovery_{1000};
    std::uint64_t acked_ = 1000;
};

TEST_F(RecoveryTest, AHoleIsLostWithMoreThanTwoSegmentsBehindIt) {  // RFC 6675, 4
    answer(1000, {{1100, 1300}});
    EXPECT_EQ(next(), kNothing);
    answer(1000, {{1300, 1301}});
    EXPECT_EQ(next(), (Range{1000, 1100}));
    EXPECT_EQ(next(), kNothing);
}

TEST_F(RecoveryTest, OrWithThreeBlocksBehindIt) {
    answer(1000, {{1100, 1110}, {1200, 1210}});
    EXPECT_EQ(next(), kNothing);
    answer(1000, {{1300, 1310}});
    EXPECT_EQ(next(), (Range{1000, 1100}));
    EXPECT_EQ(next(), kNothing) << "two blocks behind the second hole";
}

TEST_F(RecoveryTest, EachHoleIsSentOnceInSegments) {
    answer(1000, {{1250, 1300}, {1350, 2000}});
    EXPECT_EQ(next(), (Range{1000, 1100}));
    EXPECT_EQ(next(), (Range{1100, 1200}));
    EXPECT_EQ(next(), (Range{1200, 1250}));
    EXPECT_EQ(next(), (Range{1300, 1350}));
    EXPECT_EQ(next(), kNothing);
    EXPECT_EQ(recovery_.sent_again(), 1350U);
}

TEST_F(RecoveryTest, OnceMoreWhenTheCopyHasHadItsTime) {
    answer(1000, {{1100, 2000}});
    EXPECT_EQ(next(), (Range{1000, 1100}));
    answer(1000, {{2000, 2100}});
    EXPECT_EQ(next(kMillisecond * 31), kNothing);
    EXPECT_EQ(next(kMillisecond * 32), (Range{1000, 1100}));
}

TEST_F(RecoveryTest, NothingBeyondTheEndIsOurs) {
    answer(1000, {{1250, 2000}});
    EXPECT_EQ(next({}, 1000), kNothing);
    EXPECT_EQ(next({}, 1100), (Range{1000, 1100}));
    EXPECT_EQ(next({}, 1100), kNothing);
}

TEST_F(RecoveryTest, WithoutBlocksThreeRepeatedAcksDo) {  // RFC 5681, 3.2
    answer(1000, {});
    answer(1000, {});
    EXPECT_EQ(next(), kNothing);
    answer(1000, {});
    EXPECT_EQ(next(), (Range{1000, 1100}));
    for (int i = 0; i < 5; ++i) {
        answer(1000, {});
        EXPECT_EQ(next(), kNothing);
    }
}

TEST_F(RecoveryTest, APartialAckShowsTheNextHole) {  // RFC 6582, 3.2
    for (int i = 0; i < 3; ++i) {
        answer(1000, {});
    }
    EXPECT_EQ(next(), (Range{1000, 1100}));
    answer(1500, {});
    EXPECT_EQ(next(), (Range{1500, 1600}));
    answer(3000, {});  // All that was sent when the loss was seen.
    EXPECT_EQ(next(), kNothing);
}

TEST_F(RecoveryTest, WhatNoBlockNamesIsLostWhenNobodyAnswers) {
    recovery_.timed_out();
    EXPECT_EQ(next(), (Range{1000, 1100}));
    EXPECT_EQ(next(), kNothing);
    recovery_.timed_out();
    EXPECT_EQ(next(), (Range{1000, 1100}));
    answer(1100, {});
    EXPECT_EQ(next(), (Range{1100, 1200})) << "in the midst of a recovery";
}

TEST_F(RecoveryTest, BlocksBelowTheAckAreOfNoUse) {
    answer(1000, {{500, 900}, {900, 1000}});
    EXPECT_FALSE(recovery_.knows_holes());
    answer(1000, {{1100, 1200}, {1300, 1400}});
    answer(1350, {});
    EXPECT_EQ(recovery_.blocks(), (std::vector<Range>{{1300, 1400}}));
    answer(1400, {});
    EXPECT_FALSE(recovery_.knows_holes());
}

TEST_F(RecoveryTest, RemembersSoManyBlocksAndNoMore) {
    for (std::uint64_t i = 0; i < Recovery::kBlocksMax + 5; ++i) {
        recovery_.sacked({.begin = 2000 + 4 * i, .end = 2002 + 4 * i});
    }
    EXPECT_EQ(recovery_.blocks().size(), Recovery::kBlocksMax);
    recovery_.sacked({.begin = 2000, .end = 2800});
    EXPECT_EQ(recovery_.blocks(), (std::vector<Range>{{2000, 2800}}));
}

TEST_F(RecoveryTest, ItsBlocksAreTheUnionOfAllThatWasSaid) {
    std::mt19937 random(7);
    for (int run = 0; run < 200; ++run) {
        Recovery recovery(0);
        std::vector<bool> has(60);
        for (int i = 0; i < 12; ++i) {
            const auto begin = random() % 50;
            const auto end = begin + random() % 10;
            recovery.sacked({.begin = begin, .end = end});
            for (auto at = begin; at < end; ++at) {
                has[at] = true;
            }
        }
        std::vector<bool> says(60);
        std::uint64_t last = 0;
        for (const Range& block : recovery.blocks()) {
            EXPECT_TRUE(block.begin > last || last == 0);
            last = block.end;
            for (auto at = block.begin; at < block.end; ++at) {
                says[at] = true;
            }
        }
        EXPECT_EQ(says, has);
    }
}

}  // namespace
}  // namespace haka::stream
