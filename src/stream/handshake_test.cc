#include <gtest/gtest.h>

#include "stream/tracker_fixture.h"

namespace haka::stream {
namespace {

using flow::State;
using test::Step;
using test::Talk;
class HandshakeTest : public test::TrackerTest {};

INSTANTIATE_TEST_SUITE_P(BothModes, HandshakeTest, ::testing::Values(Mode::File, Mode::Live),
                         test::mode_name);

TEST_P(HandshakeTest, SimultaneousOpenKeepsTheDirectionOfTheFirstSyn) {
    expect_passes(t.client({.flags = "S"}));
    expect_passes(t.server({.flags = "S"}));
    EXPECT_EQ(t.connection.state, State::SynReceived);
    expect_passes(t.client({.flags = "SA", .seq = 0, .ack = 1}));
    EXPECT_TRUE(t.server({.flags = "SA", .seq = 0, .ack = 1}).handshake_completed);
    EXPECT_EQ(t.connection.state, State::Established);
}

TEST_P(HandshakeTest, SplitHandshakeOfFivePackets) {
    t.client({.flags = "S"});
    expect_passes(t.server({.flags = "A", .seq = 0, .ack = 1}));
    expect_passes(t.server({.flags = "S"}));
    expect_passes(t.client({.flags = "SA", .seq = 0, .ack = 1}));
    EXPECT_TRUE(t.server({.flags = "A", .seq = 1, .ack = 1}).handshake_completed);
}

TEST_P(HandshakeTest, RepeatedSynsPassAndChangeNothing) {
    t.client({.flags = "S"});
    expect_passes(t.client({.flags = "S"}));
    t.server({.flags = "SA", .ack = 1});
    expect_passes(t.server({.flags = "SA", .ack = 1}));
    expect_passes(t.client({.flags = "S"}));
    t.client({.flags = "A", .seq = 1, .ack = 1});
    expect_passes(t.client({.flags = "S"}));
    expect_passes(t.server({.flags = "SA", .ack = 1}));
    EXPECT_EQ(t.connection.state, State::Established);
}

TEST_P(HandshakeTest, SynAckMustAcknowledgeTheSyn) {
    t.client({.flags = "S"});
    expect_dropped(t, false, {.flags = "SA", .ack = 0}, Event::TcpBadAck);
    expect_dropped(t, false, {.flags = "SA", .ack = 2}, Event::TcpBadAck);
    expect_dropped(t, false, {.flags = "SA", .ack = 1'000'000}, Event::TcpBadAck);
    expect_passes(t.server({.flags = "SA", .ack = 1}));
}

TEST_P(HandshakeTest, SynInsideAConnectionIsNotForwarded) {
    t.shake();
    for (const std::int64_t seq : {1LL, 2LL, 30000LL, -5LL, 1LL << 30}) {
        expect_dropped(t, true, {.flags = "S", .seq = seq}, Event::TcpSynInConnection);
        expect_dropped(t, false, {.flags = "S", .seq = seq}, Event::TcpSynInConnection);
        expect_dropped(t, false, {.flags = "SA", .seq = seq, .ack = 1}, Event::TcpSynInConnection);
    }
    // The server's challenge ACK to a forwarded repetition passes.
    expect_passes(t.server({.flags = "A", .seq = 1, .ack = 1}));
}

TEST_P(HandshakeTest, AnotherSynBeforeAnyAnswerIsAnotherAttempt) {
    t.client({.flags = "S"});
    const Judgement judgement = t.client({.flags = "S", .seq = 77});
    EXPECT_TRUE(judgement.new_attempt);
    EXPECT_EQ(t.connection.half(true).isn, 0xffff'fff0U);
}

TEST_P(HandshakeTest, ChallengeAckInSynSentPassesAndTheRstThatQuotesIt) {
    t.client({.flags = "S"});
    expect_passes(t.server({.flags = "A", .seq = 500, .ack = 40'000}));
    expect_dropped(t, true, {.flags = "R", .seq = 39'999}, Event::TcpRstOutOfWindow);
    expect_passes(t.client({.flags = "R", .seq = 40'000}));
    EXPECT_EQ(t.connection.state, State::SynSent);
    expect_passes(t.client({.flags = "S"}));
    expect_passes(t.server({.flags = "SA", .ack = 1}));
    EXPECT_EQ(t.connection.state, State::SynReceived);
}

TEST_P(HandshakeTest, SynDataIsStrippedWithoutFastOpen) {
    const Judgement judgement = t.client({.flags = "S", .size = 20});
    EXPECT_FALSE(judgement.drop);
    EXPECT_TRUE(judgement.trimmed);
    EXPECT_EQ(judgement.size, 0U);
    EXPECT_EQ(judgement.event, Event::TcpSynData);
    expect_dropped(t, false, {.flags = "SA", .ack = 21}, Event::TcpBadAck);
    const Judgement reply = t.server({.flags = "SA", .ack = 1, .size = 5});
    EXPECT_TRUE(reply.trimmed);
    EXPECT_EQ(reply.size, 0U);
}

TEST_P(HandshakeTest, SynDataWithFastOpenAreTheFirstBytes) {
    const Judgement judgement = t.client({.flags = "S", .size = 20, .fast_open = true});
    expect_passes(judgement, 20);
    EXPECT_EQ(judgement.offset, 0U);
    const Judgement taken = t.server({.flags = "SA", .ack = 21, .size = 5});
    expect_passes(taken, 5);
    EXPECT_EQ(taken.acknowledged, 20U);
    expect_passes(t.client({.flags = "A", .seq = 21, .ack = 6}));
    EXPECT_EQ(t.connection.state, State::Established);
}

TEST_P(HandshakeTest, FastOpenIgnoredByTheServerRepeatsItsData) {
    t.client({.flags = "S", .size = 20, .fast_open = true});
    expect_passes(t.server({.flags = "SA", .ack = 1}));
    const Judgement again = t.client({.flags = "A", .seq = 1, .ack = 1, .size = 20});
    expect_passes(again, 20);
    EXPECT_EQ(again.offset, 0U);
}

TEST_P(HandshakeTest, WindowScaleIsBoundedTo14) {
    t.shake({.flags = "S", .scale = 30}, {.flags = "SA", .ack = 1, .scale = 7});
    EXPECT_EQ(t.connection.half(true).window_scale, 14);
    EXPECT_EQ(t.connection.half(false).window_end, 65535ULL << 14);
}

TEST_P(HandshakeTest, WindowsAreNotScaledUnlessBothEndsDo) {
    t.shake({.flags = "S", .scale = 7});
    t.client({.flags = "A", .seq = 1, .ack = 1, .window = 1000});
    EXPECT_EQ(t.connection.half(false).window_end, 65535U);
}

TEST_P(HandshakeTest, OnlyASynBegins) {
    for (const char* flags : {"A", "SA", "R", "RA", "FA"}) {
        for (const bool from_client : {true, false}) {
            Talk fresh(GetParam());
            const Step step = {.flags = flags, .seq = 1, .ack = 1};
            EXPECT_FALSE(begins_connection(fresh.segment_of(from_client, step)));
            EXPECT_TRUE(fresh.say(from_client, step).drop) << flags;
        }
    }
    EXPECT_TRUE(begins_connection(t.segment_of(true, {.flags = "SEW"})));
    EXPECT_FALSE(begins_connection(t.segment_of(true, {.flags = "S", .bad = Event::TcpBadOption})));
}

TEST_P(HandshakeTest, SynAfterTheEndIsANewAttempt) {
    t.shake();
    t.client({.flags = "FA", .seq = 1, .ack = 1});
    t.server({.flags = "FA", .seq = 1, .ack = 2});
    if (live()) {
        expect_dropped(t, true, {.flags = "S", .seq = 999}, Event::TcpSynInConnection);
    } else {
        EXPECT_TRUE(t.client({.flags = "S", .seq = 999}).new_attempt);
    }
    t.client({.flags = "A", .seq = 2, .ack = 2});
    ASSERT_EQ(t.connection.state, State::TimeWait);
    EXPECT_TRUE(t.client({.flags = "S", .seq = 999}).new_attempt);
    EXPECT_TRUE(t.server({.flags = "S", .seq = 999}).new_attempt);
    EXPECT_FALSE(t.client({.flags = "S"}).new_attempt);  // An old duplicate.
    expect_passes(t.server({.flags = "FA", .seq = 1, .ack = 2}));
}

TEST_P(HandshakeTest, SynAfterAResetIsANewAttempt) {
    t.client({.flags = "S"});
    t.server({.flags = "RA", .ack = 1});
    EXPECT_TRUE(t.client({.flags = "S"}).new_attempt);
    EXPECT_TRUE(t.client({.flags = "S", .seq = 5}).new_attempt);
}

}  // namespace
}  // namespace haka::stream
