#include <gtest/gtest.h>

#include "stream/tracker_fixture.h"

namespace haka::stream {
namespace {

using flow::EndReason;
using flow::State;
class ResetTest : public test::TrackerTest {};

INSTANTIATE_TEST_SUITE_P(BothModes, ResetTest, ::testing::Values(Mode::File, Mode::Live),
                         test::mode_name);

TEST_P(ResetTest, RstAnswersTheSyn) {
    t.client({.flags = "S"});
    expect_dropped(t, false, {.flags = "R", .seq = 0}, Event::TcpRstInexact);
    expect_dropped(t, false, {.flags = "RA", .seq = 0, .ack = 2}, Event::TcpBadAck);
    const Judgement refused = t.server({.flags = "RA", .seq = 0, .ack = 1});
    EXPECT_TRUE(refused.reset);
    EXPECT_EQ(refused.reason, EndReason::Refused);
    EXPECT_EQ(t.connection.state, State::Closed);
}

TEST_P(ResetTest, RstIsBelievedOnlyAtTheExactNumber) {
    t.shake();
    t.client({.flags = "A", .seq = 1, .ack = 1, .size = 100});
    for (const std::int64_t seq : {2LL, 100LL, 102LL, 60'000LL}) {
        expect_dropped(t, true, {.flags = "R", .seq = seq}, Event::TcpRstInexact);
    }
    for (const std::int64_t seq : {0LL, -70'000LL, 70'000LL, 1LL << 30}) {
        expect_dropped(t, true, {.flags = "R", .seq = seq}, Event::TcpRstOutOfWindow);
    }
    expect_dropped(t, true, {.flags = "RA", .seq = 101, .ack = 1LL << 29}, Event::TcpBadAck);
    const Judgement judgement = t.client({.flags = "RA", .seq = 101, .ack = 1});
    EXPECT_TRUE(judgement.reset);
    EXPECT_EQ(judgement.reason, EndReason::Reset);
    expect_dropped(t, false, {.flags = "A", .seq = 1, .ack = 101, .size = 10},
                   Event::TcpAfterReset);
    expect_dropped(t, true, {.flags = "A", .seq = 101, .ack = 1, .size = 10}, Event::TcpAfterReset);
    // The end repeats itself where the other may still be alive.
    expect_passes(t.client({.flags = "R", .seq = 101}));
}

TEST_P(ResetTest, RstThatAnswersAChallengeQuotesTheAck) {
    t.shake();
    t.client({.flags = "A", .seq = 1, .ack = 1, .size = 100});
    t.server({.flags = "A", .seq = 1, .ack = 51});  // The rest was lost behind us.
    EXPECT_TRUE(t.client({.flags = "R", .seq = 51}).reset);
}

TEST_P(ResetTest, RstBehindItsFin) {
    t.shake();
    t.client({.flags = "FA", .seq = 1, .ack = 1, .size = 10});
    expect_dropped(t, true, {.flags = "R", .seq = 11}, Event::TcpRstInexact);
    EXPECT_TRUE(t.client({.flags = "R", .seq = 12}).reset);
}

TEST_P(ResetTest, DataInARstIsStripped) {
    t.shake();
    const Judgement judgement = t.client({.flags = "R", .seq = 1, .size = 12});
    EXPECT_TRUE(judgement.reset);
    EXPECT_TRUE(judgement.trimmed);
    EXPECT_EQ(judgement.size, 0U);
    EXPECT_EQ(judgement.event, Event::TcpRstData);
}

}  // namespace
}  // namespace haka::stream
