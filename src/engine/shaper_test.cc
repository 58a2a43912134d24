#include "engine/shaper.h"

#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/test_input.h"
#include "engine/worker.h"
#include "wire/checksum.h"
#include "wire/segment.h"
#include "wire/tcp_options.h"

namespace haka::engine {
namespace {

constexpr std::uint32_t kClientIsn = 0xffff'ffc0;  // Wraps soon.
constexpr std::uint32_t kServerIsn = 5000;

// A segment, numbered from its end's ISN: the SYN is 0, the first byte 1.
struct Sent {
    std::uint32_t seq = 1;
    std::uint32_t ack = 1;
    std::string text{};
    std::uint8_t flags = wire::kAck;
    std::uint16_t window = 60'000;
    test::Bytes options{};
};

// What left.
struct Left {
    bool from_client = false;
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;
    std::string text;
    std::uint8_t flags = 0;
    std::uint16_t window = 0;
    std::uint32_t echo = 0;                                      // Of its time stamp.
    std::vector<std::pair<std::uint32_t, std::uint32_t>> sacks;  // Where they'd be read.
};

test::Bytes timestamp(std::uint8_t value) {
    return {1, 1, wire::kOptionTimestamp, 10, 0, 0, 0, value, 0, 0, 0, 0};
}

// A worker between two live ends.
class ShaperTest : public testing::Test {
protected:
    void start(std::string_view policy, const test::Bytes& syn_options = {},
               std::uint16_t server_window = 60'000) {
        options_.writes_packets = true;
        options_.settings.seed = 1;
        options_.mode = stream::Mode::Live;
        options_.walks_batches = true;
        options_.script.policy = folder_.write("policy.lua", as_bytes(policy));
        options_.script.lua = options_.settings.lua;
        Worker::Made made = Worker::make(options_);
        ASSERT_NE(made.worker, nullptr) << made.error;
        worker_ = std::move(made.worker);
        client({.seq = 0, .ack = 0, .flags = wire::kSyn, .options = syn_options});
        server({.seq = 0,
                .flags = wire::kSyn | wire::kAck,
                .window = server_window,
                .options = syn_options});
        client({});
    }
    std::vector<Left> client(const Sent& sent) { return say({sent}, {}); }
    std::vector<Left> server(const Sent& sent) { return say({}, {sent}); }
    // One batch, what the client sends first.
    std::vector<Left> say(const std::vector<Sent>& client, const std::vector<Sent>& server) {
        std::vector<test::Bytes> packets;
        for (const Sent& sent : client) {
            packets.push_back(packet_of(true, sent));
        }
        for (const Sent& sent : server) {
            packets.push_back(packet_of(false, sent));
        }
        now_ = now_ + kMillisecond;
        std::vector<Frame> frames(packets.size());
        for (std::size_t i = 0; i < packets.size(); ++i) {
            Frame& frame = frames[i];
            frame.data = packets[i].data();
            frame.size = frame.original_size = static_cast<std::uint32_t>(packets[i].size());
            frame.when = now_;
            frame.number = ++number_;
            frame.interface = i < client.size() ? 0 : 1;
        }
        Journal journal;
        worker_->walk(frames, journal, stop_);
        return left(journal);
    }
    std::vector<Left> wait(Duration time) {
        now_ = now_ + time;
        Journal journal;
        worker_->pass_time(now_, journal);
        return left(journal);
    }

    static std::string text_of(const std::vector<Left>& all) {
        std::string text;
        for (const Left& one : all) {
            text += one.text;
        }
        return text;
    }

    std::unique_ptr<Worker> worker_;

private:
    static test::Bytes packet_of(bool from_client, const Sent& sent) {
        const Address ends[] = {Address::ipv4(0x0a000001), Address::ipv4(0x0a000002)};
        const std::uint32_t own = from_client ? kClientIsn : kServerIsn;
        const std::uint32_t other = from_client ? kServerIsn : kClientIsn;
        test::Bytes bytes;
        wire::build_tcp(wire::ethernet_header({.type = wire::kEtherTypeIpv4}),
                        {.src = ends[from_client ? 0 : 1], .dst = ends[from_client ? 1 : 0]},
                        {.srcport = from_client ? std::uint16_t{4000} : std::uint16_t{80},
                         .dstport = from_client ? std::uint16_t{80} : std::uint16_t{4000},
                         .seq = own + sent.seq,
                         .ack_seq = (sent.flags & wire::kAck) != 0 ? other + sent.ack : 0,
                         .flags = sent.flags,
                         .window_size = sent.window,
                         .options = sent.options},
                        as_bytes(sent.text), bytes);
        return bytes;
    }

    static std::vector<Left> left(Journal& journal) {
        std::vector<std::uint8_t> records;
        journal.take(records);
        std::vector<Left> all;
        for (RecordReader record(records); !record.done(); record.next()) {
            if (record.head().kind == RecordKind::Packet) {
                const ByteView packet = as_bytes(record.second());
                all.push_back(read({packet.begin(), packet.end()}));
            }
        }
        return all;
    }

    static Left read(const test::Bytes& bytes) {
        const wire::Headers headers = wire::find_headers(LinkType::Ethernet, bytes);
        EXPECT_EQ(wire::verify_transport(headers, bytes), wire::ChecksumCheck::Right);
        const wire::Segment segment = wire::read_segment(headers, bytes);
        const bool from_client = load_be16(&bytes[headers.transport]) == 4000;
        const std::uint32_t other = from_client ? kServerIsn : kClientIsn;
        Left one{.from_client = from_client,
                 .seq = segment.seq - (from_client ? kClientIsn : kServerIsn),
                 .ack = segment.ack - other,
                 .text = std::string(as_text(ByteView(bytes).subspan(headers.payload))),
                 .flags = segment.flags,
                 .window = segment.window,
                 .echo = segment.ts_echo,
                 .sacks{}};
        const ByteView header =
            ByteView(bytes).subspan(headers.transport, headers.payload - headers.transport);
        wire::TcpOptions options(header.subspan(20));
        wire::TcpOption option;
        while (options.next(option)) {
            for (std::size_t i = 0; option.kind == wire::kOptionSack && i < option.value.size() / 8;
                 ++i) {
                const wire::SackBlock block = wire::sack_block(option, i);
                one.sacks.emplace_back(block.begin - other, block.end - other);
            }
        }
        return one;
    }

    capture::test::Folder folder_;
    WorkerOptions options_;
    std::atomic<bool> stop_{false};
    std::uint64_t number_ = 0;
    Instant now_{kSecond.ns * 1000};
};

// Puts 250 bytes before what the client says first.
constexpr std::string_view kLengthen = R"(
    local done = false
    haka.rule{ hooks = { "tcp-connection-up" }, eval = function (self, pkt)
        if not done and pkt.stream:available() > 0 then
            done = true
            pkt.stream:insert(("x"):rep(250))
        end
    end })";

// Decides nothing before eight bytes are there.
constexpr std::string_view kWaits = R"(
    haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, eval = function (self, pkt)
        while pkt.stream:wait(8) > 0 do pkt.stream:read(8) end
    end })";

// Puts 60 bytes before all that comes.
constexpr std::string_view kLengthensAll = R"(
    haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, eval = function (self, pkt)
        while pkt.stream:wait(1) > 0 do
            pkt.stream:insert(("x"):rep(60))
            pkt.stream:advance(pkt.stream:available())
        end
    end })";

constexpr std::string_view kErases = R"(
    haka.rule{ hooks = { "tcp-connection-up" }, eval = function (self, pkt)
        if pkt.stream:available() > 0 then pkt.stream:erase(pkt.stream:available()) end
    end })";

const test::Bytes kMss100{2, 4, 0, 100};
const test::Bytes kSackPermitted{4, 2, 1, 1};

TEST_F(ShaperTest, CutsAtTheMssAndEndsOnTheLastPieceOnly) {
    start(kLengthen, kMss100);
    const auto left = client({.text = "hello", .flags = wire::kAck | wire::kPsh | wire::kFin});
    ASSERT_EQ(left.size(), 3U);
    std::uint32_t seq = 1;
    for (const Left& piece : left) {
        EXPECT_TRUE(piece.from_client);
        EXPECT_EQ(piece.seq, seq);
        EXPECT_LE(piece.text.size(), 100U);
        const bool last = &piece == &left.back();
        EXPECT_EQ((piece.flags & wire::kFin) != 0, last);
        EXPECT_EQ((piece.flags & wire::kPsh) != 0, last);
        seq += static_cast<std::uint32_t>(piece.text.size());
    }
    EXPECT_EQ(text_of(left), std::string(250, 'x') + "hello");
    // The server has it all, the FIN too: so has it what the client sent.
    const auto answer = server({.ack = 1 + 255 + 1});
    ASSERT_EQ(answer.size(), 1U);
    EXPECT_EQ(answer[0].ack, 1U + 5 + 1);
}

TEST_F(ShaperTest, WhatTheWindowHasNoRoomForWaits) {
    start(kLengthen, {}, 100);
    const auto first = client({.text = "hello", .flags = wire::kAck | wire::kFin});
    EXPECT_EQ(text_of(first).size(), 100U);
    ASSERT_FALSE(first.empty());
    EXPECT_EQ(first.back().flags & wire::kFin, 0);
    EXPECT_TRUE(text_of(server({.ack = 101, .window = 0})).empty());
    std::string rest;
    for (const Left& one : server({.ack = 101, .window = 1000})) {
        rest += one.from_client ? one.text : "";
    }
    EXPECT_EQ(rest, std::string(150, 'x') + "hello");
}

TEST_F(ShaperTest, AResendBringsTheSameBytesAgain) {
    start(kLengthen);
    const std::string text = text_of(client({.text = "hello"}));
    EXPECT_EQ(text.size(), 255U);
    const auto again = client({.text = "hello"});
    EXPECT_EQ(text_of(again), text);
    ASSERT_FALSE(again.empty());
    EXPECT_EQ(again[0].seq, 1U);
    server({.ack = 1 + 255});
    const auto next = client({.seq = 6, .text = "more"});
    ASSERT_EQ(next.size(), 1U);
    EXPECT_EQ(next[0].seq, 1U + 255);
    EXPECT_EQ(next[0].text, "more");
}

TEST_F(ShaperTest, ErasedSegmentsAreAcknowledgedByTheEngine) {
    start(kErases);
    const auto left = client({.text = "hello"});
    ASSERT_EQ(left.size(), 1U);
    EXPECT_FALSE(left[0].from_client);
    EXPECT_EQ(left[0].ack, 6U);
    EXPECT_EQ(left[0].seq, 1U);
    EXPECT_EQ(left[0].flags, wire::kAck);
}

// Answers whatever the client asks.
constexpr std::string_view kAnswers = R"(
    haka.rule{ hooks = { "tcp-connection-new" }, eval = function (self, pkt)
        pkt.next_dissector = "http" end }
    haka.rule{ hooks = { "http-request" }, eval = function (self, pkt)
        pkt:respond{ body = "no" } end })";
const std::string kAsks = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

const Left* fin_of(const std::vector<Left>& all, bool from_client) {
    for (const Left& one : all) {
        if (one.from_client == from_client && (one.flags & wire::kFin) != 0) {
            return &one;
        }
    }
    return nullptr;
}

// A client that waits for the server to close, and a server that has heard nothing.
TEST_F(ShaperTest, AnAnswerInTheServersPlaceClosesBothEnds) {
    start(kAnswers);
    const auto asked = static_cast<std::uint32_t>(kAsks.size());
    auto left = client({.text = kAsks});
    const std::string answer = text_of(left);
    EXPECT_TRUE(answer.ends_with("\r\n\r\nno"));
    const auto answered = static_cast<std::uint32_t>(answer.size());
    const Left* fin = fin_of(left, true);
    ASSERT_NE(fin, nullptr);
    EXPECT_EQ(fin->seq, 1U);  // Nothing of the request came before it.
    left = client({.seq = 1 + asked, .ack = 1 + answered});
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].seq, 2U);
    EXPECT_EQ(left[0].ack, 1U);
    // Lost: it comes again.
    left = wait(kSecond * 2);
    ASSERT_NE(fin_of(left, true), nullptr);
    EXPECT_EQ(fin_of(left, true)->seq, 1U);
    // The server closes, too, and the client hears of that behind the answer.
    left = server({.ack = 2, .flags = wire::kAck | wire::kFin});
    ASSERT_NE(fin_of(left, false), nullptr);
    EXPECT_EQ(fin_of(left, false)->seq, 1 + answered);
    EXPECT_EQ(fin_of(left, false)->ack, 1 + asked);
    EXPECT_TRUE(wait(kSecond * 60).empty());
    // The client's last words: its ACK goes to the server, its FIN the engine answers.
    left = client({.seq = 1 + asked, .ack = 2 + answered, .flags = wire::kAck | wire::kFin});
    ASSERT_EQ(left.size(), 2U);
    EXPECT_TRUE(left[0].from_client);
    EXPECT_EQ(left[0].seq, 2U);
    EXPECT_EQ(left[0].ack, 2U);
    EXPECT_EQ(left[0].flags, wire::kAck);
    EXPECT_FALSE(left[1].from_client);
    EXPECT_EQ(left[1].seq, 2 + answered);
    EXPECT_EQ(left[1].ack, 2 + asked);
}

TEST_F(ShaperTest, AClientThatClosesBehindAnAnswerMeetsItsServer) {
    start(kAnswers);
    const auto asked = static_cast<std::uint32_t>(kAsks.size());
    auto left = client({.text = kAsks});
    const auto answered = static_cast<std::uint32_t>(text_of(left).size());
    left = client({.seq = 1 + asked, .ack = 1 + answered, .flags = wire::kAck | wire::kFin});
    ASSERT_NE(fin_of(left, true), nullptr);
    EXPECT_EQ(fin_of(left, true)->seq, 1U);
    left = server({.ack = 2, .flags = wire::kAck | wire::kFin});
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].seq, 1 + answered);
    EXPECT_EQ(left[0].ack, 2 + asked);
    left = client({.seq = 2 + asked, .ack = 2 + answered});
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].seq, 2U);
    EXPECT_EQ(left[0].ack, 2U);
}

// What a client still says behind an answer is acknowledged, and goes nowhere.
TEST_F(ShaperTest, NothingReachesTheServerBehindItsEnd) {
    start(kAnswers);
    const auto asked = static_cast<std::uint32_t>(kAsks.size());
    auto left = client({.text = kAsks});
    const auto answered = static_cast<std::uint32_t>(text_of(left).size());
    server({.ack = 2});
    left = client({.seq = 1 + asked, .ack = 1 + answered, .text = kAsks});
    EXPECT_EQ(text_of(left), "");
    ASSERT_FALSE(left.empty());
    EXPECT_FALSE(left.back().from_client);
    EXPECT_EQ(left.back().ack, 1 + 2 * asked);
    left = server({.ack = 2, .flags = wire::kAck | wire::kFin});
    ASSERT_EQ(left.size(), 1U);
    EXPECT_EQ(left[0].ack, 1 + 2 * asked);
}

TEST_F(ShaperTest, AHoleIsToldToTheSenderWithSackBlocks) {
    start(kWaits, kSackPermitted);
    const auto left = client({.seq = 11, .text = "abcd"});
    ASSERT_EQ(left.size(), 1U);
    EXPECT_FALSE(left[0].from_client);
    EXPECT_EQ(left[0].ack, 1U);
    EXPECT_EQ(left[0].sacks, (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{11, 15}}));
}

TEST_F(ShaperTest, WhatItAcknowledgedItDelivers) {
    start(kWaits);
    const auto held = client({.text = "hello"});
    ASSERT_EQ(held.size(), 1U);
    EXPECT_FALSE(held[0].from_client);  // An ACK for bytes that the server hasn't seen.
    EXPECT_EQ(held[0].ack, 6U);
    EXPECT_EQ(text_of(client({.seq = 6, .text = "you"})), "helloyou");

    // The server is silent: again after a second, then after two.
    EXPECT_TRUE(text_of(wait(kMillisecond * 500)).empty());
    EXPECT_EQ(text_of(wait(kMillisecond * 600)), "helloyou");
    EXPECT_TRUE(text_of(wait(kMillisecond * 1500)).empty());
    EXPECT_EQ(text_of(wait(kMillisecond * 600)), "helloyou");
    server({.ack = 9});
    EXPECT_TRUE(text_of(wait(kSecond * 20)).empty());
}

TEST_F(ShaperTest, WhatABatchBroughtLeavesAsFullSegments) {
    start(kLengthensAll, kMss100);
    const std::string text(20, 'a');
    const std::string edited = std::string(60, 'x') + text;
    const auto left = say({{.seq = 1, .text = text},
                           {.seq = 21, .text = text},
                           {.seq = 41, .text = text, .flags = wire::kAck | wire::kPsh}},
                          {});
    EXPECT_EQ(text_of(left), edited + edited + edited);
    ASSERT_EQ(left.size(), 3U);
    EXPECT_EQ(left[0].text.size(), 100U);
    EXPECT_EQ(left[1].text.size(), 100U);
    EXPECT_EQ(left[2].text.size(), 40U);
    EXPECT_EQ(left[0].seq, 1U);
    EXPECT_EQ(left[1].seq, 101U);
    EXPECT_EQ(left[2].seq, 201U);
    EXPECT_EQ(left[1].flags, wire::kAck);
    EXPECT_EQ(left[2].flags, wire::kAck | wire::kPsh);
    // Alone, none waits for another.
    EXPECT_EQ(text_of(client({.seq = 61, .text = text})), edited);
}

// What a router marked one packet with is not said of another's bytes (RFC 3168).
TEST_F(ShaperTest, SegmentsWithOtherCongestionMarksStayApart) {
    start(kLengthensAll, kMss100);
    const auto left = say({{.seq = 1, .text = "a"},
                           {.seq = 2, .text = "b"},
                           {.seq = 3, .text = "c", .flags = wire::kAck | wire::kEce},
                           {.seq = 4, .text = "d", .flags = wire::kAck | wire::kEce}},
                          {});
    ASSERT_EQ(left.size(), 4U);  // Of 122 bytes each, the MSS being 100.
    const std::string x(60, 'x');
    EXPECT_EQ(left[0].text + left[1].text, x + "a" + x + "b");
    EXPECT_EQ(left[2].text + left[3].text, x + "c" + x + "d");
    EXPECT_EQ(left[0].text.size(), 100U);
    EXPECT_EQ(left[1].flags & wire::kEce, 0);
    EXPECT_NE(left[2].flags & wire::kEce, 0);
    EXPECT_NE(left[3].flags & wire::kEce, 0);
}

TEST_F(ShaperTest, WhatIsAcknowledgedWithinABatchDoesntLeaveAgain) {
    start(kLengthensAll, {2, 4, 0, 200});
    EXPECT_EQ(text_of(client({.text = "aaaaa"})), std::string(60, 'x') + "aaaaa");
    std::string text;
    for (const Left& one : say({{.text = "aaaaabbbbb"}}, {{.ack = 1 + 65}})) {
        if (one.from_client && !one.text.empty()) {
            EXPECT_EQ(one.seq, 1U + 65 + text.size());
            text += one.text;
        }
    }
    EXPECT_EQ(text, std::string(60, 'x') + "bbbbb");
}

TEST_F(ShaperTest, WhatEndsAStreamLeavesBehindItsBytes) {
    for (const std::uint8_t last : {wire::kFin, wire::kRst}) {
        start(kLengthensAll, kMss100);
        const auto left = say({{.seq = 1, .text = "a"},
                               {.seq = 2, .flags = static_cast<std::uint8_t>(wire::kAck | last)}},
                              {});
        ASSERT_FALSE(left.empty());
        EXPECT_EQ(text_of(left), std::string(60, 'x') + "a");
        EXPECT_EQ(left.back().seq + left.back().text.size(), 62U);
        EXPECT_NE(left.back().flags & last, 0);
    }
}

TEST_F(ShaperTest, WhatCameTwiceIsToldByABlockOfItsSender) {
    start(kLengthen, kSackPermitted);
    EXPECT_EQ(text_of(client({.text = "hello"})).size(), 255U);
    server({.ack = 1 + 255});
    const auto again = client({.text = "hello"});
    ASSERT_EQ(again.size(), 1U);
    EXPECT_FALSE(again[0].from_client);
    EXPECT_EQ(again[0].ack, 6U);
    EXPECT_EQ(again[0].sacks, (std::vector<std::pair<std::uint32_t, std::uint32_t>>{{1, 6}}));
}

TEST_F(ShaperTest, AnAckEchoesTheNewestTimestampThatCameInOrder) {
    test::Bytes options = kSackPermitted;
    const test::Bytes stamp = timestamp(10);
    options.insert(options.end(), stamp.begin(), stamp.end());
    start(kWaits, options);
    const auto first = client({.text = "hello", .options = timestamp(20)});
    ASSERT_EQ(first.size(), 1U);
    EXPECT_EQ(first[0].echo, 20U);
    // The server has acknowledged nothing.
    const auto second = client({.seq = 6, .text = "yo", .options = timestamp(30)});
    ASSERT_EQ(second.size(), 1U);
    EXPECT_EQ(second[0].ack, 8U);
    EXPECT_EQ(second[0].echo, 30U);
    const auto hole = client({.seq = 9, .text = "b", .options = timestamp(40)});
    ASSERT_EQ(hole.size(), 1U);
    EXPECT_EQ(hole[0].ack, 8U);
    EXPECT_EQ(hole[0].echo, 30U);
    const auto filled = client({.seq = 8, .text = "a", .options = timestamp(50)});
    ASSERT_FALSE(filled.empty());
    EXPECT_FALSE(filled.back().from_client);
    EXPECT_EQ(filled.back().ack, 10U);
    EXPECT_EQ(filled.back().echo, 50U);
}

}  // namespace
}  // namespace haka::engine
