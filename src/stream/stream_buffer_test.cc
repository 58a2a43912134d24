#include "stream/stream_buffer.h"

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

class StreamBufferTest : public ::testing::Test {
protected:
    Added add(std::uint64_t offset, std::string_view text) {
        return buffer.add(offset, as_bytes(text));
    }
    // What a repeated segment leaves as.
    std::string rewritten(std::uint64_t offset, std::string text) {
        std::vector<std::uint8_t> bytes(text.begin(), text.end());
        changed = buffer.rewrite(offset, bytes).changed;
        return {bytes.begin(), bytes.end()};
    }
    [[nodiscard]] std::string_view view() const { return as_text(buffer.view()); }

    StreamMemory memory{TcpSettings{}};
    StreamBuffer buffer{memory};
    bool changed = false;
};

TEST_F(StreamBufferTest, ShowsBytesInOrderAsTheyCome) {
    EXPECT_EQ(add(0, "hello ").available, 6U);
    EXPECT_EQ(add(6, "world").available, 5U);
    EXPECT_EQ(view(), "hello world");
    buffer.release(6);
    EXPECT_EQ(view(), "world");
    EXPECT_EQ(buffer.begin(), 6U);
    EXPECT_EQ(buffer.kept_begin(), 0U);
}

TEST_F(StreamBufferTest, ReversedOneByteSegmentsComeOutInOrder) {  // A1
    const std::string_view text = "abcdefgh";
    for (std::uint64_t i = text.size(); i-- > 1;) {
        EXPECT_EQ(add(i, text.substr(i, 1)).available, 0U);
    }
    EXPECT_EQ(buffer.pending_hole(), 1U);
    EXPECT_EQ(buffer.known_behind_hole(), 7U);
    EXPECT_EQ(add(0, "a").available, 8U);
    EXPECT_EQ(view(), text);
    EXPECT_EQ(buffer.held_segments(), 0U);
}

TEST_F(StreamBufferTest, IdenticalRetransmissionChangesNothing) {  // A1
    add(0, "abcdef");
    add(8, "ij");
    for (const auto& [offset, text] : {std::pair{0, "abcdef"}, {2, "cd"}, {8, "ij"}, {9, "j"}}) {
        const Added again = add(static_cast<std::uint64_t>(offset), text);
        EXPECT_EQ(again.available, 0U);
        EXPECT_FALSE(again.differs);
        EXPECT_EQ(rewritten(static_cast<std::uint64_t>(offset), text), text);
        EXPECT_FALSE(changed);
    }
}

struct Overlap {
    const char* name;
    std::vector<std::pair<std::uint64_t, std::string>> before;
    std::uint64_t offset;
    std::string text;
    std::string leaves;
    std::string stream;
};

TEST_F(StreamBufferTest, FirstCopyWinsInEveryGeometry) {  // A2
    const std::vector<Overlap> cases = {
        {"same range", {{0, "abcd"}}, 0, "WXYZ", "abcd", "abcd"},
        {"out of order", {{2, "cd"}, {0, "a"}}, 0, "WXYZQ", "aXcdQ", "aXcdQ"},
        {"starts before and covers", {{3, "def"}}, 0, "TUVWXYZ", "TUVdefZ", "TUVdefZ"},
        {"same start and longer", {{0, "abc"}}, 0, "VWXYZ", "abcYZ", "abcYZ"},
        {"left partial", {{3, "def"}}, 0, "VWXYZ", "VWXde", "VWXdef"},
        {"right partial", {{0, "abcd"}}, 2, "WXYZ", "cdYZ", "abcdYZ"},
        {"two islands", {{2, "c"}, {5, "f"}}, 0, "TUVWXYZ", "TUcWXfZ", "TUcWXfZ"},
    };
    for (const Overlap& c : cases) {
        StreamBuffer fresh(memory);
        for (const auto& [offset, text] : c.before) {
            EXPECT_FALSE(fresh.add(offset, as_bytes(text)).differs) << c.name;
        }
        EXPECT_TRUE(fresh.add(c.offset, as_bytes(c.text)).differs) << c.name;
        std::vector<std::uint8_t> bytes(c.text.begin(), c.text.end());
        EXPECT_TRUE(fresh.rewrite(c.offset, bytes).changed) << c.name;
        EXPECT_EQ(as_text(bytes), c.leaves) << c.name;
        EXPECT_EQ(as_text(fresh.view()), c.stream) << c.name;
    }
}

TEST_F(StreamBufferTest, BelowTheAckIsForgottenOnceReleased) {  // A2
    add(0, "abcdef");
    buffer.acknowledged(4);
    EXPECT_EQ(buffer.kept_begin(), 0U);
    buffer.release(3);
    EXPECT_EQ(buffer.kept_begin(), 3U);
    const Added again = add(0, "UVWXYZ!");
    EXPECT_EQ(again.forgotten, 3U);
    EXPECT_TRUE(again.differs);
    EXPECT_EQ(again.available, 1U);
    EXPECT_EQ(rewritten(0, "UVWXYZ!"), "UVcdef!");  // The last forgotten one is known.
    EXPECT_EQ(add(0, "UV").forgotten, 2U);
}

TEST_F(StreamBufferTest, NovakSturgesVectorTakesTheFirstCopies) {  // A3
    const std::vector<std::pair<std::uint64_t, std::string_view>> vector = {
        {2, "AAA"},  {6, "BB"},  {8, "CCC"}, {12, "D"},   {15, "EE"}, {17, "FFF"},
        {20, "GG"},  {22, "HH"}, {24, "I"},  {3, "JJJJ"}, {8, "KKK"}, {11, "LLL"},
        {14, "MMM"}, {18, "N"},  {21, "O"},  {22, "P"},   {24, "QQ"}, {1, "0"}};
    for (const std::uint64_t base : {1ULL, 0xffff'fff0ULL, 0x1'0000'0000ULL - 5}) {
        StreamBuffer fresh(memory);
        if (base > 1) {
            ASSERT_EQ(fresh.add_gap(0, base - 1).refused, Event::None);
        }
        EXPECT_EQ(fresh.take_gap(), base - 1);
        for (const auto& [offset, text] : vector) {
            ASSERT_EQ(fresh.add(base + offset - 2, as_bytes(text)).refused, Event::None);
        }
        EXPECT_EQ(as_text(fresh.view()), "0AAAJBBCCCLDLMEEFFFGGHHIQ");
    }
}

TEST_F(StreamBufferTest, ResendCutAtOtherBordersLeavesWithTheFirstCopies) {  // A4
    add(0, "aaaa");
    add(4, "bbbb");
    add(8, "cccc");
    EXPECT_EQ(rewritten(2, "XXXXXX"), "aabbbb");
    EXPECT_EQ(rewritten(7, "XXXXX"), "bcccc");
    EXPECT_EQ(rewritten(7, "XXXXXdd"), "bccccdd");
}

TEST_F(StreamBufferTest, OwnsNothingWhenAllIsReleasedAndAcknowledged) {
    add(0, "abc");
    EXPECT_TRUE(buffer.owns_memory());
    buffer.acknowledged(3);
    EXPECT_TRUE(buffer.owns_memory());
    buffer.release(3);
    EXPECT_FALSE(buffer.owns_memory());
    EXPECT_EQ(memory.used(), 0U);
    add(5, "f");
    EXPECT_TRUE(buffer.owns_memory());
    add(3, "de");
    EXPECT_EQ(view(), "def");
    buffer.release(6);
    EXPECT_TRUE(buffer.owns_memory());
    buffer.acknowledged(6);
    EXPECT_EQ(memory.used(), 0U);
}

TEST_F(StreamBufferTest, AnAckMayRunAheadOfItsData) {
    buffer.acknowledged(6);
    EXPECT_EQ(buffer.acknowledged_hole(), 6U);
    add(3, "def");
    EXPECT_EQ(buffer.acknowledged_hole(), 3U);
    add(0, "abc");
    EXPECT_EQ(buffer.acknowledged_hole(), 0U);
    EXPECT_EQ(view(), "abcdef");
    buffer.release(6);
    EXPECT_FALSE(buffer.owns_memory());
}

TEST_F(StreamBufferTest, GapIsToldOnceAndNeverSpanned) {
    add(0, "abc");
    add(10, "klm");
    buffer.add_gap(3, 7);
    EXPECT_EQ(view(), "abc");
    EXPECT_TRUE(buffer.at_gap());
    EXPECT_EQ(buffer.take_gap(), 0U);
    EXPECT_EQ(buffer.release(2), 0U);
    EXPECT_EQ(buffer.release(3), 3U);
    EXPECT_EQ(view(), "klm");
    EXPECT_EQ(buffer.begin(), 10U);
    EXPECT_EQ(buffer.take_gap(), 7U);
    EXPECT_EQ(buffer.take_gap(), 0U);
    EXPECT_EQ(add(13, "n").available, 1U);
}

TEST_F(StreamBufferTest, GapLeavesKnownBytesKnown) {
    add(4, "ef");
    EXPECT_EQ(buffer.add_gap(2, 6).available, 2U - 2U);
    add(0, "ab");
    EXPECT_EQ(view(), "ab");
    EXPECT_EQ(buffer.release(2), 2U);
    EXPECT_EQ(buffer.take_gap(), 2U);
    EXPECT_EQ(view(), "ef");
    EXPECT_EQ(buffer.release(6), 0U);
    EXPECT_EQ(buffer.take_gap(), 2U);
    EXPECT_EQ(buffer.begin(), 8U);
    EXPECT_EQ(add(8, "i").available, 1U);
    EXPECT_EQ(view(), "i");
}

TEST_F(StreamBufferTest, BytesOfADeclaredGapComeTooLate) {
    buffer.add_gap(0, 4);
    EXPECT_EQ(buffer.begin(), 4U);
    const Added late = add(0, "abcdef");
    EXPECT_EQ(late.available, 2U);
    EXPECT_EQ(late.forgotten, 4U);
    EXPECT_EQ(view(), "ef");
}

TEST_F(StreamBufferTest, EndsAtTheFirstFin) {
    add(0, "abc");
    add(5, "fgh");
    EXPECT_TRUE(buffer.fin(6));
    EXPECT_FALSE(buffer.fin(7));
    EXPECT_TRUE(buffer.fin(6));
    EXPECT_FALSE(buffer.eof());
    EXPECT_EQ(buffer.known_behind_hole(), 1U);
    EXPECT_EQ(add(3, "deXXXX").available, 3U);
    EXPECT_EQ(view(), "abcdef");
    EXPECT_TRUE(buffer.eof());
    EXPECT_EQ(add(6, "xyz").available, 0U);
    EXPECT_FALSE(buffer.fin(4));
}

TEST_F(StreamBufferTest, FinMayNotTakeBackWhatWasShown) {
    add(0, "abc");
    EXPECT_FALSE(buffer.fin(2));
    EXPECT_FALSE(buffer.eof());
    EXPECT_TRUE(buffer.fin(3));
    EXPECT_TRUE(buffer.eof());
}

TEST_F(StreamBufferTest, GapUpToTheFinEndsTheStream) {
    add(0, "abc");
    buffer.fin(5);
    buffer.add_gap(3, 100);
    EXPECT_FALSE(buffer.eof());
    buffer.release(3);
    EXPECT_TRUE(buffer.eof());
    EXPECT_EQ(buffer.take_gap(), 2U);
}

TEST_F(StreamBufferTest, WhatIsPinnedIsKeptWhateverIsAcknowledged) {
    add(0, "abcdef");
    buffer.pin(2);
    buffer.acknowledged(6);
    buffer.release(6);
    EXPECT_EQ(buffer.kept_begin(), 2U);
    EXPECT_EQ(as_text(buffer.kept(2, 6)), "cdef");
    EXPECT_EQ(rewritten(0, "UVWXYZ"), "Ubcdef");  // Of the forgotten ones the last is known.
    buffer.pin(5);
    EXPECT_EQ(as_text(buffer.kept(5, 6)), "f");
    buffer.pin(3);  // What was forgotten doesn't come back.
    EXPECT_EQ(buffer.kept_begin(), 5U);
    buffer.pin(UINT64_MAX);
    EXPECT_EQ(buffer.kept_begin(), 6U);
    EXPECT_FALSE(buffer.owns_memory());
}

TEST_F(StreamBufferTest, APinKeepsNothingMoreThanIsKeptAnyway) {
    add(0, "abcdef");
    buffer.pin(5);
    buffer.acknowledged(3);
    buffer.release(4);
    EXPECT_EQ(buffer.kept_begin(), 3U);
    EXPECT_EQ(as_text(buffer.kept(3, 6)), "def");
    EXPECT_EQ(as_text(buffer.kept(4, 4)), "");
}

TEST_F(StreamBufferTest, RewritesNothingOfASegmentThatEndsBeforeWhatIsKept) {
    add(0, "abcdef");
    buffer.acknowledged(6);
    buffer.release(6);
    EXPECT_EQ(rewritten(1, "XY"), "XY");
    EXPECT_EQ(rewritten(4, "XY"), "Xf");  // A keep-alive's byte.
    EXPECT_FALSE(buffer.rewrite(1, {}).changed);
}

TEST_F(StreamBufferTest, SaysWhereTheLastGapEnds) {
    add(0, "abc");
    EXPECT_EQ(buffer.gap_end(), 0U);
    buffer.add_gap(3, 4);
    EXPECT_EQ(buffer.gap_end(), 0U);  // Not passed yet.
    buffer.pin(2);
    buffer.release(3);
    EXPECT_EQ(buffer.gap_end(), 0U);  // What is before it has not left.
    buffer.pin(3);
    buffer.release(3);
    EXPECT_EQ(buffer.gap_end(), 7U);
    EXPECT_EQ(buffer.kept_begin(), 7U);  // A gap is behind all that is kept.
}

TEST_F(StreamBufferTest, MovesWithAllItHolds) {
    add(0, "abc");
    add(5, "f");
    StreamBuffer moved(std::move(buffer));
    EXPECT_EQ(as_text(moved.view()), "abc");
    moved.add(3, as_bytes("de"));
    EXPECT_EQ(as_text(moved.view()), "abcdef");
    EXPECT_FALSE(buffer.owns_memory());
}

}  // namespace
}  // namespace haka::stream
