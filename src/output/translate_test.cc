#include "output/translate.h"

#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "stream/seq.h"
#include "wire/build.h"
#include "wire/checksum.h"
#include "wire/segment.h"
#include "wire/tcp_options.h"

namespace haka::output {
namespace {

using Bytes = std::vector<std::uint8_t>;
// Output or input offsets.
using Blocks = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

constexpr std::uint32_t kIsn = 0xffff'fff0;  // Wraps soon.

// A SACK option whose blocks count from kIsn.
Bytes sack(const Blocks& blocks) {
    Bytes option{wire::kOptionSack, static_cast<std::uint8_t>(2 + blocks.size() * 8)};
    for (const auto& [begin, end] : blocks) {
        option.resize(option.size() + 8);
        store_be32(&option[option.size() - 8], stream::to_seq(kIsn, begin));
        store_be32(&option[option.size() - 4], stream::to_seq(kIsn, end));
    }
    return option;
}

Bytes joined(Bytes first, const Bytes& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

constexpr std::uint8_t kStampBytes[] = {8, 10, 0, 0, 3, 0xe8, 0, 0, 7, 0xd0};
const Bytes kStamp(std::begin(kStampBytes), std::end(kStampBytes));

// A packet about to leave, whose checksum is computed anew after each change for comparison.
class Leaving {
public:
    explicit Leaving(ByteView options, std::string_view payload = "odd") {
        wire::build_tcp({}, {.src = Address::ipv4(0x0a000001), .dst = Address::ipv4(0x0a000002)},
                        {.srcport = 4000,
                         .dstport = 80,
                         .seq = 500,
                         .ack_seq = 900,
                         .flags = 0x10,
                         .window_size = 1234,
                         .options = options},
                        as_bytes(payload), bytes_);
        wire::find_headers(LinkType::Raw, bytes_, headers_);
        before_ = bytes_;
    }
    [[nodiscard]] Numbers numbers() {
        return {bytes_.data() + headers_.transport, headers_.payload - headers_.transport};
    }
    [[nodiscard]] wire::Segment read() const {
        EXPECT_EQ(wire::verify_transport(headers_, bytes_), wire::ChecksumCheck::Right);
        return wire::read_segment(headers_, bytes_);
    }
    [[nodiscard]] bool is_as_before() const { return bytes_ == before_; }
    [[nodiscard]] Bytes options() const {
        return {bytes_.begin() + headers_.transport + 20, bytes_.begin() + headers_.payload};
    }
    [[nodiscard]] Blocks blocks() const {
        const Bytes bytes = options();
        wire::TcpOptions all(bytes);
        wire::TcpOption option;
        Blocks blocks;
        while (all.next(option)) {
            for (std::size_t i = 0; option.kind == wire::kOptionSack && i < option.value.size() / 8;
                 ++i) {
                const wire::SackBlock block = wire::sack_block(option, i);
                blocks.emplace_back(block.begin - kIsn - 1, block.end - kIsn - 1);
            }
        }
        EXPECT_EQ(all.bad(), Event::None);
        return blocks;
    }

private:
    Bytes bytes_;
    Bytes before_;
    wire::Headers headers_;
};

// 100 bytes; [10, 20) became 5 bytes, 30 were inserted before 40, 60 to 69 are gone.
//   output: 10..15 replaced, 35..65 inserted, at 85 nothing
class TranslateTest : public testing::Test {
protected:
    TranslateTest() {
        input_.add(0, Bytes(100));
        outlet_ = std::make_unique<stream::Outlet>(memory_, input_,
                                                   stream::Outlet::Receiver{.window_end = 1000}, 0);
        edit(60, 10, 0);
        edit(40, 0, 30);
        edit(10, 10, 5);
        outlet_->decide(outlet_->end());
        outlet_->note_sent(outlet_->end());
    }
    void edit(std::uint64_t at, std::uint32_t erase, std::size_t insert) {
        EXPECT_TRUE(outlet_->edit(at, erase, Bytes(insert), 10));
    }
    // What becomes of these blocks.
    Blocks translated(const Blocks& blocks, Numbers::Told told = {}) {
        Leaving leaving(joined({1, 1}, sack(blocks)));
        Numbers numbers = leaving.numbers();
        is_news_ = numbers.translate_sacks(*outlet_, kIsn, told);
        EXPECT_EQ(numbers.changed(), !leaving.is_as_before());
        (void)leaving.read();
        return leaving.blocks();
    }

    bool is_news_ = false;
    stream::StreamMemory memory_{TcpSettings{}};
    stream::StreamBuffer input_{memory_};
    std::unique_ptr<stream::Outlet> outlet_;
};

TEST_F(TranslateTest, TheChecksumFollowsEachNumber) {
    for (const std::string_view payload : {"", "odd", "even"}) {
        Leaving leaving({}, payload);
        Numbers numbers = leaving.numbers();
        EXPECT_FALSE(numbers.changed());
        numbers.set_seq(0xffff'0001);
        EXPECT_TRUE(numbers.changed());
        EXPECT_EQ(leaving.read().seq, 0xffff'0001U);
        numbers.set_ack(0);
        EXPECT_EQ(leaving.read().ack, 0U);
        numbers.set_window(0xffff);
        EXPECT_EQ(leaving.read().window, 0xffffU);
        EXPECT_EQ(leaving.read().payload_size, payload.size());
    }
}

TEST_F(TranslateTest, TheSameNumbersChangeNothing) {
    Leaving leaving({});
    Numbers numbers = leaving.numbers();
    numbers.set_seq(500);
    numbers.set_ack(900);
    numbers.set_window(1234);
    EXPECT_FALSE(numbers.changed());
    EXPECT_TRUE(leaving.is_as_before());
}

TEST_F(TranslateTest, AnOlderTimestampBecomesNewer) {
    for (const Bytes& before : {Bytes{1, 1}, Bytes{1}}) {  // At an even and an odd place.
        Leaving leaving(joined(before, kStamp));
        Numbers numbers = leaving.numbers();
        numbers.set_newer_timestamp(1000);
        numbers.set_newer_timestamp(999);
        EXPECT_FALSE(numbers.changed());
        numbers.set_newer_timestamp(0x0102'0304);
        EXPECT_EQ(leaving.read().ts_value, 0x0102'0304U);
        EXPECT_EQ(leaving.read().ts_echo, 2000U);
        numbers.set_newer_timestamp(0x8102'0305);  // Half the circle away: older.
        EXPECT_EQ(leaving.read().ts_value, 0x0102'0304U);
    }
    Leaving without({});
    without.numbers().set_newer_timestamp(1);
    EXPECT_TRUE(without.is_as_before());
}

TEST_F(TranslateTest, SackBlocksNameInputBytes) {
    EXPECT_EQ(translated({{0, 10}}), (Blocks{{0, 10}}));
    EXPECT_EQ(translated({{15, 35}}), (Blocks{{20, 40}}));
    EXPECT_EQ(translated({{10, 66}}), (Blocks{{10, 41}}));
    EXPECT_EQ(translated({{66, 80}, {86, 90}}), (Blocks{{41, 55}, {71, 75}}));
    EXPECT_EQ(translated({{80, 85}}), (Blocks{{55, 70}}));  // With what is erased behind it.
    EXPECT_EQ(translated({{100, 115}}), (Blocks{{85, 100}}));
}

TEST_F(TranslateTest, ABlockCutInAPatchNamesOnlyWholeBytes) {
    EXPECT_EQ(translated({{12, 20}}), (Blocks{{12, 25}}));
    EXPECT_EQ(translated({{5, 13}}), (Blocks{{5, 13}}));
    EXPECT_EQ(translated({{20, 50}}), (Blocks{{25, 40}}));  // Its end lies in the insertion.
    EXPECT_EQ(translated({{50, 70}}), (Blocks{{41, 45}}));  // Byte 40's insertion has a hole.
}

TEST_F(TranslateTest, ADuplicateSackBeforeTheAckIsTranslatedToo) {  // RFC 2883
    outlet_->acknowledge(66, 1000);
    EXPECT_EQ(translated({{80, 84}}), (Blocks{{55, 59}}));
}

TEST_F(TranslateTest, ABlockThatNamesNoByteBecomesNops) {
    EXPECT_EQ(translated({{36, 60}}), Blocks());
    EXPECT_EQ(translated({{36, 60}, {0, 5}}), (Blocks{{0, 5}}));
    EXPECT_EQ(translated({{0, 5}, {36, 60}, {90, 95}}), (Blocks{{0, 5}, {75, 80}}));
    Leaving leaving(joined({1, 1}, sack({{36, 60}})));
    leaving.numbers().translate_sacks(*outlet_, kIsn, {});
    EXPECT_EQ(leaving.options(), Bytes(12, wire::kOptionNop));
}

TEST_F(TranslateTest, WhatTheAckCoversIsNoBlock) {  // Output 66 to 90 is 25 bytes behind input.
    EXPECT_EQ(translated({{0, 5}, {80, 84}}, {.ack = 57}), (Blocks{{57, 59}}));
    EXPECT_TRUE(is_news_);
    EXPECT_EQ(translated({{80, 84}}, {.ack = 59}), Blocks());
    EXPECT_FALSE(is_news_);
}

TEST_F(TranslateTest, WhatTheSenderSentTwiceIsToldWhenItsEditsAreForgotten) {
    outlet_->acknowledge(90, 1000);
    stream::Resent resent;
    EXPECT_EQ(translated({{10, 20}}, {.ack = 65, .sent_again = 90, .resent = &resent}), Blocks());
    EXPECT_FALSE(is_news_);
    resent.note({.begin = 3, .end = 7}, {.begin = 10, .end = 40});
    EXPECT_EQ(translated({{10, 20}}, {.ack = 65, .sent_again = 90, .resent = &resent}),
              (Blocks{{3, 7}}));
    EXPECT_TRUE(is_news_);
    EXPECT_EQ(translated({{20, 40}}, {.ack = 65, .sent_again = 90, .resent = &resent}), Blocks());
}

TEST_F(TranslateTest, ADuplicateOfOursIsNotTheSendersAffair) {
    outlet_->acknowledge(66, 1000);
    outlet_->acknowledge(80, 1000);
    EXPECT_EQ(translated({{66, 80}, {82, 84}}), (Blocks{{41, 55}, {57, 59}}));
    EXPECT_EQ(translated({{66, 80}, {82, 84}}, {.sent_again = 80}), (Blocks{{57, 59}}));
    EXPECT_EQ(translated({{66, 80}, {82, 84}}, {.sent_again = 79}), (Blocks{{41, 55}, {57, 59}}));
}

TEST_F(TranslateTest, BlocksOfNothingThatWasSentAreDropped) {
    EXPECT_EQ(translated({{200, 300}}), Blocks());
    EXPECT_EQ(translated({{20, 20}}), Blocks());
    EXPECT_EQ(translated({{20, 10}}), Blocks());
    EXPECT_EQ(translated({{0xffff'ffff, 5}}), Blocks());  // From before the first byte.
    EXPECT_EQ(translated({{0, 0x8000'0000}}), Blocks());
}

TEST_F(TranslateTest, ItsOptionsAroundStayAndMayStandAtOddPlaces) {
    for (const std::size_t nops : {0U, 1U, 2U, 3U}) {
        const Blocks blocks{{80, 84}, {36, 60}};
        const Bytes before = joined(Bytes(nops, 1), kStamp);
        Leaving leaving(joined(joined(before, sack(blocks)), Bytes{3, 3, 7}));
        leaving.numbers().translate_sacks(*outlet_, kIsn, {});
        const wire::Segment segment = leaving.read();
        EXPECT_EQ(leaving.blocks(), (Blocks{{55, 59}}));
        EXPECT_EQ(segment.ts_value, 1000U);
        EXPECT_EQ(segment.window_scale, 7);
        EXPECT_EQ(segment.bad, Event::None);
    }
}

TEST_F(TranslateTest, AnOptionOfAnImpossibleSizeIsLeftAlone) {
    const Bytes odd{5, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    Leaving leaving(odd);
    leaving.numbers().translate_sacks(*outlet_, kIsn, {});
    EXPECT_TRUE(leaving.is_as_before());
}

}  // namespace
}  // namespace haka::output
