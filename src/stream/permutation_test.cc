// Property P7: in a file, a connection whose packets changed places or were duplicated has the same
// streams and the same end as in order.
#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "stream/stream_buffer.h"
#include "stream/talk.h"

namespace haka::stream {
namespace {

using flow::State;
using test::Step;
using test::Talk;

struct Sent {
    bool from_client = false;
    Step step;
    std::size_t key = 0;  // Where the packet stands in the capture.
};

struct Recording {
    std::vector<Sent> packets;
    std::array<std::string, 2> streams;  // By direction, client first.
};

class Recorder {
public:
    explicit Recorder(std::uint32_t seed) : random_(seed) {}

    // A complete connection with random turns, sizes, delayed ACKs and time stamps.
    Recording record() {
        say(true, {.flags = "S", .timestamp = 0});
        say(false, {.flags = "SA", .ack = 1, .timestamp = 0});
        say(true, {.flags = "A", .seq = 1, .ack = 1});
        const std::size_t turns = 5 + below(150);
        for (std::size_t i = 0; i < turns; ++i) {
            const bool from_client = below(2) == 0;
            below(3) == 0 ? acknowledge(from_client) : send(from_client, 1 + below(1448), "PA");
        }
        const bool first = below(2) == 0;
        send(first, below(3) * 100, "FA");
        if (below(2) == 0) {
            acknowledge(!first);
            send(!first, 1 + below(1000), "A");
        }
        send(!first, below(3) * 100, "FA");
        acknowledge(first);
        acknowledge(!first);
        return std::move(recording_);
    }

    std::size_t below(std::size_t limit) { return random_() % limit; }

private:
    struct End {
        std::int64_t next = 1;
        std::int64_t acked = 1;  // What the other end acknowledged of it.
    };

    void say(bool from_client, Step step) {
        clock_ += below(2000);
        step.timestamp = static_cast<std::int64_t>(clock_);
        recording_.packets.push_back({from_client, step, recording_.packets.size()});
    }
    End& end_of(bool client) { return ends_[client ? 0 : 1]; }

    void acknowledge(bool from_client) {
        End& other = end_of(!from_client);
        other.acked = other.next;
        say(from_client, {.flags = "A", .seq = end_of(from_client).next, .ack = other.acked});
    }

    void send(bool from_client, std::size_t size, std::string_view flags) {
        End& end = end_of(from_client);
        if (end.next - end.acked + static_cast<std::int64_t>(size) > 20'000) {
            acknowledge(!from_client);
        }
        End& other = end_of(!from_client);
        if (below(2) == 0) {
            other.acked = other.next;
        }
        say(from_client, {.flags = flags,
                          .seq = end.next,
                          .ack = other.acked,
                          .size = static_cast<std::uint32_t>(size)});
        for (std::size_t i = 0; i < size; ++i) {
            recording_.streams[from_client ? 0 : 1].push_back(static_cast<char>(random_()));
        }
        end.next += static_cast<std::int64_t>(size) + (flags == "FA" ? 1 : 0);
    }

    std::mt19937 random_;
    Recording recording_;
    std::array<End, 2> ends_;
    std::size_t clock_ = 1000;
};

class Listener {
public:
    void take(const Recording& recording, const Sent& packet) {
        const Judgement judgement = talk.say(packet.from_client, packet.step);
        ASSERT_FALSE(judgement.drop) << event_name(judgement.event);
        ASSERT_FALSE(judgement.new_attempt);
        ASSERT_FALSE(judgement.trimmed);
        const std::size_t from = packet.from_client ? 0 : 1;
        const ByteView stream = as_bytes(recording.streams[from]);
        const Added added =
            buffers[from].add(judgement.offset, stream.subspan(judgement.offset, judgement.size));
        ASSERT_EQ(added.refused, Event::None);
        ASSERT_FALSE(added.differs);
        if (judgement.fin) {
            ASSERT_TRUE(buffers[from].fin(talk.connection.half(packet.from_client).fin_offset));
        }
        buffers[1 - from].acknowledged(judgement.acknowledged);
        received[from] += as_text(buffers[from].view());
        buffers[from].release(buffers[from].end());
    }

    Talk talk{Mode::File, 0xffff'f000, 0x7fff'f000};
    StreamMemory memory{TcpSettings{}};
    std::array<StreamBuffer, 2> buffers{StreamBuffer(memory), StreamBuffer(memory)};
    std::array<std::string, 2> received;
};

void expect_whole(const Recording& recording, const Listener& listener) {
    for (std::size_t i = 0; i < 2; ++i) {
        ASSERT_TRUE(listener.received[i] == recording.streams[i]) << "direction " << i;
        ASSERT_TRUE(listener.buffers[i].eof());
        ASSERT_FALSE(listener.buffers[i].owns_memory());
    }
    ASSERT_EQ(to_string(listener.talk.connection.state), to_string(State::TimeWait));
}

TEST(PermutationTest, DisplacedAndDuplicatedPacketsGiveTheSameStreams) {
    for (std::uint32_t seed = 0; seed < 640; ++seed) {
        SCOPED_TRACE(seed);
        Recorder recorder(seed);
        Recording recording = recorder.record();
        std::vector<Sent> order;
        for (const Sent& packet : recording.packets) {
            order.push_back(packet);
            const bool handshake = packet.key < 3;
            order.back().key += handshake ? 0 : recorder.below(1 + seed % 64);
            if (!handshake && recorder.below(4) == 0) {
                order.push_back(packet);
                order.back().key += recorder.below(64);
            }
        }
        std::ranges::stable_sort(order, {}, &Sent::key);
        Listener listener;
        for (const Sent& packet : order) {
            listener.take(recording, packet);
            if (HasFatalFailure()) {
                return;
            }
        }
        expect_whole(recording, listener);
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST(PermutationTest, OneDirectionInAnyOrder) {
    for (std::uint32_t seed = 0; seed < 200; ++seed) {
        SCOPED_TRACE(seed);
        Recorder recorder(seed);
        const Recording recording = recorder.record();
        std::vector<Sent> order = recording.packets;
        // The client's packets behind the handshake shuffled, at most 64 at a time; the server's
        // stay where they are.
        std::vector<std::size_t> places;
        for (std::size_t i = 3; i < std::min<std::size_t>(order.size(), 67); ++i) {
            if (order[i].from_client) {
                places.push_back(i);
            }
        }
        for (std::size_t i = places.size(); i > 1; --i) {
            std::swap(order[places[i - 1]], order[places[recorder.below(i)]]);
        }
        Listener listener;
        for (const Sent& packet : order) {
            listener.take(recording, packet);
            if (HasFatalFailure()) {
                return;
            }
        }
        expect_whole(recording, listener);
        if (HasFatalFailure()) {
            return;
        }
    }
}

TEST(PermutationTest, ClientsDataBeforeTheSynAck) {
    Talk talk(Mode::File);
    talk.client({.flags = "S"});
    const Judgement data = talk.client({.flags = "PA", .seq = 1, .ack = 1, .size = 10});
    EXPECT_FALSE(data.drop);
    EXPECT_EQ(data.size, 10U);
    const Judgement syn_ack = talk.server({.flags = "SA", .ack = 1});
    EXPECT_FALSE(syn_ack.drop);
    EXPECT_TRUE(syn_ack.handshake_completed);
    EXPECT_EQ(talk.connection.state, State::Established);
}

TEST(PermutationTest, AckOfTheFinBeforeTheFin) {
    Talk talk(Mode::File);
    talk.shake();
    const Judgement early = talk.server({.flags = "A", .seq = 1, .ack = 12});
    EXPECT_TRUE(early.ack_ahead);
    talk.client({.flags = "A", .seq = 1, .ack = 1, .size = 5});
    EXPECT_TRUE(talk.client({.flags = "FA", .seq = 6, .ack = 1, .size = 5}).fin);
    EXPECT_EQ(talk.connection.half(true).fin_offset, 10U);
    EXPECT_EQ(talk.connection.half(true).acked, 10U);
    EXPECT_EQ(talk.connection.state, State::CloseWait);
}

TEST(PermutationTest, OneSidedCaptureIsFollowed) {
    Talk talk(Mode::File);
    talk.client({.flags = "S"});
    for (std::int64_t at = 1; at < 10'000'000; at += 1448) {
        const Judgement judgement = talk.client({.flags = "A", .seq = at, .ack = 1, .size = 1448});
        ASSERT_FALSE(judgement.drop);
        ASSERT_EQ(judgement.offset, static_cast<std::uint64_t>(at - 1));
    }
}

}  // namespace
}  // namespace haka::stream
