#include "report/eve_http.h"

#include <gtest/gtest.h>

namespace haka::report {
namespace {

std::string line_of(std::string_view request, std::string_view answer) {
    std::string out;
    append_http(out, {.request = request, .answer = answer, .number = 3, .bytes = 7}, {}, {});
    return out.substr(out.find("\"tx_id\""));
}

TEST(EveHttpTest, NamesFieldsAsSuricataDoes) {
    EXPECT_EQ(line_of("GET /a HTTP/1.1\r\nHost: x:81\r\nReferer: r\r\nUser-Agent: u\r\n\r\n",
                      "HTTP/1.1 301 M\r\nLocation: /b\r\nContent-Type: a/b; c\r\n\r\n"),
              "\"tx_id\":3,\"http\":{\"hostname\":\"x\",\"http_port\":81,\"url\":\"/a\","
              "\"http_user_agent\":\"u\",\"http_content_type\":\"a/b\",\"http_refer\":\"r\","
              "\"http_method\":\"GET\",\"protocol\":\"HTTP/1.1\",\"status\":301,"
              "\"redirect\":\"/b\",\"length\":7},\"haka\":{\"generation\":1}}\n");
}

TEST(EveHttpTest, LeavesOutWhatIsNotThere) {
    EXPECT_EQ(line_of("GET / HTTP/1.0\r\n\r\n", ""),
              "\"tx_id\":3,\"http\":{\"url\":\"/\",\"http_method\":\"GET\","
              "\"protocol\":\"HTTP/1.0\",\"length\":7},\"haka\":{\"generation\":1}}\n");
    EXPECT_NE(line_of("GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n", "").find("\"hostname\":\"[::1]\""),
              std::string::npos);
}

TEST(EveHttpTest, TakesTheHostOfATargetBeforeTheHeader) {
    const auto host_of = [](std::string_view request) {
        const std::string line = line_of(request, "");
        const std::size_t begin = line.find("{\"hostname\"");
        return line.substr(begin + 1, line.find(",\"url\"") - begin - 1);
    };
    EXPECT_EQ(host_of("GET http://u:p@a.example:81/x@y HTTP/1.1\r\nHost: b\r\n\r\n"),
              "\"hostname\":\"a.example\",\"http_port\":81");
    EXPECT_EQ(host_of("CONNECT c.example:443 HTTP/1.1\r\nHost: b\r\n\r\n"),
              "\"hostname\":\"c.example\",\"http_port\":443");
    EXPECT_EQ(host_of("GET //d/x HTTP/1.1\r\nHost: b\r\n\r\n"), "\"hostname\":\"b\"");
    EXPECT_EQ(host_of("OPTIONS * HTTP/1.1\r\nHost: b\r\n\r\n"), "\"hostname\":\"b\"");
}

}  // namespace
}  // namespace haka::report
