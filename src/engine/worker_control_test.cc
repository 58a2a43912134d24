#include "engine/worker_control.h"

#include <numeric>

#include <gtest/gtest.h>

#include "engine/test_input.h"
#include "engine/worker.h"

namespace haka::engine {
namespace {

class WorkerControlTest : public testing::Test {
protected:
    void load(std::string_view policy) {
        options_.writes_packets = true;
        options_.settings.seed = 1;
        options_.script.policy = folder_.write("policy.lua", as_bytes(policy));
        options_.script.lua = options_.settings.lua;
        options_.script.profile = true;
        Worker::Made made = Worker::make(options_);
        ASSERT_NE(made.worker, nullptr) << made.error;
        worker_ = std::move(made.worker);
    }
    void walk(const std::vector<test::Packet>& packets) {
        std::vector<test::Bytes> bytes = test::bytes_of(packets);
        std::vector<Frame> frames;
        for (std::size_t i = 0; i < packets.size(); ++i) {
            const auto size = static_cast<std::uint32_t>(bytes[i].size());
            frames.push_back({.data = bytes[i].data(),
                              .size = size,
                              .original_size = size,
                              .when = packets[i].when,
                              .number = ++number_});
        }
        Journal journal;
        worker_->walk(frames, journal, stop_);
    }
    // The first packets of a connection: 1 a SYN, 5 with an answer.
    void open(std::uint16_t port, std::size_t count) {
        auto packets = test::whole_connection(port);
        packets.resize(count);
        walk(packets);
    }
    std::vector<ConnectionRow> list(const ConnectionFilter& filter, std::size_t rows_max = 100) {
        Listed listed{.rows_max = rows_max};
        while (worker_->list(filter, now_, listed)) {}
        is_cut_ = listed.is_cut;
        return listed.rows;
    }
    ConnectionFate end(std::uint64_t id, EndKind kind) {
        Journal journal;
        const ConnectionFate fate =
            worker_->end_connection({.id = id, .kind = kind}, now_, journal);
        journal.take(records_);
        return fate;
    }
    std::size_t records_of(RecordKind kind) {
        std::size_t count = 0;
        for (RecordReader record(records_); !record.done(); record.next()) {
            count += record.head().kind == kind ? 1U : 0U;
        }
        return count;
    }
    [[nodiscard]] std::uint32_t in_state(flow::State state) const {
        return worker_->figures().connections.at(static_cast<std::size_t>(state));
    }

    capture::test::Folder folder_;
    WorkerOptions options_;
    std::unique_ptr<Worker> worker_;
    std::atomic<bool> stop_{false};
    std::uint64_t number_ = 0;
    Instant now_ = Instant{} + kSecond * 5;
    std::vector<std::uint8_t> records_;
    bool is_cut_ = false;
};

Network network(std::string_view text, unsigned bits) {
    return {.address = *Address::parse(text), .bits = bits};
}

TEST_F(WorkerControlTest, ListsConnectionsWithWhatIsKnownOfThem) {
    load("");
    open(4000, 5);
    const auto rows = list({});
    ASSERT_EQ(rows.size(), 1U);
    EXPECT_EQ(rows[0].client, "10.0.15.160");
    EXPECT_EQ(rows[0].client_port, 4000);
    EXPECT_EQ(rows[0].server, "10.1.0.1");
    EXPECT_EQ(rows[0].server_port, 80);
    EXPECT_EQ(rows[0].state, flow::State::Established);
    EXPECT_EQ(rows[0].age, kSecond * 5);
    EXPECT_EQ(rows[0].idle, kMillisecond * 4996);
    EXPECT_EQ(rows[0].packets[0] + rows[0].packets[1], 5U);
}

TEST_F(WorkerControlTest, ListsOnlyWhatTheFilterSelects) {
    load("");
    open(4000, 5);
    open(4001, 1);
    open(4002, 5);
    const auto ports = [&](const ConnectionFilter& filter) {
        std::vector<int> result;
        for (const ConnectionRow& row : list(filter)) {
            result.push_back(row.client_port);
        }
        return result;
    };
    EXPECT_EQ(ports({.port = 4001}), std::vector<int>{4001});
    EXPECT_EQ(ports({.port = 80}).size(), 3U);
    EXPECT_EQ(ports({.state = flow::State::SynSent}), std::vector<int>{4001});
    EXPECT_EQ(ports({.client = network("10.0.15.160", 128)}), std::vector<int>{4000});
    EXPECT_EQ(ports({.client = network("10.0.15.160", 127)}), (std::vector<int>{4000, 4001}));
    EXPECT_EQ(ports({.server = network("10.0.15.160", 127)}), std::vector<int>{});
    EXPECT_EQ(ports({.either = network("10.1.0.0", 112)}).size(), 3U);
    EXPECT_EQ(ports({.id = list({.port = 4002}).at(0).id}), std::vector<int>{4002});
}

TEST_F(WorkerControlTest, AListEndsAtItsRows) {
    load("");
    for (std::uint16_t port = 4000; port < 4010; ++port) {
        open(port, 1);
    }
    EXPECT_EQ(list({}, 10).size(), 10U);
    EXPECT_FALSE(is_cut_);
    EXPECT_EQ(list({}, 9).size(), 9U);
    EXPECT_TRUE(is_cut_);
}

TEST_F(WorkerControlTest, ALargeTableIsListedInSlices) {
    load("");
    for (std::uint16_t port = 10'000; port < 15'000; ++port) {
        open(port, 1);
    }
    Listed listed{.rows_max = 10'000};
    EXPECT_TRUE(worker_->list({}, now_, listed));
    EXPECT_EQ(listed.rows.size(), 4096U);
    EXPECT_FALSE(worker_->list({}, now_, listed));
    EXPECT_EQ(listed.rows.size(), 5000U);
    EndRequest last{.id = list({.port = 14'999}).at(0).id};
    Journal journal;
    EXPECT_EQ(worker_->end_connection(last, now_, journal), ConnectionFate::Searching);
    last.next_place += 4096;
    EXPECT_EQ(worker_->end_connection(last, now_, journal), ConnectionFate::Ended);
}

TEST_F(WorkerControlTest, ADroppedConnectionPassesNothingMore) {
    load("");
    open(4000, 5);
    const std::uint64_t id = list({}).at(0).id;
    EXPECT_EQ(end(id, EndKind::Drop), ConnectionFate::Ended);
    EXPECT_EQ(records_of(RecordKind::Packet), 0U);
    EXPECT_EQ(in_state(flow::State::Dropped), 1U);
    EXPECT_EQ(in_state(flow::State::Established), 0U);
    const auto packets = test::whole_connection(4000);
    const std::uint64_t before = worker_->summary().packets_out;
    walk({packets[5], packets[6]});
    EXPECT_EQ(worker_->summary().packets_out, before);
    EXPECT_EQ(end(id, EndKind::Drop), ConnectionFate::EndedBefore);
}

TEST_F(WorkerControlTest, AResetTellsBothEnds) {
    load(
        "haka.rule{ hooks = { 'tcp-connection-end' }, eval = function (self, pkt) "
        "print(pkt.reason) end }");
    open(4000, 5);
    EXPECT_EQ(end(list({}).at(0).id, EndKind::Reset), ConnectionFate::Ended);
    EXPECT_EQ(records_of(RecordKind::Packet), 2U);
    EXPECT_EQ(RecordReader(records_).first(), "dropped\n");
}

// Hosts ignore a frame with another's hardware address.
TEST_F(WorkerControlTest, LiveAResetGoesToTheHostsThatTalk) {
    options_.mode = stream::Mode::Live;
    load("");
    auto packets = test::whole_connection(4000);
    packets.resize(5);
    for (std::size_t i = 0; i < packets.size(); ++i) {
        const bool from_client = i != 1 && i != 4;
        packets[i].bytes[5] = from_client ? 2 : 1;
        packets[i].bytes[11] = from_client ? 1 : 2;
    }
    walk(packets);
    open(4001, 1);  // Another's are the last that were seen.
    EXPECT_EQ(end(list({.port = 4000}).at(0).id, EndKind::Reset), ConnectionFate::Ended);
    ASSERT_EQ(records_of(RecordKind::Packet), 2U);
    for (RecordReader record(records_); !record.done(); record.next()) {
        const ByteView frame = as_bytes(record.second());
        const wire::Headers headers = wire::find_headers(LinkType::Ethernet, frame);
        const bool to_client = load_be16(frame.data() + headers.transport) == 80;
        EXPECT_EQ(frame[5], to_client ? 1 : 2);
        EXPECT_EQ(frame[11], to_client ? 2 : 1);
    }
}

TEST_F(WorkerControlTest, UnknownIdsEndNothing) {
    load("");
    EXPECT_EQ(end(1, EndKind::Reset), ConnectionFate::Unknown);
    open(4000, 5);
    EXPECT_EQ(end(1, EndKind::Reset), ConnectionFate::Unknown);
    EXPECT_EQ(in_state(flow::State::Established), 1U);
}

TEST_F(WorkerControlTest, NothingEndsWithPassThrough) {
    options_.settings.pass_through = true;
    load("");
    open(4000, 5);
    EXPECT_EQ(end(list({}).at(0).id, EndKind::Drop), ConnectionFate::PassesThrough);
    EXPECT_EQ(in_state(flow::State::Established), 1U);
}

TEST_F(WorkerControlTest, CountsConnectionsByState) {
    load("");
    open(4000, 1);
    EXPECT_EQ(in_state(flow::State::SynSent), 1U);
    open(4001, 5);
    EXPECT_EQ(in_state(flow::State::Established), 1U);
    walk(test::whole_connection(4002));
    EXPECT_EQ(in_state(flow::State::TimeWait), 1U);
    Journal journal;
    worker_->pass_time(Instant{} + kSecond * 86'400, journal);
    const auto all = worker_->figures().connections;
    EXPECT_EQ(std::accumulate(all.begin(), all.end(), 0U), 0U);
}

TEST_F(WorkerControlTest, TellsTheTimeOfEachRule) {
    load("haka.rule{ name = 'busy', hooks = { 'tcp-up' }, eval = function () end }");
    walk(test::whole_connection(4000));
    const auto rules = worker_->figures().rules;
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0].name, "busy");
    EXPECT_EQ(rules[0].time.calls, 10U);
    const auto& classes = rules[0].time.classes;
    EXPECT_EQ(std::accumulate(classes.begin(), classes.end(), 0U), 10U);
}

TEST_F(WorkerControlTest, SetsLogLevelsWhileItRuns) {
    load(
        "haka.rule{ hooks = { 'tcp-connection-new' }, eval = function () "
        "haka.log.debug('mine', 'seen') haka.log.debug('other', 'seen') end }");
    const auto logs = [&](std::uint16_t port) {
        auto packets = test::whole_connection(port);
        std::vector<test::Bytes> bytes = test::bytes_of(packets);
        const auto size = static_cast<std::uint32_t>(bytes[0].size());
        std::vector<Frame> frames{{.data = bytes[0].data(),
                                   .size = size,
                                   .original_size = size,
                                   .when = {},
                                   .number = ++number_}};
        Journal journal;
        worker_->walk(frames, journal, stop_);
        journal.take(records_);
        return records_of(RecordKind::Log);
    };
    Journal journal;
    EXPECT_EQ(logs(4000), 0U);
    worker_->set_log_level("mine", report::LogLevel::Debug, journal);
    EXPECT_EQ(logs(4001), 1U);
    worker_->set_log_level("default", report::LogLevel::Debug, journal);
    EXPECT_EQ(logs(4002), 2U);
}

}  // namespace
}  // namespace haka::engine
