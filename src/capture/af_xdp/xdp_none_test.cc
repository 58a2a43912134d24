#include <gtest/gtest.h>

#include "capture/xdp_pair.h"

namespace haka::capture {
namespace {

TEST(XdpNoneTest, SaysThatItWasNotBuilt) {
    EXPECT_FALSE(has_af_xdp());
    const LiveSources none = open_xdp_pair({.interface = "a", .peer = "b", .settings = {}});
    EXPECT_TRUE(none.sources.empty());
    EXPECT_NE(none.error.find("-DHAKA_AF_XDP=ON"), std::string::npos) << none.error;
}

}  // namespace
}  // namespace haka::capture
