#include "engine/listeners.h"

#include <gtest/gtest.h>

namespace haka::engine {
namespace {

class ListenersTest : public testing::Test {
protected:
    // Bytes in order of direction 0, shown to the rules.
    void arrive(std::string_view text) {
        at_.buffers[0].add(at_.buffers[0].end(), as_bytes(text));
        listeners_.present(at_, 0);
    }
    [[nodiscard]] std::string_view shown() const {
        const haka_stream& stream = at_.streams[0];
        return as_text({stream.data, stream.size});
    }
    haka_cursor& cursor(std::size_t index) { return at_.streams[0].cursors[index]; }
    // What the worker does after a hook; returns where the bytes still wanted begin.
    std::uint64_t settle() {
        const Listeners::Wanted wanted = listeners_.settle(at_, 0);
        at_.buffers[0].release(wanted.shown);
        return wanted.held;
    }

    TcpSettings settings_;
    stream::StreamMemory memory_{settings_};
    std::vector<bool> is_readonly_{false, false};
    Listeners listeners_{memory_};
    Listener& at_ = listeners_.at(listeners_.add(is_readonly_));
};

TEST_F(ListenersTest, GivesEachDirectionItsOwnCursors) {
    EXPECT_EQ(at_.cursors.size(), 4U);
    EXPECT_EQ(at_.streams[0].cursors, at_.cursors.data());
    EXPECT_EQ(at_.streams[1].cursors, at_.cursors.data() + 2);
}

TEST_F(ListenersTest, UsesPlacesAgainAndLeavesTheOthersWhereTheyAre) {
    const std::uint32_t second = listeners_.add(is_readonly_);
    const std::uint32_t third = listeners_.add(is_readonly_);
    Listener* place = &listeners_.at(third);
    listeners_.at(second).cursors.front().position = 9;
    listeners_.remove(second);
    EXPECT_EQ(listeners_.add(is_readonly_), second);
    EXPECT_EQ(listeners_.at(second).cursors.front().position, 0);
    EXPECT_EQ(&listeners_.at(third), place);
}

TEST_F(ListenersTest, ShowsWhatIsInOrderAndWhetherItEnds) {
    arrive("hello");
    EXPECT_EQ(shown(), "hello");
    EXPECT_EQ(at_.streams[0].base, 0);
    EXPECT_EQ(at_.streams[0].eof, 0U);
    EXPECT_EQ(cursor(0).limit, 5);
    at_.buffers[0].fin(5);
    listeners_.present(at_, 0);
    EXPECT_EQ(at_.streams[0].eof, 1U);
}

TEST_F(ListenersTest, WhatARuleLeavesUnreadIsReleasedWhenTheHookEnds) {
    arrive("hello");
    cursor(0).position = 2;
    EXPECT_EQ(settle(), 5U);
    arrive(" world");
    EXPECT_EQ(shown(), " world");
    EXPECT_EQ(cursor(0).position, 5);
    EXPECT_EQ(cursor(1).position, 5);
}

TEST_F(ListenersTest, AMarkHoldsWhatIsBehindItForAllRules) {
    arrive("hello");
    cursor(1).mark = 3;
    cursor(1).position = 4;
    EXPECT_EQ(settle(), 3U);
    EXPECT_EQ(cursor(0).position, 5);
    EXPECT_EQ(cursor(1).position, 4);
    arrive(" world");
    EXPECT_EQ(shown(), "lo world");
    cursor(1).mark = -1;
    EXPECT_EQ(settle(), 11U);
}

TEST_F(ListenersTest, APartialMatchHoldsItsBytesOnce) {
    arrive("abcne");
    cursor(0).tail = 3;
    EXPECT_EQ(settle(), 3U);
    EXPECT_EQ(cursor(0).position, 3);
    EXPECT_EQ(cursor(0).tail, -1);
    arrive("edle");
    EXPECT_EQ(shown(), "needle");
    EXPECT_EQ(settle(), 9U);
}

TEST_F(ListenersTest, TellsEachCursorOfALostPieceOnce) {
    arrive("ab");
    EXPECT_EQ(settle(), 2U);
    at_.buffers[0].add_gap(2, 10);
    at_.buffers[0].add(12, as_bytes("cd"));
    listeners_.present(at_, 0);
    EXPECT_EQ(shown(), "cd");
    EXPECT_EQ(cursor(0).gap, 10);
    EXPECT_EQ(cursor(1).gap, 10);
    EXPECT_EQ(cursor(0).position, 12);
    listeners_.present(at_, 0);
    EXPECT_EQ(cursor(0).gap, 10);
}

TEST_F(ListenersTest, OneDirectionsHookLeavesTheOthersCursorsAlone) {
    at_.buffers[1].add(0, as_bytes("back"));
    arrive("forth");
    EXPECT_EQ(settle(), 5U);
    EXPECT_EQ(at_.streams[1].cursors[0].position, 0);
    EXPECT_EQ(at_.streams[1].size, 4U);
}

}  // namespace
}  // namespace haka::engine
