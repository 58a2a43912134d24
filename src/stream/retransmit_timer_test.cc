#include "stream/retransmit_timer.h"

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

constexpr Instant kStart{5'000'000'000};

std::int64_t wait_ms(const RetransmitTimer& timer) {
    return timer.timeout().ns / kMillisecond.ns;
}

TEST(RetransmitTimerTest, WaitsASecondBeforeAnyMeasurement) {
    EXPECT_EQ(wait_ms(RetransmitTimer()), 1000);
}

TEST(RetransmitTimerTest, TheFirstMeasurementCountsThreefold) {  // RFC 6298, 2.2
    RetransmitTimer timer;
    timer.sent(10, kStart);
    timer.acknowledged(9, kStart + kMillisecond * 50);  // Not all that is measured.
    EXPECT_EQ(wait_ms(timer), 1000);
    timer.acknowledged(10, kStart + kMillisecond * 100);
    EXPECT_EQ(wait_ms(timer), 300);  // R + 4 * R / 2
}

TEST(RetransmitTimerTest, LaterMeasurementsAreSmoothed) {  // RFC 6298, 2.3
    RetransmitTimer timer;
    timer.sent(10, kStart);
    timer.acknowledged(10, kStart + kMillisecond * 800);
    timer.sent(20, kStart);
    timer.acknowledged(25, kStart + kMillisecond * 400);
    // SRTT = 7/8 * 800 + 400/8 = 750, RTTVAR = 3/4 * 400 + 400/4 = 400
    EXPECT_EQ(wait_ms(timer), 750 + 4 * 400);
}

TEST(RetransmitTimerTest, OneSegmentIsMeasuredAtATime) {
    RetransmitTimer timer;
    timer.sent(10, kStart);
    timer.sent(20, kStart + kMillisecond * 90);
    timer.acknowledged(20, kStart + kMillisecond * 100);
    EXPECT_EQ(wait_ms(timer), 300);
}

TEST(RetransmitTimerTest, WhatWasSentTwiceIsNotMeasured) {  // Karn
    RetransmitTimer timer;
    timer.sent(10, kStart);
    timer.sent_again();
    timer.acknowledged(10, kStart + kMillisecond * 100);
    EXPECT_EQ(wait_ms(timer), 1000);

    timer.sent(20, kStart);
    EXPECT_TRUE(timer.back_off());
    timer.acknowledged(20, kStart + kMillisecond * 100);
    EXPECT_EQ(wait_ms(timer), 1000);
}

TEST(RetransmitTimerTest, StaysBetweenItsBounds) {
    RetransmitTimer quick;
    quick.sent(1, kStart);
    quick.acknowledged(1, kStart + kMillisecond);
    EXPECT_EQ(quick.timeout(), RetransmitTimer::kMin);

    RetransmitTimer slow;
    slow.sent(1, kStart);
    slow.acknowledged(1, kStart + kSecond * 1000);
    EXPECT_EQ(slow.timeout(), RetransmitTimer::kMax);
    EXPECT_TRUE(slow.back_off());
    EXPECT_EQ(slow.timeout(), RetransmitTimer::kMax);
}

TEST(RetransmitTimerTest, AClockThatRunsBackwardsMeasuresNothing) {
    RetransmitTimer timer;
    timer.sent(1, kStart);
    timer.acknowledged(1, Instant{0});
    EXPECT_EQ(timer.timeout(), RetransmitTimer::kMin);
}

TEST(RetransmitTimerTest, DoublesWithEachTryUntilAnAckCame) {  // RFC 6298, 5.5
    RetransmitTimer timer;
    for (const std::int64_t ms : {2000, 4000, 8000, 16'000, 32'000, 60'000, 60'000}) {
        EXPECT_TRUE(timer.back_off());
        EXPECT_EQ(wait_ms(timer), ms);
    }
    timer.acknowledged(1, kStart);
    EXPECT_EQ(wait_ms(timer), 1000);
}

TEST(RetransmitTimerTest, TheFirstTryIsAProbeAfterTwoRoundTrips) {  // RFC 8985, 7.2
    RetransmitTimer timer;
    EXPECT_EQ(timer.wait(true), RetransmitTimer::kFirst);  // Nothing measured yet.
    timer.sent(1, kStart);
    timer.acknowledged(1, kStart + kMillisecond);
    EXPECT_EQ(timer.round_trip(), kMillisecond);
    EXPECT_EQ(timer.wait(false), RetransmitTimer::kProbe);
    EXPECT_EQ(timer.wait(true), RetransmitTimer::kProbeHole);
    EXPECT_TRUE(timer.back_off());
    EXPECT_EQ(timer.wait(true), RetransmitTimer::kMin);

    RetransmitTimer far;
    far.sent(1, kStart);
    far.acknowledged(1, kStart + kMillisecond * 60);
    EXPECT_EQ(far.wait(true), kMillisecond * 120);
}

TEST(RetransmitTimerTest, GivesUpAfterItsTries) {
    RetransmitTimer timer;
    for (std::uint32_t i = 0; i < RetransmitTimer::kTriesMax; ++i) {
        EXPECT_TRUE(timer.back_off());
    }
    EXPECT_FALSE(timer.back_off());
}

}  // namespace
}  // namespace haka::stream
