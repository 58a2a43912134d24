#include "engine/live_reload.h"

#include <atomic>
#include <thread>

#include <gtest/gtest.h>

#include "capture/test_folder.h"

namespace haka::engine {
namespace {

using namespace std::chrono_literals;

// Nothing ever comes.
class QuietSource final : public capture::LiveSource {
public:
    std::span<Frame> receive(Instant /*wall*/) override { return {}; }
    void pass(const Frame& /*frame*/) override {}
    void send(const Frame& /*frame*/, capture::Leaving /*leaving*/) override {}
    void finish_batch() override {}
    std::span<const pollfd> ready_fds() const override { return {}; }
    std::vector<std::string> look_after() override { return {}; }
    const std::string& failure() const override { return failure_; }

private:
    std::string failure_;
};

class LiveReloadTest : public testing::Test {
protected:
    LiveReloadTest() {
        write("print('one')");
        WorkerOptions options;
        options.script.policy = folder_.file("policy.lua");
        options.mode = stream::Mode::Live;
        for (std::uint32_t i = 0; i < 2; ++i) {
            LiveWorker::Parts parts;
            parts.worker = Worker::make(options).worker;
            parts.source = std::make_unique<QuietSource>();
            parts.records_bytes_max = 1U << 20;
            workers_.push_back(std::make_unique<LiveWorker>(std::move(parts)));
            threads_.emplace_back([&live = *workers_.back()] { live.run(); });
        }
        reload_.emplace(workers_, 5s);
    }
    ~LiveReloadTest() override {
        for (const auto& worker : workers_) {
            worker->stop();
        }
        for (std::thread& thread : threads_) {
            thread.join();
        }
    }
    void write(std::string_view policy) { (void)folder_.write("policy.lua", as_bytes(policy)); }
    LiveReload::Result wait() {
        while (true) {
            if (auto result = reload_->look(LiveReload::Clock::now())) {
                return std::move(*result);
            }
            std::this_thread::yield();
        }
    }
    void expect_generation(std::uint32_t generation) {
        for (const auto& worker : workers_) {
            while (worker->worker().generation() < generation) {
                std::this_thread::yield();
            }
            EXPECT_EQ(worker->worker().generation(), generation);
        }
    }

    capture::test::Folder folder_;
    std::vector<std::unique_ptr<LiveWorker>> workers_;
    std::vector<std::thread> threads_;
    std::optional<LiveReload> reload_;
};

TEST_F(LiveReloadTest, EveryWorkerGetsTheNewPolicy) {
    for (std::uint32_t generation = 2; generation < 12; ++generation) {
        reload_->ask(LiveReload::Clock::now());
        const LiveReload::Result result = wait();
        EXPECT_EQ(result.error, "");
        EXPECT_EQ(result.generation, generation);
        expect_generation(generation);
    }
}

TEST_F(LiveReloadTest, WhatDoesNotLoadLeavesTheOldOneAtWork) {
    write("\nnonsense(");
    reload_->ask(LiveReload::Clock::now());
    const LiveReload::Result failed = wait();
    EXPECT_NE(failed.error.find("policy.lua:2"), std::string::npos) << failed.error;
    EXPECT_EQ(failed.generation, 1U);
    write("print('two')");
    reload_->ask(LiveReload::Clock::now());
    EXPECT_EQ(wait().generation, 2U);
    expect_generation(2);
}

TEST_F(LiveReloadTest, WhatIsAskedForMeanwhileIsDoneOnceBehindIt) {
    for (int i = 0; i < 5; ++i) {
        reload_->ask(LiveReload::Clock::now());
    }
    EXPECT_EQ(wait().generation, 2U);
    EXPECT_EQ(wait().generation, 3U);
    expect_generation(3);
    EXPECT_FALSE(reload_->look(LiveReload::Clock::now()));
}

// The workers are busy: none of them has taken the first one when the second is loaded.
TEST_F(LiveReloadTest, GenerationsFollowEachOtherWhenWorkersAreLate) {
    std::atomic<bool> go{false};
    for (const auto& worker : workers_) {
        worker->post([&go](Worker&, Journal&) {
            while (!go.load()) {
                std::this_thread::yield();
            }
        });
    }
    for (std::uint32_t generation = 2; generation < 4; ++generation) {
        reload_->ask(LiveReload::Clock::now());
        EXPECT_EQ(wait().generation, generation);
    }
    go.store(true);
    expect_generation(3);
}

TEST_F(LiveReloadTest, OneThatLoadsForTooLongIsNotTaken) {
    write("local n = 0 for i = 1, 2e8 do n = n + i % 7 end");
    const auto now = LiveReload::Clock::now();
    reload_->ask(now);
    const auto late = reload_->look(now + 6s);
    if (late) {  // Else it was done already.
        EXPECT_NE(late->error.find("does it loop?"), std::string::npos) << late->error;
        EXPECT_TRUE(reload_->hangs());
        reload_->ask(now);
        EXPECT_NE(wait().error.find("an earlier reload"), std::string::npos);
        while (reload_->hangs()) {
            (void)reload_->look(now);
        }
        EXPECT_EQ(workers_[0]->worker().generation(), 1U);
    }
}

}  // namespace
}  // namespace haka::engine
