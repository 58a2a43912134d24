#include "proto/http/chunk.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace haka::http {
namespace {

constexpr Limits kLimits{.head_bytes_max = 64, .line_bytes_max = 32, .headers_max = 3};

struct Outcome {
    std::string data;
    std::string trailers;
    std::size_t used = 0;
    Event refused = Event::None;
    bool done = false;
    bool bare_lf = false;
};

// `step` bytes more become available at a time.
Outcome read(const std::string& text, std::size_t step) {
    ChunkReader reader;
    Outcome outcome;
    std::size_t known = 0;
    while (!reader.is_done() && known < text.size()) {
        known = std::min(text.size(), known + step);
        while (!reader.is_done() && outcome.used < known) {
            const ByteView rest = as_bytes(text).subspan(outcome.used, known - outcome.used);
            const ChunkReader::Step taken = reader.next(rest, kLimits);
            if (taken.refused != Event::None) {
                outcome.refused = taken.refused;
                EXPECT_EQ(reader.next(rest, kLimits).refused, taken.refused);  // For ever.
                return outcome;
            }
            const std::string bytes(as_text(rest.first(taken.used)));
            if (taken.piece == ChunkReader::Piece::Data) {
                outcome.data += bytes;
            } else if (taken.piece == ChunkReader::Piece::Trailer) {
                outcome.trailers += bytes;
            }
            outcome.used += taken.used;
        }
    }
    outcome.done = reader.is_done();
    outcome.bare_lf = reader.take_bare_lf();
    return outcome;
}

TEST(ChunkReaderTest, DecodesHoweverTheBytesCome) {
    const std::string text =
        "5;a=b\r\nhello\r\n00A\r\n0123456789\r\n0\r\nX: y\r\nZ:\r\n\r\nGET / HTTP/1.1";
    for (std::size_t step = 1; step <= text.size(); ++step) {
        const Outcome got = read(text, step);
        EXPECT_EQ(got.refused, Event::None);
        EXPECT_TRUE(got.done);
        EXPECT_EQ(got.data, "hello0123456789");
        EXPECT_EQ(got.trailers, "X: y\r\nZ:\r\n\r\n");
        EXPECT_EQ(text.substr(got.used), "GET / HTTP/1.1");
        EXPECT_FALSE(got.bare_lf);
    }
}

TEST(ChunkReaderTest, TellsOfBareLineFeeds) {
    for (const std::string text : {"0\r\n\n", "0\r\nA: b\n\r\n"}) {
        const Outcome got = read(text, 1);
        EXPECT_TRUE(got.done) << text;
        EXPECT_TRUE(got.bare_lf) << text;
    }
}

TEST(ChunkReaderTest, NamesEachOffence) {
    const std::vector<std::pair<std::string, Event>> cases = {
        {"\r\n", Event::HttpBadChunk},
        {"x\r\n", Event::HttpBadChunk},
        {"0x5\r\nhello", Event::HttpBadChunk},
        {"-1\r\n", Event::HttpBadChunk},
        {" 5\r\nhello", Event::HttpBadChunk},
        {"5 \r\nhello", Event::HttpBadChunk},
        {"5\t;a\r\nhello", Event::HttpBadChunk},
        {"1000000000000000\r\n", Event::HttpBadChunk},
        {"0000000000000000\r\n", Event::HttpBadChunk},
        {"5\rhello", Event::HttpBareCr},
        {"5\nhello", Event::HttpBadChunk},
        {"5;a\nhello", Event::HttpBadChunk},
        {"5\r\nhello\n", Event::HttpBadChunk},
        {"0\n\r\n", Event::HttpBadChunk},
        {"+5\r\nhello", Event::HttpBadChunk},
        {"5_0\r\nhello", Event::HttpBadChunk},
        {"ffffffffffffffff\r\n", Event::HttpBadChunk},
        {"5;\x01\r\n", Event::HttpBadChunk},
        {std::string("5;\0\r\n", 5), Event::HttpNul},
        {"5\r\nhelloX\r\n", Event::HttpBadChunk},
        {"5\r\nhello\rX", Event::HttpBareCr},
        {"5;" + std::string(40, 'x'), Event::HttpLineTooLong},
        {"0\r\n A: b\r\n", Event::HttpObsFold},
        {"0\r\nA : b\r\n", Event::HttpSpaceBeforeColon},
        {"0\r\nA\r\n", Event::HttpBadHeader},
        {"0\r\n: b\r\n", Event::HttpBadHeader},
        {"0\r\nA: b\rc", Event::HttpBareCr},
        {"0\r\n\rX", Event::HttpBareCr},
        {std::string("0\r\nA: \0", 7), Event::HttpNul},
        {"0\r\nContent-length: 5\r\n", Event::HttpBadTrailer},
        {"0\r\nTRANSFER-ENCODING: chunked\r\n", Event::HttpBadTrailer},
        {"0\r\nHost: x\r\n", Event::HttpBadTrailer},
        {"0\r\nA:\r\nB:\r\nC:\r\nD:\r\n", Event::HttpTooManyHeaders},
        {"0\r\nA: " + std::string(40, 'x'), Event::HttpLineTooLong},
        {"0\r\nA: 67890123456789012345678\r\nB: 67890123456789012345678\r\nC: 890123",
         Event::HttpHeadTooLong},
    };
    for (const auto& [text, event] : cases) {
        for (const std::size_t step : {std::size_t{1}, text.size()}) {
            EXPECT_EQ(read(text, step).refused, event) << text << " " << event_name(event);
        }
    }
}

}  // namespace
}  // namespace haka::http
