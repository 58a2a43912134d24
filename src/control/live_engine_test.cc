#include "control/live_engine.h"

#include <gtest/gtest.h>

#include "capture/test_folder.h"

namespace haka::control {
namespace {

TEST(LiveEngineTest, ARunWithoutWorkersStillAnswers) {
    engine::RunOptions options;
    options.policy = "policy.lua";
    options.live.interface = "a";
    const engine::Sinks sinks;
    const engine::StopFlag stop;
    engine::LiveRun run(options, sinks, stop);
    bool stopped = false;
    LiveEngine engine(
        run, options,
        {.version = "1", .revision = "", .source = "-i a", .stop = [&stopped] { stopped = true; }});
    const Status status = engine.status();
    EXPECT_EQ(status.policy, "policy.lua");
    EXPECT_TRUE(status.pass_through);  // One interface: it only looks.
    EXPECT_EQ(status.log_levels.at("default"), "info");
    EXPECT_TRUE(engine.figures().workers.empty());
    EXPECT_TRUE(engine.connections({}, 10).rows.empty());
    EXPECT_NE(engine.end_connection(7, engine::EndKind::Drop).message.find("no connection 7"),
              std::string::npos);
    EXPECT_FALSE(engine.reload().done);
    EXPECT_TRUE(engine.set_log_level("http", report::LogLevel::Debug).done);
    EXPECT_EQ(engine.status().log_levels.at("http"), "debug");
    EXPECT_TRUE(engine.stop().done);
    EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace haka::control
