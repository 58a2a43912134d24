#include "stream/seq.h"

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

TEST(SeqTest, RoundTripsEveryOffsetAroundEveryWrap) {
    for (const std::uint32_t isn : {0U, 1U, 0x7fffffffU, 0x80000000U, 0xfffffffeU, 0xffffffffU}) {
        for (const std::uint64_t wrap :
             {0x1'0000'0000ULL, 0x2'0000'0000ULL, 0x8000'0000ULL, 0x100'0000'0000ULL}) {
            const std::uint64_t center = wrap - isn - 1;
            for (std::uint64_t offset = center - 300; offset != center + 300; ++offset) {
                if (offset > 1ULL << 62) {
                    continue;  // Before the SYN.
                }
                for (const std::int64_t away : {-0x7fffffffLL, -1LL, 0LL, 1LL, 0x7fffffffLL}) {
                    const std::int64_t near = static_cast<std::int64_t>(offset) + away;
                    if (near < 0) {
                        continue;
                    }
                    ASSERT_EQ(to_offset(to_seq(isn, offset), isn, static_cast<std::uint64_t>(near)),
                              static_cast<std::int64_t>(offset));
                }
            }
        }
    }
}

TEST(SeqTest, TheSynItselfIsMinusOne) {
    EXPECT_EQ(to_offset(5000, 5000, 0), -1);
    EXPECT_EQ(to_offset(0xffffffff, 0xffffffff, 0), -1);
    EXPECT_EQ(to_offset(0, 0xffffffff, 0), 0);
}

TEST(SeqTest, TakesTheClosestOffset) {
    EXPECT_EQ(to_offset(to_seq(7, 10), 7, 10 + (1ULL << 31)), 10);
    EXPECT_EQ(to_offset(to_seq(7, 10), 7, 11 + (1ULL << 31)), 10 + (1LL << 32));
}

TEST(SeqTest, DistanceIsSignedOnTheCircle) {
    EXPECT_EQ(circle_distance(1, 0xffffffff), 2);
    EXPECT_EQ(circle_distance(0xffffffff, 1), -2);
    EXPECT_EQ(circle_distance(0x80000000, 0), INT32_MIN);
}

}  // namespace
}  // namespace haka::stream
