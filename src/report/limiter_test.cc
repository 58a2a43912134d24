#include "report/limiter.h"

#include <gtest/gtest.h>

namespace haka::report {
namespace {

constexpr Instant at(std::int64_t ms) {
    return Instant{} + kMillisecond * ms;
}

// How many of `count` occurrences at `when` are told one by one.
int admitted(AlertLimiter& limiter, Event event, Instant when, int count,
             std::vector<HeldBack>& told) {
    int result = 0;
    for (int i = 0; i < count; ++i) {
        result += limiter.admit(event, when, told) ? 1 : 0;
    }
    return result;
}

TEST(AlertLimiterTest, TellsTheFirstTenOfASecondAndThenACount) {
    AlertLimiter limiter;
    std::vector<HeldBack> told;
    EXPECT_EQ(admitted(limiter, Event::TcpNoConnection, at(5000), 10, told), 10);
    EXPECT_EQ(admitted(limiter, Event::TcpNoConnection, at(5999), 3, told), 0);
    EXPECT_TRUE(told.empty());
    EXPECT_EQ(admitted(limiter, Event::TcpNoConnection, at(6000), 1, told), 1);
    ASSERT_EQ(told.size(), 1U);
    EXPECT_EQ(told[0].event, Event::TcpNoConnection);
    EXPECT_EQ(told[0].count, 3U);
    EXPECT_EQ(told[0].second, at(5000));
    std::string line;
    append_held_back(line, told[0]);
    EXPECT_EQ(line, "tcp.no-connection: 3 more in this second");
}

TEST(AlertLimiterTest, SaysNothingAboutExactlyTen) {
    AlertLimiter limiter;
    std::vector<HeldBack> told;
    EXPECT_EQ(admitted(limiter, Event::TcpGap, at(0), 10, told), 10);
    limiter.advance(at(1000), told);
    limiter.finish(told);
    EXPECT_TRUE(told.empty());
}

TEST(AlertLimiterTest, CountsEventsApartAndTellsThemInOrder) {
    AlertLimiter limiter;
    std::vector<HeldBack> told;
    EXPECT_EQ(admitted(limiter, Event::TcpGap, at(0), 12, told), 10);
    EXPECT_EQ(admitted(limiter, Event::Ipv4BadChecksum, at(0), 11, told), 10);
    limiter.finish(told);
    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[0].event, Event::Ipv4BadChecksum);
    EXPECT_EQ(told[0].count, 1U);
    EXPECT_EQ(told[1].event, Event::TcpGap);
    EXPECT_EQ(told[1].count, 2U);
    limiter.finish(told);
    EXPECT_EQ(told.size(), 2U);
}

TEST(AlertLimiterTest, EndsTheSecondOfAQuietEvent) {
    AlertLimiter limiter;
    std::vector<HeldBack> told;
    EXPECT_EQ(admitted(limiter, Event::TcpGap, at(0), 11, told), 10);
    limiter.advance(at(999), told);
    EXPECT_TRUE(told.empty());
    limiter.advance(at(1000), told);
    EXPECT_EQ(told.size(), 1U);
}

TEST(AlertLimiterTest, IsNotReopenedByTimeThatJitters) {
    AlertLimiter limiter;
    std::vector<HeldBack> told;
    EXPECT_EQ(admitted(limiter, Event::TcpGap, at(100'000), 10, told), 10);
    EXPECT_EQ(admitted(limiter, Event::TcpGap, at(40'000), 1, told), 0);
    EXPECT_TRUE(told.empty());
    EXPECT_EQ(admitted(limiter, Event::TcpGap, at(39'999), 1, told), 1);  // Another file.
    EXPECT_EQ(told.size(), 1U);
}

TEST(AlertLimiterTest, BearsAnyTimeStamp) {
    AlertLimiter limiter;
    std::vector<HeldBack> told;
    for (const std::int64_t ns : {INT64_MIN, INT64_MAX, std::int64_t{-1}, INT64_MIN}) {
        EXPECT_EQ(admitted(limiter, Event::TcpGap, {ns}, 11, told), 10);
    }
    limiter.finish(told);
    EXPECT_EQ(told.size(), 4U);
}

}  // namespace
}  // namespace haka::report
