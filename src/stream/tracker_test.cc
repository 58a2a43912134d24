#include "stream/tracker.h"

#include <gtest/gtest.h>

#include "stream/tracker_fixture.h"

namespace haka::stream {
namespace {

using flow::State;
using test::Step;
using test::Talk;
class TrackerTest : public test::TrackerTest {};

INSTANTIATE_TEST_SUITE_P(BothModes, TrackerTest, ::testing::Values(Mode::File, Mode::Live),
                         test::mode_name);

TEST_P(TrackerTest, WholeLifeOfAConnection) {
    expect_passes(t.client({.flags = "S"}));
    EXPECT_EQ(t.connection.state, State::SynSent);
    expect_passes(t.server({.flags = "SA", .ack = 1}));
    EXPECT_EQ(t.connection.state, State::SynReceived);
    const Judgement up = t.client({.flags = "A", .seq = 1, .ack = 1});
    EXPECT_TRUE(up.handshake_completed);
    EXPECT_EQ(t.connection.state, State::Established);

    const Judgement request = t.client({.flags = "PA", .seq = 1, .ack = 1, .size = 100});
    expect_passes(request, 100);
    EXPECT_EQ(request.offset, 0U);
    EXPECT_FALSE(request.handshake_completed);
    const Judgement answer = t.server({.flags = "PA", .seq = 1, .ack = 101, .size = 50});
    expect_passes(answer, 50);
    EXPECT_TRUE(answer.ack_advanced);
    EXPECT_EQ(answer.acknowledged, 100U);

    const Judgement fin = t.client({.flags = "FA", .seq = 101, .ack = 51});
    EXPECT_TRUE(fin.fin);
    EXPECT_EQ(t.connection.half(true).fin_offset, 100U);
    EXPECT_EQ(t.connection.state, State::FinWait);
    const Judgement fin_ack = t.server({.flags = "A", .seq = 51, .ack = 102});
    EXPECT_TRUE(fin_ack.ack_advanced);
    EXPECT_EQ(fin_ack.acknowledged, 100U);
    EXPECT_EQ(t.connection.state, State::CloseWait);
    // Half-closed: the server still sends.
    expect_passes(t.server({.flags = "PA", .seq = 51, .ack = 102, .size = 10}), 10);
    expect_passes(t.client({.flags = "A", .seq = 102, .ack = 61}));
    EXPECT_TRUE(t.server({.flags = "FA", .seq = 61, .ack = 102}).fin);
    EXPECT_EQ(t.connection.state, State::LastAck);
    const Judgement last = t.client({.flags = "A", .seq = 102, .ack = 62});
    EXPECT_TRUE(last.closed);
    EXPECT_EQ(t.connection.state, State::TimeWait);
    EXPECT_FALSE(t.client({.flags = "A", .seq = 102, .ack = 62}).closed);
}

TEST_P(TrackerTest, ImpossibleFlagsAreDropped) {
    t.shake();
    for (const char* flags : {"", "P", "F", "U", "FPU", "SF", "SFA", "SR", "SRA", "FRA", "FRPAU"}) {
        expect_dropped(t, true, {.flags = flags, .seq = 1, .ack = 1}, Event::TcpBadFlags);
    }
    expect_dropped(t, true, {.flags = "", .seq = 1, .size = 10}, Event::TcpBadFlags);
    expect_passes(t.client({.flags = "PAUEW", .seq = 1, .ack = 1, .size = 10}), 10);
    EXPECT_EQ(judge_flags(wire::kSyn | wire::kEce | wire::kCwr), Event::None);
    EXPECT_EQ(judge_flags(wire::kRst), Event::None);
}

TEST_P(TrackerTest, BadOptionsAreDropped) {
    t.shake();
    expect_dropped(t, true, {.flags = "A", .seq = 1, .ack = 1, .bad = Event::TcpBadOption},
                   Event::TcpBadOption);
}

TEST_P(TrackerTest, SegmentBeforeTheIsnIsTrimmed) {  // A5
    t.shake();
    const Judgement judgement = t.client({.flags = "A", .seq = -3, .ack = 1, .size = 10});
    EXPECT_FALSE(judgement.drop);
    EXPECT_TRUE(judgement.trimmed);
    EXPECT_EQ(judgement.skip, 4U);
    EXPECT_EQ(judgement.offset, 0U);
    EXPECT_EQ(judgement.size, 6U);
    EXPECT_EQ(judgement.event, Event::TcpOutOfWindow);
}

TEST_P(TrackerTest, FarBeyondTheWindowIsDropped) {  // A6
    t.shake();
    expect_dropped(t, true, {.flags = "A", .seq = 1'000'000, .ack = 1, .size = 10},
                   Event::TcpOutOfWindow);
    expect_dropped(t, true, {.flags = "A", .seq = 1LL << 30, .ack = 1, .size = 10},
                   Event::TcpOutOfWindow);
    expect_dropped(t, true, {.flags = "A", .seq = -1'000'000, .ack = 1, .size = 10},
                   Event::TcpOutOfWindow);
}

TEST_P(TrackerTest, OldDuplicatesPass) {
    t.shake();
    t.client({.flags = "A", .seq = 1, .ack = 1, .size = 1000});
    t.server({.flags = "A", .seq = 1, .ack = 1001});
    const Judgement again = t.client({.flags = "A", .seq = 1, .ack = 1, .size = 1000});
    expect_passes(again, 1000);
    EXPECT_EQ(again.offset, 0U);
    // Keep-alives, with and without their garbage byte.
    expect_passes(t.client({.flags = "A", .seq = 1000, .ack = 1}));
    expect_passes(t.client({.flags = "A", .seq = 1000, .ack = 1, .size = 1}), 1);
}

TEST_P(TrackerTest, KeepAliveBeforeAnyDataLosesItsGarbageByte) {
    t.shake();
    const Judgement judgement = t.client({.flags = "A", .seq = 0, .ack = 1, .size = 1});
    EXPECT_FALSE(judgement.drop);
    EXPECT_TRUE(judgement.trimmed);
    EXPECT_EQ(judgement.size, 0U);
}

TEST_P(TrackerTest, AckOfUnsentData) {
    t.shake();
    const Step step = {.flags = "A", .seq = 1, .ack = 101};
    if (live()) {
        expect_dropped(t, true, step, Event::TcpBadAck);
        return;
    }
    const Judgement ahead = t.client(step);
    EXPECT_FALSE(ahead.drop);
    EXPECT_TRUE(ahead.ack_ahead);
    EXPECT_EQ(ahead.acknowledged, 100U);
    expect_passes(t.server({.flags = "A", .seq = 1, .ack = 1, .size = 100}), 100);
    EXPECT_FALSE(t.client(step).ack_ahead);
}

TEST_P(TrackerTest, ImplausibleAcksAreDropped) {
    t.shake();
    for (const std::int64_t ack : {1LL << 30, -1LL, 0LL, -(1LL << 30), 1'000'000LL}) {
        expect_dropped(t, true, {.flags = "A", .seq = 1, .ack = ack}, Event::TcpBadAck);
        expect_dropped(t, true, {.flags = "PA", .seq = 1, .ack = ack, .size = 10},
                       Event::TcpBadAck);
    }
}

TEST_P(TrackerTest, UnannouncedSignatureIsDropped) {
    t.shake();
    expect_dropped(t, true, {.flags = "A", .seq = 1, .ack = 1, .size = 5, .signature = true},
                   Event::TcpSignature);
    expect_dropped(t, false, {.flags = "R", .seq = 1, .signature = true}, Event::TcpSignature);
    Talk signing(GetParam());
    signing.shake({.flags = "S", .signature = true}, {.flags = "SA", .ack = 1, .signature = true});
    EXPECT_EQ(signing.connection.state, State::Established);
    expect_dropped(signing, true, {.flags = "R", .seq = 1}, Event::TcpSignature);
}

TEST_P(TrackerTest, OldTimestampsAreDropped) {
    t.shake({.flags = "S", .timestamp = 1 << 28}, {.flags = "SA", .ack = 1, .timestamp = 5});
    const std::int64_t now = (1 << 28) + 10;
    expect_passes(t.client({.flags = "A", .seq = 1, .ack = 1, .size = 10, .timestamp = now}), 10);
    for (const std::int64_t old : {0LL, 1LL, now + (1LL << 31), now - (1LL << 27)}) {
        expect_dropped(t, true, {.flags = "A", .seq = 11, .ack = 1, .size = 10, .timestamp = old},
                       Event::TcpOldTimestamp);
    }
    expect_dropped(t, true, {.flags = "R", .seq = 11, .timestamp = now - 1},
                   Event::TcpOldTimestamp);
    const Step late = {.flags = "A", .seq = 11, .ack = 1, .size = 10, .timestamp = now - 1};
    if (live()) {
        expect_dropped(t, true, late, Event::TcpOldTimestamp);
    } else {
        expect_passes(t.client(late), 10);  // Perhaps only out of order: the first copy wins.
    }
    expect_passes(t.client({.flags = "A", .seq = 11, .ack = 1, .size = 10}), 10);
}

TEST_P(TrackerTest, DataBehindTheFinIsCutOff) {
    t.shake();
    EXPECT_TRUE(t.client({.flags = "FA", .seq = 1, .ack = 1, .size = 10}).fin);
    const Judgement over = t.client({.flags = "A", .seq = 6, .ack = 1, .size = 10});
    EXPECT_FALSE(over.drop);
    EXPECT_TRUE(over.trimmed);
    EXPECT_EQ(over.offset, 5U);
    EXPECT_EQ(over.size, 5U);
    EXPECT_EQ(over.event, Event::TcpDataAfterFin);
    expect_dropped(t, true, {.flags = "A", .seq = 12, .ack = 1, .size = 10},
                   Event::TcpDataAfterFin);
    expect_dropped(t, true, {.flags = "FA", .seq = 20, .ack = 1}, Event::TcpDataAfterFin);
    expect_dropped(t, true, {.flags = "FA", .seq = 5, .ack = 1}, Event::TcpDataAfterFin);
    expect_passes(t.client({.flags = "FA", .seq = 1, .ack = 1, .size = 10}), 10);
    expect_passes(t.client({.flags = "A", .seq = 12, .ack = 1}));
    EXPECT_EQ(t.connection.half(true).fin_offset, 10U);
    const Judgement keep_alive = t.client({.flags = "A", .seq = 11, .ack = 1, .size = 1});
    EXPECT_FALSE(keep_alive.drop);
    EXPECT_EQ(keep_alive.size, 0U);
}

TEST_P(TrackerTest, FinBelowWhatWasSentIsNoFin) {
    t.shake();
    t.client({.flags = "A", .seq = 1, .ack = 1, .size = 100});
    expect_dropped(t, true, {.flags = "FA", .seq = 50, .ack = 1}, Event::TcpDataAfterFin);
    EXPECT_TRUE(t.client({.flags = "FA", .seq = 101, .ack = 1}).fin);
}

TEST_P(TrackerTest, FinAboveAHoleIsPinned) {
    t.shake();
    EXPECT_TRUE(t.client({.flags = "FA", .seq = 101, .ack = 1}).fin);
    expect_passes(t.client({.flags = "A", .seq = 1, .ack = 1, .size = 100}), 100);
    EXPECT_EQ(t.connection.half(true).fin_offset, 100U);
    EXPECT_TRUE(t.server({.flags = "A", .seq = 1, .ack = 102}).ack_advanced);
    EXPECT_EQ(t.connection.state, State::CloseWait);
}

TEST_P(TrackerTest, ZeroWindowProbePasses) {
    t.shake();
    t.server({.flags = "A", .seq = 1, .ack = 1, .window = 100});
    t.client({.flags = "A", .seq = 1, .ack = 1, .size = 1000});
    for (std::int64_t at = 1001; at < 65536; at += 1000) {
        t.client({.flags = "A", .seq = at, .ack = 1, .size = 1000});
    }
    t.server({.flags = "A", .seq = 1, .ack = 65536, .window = 0});
    expect_passes(t.client({.flags = "A", .seq = 65536, .ack = 1, .size = 1}), 1);
    if (live()) {
        expect_dropped(t, true, {.flags = "A", .seq = 65537, .ack = 1, .size = 1},
                       Event::TcpOutOfWindow);
    }
}

TEST_P(TrackerTest, WindowIsExactLive) {
    t.shake();
    expect_passes(t.client({.flags = "A", .seq = 65035, .ack = 1, .size = 501}), 501);
    if (live()) {
        expect_dropped(t, true, {.flags = "A", .seq = 65035, .ack = 1, .size = 503},
                       Event::TcpOutOfWindow);
    } else {
        expect_passes(t.client({.flags = "A", .seq = 65035, .ack = 1, .size = 503}), 503);
    }
}

TEST_P(TrackerTest, TombstoneIsSilentButForANewSyn) {
    t.client({.flags = "S"});
    entomb(t.connection, t.now);
    const Instant at = t.now;
    for (const Step& step : {Step{.flags = "S"}, Step{.flags = "A", .seq = 1, .ack = 1},
                             Step{.flags = "R", .seq = 1}, Step{.flags = "FPU", .seq = 1}}) {
        expect_dropped(t, true, step, Event::TcpTombstone);
    }
    expect_dropped(t, false, {.flags = "SA", .ack = 1}, Event::TcpTombstone);
    EXPECT_TRUE(t.client({.flags = "S", .seq = 9}).new_attempt);
    EXPECT_EQ(deadline_of(t.connection, t.settings), at + kSecond * 120);
}

TEST_P(TrackerTest, DeadlinesFollowTheState) {
    const auto timeout = [this] {
        return (deadline_of(t.connection, t.settings) - t.connection.last_seen).ns / kSecond.ns;
    };
    t.client({.flags = "S"});
    EXPECT_EQ(t.connection.last_seen, t.now);
    EXPECT_EQ(timeout(), 30);
    t.server({.flags = "SA", .ack = 1});
    EXPECT_EQ(timeout(), 30);
    t.client({.flags = "A", .seq = 1, .ack = 1});
    EXPECT_EQ(timeout(), 7440);
    t.client({.flags = "FA", .seq = 1, .ack = 1});
    EXPECT_EQ(timeout(), 120);
    t.server({.flags = "A", .seq = 1, .ack = 2});
    EXPECT_EQ(timeout(), 120);
    t.server({.flags = "FA", .seq = 1, .ack = 2});
    EXPECT_EQ(timeout(), 120);
    t.client({.flags = "A", .seq = 2, .ack = 2});
    EXPECT_EQ(timeout(), 60);
}

TEST_P(TrackerTest, TimeNeverRunsBackwards) {
    t.client({.flags = "S"});
    const Instant seen = t.connection.last_seen;
    t.now = Instant{-5};
    t.client({.flags = "S"});
    EXPECT_EQ(t.connection.last_seen, seen);
}

}  // namespace
}  // namespace haka::stream
