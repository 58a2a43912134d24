#include "wire/segment.h"

#include <algorithm>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace haka::wire {
namespace {

using Bytes = std::vector<std::uint8_t>;

// IPv4 and TCP with these options (padded with NOP) and a payload of 3 bytes.
Bytes segment_with(Bytes options) {
    while (options.size() % 4 != 0) {
        options.push_back(kOptionNop);
    }
    Bytes bytes(40 + options.size(), 0);
    bytes[0] = 0x45;
    bytes[9] = kProtocolTcp;
    store_be32(&bytes[24], 0xfffffff0);
    store_be32(&bytes[28], 0x80000001);
    bytes[32] = static_cast<std::uint8_t>((5 + options.size() / 4) << 4);
    bytes[33] = kPsh | kAck | kUrg;
    store_be16(&bytes[34], 0xfedc);
    store_be16(&bytes[38], 2);
    std::copy(options.begin(), options.end(), bytes.begin() + 40);
    for (const char c : {'a', 'b', 'c'}) {
        bytes.push_back(static_cast<std::uint8_t>(c));
    }
    store_be16(&bytes[2], static_cast<std::uint16_t>(bytes.size()));
    return bytes;
}

Segment read(const Bytes& frame) {
    const Headers headers = find_headers(LinkType::Raw, frame);
    EXPECT_TRUE(headers.transport_ok);
    return read_segment(headers, frame);
}

Segment read_with(const Bytes& options) {
    return read(segment_with(options));
}

TEST(SegmentTest, ReadsTheFixedFields) {
    const Segment segment = read_with({});
    EXPECT_EQ(segment.seq, 0xfffffff0U);
    EXPECT_EQ(segment.ack, 0x80000001U);
    EXPECT_EQ(segment.window, 0xfedc);
    EXPECT_EQ(segment.urgent, 2);
    EXPECT_EQ(segment.flags, kPsh | kAck | kUrg);
    EXPECT_EQ(segment.payload_size, 3U);
    EXPECT_FALSE(segment.has_timestamp);
    EXPECT_EQ(segment.mss, 0);
    EXPECT_EQ(segment.window_scale, -1);
    EXPECT_FALSE(segment.sack_permitted || segment.fast_open || segment.signature);
    EXPECT_EQ(segment.bad, Event::None);
}

TEST(SegmentTest, ReadsTheOptionsOfASyn) {
    const Segment segment =
        read_with({2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 8, 1, 3, 3, 7, 34, 2});
    EXPECT_EQ(segment.mss, 1460);
    EXPECT_TRUE(segment.sack_permitted);
    EXPECT_TRUE(segment.has_timestamp);
    EXPECT_EQ(segment.ts_value, 9U);
    EXPECT_EQ(segment.ts_echo, 8U);
    EXPECT_EQ(segment.window_scale, 7);
    EXPECT_TRUE(segment.fast_open);
    EXPECT_EQ(segment.bad, Event::None);
}

// The short cut and the general walk must say the same.
TEST(SegmentTest, ReadsATimestampInEveryLayout) {
    const Bytes timestamp = {8, 10, 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4};
    for (const Bytes& lead : {Bytes{1, 1}, Bytes{}, Bytes{1}, Bytes{1, 1, 1, 1}, Bytes{3, 3, 2}}) {
        Bytes options = lead;
        options.insert(options.end(), timestamp.begin(), timestamp.end());
        const Segment segment = read_with(options);
        EXPECT_TRUE(segment.has_timestamp);
        EXPECT_EQ(segment.ts_value, 0xdeadbeefU);
        EXPECT_EQ(segment.ts_echo, 0x01020304U);
        EXPECT_EQ(segment.bad, Event::None);
    }
}

TEST(SegmentTest, LimitsTheWindowScale) {
    for (int shift = 0; shift < 256; ++shift) {
        const Segment segment = read_with({3, 3, static_cast<std::uint8_t>(shift)});
        EXPECT_EQ(segment.window_scale, std::min(shift, 14));
    }
}

TEST(SegmentTest, RecognisesSignaturesAndFastOpen) {
    Bytes md5(18, 7);
    md5[0] = kOptionMd5;
    md5[1] = 18;
    EXPECT_TRUE(read_with(md5).signature);
    EXPECT_TRUE(read_with({29, 16, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}).signature);
    EXPECT_TRUE(read_with({34, 6, 1, 2, 3, 4}).fast_open);
    EXPECT_FALSE(read_with({34, 5, 1, 2, 3}).fast_open);
    EXPECT_FALSE(read_with({34, 4, 1, 2}).fast_open);
    EXPECT_TRUE(read_with({254, 4, 0xf9, 0x89}).fast_open);
    EXPECT_TRUE(read_with({254, 8, 0xf9, 0x89, 1, 2, 3, 4}).fast_open);
    EXPECT_FALSE(read_with({254, 4, 0xf9, 0x88}).fast_open);
    EXPECT_FALSE(read_with({254, 3, 0xf9}).fast_open);
}

TEST(SegmentTest, NamesImpossibleLengthsAndKeepsWhatCameBefore) {
    const std::vector<Bytes> impossible = {{2, 4, 5, 0xb4, 99, 0},
                                           {2, 4, 5, 0xb4, 99, 1},
                                           {2, 4, 5, 0xb4, 99, 5},
                                           {2, 4, 5, 0xb4, 1, 1, 1, 99}};
    for (const Bytes& options : impossible) {
        const Segment segment = read_with(options);
        EXPECT_EQ(segment.bad, Event::TcpBadOption);
        EXPECT_EQ(segment.mss, 1460);
    }
    // A known option of a size that it cannot have is skipped, and what follows is read.
    const Segment segment = read_with({2, 3, 5, 3, 3, 7});
    EXPECT_EQ(segment.bad, Event::TcpBadOption);
    EXPECT_EQ(segment.mss, 0);
    EXPECT_EQ(segment.window_scale, 7);
}

TEST(SegmentTest, StopsAtTheEndOfTheList) {
    const Segment segment = read_with({3, 3, 7, 0, 2, 4, 5, 0xb4, 99, 0, 0, 0});
    EXPECT_EQ(segment.window_scale, 7);
    EXPECT_EQ(segment.mss, 0);
    EXPECT_EQ(segment.bad, Event::None);
}

TEST(SegmentTest, CountsThePayloadThatTheCaptureCutOff) {
    const Bytes frame = segment_with({});
    const ByteView cut = ByteView(frame).first(frame.size() - 2);
    const Headers headers = find_headers(LinkType::Raw, cut);
    EXPECT_EQ(headers.end - headers.payload, 1U);
    EXPECT_EQ(read_segment(headers, cut).payload_size, 3U);
}

TEST(TcpOptionsTest, HandsOutSackBlocks) {
    const Bytes bytes = {1, 1, 5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 0xff, 0, 0, 1, 0xff, 0, 0, 2};
    TcpOptions options(bytes);
    TcpOption option;
    ASSERT_TRUE(options.next(option));
    EXPECT_EQ(option.kind, kOptionNop);
    ASSERT_TRUE(options.next(option));
    ASSERT_TRUE(options.next(option));
    ASSERT_EQ(option.kind, kOptionSack);
    ASSERT_EQ(option.value.size(), 16U);
    EXPECT_FALSE(has_impossible_size(option));
    EXPECT_EQ(sack_block(option, 0).end, 2U);
    EXPECT_EQ(sack_block(option, 1).begin, 0xff000001U);
    EXPECT_FALSE(options.next(option));
    EXPECT_EQ(options.bad(), Event::None);
}

TEST(TcpOptionsTest, EndsOnEveryInput) {
    std::mt19937 random(5);
    for (int round = 0; round < 20000; ++round) {
        Bytes bytes(random() % 41);
        for (auto& byte : bytes) {
            byte = static_cast<std::uint8_t>(random() % 36);
        }
        bytes.shrink_to_fit();
        TcpOptions options(bytes);
        TcpOption option;
        std::size_t steps = 0;
        while (options.next(option)) {
            ASSERT_LE(++steps, bytes.size());
        }
        const bool is_end = options.rest().empty() || options.rest()[0] == kOptionEnd;
        EXPECT_EQ(options.bad(), is_end ? Event::None : Event::TcpBadOption);
    }
}

TEST(TcpViewTest, ReadsAndWritesEveryField) {
    Bytes bytes(24, 0);
    bytes[12] = 0x60;
    const auto edit = TcpEdit::parse(bytes);
    ASSERT_TRUE(edit);
    edit->set_srcport(0x1122);
    edit->set_dstport(0x3344);
    edit->set_seq(0x55667788);
    edit->set_ack_seq(0x99aabbcc);
    edit->set_res(0x0d);
    edit->set_hdr_len(20);
    edit->set_flags(kSyn | kCwr);
    edit->set_window_size(0xddee);
    edit->set_checksum(0xff01);
    edit->set_urgent_pointer(0x0203);
    const Bytes expected = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc,
                            0x5d, 0x82, 0xdd, 0xee, 0xff, 0x01, 0x02, 0x03, 0,    0,    0,    0};
    EXPECT_EQ(bytes, expected);
    const auto view = TcpView::parse(bytes);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->srcport(), 0x1122);
    EXPECT_EQ(view->dstport(), 0x3344);
    EXPECT_EQ(view->seq(), 0x55667788U);
    EXPECT_EQ(view->ack_seq(), 0x99aabbccU);
    EXPECT_EQ(view->res(), 0x0d);
    EXPECT_EQ(view->hdr_len(), 20U);
    EXPECT_EQ(view->flags(), kSyn | kCwr);
    EXPECT_EQ(view->window_size(), 0xddee);
    EXPECT_EQ(view->checksum(), 0xff01);
    EXPECT_EQ(view->urgent_pointer(), 0x0203);
    EXPECT_EQ(view->options().size(), 0U);
    EXPECT_EQ(view->payload().size(), 4U);
}

TEST(TcpViewTest, RefusesWhatItCouldReadPast) {
    for (std::size_t size = 0; size <= 64; ++size) {
        for (std::size_t words = 0; words < 16; ++words) {
            Bytes bytes(size, 0);
            if (size > 12) {
                bytes[12] = static_cast<std::uint8_t>(words << 4);
            }
            const bool is_right = size >= 20 && words >= 5 && words * 4 <= size;
            EXPECT_EQ(TcpView::parse(bytes).has_value(), is_right) << size << " " << words;
        }
    }
}

}  // namespace
}  // namespace haka::wire
