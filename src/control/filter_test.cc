#include "control/filter.h"

#include <gtest/gtest.h>

namespace haka::control {
namespace {

TEST(FilterTest, NothingSelectsEverything) {
    for (const char* text : {"", "   "}) {
        const auto parsed = parse_filter(text);
        EXPECT_EQ(parsed.error, "");
        EXPECT_TRUE(parsed.filter.matches({}));
    }
}

TEST(FilterTest, EveryWordHasItsField) {
    const auto parsed = parse_filter(
        "client=10.0.0.0/8 server=fd00::/64  address=192.0.2.1 port=443 state=syn-sent id=77");
    ASSERT_EQ(parsed.error, "");
    EXPECT_EQ(parsed.filter.client->bits, 104U);
    EXPECT_EQ(parsed.filter.server->bits, 64U);
    EXPECT_EQ(parsed.filter.either->bits, 128U);
    EXPECT_EQ(parsed.filter.either->address.text(), "192.0.2.1");
    EXPECT_EQ(parsed.filter.port, 443);
    EXPECT_EQ(parsed.filter.state, flow::State::SynSent);
    EXPECT_EQ(parsed.filter.id, 77U);
}

TEST(FilterTest, EveryStateIsKnownAsTablesShowIt) {
    for (std::size_t i = 0; i < flow::kStateCount; ++i) {
        const auto state = static_cast<flow::State>(i);
        EXPECT_EQ(parse_filter("state=" + std::string(to_string(state))).filter.state, state);
    }
}

TEST(FilterTest, SaysWhatIsWrong) {
    const auto error = [](std::string_view text) { return parse_filter(text).error; };
    EXPECT_NE(error("10.0.0.1").find("\"10.0.0.1\" selects no connections"), std::string::npos);
    EXPECT_NE(error("host=10.0.0.1").find("address="), std::string::npos);
    EXPECT_EQ(error("port=65536"), "port= takes a number from 0 to 65535, not \"65536\"");
    EXPECT_EQ(error("port="), "port= takes a number from 0 to 65535, not \"\"");
    EXPECT_NE(error("state=open").find("ESTABLISHED"), std::string::npos);
    for (const char* network :
         {"10.0.0.0/33", "fd00::/129", "10.0.0", "10.0.0.0/", "10.0.0.0/8/8", "/8", "::1%eth0"}) {
        EXPECT_NE(error(std::string("client=") + network), "") << network;
    }
}

}  // namespace
}  // namespace haka::control
