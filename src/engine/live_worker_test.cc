#include "engine/live_worker.h"

#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <thread>

#include <gtest/gtest.h>

namespace haka::engine {
namespace {

// Hands out the batches that a test gives it, and remembers what left.
class FakeSource final : public capture::LiveSource {
public:
    std::span<Frame> receive(Instant wall) override {
        const std::lock_guard lock(mutex_);
        frames_.clear();
        if (!batches_.empty()) {
            at_hand_ = std::move(batches_.front());
            batches_.erase(batches_.begin());
            for (auto& bytes : at_hand_) {
                frames_.push_back({.data = bytes.data(),
                                   .size = static_cast<std::uint32_t>(bytes.size()),
                                   .original_size = static_cast<std::uint32_t>(bytes.size()),
                                   .when = wall,
                                   .number = ++number_,
                                   .link = LinkType::Raw});
            }
        }
        return frames_;
    }
    void pass(const Frame& frame) override { passed.push_back(frame.number); }
    void send(const Frame& frame, capture::Leaving /*leaving*/) override {
        sent.push_back(frame.number);
    }
    void finish_batch() override { finished += 1; }
    std::span<const pollfd> ready_fds() const override { return {}; }
    std::vector<std::string> look_after() override { return {}; }
    const std::string& failure() const override { return failure_; }

    using Batch = std::vector<std::vector<std::uint8_t>>;
    void give(Batch batch) {
        const std::lock_guard lock(mutex_);
        batches_.push_back(std::move(batch));
    }

    // The worker's until it has ended.
    std::vector<std::uint64_t> passed;
    std::vector<std::uint64_t> sent;
    int finished = 0;

private:
    std::mutex mutex_;
    std::vector<Batch> batches_;
    Batch at_hand_;
    std::vector<Frame> frames_;
    std::uint64_t number_ = 0;
    std::string failure_;
};

// An IPv4 packet without a payload worth the name.
std::vector<std::uint8_t> make_packet(std::uint8_t protocol) {
    std::vector<std::uint8_t> packet(28);
    packet[0] = 0x45;
    packet[3] = 28;
    packet[8] = 64;
    packet[9] = protocol;
    return packet;
}

class LiveWorkerTest : public testing::Test {
protected:
    void start(const std::string& policy, const std::string& filter = {},
               std::uint32_t records_bytes_max = 1U << 20) {
        const std::string path = testing::TempDir() + "live_worker_test.lua";
        std::ofstream(path) << policy;
        WorkerOptions options;
        options.settings.checksums = ChecksumMode::None;
        options.script.policy = path;
        options.mode = stream::Mode::Live;
        auto made = Worker::make(options);
        std::remove(path.c_str());
        ASSERT_NE(made.worker, nullptr) << made.error;
        auto source = std::make_unique<FakeSource>();
        source_ = source.get();
        LiveWorker::Parts parts;
        parts.worker = std::move(made.worker);
        parts.source = std::move(source);
        parts.records_bytes_max = records_bytes_max;
        if (!filter.empty()) {
            parts.filter = capture::Filter::compile(filter).filter;
        }
        live_ = std::make_unique<LiveWorker>(std::move(parts));
    }

    // What was given before is walked, as what waits in the kernel when a run ends.
    void run_to_end() {
        live_->stop();
        live_->run();
    }

    std::string text() {
        std::vector<std::uint8_t> records;
        live_->take_rest(records);
        std::string text;
        for (RecordReader record(records); !record.done(); record.next()) {
            text += record.first();
        }
        return text;
    }

    FakeSource* source_ = nullptr;
    std::unique_ptr<LiveWorker> live_;
};

TEST_F(LiveWorkerTest, WhatWaitsIsWalkedBeforeTheEnd) {
    start(
        "haka.rule{ hooks = { 'ipv4-up' }, eval = function(self, pkt) "
        "if pkt.proto == 17 then pkt:drop() end end }");
    source_->give({make_packet(1), make_packet(17), make_packet(1)});
    source_->give({make_packet(17)});
    run_to_end();
    EXPECT_EQ(source_->passed, (std::vector<std::uint64_t>{1, 3}));
    EXPECT_TRUE(source_->sent.empty());
    EXPECT_FALSE(live_->is_running());
}

TEST_F(LiveWorkerTest, ChangedPacketsAreSentNotPassed) {
    start("haka.rule{ hooks = { 'ipv4-up' }, eval = function(self, pkt) pkt.ttl = 3 end }");
    source_->give({make_packet(1)});
    run_to_end();
    EXPECT_TRUE(source_->passed.empty());
    EXPECT_EQ(source_->sent, (std::vector<std::uint64_t>{1}));
}

TEST_F(LiveWorkerTest, WhatTheFilterDoesNotSelectPassesUnlooked) {
    start("haka.rule{ hooks = { 'ipv4-up' }, eval = function(self, pkt) pkt:drop() end }", "icmp");
    source_->give({make_packet(1), make_packet(17)});
    run_to_end();
    EXPECT_EQ(source_->passed, (std::vector<std::uint64_t>{2}));
    EXPECT_EQ(live_->worker().summary().packets_in, 1U);
}

TEST_F(LiveWorkerTest, TasksRunInItsThreadAndWakeIt) {
    start("");
    std::mutex mutex;
    std::condition_variable done;
    std::thread::id ran;
    std::thread thread([this] { live_->run(); });
    const std::thread::id expected = thread.get_id();
    live_->post([&](Worker&, Journal&) {
        const std::lock_guard lock(mutex);
        ran = std::this_thread::get_id();
        done.notify_one();
    });
    {
        std::unique_lock lock(mutex);
        done.wait(lock, [&] { return ran != std::thread::id(); });
    }
    live_->stop();
    thread.join();
    EXPECT_EQ(ran, expected);
}

TEST_F(LiveWorkerTest, RecordsThatNobodyTakesAreThrownAwayAndCounted) {
    start("haka.rule{ hooks = { 'ipv4-up' }, eval = function() print(('x'):rep(1000)) end }", {},
          3000);
    for (int i = 0; i < 10; ++i) {
        source_->give({make_packet(1)});
    }
    run_to_end();
    // One is handed over; of the others every third finds more than 3000 bytes.
    const std::uint64_t lost = live_->records_lost();
    EXPECT_GT(lost, 0U);
    const std::string said = text();
    EXPECT_EQ(static_cast<std::uint64_t>(std::ranges::count(said, '\n')), 10 - lost);
}

TEST_F(LiveWorkerTest, AFatalPolicyEndsIt) {
    start("haka.rule{ hooks = { 'ipv4-up' }, eval = function() haka.log.fatal('test', 'no') end }");
    source_->give({make_packet(1)});
    live_->run();
    EXPECT_TRUE(live_->worker().is_fatal());
}

}  // namespace
}  // namespace haka::engine
