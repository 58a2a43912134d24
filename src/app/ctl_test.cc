#include "app/ctl.h"

#include <gtest/gtest.h>

namespace haka::app {
namespace {

TEST(CtlTest, CommandsBecomeRequests) {
    const auto request = [](const std::vector<std::string>& arguments) {
        const ParsedCtl parsed = parse_ctl(arguments);
        EXPECT_EQ(parsed.error, "");
        return parsed.options.request;
    };
    EXPECT_EQ(request({"status"}), R"({"command":"status","arguments":{}})");
    EXPECT_EQ(request({"drop", "12"}), R"({"command":"drop","arguments":{"id":12}})");
    EXPECT_EQ(request({"connections", "port=443", "client=10.0.0.1"}),
              R"({"command":"connections","arguments":{"filter":"port=443 client=10.0.0.1"}})");
    EXPECT_EQ(request({"log-level", "http=debug"}),
              R"({"command":"log-level","arguments":{"module":"http","level":"debug"}})");
    EXPECT_EQ(request({"log-level", "error"}),
              R"({"command":"log-level","arguments":{"level":"error"}})");
}

TEST(CtlTest, OptionsMayStandAnywhere) {
    for (const std::vector<std::string>& arguments :
         {std::vector<std::string>{"--socket", "/x", "--json", "rules"},
          {"rules", "--json", "--socket=/x"}}) {
        const CtlOptions options = parse_ctl(arguments).options;
        EXPECT_TRUE(options.json);
        EXPECT_EQ(options.socket, "/x");
    }
    EXPECT_EQ(parse_ctl({"rules"}).options.socket, "/run/haka/control.sock");
    EXPECT_TRUE(parse_ctl({"--help"}).options.help);
}

TEST(CtlTest, WrongUsageIsTold) {
    const auto error = [](const std::vector<std::string>& arguments) {
        return parse_ctl(arguments).error;
    };
    EXPECT_NE(error({}).find("needs a command"), std::string::npos);
    EXPECT_NE(error({"satus"}).find("did you mean status?"), std::string::npos);
    EXPECT_NE(error({"--jsn", "rules"}).find("did you mean --json?"), std::string::npos);
    EXPECT_NE(error({"rules", "--socket"}).find("--socket needs a value"), std::string::npos);
    EXPECT_NE(error({"drop"}).find("needs a connection's id"), std::string::npos);
    EXPECT_NE(error({"reset", "0x1"}).find("is no connection's id"), std::string::npos);
    EXPECT_NE(error({"drop", "1", "2"}).find("one word too many"), std::string::npos);
    EXPECT_NE(error({"stop", "now"}).find("one word too many"), std::string::npos);
    EXPECT_NE(error({"log-level"}).find("needs a level"), std::string::npos);
    EXPECT_NE(error({"log-level", "warming"}).find("did you mean warning?"), std::string::npos);
    EXPECT_NE(error({"log-level", "=info"}).find("no module"), std::string::npos);
}

TEST(CtlTest, ATextIsShownAsItIs) {
    const ShownAnswer done = show_answer(R"({"return":"OK","message":"dropped"})");
    EXPECT_TRUE(done.done);
    EXPECT_EQ(done.text, "dropped\n");
    const ShownAnswer refused = show_answer(R"({"return":"NOK","message":"no"})");
    EXPECT_FALSE(refused.done);
    EXPECT_EQ(refused.text, "no");
}

TEST(CtlTest, AListIsATable) {
    EXPECT_EQ(show_answer(R"({"return":"OK","message":{"connections":[
                  {"id":7,"state":"ESTABLISHED","age":1.5},
                  {"id":12345,"state":"SYN_SENT","age":10}],"cut":false}})")
                  .text,
              "   id  state          age\n"
              "    7  ESTABLISHED  1.500\n"
              "12345  SYN_SENT        10\n");
    EXPECT_EQ(show_answer(R"({"return":"OK","message":{"rules":[]}})").text, "no rules\n");
    EXPECT_NE(show_answer(R"({"return":"OK","message":{"connections":[{"id":1}],"cut":true}})")
                  .text.find("there are more"),
              std::string::npos);
}

TEST(CtlTest, AnObjectIsAColumn) {
    EXPECT_EQ(show_answer(R"({"return":"OK","message":{"version":"0.1","pass_through":true,
                  "log_levels":{"default":"info"},"drops":{}}})")
                  .text,
              "version       0.1\n"
              "pass through  yes\n"
              "log levels\n"
              "  default  info\n"
              "drops: none\n");
}

TEST(CtlTest, AnAnswerCannotMoveTheCursor) {
    EXPECT_EQ(show_answer("{\"return\":\"OK\",\"message\":\"a\\u001b[2J\"}").text.find('\x1b'),
              std::string::npos);
    for (const char* answer : {"", "x", "[]", "{}", "null", "{\"message\":", "\xff"}) {
        EXPECT_FALSE(show_answer(answer).done) << answer;
    }
    EXPECT_FALSE(show_answer(R"({"message":"x"})").done);
    EXPECT_FALSE(show_answer(R"({"message":{"a":[1,{}]},"return":7})").done);
}

}  // namespace
}  // namespace haka::app
