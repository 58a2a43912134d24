#include "script/alert_binding.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <luajit-2.1/lua.hpp>

#include "script/test_host.h"

namespace haka::script {
namespace {

struct Close {
    void operator()(lua_State* lua) const { lua_close(lua); }
};

class AlertBindingTest : public testing::Test {
protected:
    AlertBindingTest() {
        luaL_openlibs(lua_.get());
        binding_.push_alert(lua_.get());
        lua_setglobal(lua_.get(), "alert");
    }

    // Runs `code`; its first result as text, or its error.
    std::string run(const char* code) {
        lua_State* lua = lua_.get();
        lua_settop(lua, 0);
        if (luaL_loadstring(lua, code) != 0 || lua_pcall(lua, 0, 1, 0) != 0) {
            return std::string("error: ") + lua_tostring(lua, -1);
        }
        lua_getglobal(lua, "tostring");
        lua_insert(lua, -2);
        lua_call(lua, 1, 1);
        return lua_tostring(lua, -1);
    }

    test::TestHost host_;
    AlertBinding binding_{host_};
    std::unique_ptr<lua_State, Close> lua_{luaL_newstate()};
};

TEST_F(AlertBindingTest, ReadsEveryField) {
    EXPECT_EQ(run(R"(return alert{
        description = "all\0of it", start_seconds = 1700000000, start_nanos = 123456789,
        end_seconds = -1, end_nanos = 999999999, severity = 2, confidence = 0, completion = 1,
        method_description = "how", method_references = { "a", "b" },
        sources = { { kind = 0, "192.168.10.1", "48922" } },
        targets = { { kind = 0, "::1" }, { kind = 1, "tcp/22", "ssh" } },
        references = { "cve" } })"),
              "1");
    ASSERT_EQ(host_.alerts.size(), 1U);
    const report::Alert& alert = host_.alerts[0];
    EXPECT_FALSE(alert.is_update);
    EXPECT_EQ(alert.description, std::string("all\0of it", 9));
    EXPECT_EQ(alert.start_time, Instant{1'700'000'000'123'456'789});
    EXPECT_EQ(alert.end_time, Instant{-1});
    EXPECT_EQ(alert.severity, report::Level::High);
    EXPECT_EQ(alert.confidence, report::Level::Low);
    EXPECT_EQ(alert.confidence_number, std::nullopt);
    EXPECT_EQ(alert.completion, report::Completion::Successful);
    EXPECT_EQ(alert.method_description, "how");
    EXPECT_EQ(alert.method_references, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(alert.references, (std::vector<std::string>{"cve"}));
    ASSERT_EQ(alert.sources.size(), 1U);
    EXPECT_EQ(alert.sources[0].values, (std::vector<std::string>{"192.168.10.1", "48922"}));
    EXPECT_EQ(alert.sources[0].address, Address::ipv4(0xc0a80a01));
    EXPECT_EQ(alert.sources[0].port, 48922);
    ASSERT_EQ(alert.targets.size(), 2U);
    EXPECT_EQ(alert.targets[0].address, Address::parse("::1"));
    EXPECT_EQ(alert.targets[0].port, std::nullopt);
    EXPECT_EQ(alert.targets[1].kind, report::Node::Kind::Service);
    EXPECT_EQ(alert.targets[1].values, (std::vector<std::string>{"tcp/22", "ssh"}));
}

TEST_F(AlertBindingTest, LeavesOutWhatIsLeftOut) {
    EXPECT_EQ(run("return alert{}"), "1");
    const report::Alert& alert = host_.alerts.at(0);
    EXPECT_EQ(alert.start_time, std::nullopt);
    EXPECT_EQ(alert.end_time, std::nullopt);
    EXPECT_EQ(alert.severity, std::nullopt);
    EXPECT_EQ(alert.confidence, std::nullopt);
    EXPECT_EQ(alert.completion, std::nullopt);
    EXPECT_TRUE(alert.description.empty());
    EXPECT_TRUE(alert.sources.empty());
}

TEST_F(AlertBindingTest, PassesAConfidenceNumber) {
    run("alert{ confidence_number = 0.25 }");
    EXPECT_EQ(host_.alerts.at(0).confidence_number, 0.25);
}

TEST_F(AlertBindingTest, MarksAnUpdate) {
    run("alert{ description = 'first' }");
    EXPECT_EQ(run("return alert{ reference = 1, severity = 0 }"), "1");
    EXPECT_TRUE(host_.alerts.at(1).is_update);
    EXPECT_EQ(host_.alerts.at(1).reference, 1U);
    EXPECT_TRUE(host_.alerts.at(1).description.empty());
}

TEST_F(AlertBindingTest, ReturnsNilWhenTheOutputIsFull) {
    host_.full = true;
    EXPECT_EQ(run("return alert{ description = 'x' }"), "nil");
}

TEST_F(AlertBindingTest, SkipsWhatHasTheWrongType) {
    EXPECT_EQ(run(R"(return alert{
        reference = "1", description = {}, start_seconds = "1", start_nanos = 1, severity = 3,
        confidence = -1, completion = 0/0, method_references = "text",
        sources = 5, targets = { 5, { kind = "x", 7, {}, "9.9.9.9" }, "y" },
        references = { {}, 1, "kept" } })"),
              "1");
    const report::Alert& alert = host_.alerts.at(0);
    EXPECT_FALSE(alert.is_update);
    EXPECT_TRUE(alert.description.empty());
    EXPECT_EQ(alert.start_time, std::nullopt);
    EXPECT_EQ(alert.severity, std::nullopt);
    EXPECT_EQ(alert.confidence, std::nullopt);
    EXPECT_EQ(alert.completion, std::nullopt);
    EXPECT_TRUE(alert.method_references.empty());
    EXPECT_TRUE(alert.sources.empty());
    ASSERT_EQ(alert.targets.size(), 1U);
    EXPECT_EQ(alert.targets[0].kind, report::Node::Kind::Address);
    EXPECT_EQ(alert.targets[0].values, (std::vector<std::string>{"9.9.9.9"}));
    EXPECT_EQ(alert.references, (std::vector<std::string>{"kept"}));
}

TEST_F(AlertBindingTest, ReadsNodesPastTheirMetatable) {
    EXPECT_EQ(run(R"(
        local angry = { __index = function() error("asked") end }
        return alert{ sources = { setmetatable({ "1.2.3.4" }, angry) } })"),
              "1");
    EXPECT_EQ(host_.alerts.at(0).sources.at(0).address, Address::ipv4(0x01020304));
}

TEST_F(AlertBindingTest, KeepsTheEdgesOfTime) {
    run("alert{ start_seconds = 9223372036, start_nanos = 854775807,"
        " end_seconds = -9223372037, end_nanos = 145224192 }");
    EXPECT_EQ(host_.alerts.at(0).start_time, Instant{INT64_MAX});
    EXPECT_EQ(host_.alerts.at(0).end_time, Instant{INT64_MIN});
    run("alert{ start_seconds = 9223372037, start_nanos = 0,"
        " end_seconds = 0/0, end_nanos = 0 }");
    EXPECT_EQ(host_.alerts.at(1).start_time, Instant{INT64_MAX});
    EXPECT_EQ(host_.alerts.at(1).end_time, std::nullopt);
    run("alert{ start_seconds = 1e300, start_nanos = 0, end_seconds = 0, end_nanos = 1e9 }");
    EXPECT_EQ(host_.alerts.at(2).start_time, std::nullopt);
    EXPECT_EQ(host_.alerts.at(2).end_time, std::nullopt);
}

TEST_F(AlertBindingTest, TellsTheHostNothingWhenReadingFails) {
    EXPECT_EQ(run(R"(
        local angry = setmetatable({ description = "half" },
            { __index = function(_, field) error("no " .. field, 0) end })
        alert(angry))"),
              "error: no reference");
    EXPECT_TRUE(host_.alerts.empty());
    EXPECT_NE(run("alert(5)").find("table expected"), std::string::npos);
    EXPECT_EQ(run("return alert{ description = 'next' }"), "1");
}

TEST_F(AlertBindingTest, GivesBackWhatManyAlertsTook) {
    const char* code = R"(
        for i = 1, 2000 do
            alert{ description = ("x"):rep(1000), sources = { { kind = 0, "1.2.3.4", "5" } } }
        end
        collectgarbage()
        collectgarbage()
        return collectgarbage("count") < 2000)";
    EXPECT_EQ(run(code), "true");
    EXPECT_EQ(host_.alerts.size(), 2000U);
}

report::Node endpoint(std::vector<std::string> values) {
    report::Node node;
    node.values = std::move(values);
    complete_endpoint(node);
    return node;
}

TEST(CompleteEndpointTest, TakesTheFirstAddressAndTheFirstNumberBehindIt) {
    const report::Node node = endpoint({"80", "name", "10.0.0.1", "x", "443", "10.0.0.2", "8080"});
    EXPECT_EQ(node.address, Address::ipv4(0x0a000001));
    EXPECT_EQ(node.port, 443);
}

TEST(CompleteEndpointTest, TakesNoNumberThatIsNoPort) {
    EXPECT_EQ(endpoint({"10.0.0.1", "65535"}).port, 65535);
    for (const char* text : {"65536", "-1", "1.5", "80x", "", " 80", "0x50", "99999999999999"}) {
        EXPECT_EQ(endpoint({"10.0.0.1", text}).port, std::nullopt) << text;
    }
}

TEST(CompleteEndpointTest, TakesNoAddressWithBytesBehindIt) {
    EXPECT_EQ(endpoint({std::string("10.0.0.1\0x", 10)}).address, std::nullopt);
    EXPECT_EQ(endpoint({std::string(1000, '1')}).address, std::nullopt);
    EXPECT_EQ(endpoint({}).address, std::nullopt);
}

TEST(CompleteEndpointTest, LeavesServicesAlone) {
    report::Node node;
    node.kind = report::Node::Kind::Service;
    node.values = {"10.0.0.1", "80"};
    complete_endpoint(node);
    EXPECT_EQ(node.address, std::nullopt);
}

}  // namespace
}  // namespace haka::script
