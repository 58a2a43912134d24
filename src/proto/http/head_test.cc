#include "proto/http/head.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace haka::http {
namespace {

constexpr Limits kLimits{.head_bytes_max = 4096, .line_bytes_max = 1024, .headers_max = 16};

struct Read {
    std::string text;
    Head head;
    Parsed parsed;

    [[nodiscard]] std::string part(Part part) const {
        return std::string(text_of(as_bytes(text), part));
    }
};

Read read(std::string text, Kind kind) {
    Read result{.text = std::move(text), .head = {}, .parsed = {}};
    result.parsed = parse_head(as_bytes(result.text), kind, kLimits, result.head);
    return result;
}

Event request_refused(const std::string& lines) {
    return read(lines + "\r\n", Kind::Request).parsed.refused;
}

Event response_refused(const std::string& lines) {
    return read(lines + "\r\n", Kind::Response).parsed.refused;
}

TEST(HeadTest, ReadsARequest) {
    const Read r = read(
        "GET /a?b=c HTTP/1.1\r\nHost: x\r\nX-Odd:\t spaced \t\r\nEmpty:\r\nHOST-ish: 1\r\n\r\n",
        Kind::Request);
    EXPECT_EQ(r.parsed.refused, Event::None);
    EXPECT_EQ(r.parsed.remarks, 0U);
    EXPECT_EQ(r.part(r.head.method), "GET");
    EXPECT_EQ(r.part(r.head.target), "/a?b=c");
    EXPECT_EQ(r.part(r.head.version), "HTTP/1.1");
    ASSERT_EQ(r.head.fields.size(), 4U);
    EXPECT_EQ(r.part(r.head.fields[1].name), "X-Odd");
    EXPECT_EQ(r.part(r.head.fields[1].value), "spaced");
    EXPECT_EQ(r.part(r.head.fields[1].line), "X-Odd:\t spaced \t\r\n");
    EXPECT_EQ(r.part(r.head.fields[2].value), "");
    EXPECT_EQ(r.head.fields_end, r.text.size() - 2);
    EXPECT_EQ(find_field(r.head, as_bytes(r.text), "x-ODD"), 1U);
    EXPECT_EQ(find_field(r.head, as_bytes(r.text), "x-od"), 4U);
}

TEST(HeadTest, ReadsAResponse) {
    const Read r =
        read("HTTP/1.0 404 Not Found\r\nConnection: a, Keep-Alive\r\n\r\n", Kind::Response);
    EXPECT_EQ(r.parsed.refused, Event::None);
    EXPECT_EQ(r.head.code, 404U);
    EXPECT_EQ(r.part(r.head.status), "404");
    EXPECT_EQ(r.part(r.head.reason), "Not Found");
    EXPECT_EQ(r.head.minor, 0U);
    EXPECT_TRUE(r.head.keep_alive);
    EXPECT_FALSE(r.head.close);
    EXPECT_EQ(response_refused("HTTP/1.1 200\r\n"), Event::None);
    EXPECT_EQ(response_refused("HTTP/1.1 200 \r\n"), Event::None);
}

TEST(HeadTest, NamesEachOffenceOfARequest) {
    const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n";
    const std::vector<std::pair<std::string, Event>> cases = {
        {"\x16\x03\x01 / HTTP/1.1\r\n", Event::HttpNotHttp},
        {"hello\r\n", Event::HttpNotHttp},
        {" GET / HTTP/1.1\r\n", Event::HttpNotHttp},
        {"GET /\r\n", Event::HttpBadRequestLine},
        {"GET /_HTTP/1.1\r\n", Event::HttpBadRequestLine},
        {"GET  / HTTP/1.1\r\n", Event::HttpBadRequestLine},
        {"GET / a HTTP/1.1\r\n", Event::HttpBadRequestLine},
        {"GET /\tHTTP/1.1\r\n", Event::HttpBadRequestLine},
        {"GET / HTTP/1.1 \r\n", Event::HttpBadRequestLine},
        {"GET / http/1.1\r\n", Event::HttpBadRequestLine},
        {"GET / HTTP/2.0\r\n", Event::HttpBadVersion},
        {"GET / HTTP/1.2\r\n", Event::HttpBadVersion},
        {"GET x HTTP/1.1\r\n", Event::HttpBadTarget},
        {"GET * HTTP/1.1\r\n", Event::HttpBadTarget},
        {"GET http:///x HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"GET http://u@x/ HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"GET /a#b HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"GET http://x#y/ HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"GET a/b://x/ HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"GET ://x/ HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"CONNECT / HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"CONNECT x HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"CONNECT x: HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"CONNECT :443 HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"CONNECT x:a HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"CONNECT u@x:443 HTTP/1.1\r\nHost: x\r\n", Event::HttpBadTarget},
        {"CONNECT y:443 HTTP/1.1\r\nHost: x:443\r\n", Event::HttpHostMismatch},
        {"CONNECT x:443 HTTP/1.1\r\nHost: x:80\r\n", Event::HttpHostMismatch},
        {"GET http://x/ HTTP/1.1\r\nHost:\r\n", Event::HttpHostMismatch},
        {"GET / HTTP/1.1\r\nHost: x:80:90\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: x:a\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: [::1\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: [\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: [::1]x\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: x]\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: u@x\r\n", Event::HttpBadHost},
        {"GET http://y/ HTTP/1.1\r\nHost: x\r\n", Event::HttpHostMismatch},
        {"GET http://x:81/ HTTP/1.1\r\nHost: x\r\n", Event::HttpHostMismatch},
        {get + "Host: x\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: x/y\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: x y\r\n", Event::HttpBadHost},
        {"GET / HTTP/1.1\r\nHost: x, y\r\n", Event::HttpBadHost},
        {get + "A: b\rc\r\n", Event::HttpBareCr},
        {get + std::string("A: b\0c\r\n", 8), Event::HttpNul},
        {std::string("GET /\0 HTTP/1.1\r\n", 17), Event::HttpNul},
        {get + "A : b\r\n", Event::HttpSpaceBeforeColon},
        {get + "A\t: b\r\n", Event::HttpSpaceBeforeColon},
        {get + ": b\r\n", Event::HttpBadHeader},
        {get + "A\r\n", Event::HttpBadHeader},
        {get + "A b: c\r\n", Event::HttpBadHeader},
        {get + "A(: c\r\n", Event::HttpBadHeader},
        {get + "A: \x01\r\n", Event::HttpBadHeader},
        {get + "A: b\r\n c\r\n", Event::HttpObsFold},
        {"GET / HTTP/1.1\r\n Host: x\r\n", Event::HttpObsFold},
        {get + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", Event::HttpTwoFramings},
        {get + "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", Event::HttpTwoFramings},
        {get + "Content-Length: 1\r\nContent-Length: 2\r\n", Event::HttpDifferingLengths},
        {get + "Content-Length: 1, 2\r\n", Event::HttpDifferingLengths},
        {get + "Content-Length: +1\r\n", Event::HttpBadLength},
        {get + "Content-Length: 0x1\r\n", Event::HttpBadLength},
        {get + "Content-Length: 1 1\r\n", Event::HttpBadLength},
        {get + "Content-Length:\r\n", Event::HttpBadLength},
        {get + "Content-Length: 1,\r\n", Event::HttpBadLength},
        {get + "Content-Length: 18446744073709551617\r\n", Event::HttpBadLength},
        {get + "Transfer-Encoding: gzip, chunked\r\n", Event::HttpBadTransferEncoding},
        {get + "Transfer-Encoding: xchunked\r\n", Event::HttpBadTransferEncoding},
        {get + "Transfer-Encoding: chunked, identity\r\n", Event::HttpBadTransferEncoding},
        {get + "Transfer-Encoding: chunked, chunked\r\n", Event::HttpBadTransferEncoding},
        {get + "Transfer-Encoding: chunked;q=1\r\n", Event::HttpBadTransferEncoding},
        {get + "Transfer-Encoding: \"chunked\"\r\n", Event::HttpBadTransferEncoding},
        {get + "Transfer-Encoding:\r\n", Event::HttpBadTransferEncoding},
        {get + "Transfer-Encoding: \x0b"
               "chunked\r\n",
         Event::HttpBadHeader},
        {get + "Transfer-Encoding\x0b: chunked\r\n", Event::HttpBadHeader},
        {get + "Transfer-Encoding : chunked\r\n", Event::HttpSpaceBeforeColon},
        {get + "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n",
         Event::HttpBadTransferEncoding},
        {get + "X: y\rTransfer-Encoding: chunked\r\n", Event::HttpBareCr},
        {get + "\xc3\xa9: a\r\n", Event::HttpBadHeader},
        {get + "Content-Length: 1\r\nContent-Length: +1\r\n", Event::HttpBadLength},
        {get + "Content-Length: -1\r\n", Event::HttpBadLength},
        {get + "Content-Length: 1e1\r\n", Event::HttpBadLength},
        {get + "Content-Length: 1;2\r\n", Event::HttpBadLength},
        {get + "Content-Length : 1\r\n", Event::HttpSpaceBeforeColon},
        {get + "Content-Length: 1\r\n 2\r\n", Event::HttpObsFold},
        {"PRI * HTTP/2.0\r\n", Event::HttpBadVersion},
        {get + "Transfer-Encoding: identity\r\n", Event::HttpBadTransferEncoding},
        {get + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
         Event::HttpBadTransferEncoding},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", Event::HttpBadTransferEncoding},
    };
    for (const auto& [lines, event] : cases) {
        EXPECT_EQ(request_refused(lines), event) << lines << " " << event_name(event);
    }
}

TEST(HeadTest, NamesEachOffenceOfAResponse) {
    EXPECT_EQ(response_refused("hello\r\n"), Event::HttpNotHttp);
    EXPECT_EQ(response_refused("HTTP/1.1 20 OK\r\n"), Event::HttpBadStatusLine);
    EXPECT_EQ(response_refused("HTTP/1.1 099 OK\r\n"), Event::HttpBadStatusLine);
    EXPECT_EQ(response_refused("HTTP/1.1  200 OK\r\n"), Event::HttpBadStatusLine);
    EXPECT_EQ(response_refused("HTTP/1.1 2000 OK\r\n"), Event::HttpBadStatusLine);
    EXPECT_EQ(response_refused("HTTP/2.0 200 OK\r\n"), Event::HttpBadVersion);
    EXPECT_EQ(response_refused("HTTP/1.1 200 O\rK\r\n"), Event::HttpBareCr);
    EXPECT_EQ(response_refused("HTTP/1.1 204 No\r\nContent-Length: 1\r\n"),
              Event::HttpExcludedBody);
    EXPECT_EQ(response_refused("HTTP/1.1 100 Go\r\nTransfer-Encoding: chunked\r\n"),
              Event::HttpExcludedBody);
    EXPECT_EQ(response_refused("HTTP/1.1 204 No\r\nContent-Length: 0\r\n"), Event::None);
    EXPECT_EQ(response_refused("HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n"), Event::None);
    EXPECT_EQ(response_refused("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n"
                               "Transfer-Encoding: chunked\r\n"),
              Event::HttpTwoFramings);
}

TEST(HeadTest, LetsPassWhatHasOneMeaning) {
    const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n";
    for (const std::string& lines :
         {get + "Content-Length: 5\r\nContent-Length: 5\r\n", get + "Content-Length: 5, 5\r\n",
          get + "Transfer-Encoding: CHUNKED \r\n", get + "A: \x80\xff\r\n",
          std::string("GET http://X:80/y HTTP/1.1\r\nHost: x\r\n"),
          std::string("GET https://x:443/y HTTP/1.1\r\nHost: X\r\n"),
          std::string("CONNECT x:443 HTTP/1.1\r\nHost: x\r\n"),
          std::string("CONNECT [::1]:443 HTTP/1.1\r\nHost: [::1]:443\r\n"),
          std::string("GET / HTTP/1.1\r\nHost: x:\r\n"), std::string("GET / HTTP/1.1\r\nHost:\r\n"),
          get + "Content-Length: 005\r\n", get + "Transfer-Encoding:\tchunked\t\r\n",
          std::string("OPTIONS * HTTP/1.1\r\nHost: x\r\n"),
          std::string("GET /\xc3\xa9 HTTP/1.1\r\nHost: [::1]:80\r\n"),
          std::string("GET / HTTP/1.0\r\n")}) {
        const Read r = read(lines + "\r\n", Kind::Request);
        EXPECT_EQ(r.parsed.refused, Event::None) << lines;
        EXPECT_EQ(r.parsed.remarks, 0U) << lines;
    }
}

TEST(HeadTest, RemarksOnBareLineFeedsAndMissingHosts) {
    EXPECT_EQ(read("GET / HTTP/1.1\nHost: x\n\n", Kind::Request).parsed.remarks,
              remark_bit(Event::HttpBareLf));
    EXPECT_EQ(read("GET / HTTP/1.1\r\n\r\n", Kind::Request).parsed.remarks,
              remark_bit(Event::HttpNoHost));
}

TEST(HeadTest, CountsHeadersAndLinesToTheirLimits) {
    std::string most = "GET / HTTP/1.0\r\n";
    for (std::uint32_t i = 0; i < kLimits.headers_max; ++i) {
        most += "A: b\r\n";
    }
    EXPECT_EQ(request_refused(most), Event::None);
    EXPECT_EQ(request_refused(most + "A: b\r\n"), Event::HttpTooManyHeaders);
    const std::string line = "A: " + std::string(kLimits.line_bytes_max - 5, 'x') + "\r\n";
    EXPECT_EQ(request_refused("GET / HTTP/1.0\r\n" + line), Event::None);
    EXPECT_EQ(request_refused("GET / HTTP/1.0\r\nx" + line), Event::HttpLineTooLong);
}

TEST(HeadTest, DecidesTheFraming) {
    const auto of_request = [](const std::string& lines) {
        return request_framing(
            read("POST / HTTP/1.1\r\nHost: x\r\n" + lines + "\r\n", Kind::Request).head);
    };
    EXPECT_EQ(of_request(""), Framing::None);
    EXPECT_EQ(of_request("Content-Length: 0\r\n"), Framing::None);
    EXPECT_EQ(of_request("Content-Length: 7\r\n"), Framing::Length);
    EXPECT_EQ(of_request("Transfer-Encoding: chunked\r\n"), Framing::Chunked);
    const auto of_response = [](const std::string& rest, Asked asked) {
        return response_framing(read("HTTP/1.1 " + rest + "\r\n", Kind::Response).head, asked);
    };
    const std::string length = " OK\r\nContent-Length: 7\r\n";
    EXPECT_EQ(of_response("200" + length, Asked::Other), Framing::Length);
    EXPECT_EQ(of_response("200" + length, Asked::Head), Framing::None);
    EXPECT_EQ(of_response("200" + length, Asked::Connect), Framing::Tunnel);
    EXPECT_EQ(of_response("404" + length, Asked::Connect), Framing::Length);
    EXPECT_EQ(of_response("304" + length, Asked::Other), Framing::None);
    EXPECT_EQ(of_response("204" + length, Asked::Other), Framing::None);
    EXPECT_EQ(of_response("100 Continue\r\n", Asked::Other), Framing::None);
    EXPECT_EQ(of_response("101 Switching\r\n", Asked::Other), Framing::Tunnel);
    EXPECT_EQ(of_response("200 OK\r\n", Asked::Other), Framing::UntilClose);
    EXPECT_EQ(of_response("200 OK\r\nTransfer-Encoding: chunked\r\n", Asked::Other),
              Framing::Chunked);
}

HeadEnd feed(const std::string& text, std::size_t step, Kind kind = Kind::Request) {
    HeadScan scan;
    for (std::size_t size = 0; size < text.size();) {
        size = std::min(text.size(), size + step);
        const HeadEnd end = find_head_end(as_bytes(text).first(size), kind, kLimits, scan);
        if (end.size != 0 || end.refused != Event::None) {
            return end;
        }
    }
    return {};
}

TEST(HeadEndTest, FindsTheEndHoweverTheBytesCome) {
    const std::string head = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const std::string bare = "GET / HTTP/1.1\nHost: x\n\n";
    for (std::size_t step = 1; step <= head.size() + 5; ++step) {
        EXPECT_EQ(feed(head + "body\n\n", step).size, head.size()) << step;
        EXPECT_EQ(feed(bare + "body\n\n", step).size, bare.size()) << step;
        EXPECT_EQ(feed(head.substr(0, head.size() - 1), step).size, 0U) << step;
    }
}

TEST(HeadEndTest, RefusesEarlyWhatIsNotHttp) {
    EXPECT_EQ(feed("\x16\x03\x01\x02", 1).refused, Event::HttpNotHttp);
    EXPECT_EQ(feed("SSH-2.0-x\r\n", 100).refused, Event::HttpNotHttp);
    EXPECT_EQ(feed(std::string(40, 'A'), 40).refused, Event::HttpNotHttp);
    EXPECT_EQ(feed("HTTQ", 4, Kind::Response).refused, Event::HttpNotHttp);
    EXPECT_EQ(feed("HTT", 1, Kind::Response).refused, Event::None);
}

// Nobody waits for the rest of a head that can't become one: HTTP/0.9 has no more.
TEST(HeadEndTest, JudgesTheFirstLineBeforeTheRestHasCome) {
    for (const std::size_t step : {1U, 100U}) {
        EXPECT_EQ(feed("GET /\r\n", step).refused, Event::HttpBadRequestLine);
        EXPECT_EQ(feed("GET /\n", step).refused, Event::HttpBadRequestLine);
        EXPECT_EQ(feed("PRI * HTTP/2.0\r\n", step).refused, Event::HttpBadVersion);
        EXPECT_EQ(feed("GET / HTTP/1.1\r\r\n", step).refused, Event::HttpBareCr);
        EXPECT_EQ(feed("HTTP/1.1 20\r\n", step, Kind::Response).refused, Event::HttpBadStatusLine);
        EXPECT_EQ(feed("GET / HTTP/1.1\r\n", step).refused, Event::None);
    }
}

TEST(HeadEndTest, EndsAtTheLimits) {
    const std::string line(kLimits.line_bytes_max - 6, 'x');
    EXPECT_EQ(feed("GET /" + line, 1).refused, Event::None);
    EXPECT_EQ(feed("GET /" + line + "xx", 1).refused, Event::HttpLineTooLong);
    std::string head = "GET / HTTP/1.1\r\n";
    while (head.size() + 8 + 2 <= kLimits.head_bytes_max) {
        head += "A: 345\r\n";
    }
    head.insert(head.size() - 2, kLimits.head_bytes_max - head.size() - 2, 'x');
    EXPECT_EQ(feed(head + "\r\n", 7).size, kLimits.head_bytes_max);
    EXPECT_EQ(feed(head + "x\r\n\r\n", 7).refused, Event::HttpHeadTooLong);
}

}  // namespace
}  // namespace haka::http
