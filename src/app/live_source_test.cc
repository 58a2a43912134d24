#include "app/live_source.h"

#include <gtest/gtest.h>

namespace haka::app {
namespace {

TEST(LiveSourceTest, ReadsQueuesAndInterfaces) {
    LiveSource source;
    EXPECT_EQ(parse_queues("7", source), "");
    EXPECT_EQ(source.first_queue, 7);
    EXPECT_EQ(source.last_queue, 7);
    EXPECT_EQ(parse_queues("65472:65535", source), "");
    EXPECT_EQ(source.last_queue, 65'535);
    EXPECT_EQ(source.kind, LiveKind::Queues);
    for (const char* wrong : {"", ":", "1:", ":1", "2:1", "65536", "-1", "1:2:3", "a", "0:64"}) {
        EXPECT_NE(parse_queues(wrong, source), "") << wrong;
    }
    EXPECT_EQ(parse_interfaces("eth0", source), "");
    EXPECT_EQ(source.kind, LiveKind::Passive);
    EXPECT_EQ(parse_interfaces("fifteen-letters", source), "");
    EXPECT_EQ(parse_interfaces("eth0:eth1", source), "");
    EXPECT_EQ(source.kind, LiveKind::Pair);
    EXPECT_EQ(source.interfaces, (std::vector<std::string>{"eth0", "eth1"}));
    for (const char* wrong : {"", ":", "a:", ":b", "a:b:c", "a:a", "sixteen-letters-"}) {
        EXPECT_NE(parse_interfaces(wrong, source), "") << wrong;
    }
}

}  // namespace
}  // namespace haka::app
