#include "control/respond.h"

#include <nlohmann/json.hpp>

#include <gtest/gtest.h>

#include "control/fake_engine.h"

namespace haka::control {
namespace {

using nlohmann::json;

class RespondTest : public testing::Test {
protected:
    json ask(std::string_view request) {
        const std::string line = respond(request, engine_, 50);
        EXPECT_EQ(line.find('\n'), std::string::npos);
        return json::parse(line);
    }
    std::string refused(std::string_view request) {
        const json answer = ask(request);
        EXPECT_EQ(answer["return"], "NOK") << request;
        EXPECT_TRUE(engine_.asked.empty()) << request;
        return answer["message"];
    }

    test::FakeEngine engine_;
};

TEST_F(RespondTest, TellsTheStatus) {
    const json answer = ask(R"({"command": "status"})");
    EXPECT_EQ(answer["return"], "OK");
    EXPECT_EQ(answer["message"]["policy"], "/etc/haka/policy.lua");
    EXPECT_EQ(answer["message"]["uptime"], 61.5);
    EXPECT_EQ(answer["message"]["log_levels"]["default"], "info");
}

TEST_F(RespondTest, StatsAreTheWorkersTogether) {
    engine_.figures_now.workers = {test::busy_worker(), test::busy_worker()};
    const json stats = ask(R"({"command": "stats", "arguments": {}})")["message"];
    EXPECT_EQ(stats["packets"]["in"], 200);
    EXPECT_EQ(stats["drops"], json({{"rule", 8}, {"tcp.out-of-window", 2}}));
    EXPECT_EQ(stats["changes"], json({{"tcp.edited", 14}}));
    EXPECT_EQ(stats["connections"]["ESTABLISHED"], 4);
    EXPECT_EQ(stats["connections_ended"]["closed"], 2);
    EXPECT_EQ(stats["workers"].size(), 2U);
    EXPECT_EQ(stats["workers"][1]["queue_depth"], 11);
    EXPECT_EQ(stats["policy"]["generation"], 1);
}

TEST_F(RespondTest, RulesAreTheWorkersTogether) {
    engine_.figures_now.workers = {test::busy_worker(), test::busy_worker()};
    const json rules = ask(R"({"command": "rules"})")["message"]["rules"];
    ASSERT_EQ(rules.size(), 1U);
    EXPECT_EQ(rules[0]["name"], "filter");
    EXPECT_EQ(rules[0]["place"], "policy.lua:3");
    EXPECT_EQ(rules[0]["errors"], 2);
    EXPECT_EQ(rules[0]["calls"], 4);
}

TEST_F(RespondTest, ListsConnectionsBehindAFilter) {
    engine_.listing.rows.push_back({.id = 7,
                                    .worker = 0,
                                    .state = flow::State::Established,
                                    .client = "10.0.0.1",
                                    .server = "10.0.0.2",
                                    .client_port = 4000,
                                    .server_port = 443,
                                    .age = kSecond * 2,
                                    .idle = kMillisecond * 500,
                                    .bytes = {10, 20},
                                    .packets = {1, 2},
                                    .dissector = ""});
    engine_.listing.is_cut = true;
    const json answer = ask(R"({"command":"connections","arguments":{"filter":"port=443"}})");
    EXPECT_EQ(engine_.asked, std::vector<std::string>{"connections 443 50"});
    EXPECT_EQ(answer["message"]["cut"], true);
    const json row = answer["message"]["connections"][0];
    EXPECT_EQ(row["id"], 7);
    EXPECT_EQ(row["state"], "ESTABLISHED");
    EXPECT_EQ(row["idle"], 0.5);
    EXPECT_EQ(row["bytes_to_client"], 20);
}

TEST_F(RespondTest, CommandsReachTheEngine) {
    EXPECT_EQ(ask(R"({"command": "drop", "arguments": {"id": 12}})")["return"], "OK");
    EXPECT_EQ(ask(R"({"command": "reset", "arguments": {"id": 13}})")["message"], "done");
    ask(R"({"command": "reload"})");
    ask(R"({"command": "log-level", "arguments": {"level": "debug"}})");
    ask(R"({"command": "log-level", "arguments": {"module": "http", "level": "error"}})");
    ask(R"({"command": "stop"})");
    EXPECT_EQ(engine_.asked,
              (std::vector<std::string>{"drop 12", "reset 13", "reload", "log-level default debug",
                                        "log-level http error", "stop"}));
}

TEST_F(RespondTest, WhatTheEngineRefusesIsNok) {
    engine_.outcome = {.done = false, .message = "policy.lua:3: no"};
    const json answer = ask(R"({"command": "reload"})");
    EXPECT_EQ(answer["return"], "NOK");
    EXPECT_EQ(answer["message"], "policy.lua:3: no");
}

TEST_F(RespondTest, EveryCommandOfTheListIsKnown) {
    for (const std::string_view command : kCommands) {
        const json answer = ask(json({{"command", command}}).dump());
        EXPECT_EQ(answer["message"].dump().find("unknown command"), std::string::npos) << command;
    }
}

TEST_F(RespondTest, WhatIsNoRequestIsRefused) {
    for (const char* request : {"", "status", "[]", "[[[[", "{\"command\":", "\"status\"", "null",
                                "{}{}", "{\"command\": \"status\"} x", "\xff\xfe"}) {
        EXPECT_NE(refused(request).find("a JSON object on one line"), std::string::npos) << request;
    }
    EXPECT_NE(refused("{}").find("\"command\""), std::string::npos);
    EXPECT_NE(refused(R"({"command": 3})").find("\"command\""), std::string::npos);
    EXPECT_NE(refused(R"({"command": "stop", "arguments": 3})").find("\"arguments\""),
              std::string::npos);
    EXPECT_NE(refused(R"({"command": "sotp"})").find("there are status, stats,"),
              std::string::npos);
}

TEST_F(RespondTest, WrongArgumentsAreRefused) {
    for (const char* id : {"-1", "1.5", "\"1\"", "null", "1e30", "[]", "18446744073709551616"}) {
        refused(std::string(R"({"command": "drop", "arguments": {"id": )") + id + "}}");
    }
    refused(R"({"command": "drop"})");
    refused(R"({"command": "log-level"})");
    refused(R"({"command": "log-level", "arguments": {"level": "loud"}})");
    refused(R"({"command": "log-level", "arguments": {"level": "info", "module": ""}})");
    refused(R"({"command": "connections", "arguments": {"filter": 80}})");
    refused(R"({"command": "connections", "arguments": {"filter": "port=x"}})");
}

TEST_F(RespondTest, NamesThatAreNotTextDoNoHarm) {
    engine_.figures_now.workers = {test::busy_worker()};
    engine_.figures_now.workers[0].figures.rules[0].name = "\xff\"\n";
    EXPECT_EQ(ask(R"({"command": "rules"})")["message"]["rules"][0]["name"], "\uFFFD\"\n");
}

TEST_F(RespondTest, DeepNestingIsAnsweredLikeAnythingElse) {
    refused(std::string(65'536, '['));
    refused(std::string(30'000, '[') + std::string(30'000, ']'));
}

}  // namespace
}  // namespace haka::control
