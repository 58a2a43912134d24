#include "engine/loading.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

namespace haka::engine {
namespace {

class LoadingTest : public testing::Test {
protected:
    LoadingTest()
        : path_(std::filesystem::temp_directory_path() /
                ("haka-loading-" + std::to_string(getpid()) + ".lua")) {
        options_.script.policy = path_.string();
    }
    ~LoadingTest() override { std::filesystem::remove(path_); }

    void write(const char* policy) { std::ofstream(path_) << policy; }

    std::filesystem::path path_;
    WorkerOptions options_;
    StopFlag stop_;
};

TEST_F(LoadingTest, GivesTheWorkerOfAGoodPolicy) {
    write("haka.rule{ hooks = { 'tcp-up' }, eval = function() end }");
    const LoadedWorker loaded = load_worker(options_, stop_);
    EXPECT_NE(loaded.worker, nullptr) << loaded.error;
    EXPECT_FALSE(loaded.hangs);
}

TEST_F(LoadingTest, SaysWhatIsWrongWithABadOne) {
    write("nothing()");
    const LoadedWorker loaded = load_worker(options_, stop_);
    EXPECT_EQ(loaded.worker, nullptr);
    EXPECT_NE(loaded.error.find(path_.string() + ":1:"), std::string::npos) << loaded.error;
    EXPECT_FALSE(loaded.hangs);
}

// A policy that loops for ever can't be unloaded, so it runs in a process of its own here.
TEST_F(LoadingTest, GivesUpOnOneThatLoopsAndWhenAskedToStop) {
    write("while true do end");
    const auto load = [this](bool stopped) {
        options_.settings.lua.rule_timeout = stopped ? kSecond * 60 : kMillisecond;
        stop_.requested.store(stopped ? 1 : 0);
        const LoadedWorker loaded = load_worker(options_, stop_);
        const bool told =
            loaded.error.find(stopped ? "interrupted" : "still loading") != std::string::npos;
        _exit(loaded.hangs && loaded.worker == nullptr && told ? 0 : 1);
    };
    EXPECT_EXIT(load(false), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(load(true), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace haka::engine
