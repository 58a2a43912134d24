#include "stream/outlet.h"

#include <memory>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

constexpr std::size_t kMany = 256;

// "hello world" has come when the outlet is made, nothing has left; the receiver accepts 1000.
class OutletTest : public testing::Test {
protected:
    void start(std::string_view text = "hello world") {
        input.add(0, as_bytes(text));
        outlet = std::make_unique<Outlet>(memory, input, Outlet::Receiver{0, 1000}, input.begin());
    }
    void add(std::uint64_t offset, std::string_view text) {
        const std::uint64_t old_end = input.end();
        input.add(offset, as_bytes(text));
        ASSERT_TRUE(outlet->follow(old_end));
    }
    bool edit(std::uint64_t at, std::uint32_t erase, std::string_view insert,
              std::size_t patches_max = kMany) {
        return outlet->edit(at, erase, as_bytes(insert), patches_max);
    }
    void send_all() {
        outlet->decide(outlet->end());
        outlet->note_sent(outlet->end());
    }
    [[nodiscard]] std::string_view text(std::uint64_t from, std::uint64_t to) const {
        return as_text(outlet->bytes(from, to));
    }
    [[nodiscard]] std::string_view shown() const { return as_text(outlet->shown()); }

    StreamMemory memory{TcpSettings{}};
    StreamBuffer input{memory};
    std::unique_ptr<Outlet> outlet;
};

TEST_F(OutletTest, BeginsWhereTheRulesStand) {
    input.add(0, as_bytes("hello world"));
    input.release(6);
    outlet = std::make_unique<Outlet>(memory, input, Outlet::Receiver{2, 30}, input.begin());
    EXPECT_EQ(outlet->acked(), 2U);
    EXPECT_EQ(outlet->sent(), 6U);
    EXPECT_EQ(outlet->decided(), 6U);
    EXPECT_EQ(outlet->end(), 11U);
    EXPECT_EQ(outlet->told_ack(), 2U);
    EXPECT_EQ(outlet->told_edge(), 30U);
    EXPECT_EQ(shown(), "world");
    EXPECT_EQ(text(0, 11), "hello world");
    EXPECT_FALSE(outlet->edited());
    EXPECT_FALSE(outlet->is_plain());
}

TEST_F(OutletTest, ShowsTheRulesWhatTheyMadeOfIt) {
    start();
    EXPECT_TRUE(edit(0, 5, "goodbye, cruel"));
    EXPECT_EQ(shown(), "goodbye, cruel world");
    EXPECT_TRUE(outlet->edited());
    EXPECT_TRUE(edit(7, 7, ""));
    EXPECT_TRUE(edit(outlet->end(), 0, "!"));
    EXPECT_EQ(shown(), "goodbye world!");
    add(11, "?");
    EXPECT_EQ(shown(), "goodbye world!?");
}

TEST_F(OutletTest, KeepsWhatWasDecidedUntilItIsAcknowledged) {
    start();
    ASSERT_TRUE(edit(0, 5, "HI"));
    EXPECT_EQ(outlet->decide(4), 0U);
    EXPECT_EQ(outlet->decided(), 4U);
    EXPECT_EQ(shown(), "orld");
    outlet->note_sent(3);
    EXPECT_EQ(text(0, 8), "HI world");
    outlet->acknowledge(2, 500);
    EXPECT_EQ(outlet->acked(), 2U);
    EXPECT_EQ(outlet->acked_input(), 5U);
    EXPECT_EQ(text(2, 8), " world");
    EXPECT_EQ(outlet->window_end(), 1000U);  // A right edge is never withdrawn.
    send_all();
    outlet->acknowledge(8, 2000);
    EXPECT_EQ(outlet->acked_input(), 11U);
    EXPECT_EQ(outlet->window_end(), 2000U);
}

TEST_F(OutletTest, DecidingStaysInsideWhatIsThere) {
    start();
    outlet->decide(UINT64_MAX);
    EXPECT_EQ(outlet->decided(), 11U);
    outlet->decide(3);
    EXPECT_EQ(outlet->decided(), 11U);
}

TEST_F(OutletTest, IsOnlyAShiftOnceEverythingEditedIsAcknowledged) {
    start();
    ASSERT_TRUE(edit(0, 0, ">>> "));
    send_all();
    add(11, "and more");
    outlet->acknowledge(8, 1000);
    EXPECT_TRUE(outlet->map().empty());
    EXPECT_EQ(outlet->map().shift(), 4U);
    EXPECT_FALSE(outlet->edited());
    EXPECT_EQ(text(8, 23), "o worldand more");
    EXPECT_EQ(outlet->end(), 23U);
    ASSERT_TRUE(edit(15, 3, "or"));  // And once more.
    EXPECT_EQ(text(8, 22), "o worldor more");
    send_all();
    outlet->acknowledge(22, 1000);
    EXPECT_EQ(outlet->acked_input(), 19U);
    EXPECT_FALSE(outlet->is_plain());  // Its numbers differ for ever.
}

TEST_F(OutletTest, WhatIsShownStaysWhenTheLastEditIsAcknowledged) {
    start();
    EXPECT_TRUE(edit(0, 1, "J"));
    outlet->decide(11, 1);  // A rule that changes nothing is behind the one that does.
    outlet->note_sent(11);
    outlet->acknowledge(1, 1000);
    EXPECT_FALSE(outlet->edited());
    outlet->acknowledge(11, 1000);
    EXPECT_EQ(shown(), "ello world");
}

TEST_F(OutletTest, IsPlainWhenNothingWasEditedAndAllHasLeft) {
    start();
    outlet->decide(11);
    outlet->note_sent(5);
    EXPECT_FALSE(outlet->is_plain());
    outlet->note_sent(11);
    EXPECT_TRUE(outlet->is_plain());
    outlet->tell(3, 1000);
    EXPECT_FALSE(outlet->is_plain());
    outlet->acknowledge(3, 1000);
    EXPECT_TRUE(outlet->is_plain());
}

TEST_F(OutletTest, AnAckReachesNoFurtherThanWhatLeft) {  // As in files: ACKs before their bytes.
    start();
    outlet->decide(11);
    outlet->note_sent(4);
    outlet->acknowledge(500, 2000);
    EXPECT_EQ(outlet->acked(), 4U);
    outlet->note_sent(11);
    EXPECT_EQ(text(4, 11), "o world");
    outlet->acknowledge(2, 100);
    EXPECT_EQ(outlet->acked(), 4U);
    EXPECT_EQ(outlet->window_end(), 2000U);
}

TEST_F(OutletTest, KeepsBytesThatWereAcknowledgedBeforeTheyCame) {
    input.acknowledged(100);
    input.add(0, as_bytes("hello"));
    input.release(5);
    outlet = std::make_unique<Outlet>(memory, input, Outlet::Receiver{100, 1000}, input.begin());
    EXPECT_EQ(outlet->acked(), 5U);
    add(5, " world");
    EXPECT_EQ(shown(), " world");
    ASSERT_TRUE(edit(6, 5, "you"));
    outlet->decide(9);
    EXPECT_EQ(text(outlet->sent(), 9), " you");
    outlet->note_sent(9);
    EXPECT_LE(outlet->kept_begin(), outlet->sent());
}

TEST_F(OutletTest, WhatIsNotSentStaysThoughItIsDecidedAndAcknowledged) {
    start();
    input.acknowledged(11);
    outlet->decide(11);
    EXPECT_EQ(text(0, 11), "hello world");
    outlet->note_sent(11);
    EXPECT_EQ(outlet->kept_begin(), 11U);
}

TEST_F(OutletTest, ErasedBytesAreAcknowledgedWithWhatStoodBeforeThem) {
    start();
    ASSERT_TRUE(edit(5, 6, ""));
    send_all();
    EXPECT_EQ(outlet->end(), 5U);
    EXPECT_EQ(outlet->acked_input(), 0U);
    outlet->acknowledge(5, 1000);
    EXPECT_EQ(outlet->acked_input(), 11U);
}

TEST_F(OutletTest, AStreamErasedWholeIsAcknowledgedAtOnce) {
    start();
    ASSERT_TRUE(edit(0, 11, ""));
    send_all();
    EXPECT_EQ(outlet->acked_input(), 11U);
    EXPECT_EQ(outlet->end(), 0U);
}

TEST_F(OutletTest, UndecidedBytesThatWereErasedDoNotComeBackWithAnAck) {
    start();
    send_all();
    add(11, "a long line that is erased, and a tail");
    ASSERT_TRUE(edit(11, 32, ""));
    outlet->acknowledge(11, 1000);
    EXPECT_EQ(outlet->kept_begin(), 11U);
    EXPECT_EQ(shown(), "a tail");
    ASSERT_TRUE(edit(11, 0, "> "));
    EXPECT_EQ(shown(), "> a tail");
    send_all();
    outlet->acknowledge(19, 1000);
    EXPECT_EQ(outlet->acked_input(), 49U);
    EXPECT_FALSE(outlet->edited());
}

TEST_F(OutletTest, TheSendersEdgeIsWhereTheReceiversLies) {
    start();
    EXPECT_EQ(outlet->input_edge(), 1000U);
    ASSERT_TRUE(edit(0, 5, "a longer one"));  // 7 more.
    EXPECT_EQ(outlet->input_edge(), 993U);
    outlet->tell(4, 1000);
    outlet->tell(2, 500);
    EXPECT_EQ(outlet->told_ack(), 4U);
    EXPECT_EQ(outlet->told_edge(), 1000U);
}

TEST_F(OutletTest, AWindowThatEndsInsideTheBytesAtHandIsTranslated) {
    input.add(0, as_bytes("hello world"));
    outlet = std::make_unique<Outlet>(memory, input, Outlet::Receiver{0, 8}, input.begin());
    EXPECT_EQ(outlet->input_edge(), 8U);
    ASSERT_TRUE(edit(0, 5, "a longer one"));
    EXPECT_EQ(outlet->input_edge(), 4U);  // The fifth byte stands for all the rest.
}

TEST_F(OutletTest, OwesWhatTheSenderWasToldHasArrived) {
    start();
    outlet->decide(11);
    outlet->note_sent(11);
    EXPECT_FALSE(outlet->owes());
    outlet->tell(6, 1000);
    EXPECT_TRUE(outlet->owes());
    outlet->acknowledge(6, 1000);
    EXPECT_FALSE(outlet->owes());
    outlet->tell(11, 1000);
    EXPECT_TRUE(outlet->owes());
    outlet->acknowledge(11, 1000);
    EXPECT_FALSE(outlet->owes());
}

TEST_F(OutletTest, OwesWhatWasInsertedBehindAllThatTheSenderKnows) {
    start();
    send_all();
    outlet->acknowledge(11, 1000);
    outlet->tell(11, 1000);
    ASSERT_TRUE(edit(11, 0, "a page"));
    EXPECT_FALSE(outlet->owes());
    send_all();
    EXPECT_TRUE(outlet->owes());
    outlet->acknowledge(17, 1000);
    EXPECT_FALSE(outlet->owes());
    EXPECT_EQ(outlet->acked_input(), 11U);
}

TEST_F(OutletTest, MorePatchesThanKeptApartChangeNoByte) {
    start();
    EXPECT_TRUE(edit(0, 1, "H", 2));
    EXPECT_TRUE(edit(4, 1, "O", 2));
    EXPECT_TRUE(edit(8, 1, "RR", 2));
    EXPECT_EQ(shown(), "HellO woRRld");
    EXPECT_LE(outlet->map().size(), 2U);
}

TEST_F(OutletTest, WithoutMemoryAnEditChangesNothing) {
    TcpSettings settings;
    settings.stream_memory_max = 1024;
    StreamMemory little(settings);
    StreamBuffer buffer(little);
    buffer.add(0, as_bytes("hello"));
    Outlet tight(little, buffer, {.acked = 0, .window_end = 1000}, 0);
    const std::string many(2000, 'x');
    EXPECT_FALSE(tight.edit(0, 0, as_bytes(many), kMany));
    EXPECT_EQ(as_text(tight.shown()), "hello");
    EXPECT_TRUE(tight.map().empty());
    EXPECT_TRUE(tight.edit(0, 1, as_bytes("H"), kMany));
    EXPECT_EQ(as_text(tight.shown()), "Hello");
}

TEST_F(OutletTest, SaysWhenItCannotFollow) {
    TcpSettings settings;
    settings.stream_memory_max = 1024;  // The input can grow once, its copy cannot.
    StreamMemory little(settings);
    StreamBuffer buffer(little);
    buffer.add(0, as_bytes("hello"));
    Outlet tight(little, buffer, {.acked = 0, .window_end = 1000}, 0);
    ASSERT_TRUE(tight.edit(0, 1, as_bytes("H"), kMany));
    const std::string many(260, 'x');
    ASSERT_EQ(buffer.add(5, as_bytes(many)).refused, Event::None);
    EXPECT_FALSE(tight.follow(5));
}

TEST_F(OutletTest, GoesOnBehindAGap) {
    start();
    ASSERT_TRUE(edit(0, 5, "HI"));
    send_all();
    const std::uint64_t old_end = input.end();
    input.add_gap(11, 9);
    ASSERT_TRUE(outlet->follow(old_end));
    EXPECT_EQ(outlet->acked(), 17U);  // 20 input bytes, three less.
    EXPECT_EQ(outlet->sent(), 17U);
    EXPECT_EQ(outlet->decided(), 17U);
    EXPECT_EQ(outlet->end(), 17U);
    EXPECT_EQ(outlet->told_ack(), 20U);
    EXPECT_FALSE(outlet->edited());
    add(20, "behind");
    EXPECT_EQ(shown(), "behind");
    ASSERT_TRUE(edit(17, 0, "far "));
    EXPECT_EQ(shown(), "far behind");
}

TEST_F(OutletTest, FollowsBytesThatWaitedBehindAGap) {
    start();
    input.add_gap(11, 9);
    add(20, "behind");
    EXPECT_EQ(shown(), "hello world");
    outlet->decide(11);
    outlet->note_sent(11);
    outlet->decide(11);  // Only now the gap is passed.
    ASSERT_TRUE(outlet->follow(20));
    EXPECT_EQ(outlet->sent(), 20U);
    EXPECT_EQ(shown(), "behind");
}

TEST_F(OutletTest, GivesEverythingBack) {
    start();
    ASSERT_TRUE(edit(0, 5, "HI"));
    input.acknowledged(11);
    send_all();
    EXPECT_GT(memory.used(), 0U);
    outlet.reset();
    EXPECT_EQ(memory.used(), 0U);
    EXPECT_FALSE(input.owns_memory());
}

}  // namespace
}  // namespace haka::stream
