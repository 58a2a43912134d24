#include "report/json.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "report/text.h"

namespace haka::report {
namespace {

std::string in_quotes(std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
}

// What a reader gets back: each byte that isn't UTF-8 has become the code point of its value.
std::string read_back(std::string_view text) {
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
        char32_t code = 0;
        const std::size_t size = utf8_size(text, at, code);
        if (size == 0) {
            const auto byte = static_cast<unsigned char>(text[at]);
            out += static_cast<char>(0xc0 | byte >> 6);
            out += static_cast<char>(0x80 | (byte & 0x3f));
            at += 1;
        } else {
            out.append(text, at, size);
            at += size;
        }
    }
    return out;
}

TEST(JsonStringTest, EscapesWhatJsonCannotHold) {
    EXPECT_EQ(in_quotes("a\"b\\c\n\r\t\x01\x7f"), R"("a\"b\\c\n\r\t\u0001\u007f")");
    EXPECT_EQ(in_quotes(std::string_view("\0", 1)), R"("\u0000")");
    EXPECT_EQ(in_quotes("Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"),
              "\"Gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
    EXPECT_EQ(in_quotes("\xff\xc3"), R"("\u00ff\u00c3")");
    EXPECT_EQ(in_quotes("\xc2\x9b"), R"("\u009b")");
    EXPECT_EQ(in_quotes(""), R"("")");
}

TEST(JsonStringTest, IsValidForRandomBytes) {
    std::mt19937 random(4711);
    for (int round = 0; round < 20000; ++round) {
        std::string text(random() % 24, '\0');
        for (char& c : text) {
            // Half of them from the bytes where UTF-8 goes wrong.
            const auto byte = static_cast<unsigned char>(random());
            constexpr std::string_view kTricky = "\xc2\x80\xbf\xe0\xed\xa0\xf0\x90\xf4\x8f\"\\\n";
            c = random() % 2 == 0 ? static_cast<char>(byte) : kTricky[byte % kTricky.size()];
        }
        const std::string line = in_quotes(text);
        ASSERT_EQ(line.find('\n'), std::string::npos);
        const auto parsed = nlohmann::json::parse(line, nullptr, false);
        ASSERT_TRUE(parsed.is_string()) << "seed 4711, round " << round << ": " << line;
        ASSERT_EQ(parsed.get<std::string>(), read_back(text)) << round;
    }
}

TEST(JsonWriterTest, PlacesCommasBetweenItems) {
    std::string out = "kept{";  // What stands before is no business of the writer's.
    JsonWriter json(out);
    json.begin_object();
    json.begin_array("empty");
    json.end_array();
    json.begin_array("list");
    json.element("x");
    json.element(std::uint64_t{2});
    json.begin_object();
    json.end_object();
    json.begin_object();
    json.boolean("yes", true);
    json.end_object();
    json.end_array();
    json.begin_object("in");
    json.number("n", UINT64_MAX);
    json.real("r", 0.5);
    json.real("nan", std::numeric_limits<double>::quiet_NaN());
    json.end_object();
    json.raw("raw") += "[]";
    json.text("t", "v");
    json.end_object();
    EXPECT_EQ(out, R"(kept{{"empty":[],"list":["x",2,{},{"yes":true}],)"
                   R"("in":{"n":18446744073709551615,"r":0.5,"nan":null},"raw":[],"t":"v"})");
}

}  // namespace
}  // namespace haka::report
