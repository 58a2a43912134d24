#include "stream/held_pieces.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

class HeldPiecesTest : public ::testing::Test {
protected:
    bool insert(std::uint64_t offset, std::string_view text) {
        return pieces.insert(offset, as_bytes(text));
    }

    StreamMemory memory{TcpSettings{}};
    HeldPieces pieces{memory};
};

TEST_F(HeldPiecesTest, InsertsOnlyWhatIsNotCovered) {
    insert(10, "aaa");
    insert(20, "bbb");
    const HeldPieces::Cost cost = pieces.cost_of(8, 20);
    EXPECT_EQ(cost.pieces, 3U);
    EXPECT_EQ(cost.charge, 3U * 256);
    EXPECT_EQ(cost.memory, 3U * 256);
    insert(8, "XXXXXXXXXXXXXXXXXXXX");
    EXPECT_EQ(pieces.count(), 5U);
    EXPECT_EQ(pieces.data_bytes(), 20U);
    EXPECT_EQ(pieces.first_begin(), 8U);
    EXPECT_EQ(pieces.reach(8), 28U);
    std::array<std::uint8_t, 4> bytes{};
    EXPECT_TRUE(pieces.overwrite(9, bytes));
    EXPECT_EQ(as_text(bytes), "Xaaa");
    EXPECT_FALSE(pieces.differs(9, bytes));
    EXPECT_EQ(pieces.cost_of(8, 20).pieces, 0U);
}

TEST_F(HeldPiecesTest, ChargesAtLeast256BytesAPiece) {
    insert(0, "a");
    EXPECT_EQ(pieces.charge(), 256U);
    insert(100, std::string_view(std::string(257, 'x')));
    EXPECT_EQ(pieces.charge(), 256U + 257U);
    pieces.pop_first();
    EXPECT_EQ(pieces.charge(), 257U);
}

TEST_F(HeldPiecesTest, ReachStopsAtAHoleAndAtAGap) {
    insert(5, "aaa");
    insert(8, "bbb");
    pieces.insert_gap(11, 4);
    insert(15, "ccc");
    EXPECT_EQ(pieces.reach(4), 4U);
    EXPECT_EQ(pieces.reach(5), 11U);
    EXPECT_FALSE(pieces.gap_at(11));  // Not the first piece.
    pieces.pop_first();
    pieces.pop_first();
    EXPECT_TRUE(pieces.gap_at(11));
    EXPECT_EQ(pieces.data_bytes(), 3U);
}

TEST_F(HeldPiecesTest, GapsCompareWithNothing) {
    pieces.insert_gap(0, 10);
    EXPECT_FALSE(pieces.differs(0, as_bytes("hello")));
    std::array<std::uint8_t, 3> bytes{1, 2, 3};
    EXPECT_FALSE(pieces.overwrite(2, bytes));
    EXPECT_EQ(bytes[0], 1);
    EXPECT_FALSE(pieces.differs(2, {}));
    EXPECT_EQ(pieces.gap_cost_of(0, 1ULL << 40).pieces, 1U);
}

TEST_F(HeldPiecesTest, CutDropsWhatLiesBehind) {
    insert(0, "aaaa");
    insert(10, "bbbb");
    pieces.cut(12);
    EXPECT_EQ(pieces.data_bytes(), 6U);
    pieces.cut(10);
    EXPECT_EQ(pieces.count(), 1U);
    pieces.cut(2);
    EXPECT_EQ(pieces.reach(0), 2U);
    pieces.cut(0);
    EXPECT_TRUE(pieces.empty());
    EXPECT_EQ(pieces.charge(), 0U);
    EXPECT_EQ(memory.used(), 0U);
}

// What SACK blocks would name, of at most `Count`.
template <std::size_t Count>
std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges_of(const HeldPieces& pieces,
                                                               std::uint64_t newest) {
    std::array<HeldPieces::Range, Count> ranges{};
    const std::size_t count = pieces.ranges(newest, ranges);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> named;
    for (std::size_t i = 0; i < std::min(count, Count); ++i) {
        named.emplace_back(ranges.at(i).begin, ranges.at(i).end);
    }
    EXPECT_LE(count, Count);
    return named;
}

using Ranges = std::vector<std::pair<std::uint64_t, std::uint64_t>>;

TEST_F(HeldPiecesTest, RangesNameTheNewestFirstThenTheLowest) {  // RFC 2018, 4
    EXPECT_EQ(ranges_of<3>(pieces, 0), Ranges());
    for (const std::uint64_t offset : {10U, 20U, 30U, 40U}) {
        insert(offset, "abc");
    }
    EXPECT_EQ(ranges_of<3>(pieces, 30), (Ranges{{30, 33}, {10, 13}, {20, 23}}));
    EXPECT_EQ(ranges_of<3>(pieces, 32), (Ranges{{30, 33}, {10, 13}, {20, 23}}));
    EXPECT_EQ(ranges_of<3>(pieces, 10), (Ranges{{10, 13}, {20, 23}, {30, 33}}));
    EXPECT_EQ(ranges_of<1>(pieces, 40), (Ranges{{40, 43}}));
    EXPECT_EQ(ranges_of<4>(pieces, 20), (Ranges{{20, 23}, {10, 13}, {30, 33}, {40, 43}}));
}

TEST_F(HeldPiecesTest, RangesJoinWhatIsAdjacent) {
    insert(10, "abc");
    insert(13, "def");
    insert(16, "ghi");
    insert(30, "x");
    EXPECT_EQ(ranges_of<3>(pieces, 14), (Ranges{{10, 19}, {30, 31}}));
    EXPECT_EQ(ranges_of<3>(pieces, 30), (Ranges{{30, 31}, {10, 19}}));
}

TEST_F(HeldPiecesTest, RangesWithoutTheNewestAreTheLowest) {
    insert(10, "abc");
    insert(20, "abc");
    EXPECT_EQ(ranges_of<3>(pieces, 15), (Ranges{{10, 13}, {20, 23}}));
    EXPECT_EQ(ranges_of<3>(pieces, 0), (Ranges{{10, 13}, {20, 23}}));
    EXPECT_EQ(ranges_of<3>(pieces, 99), (Ranges{{10, 13}, {20, 23}}));
}

TEST_F(HeldPiecesTest, GivesEverythingBack) {
    {
        HeldPieces other(memory);
        other.insert(3, as_bytes("abc"));
        other.insert_gap(9, 1);
        HeldPieces moved(std::move(other));
        EXPECT_EQ(moved.count(), 2U);
        EXPECT_GT(memory.used(), 0U);
    }
    EXPECT_EQ(memory.used(), 0U);
}

}  // namespace
}  // namespace haka::stream
