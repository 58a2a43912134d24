#include "report/text.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace haka::report {
namespace {

std::string printable(std::string_view text) {
    std::string out;
    append_printable(out, text);
    return out;
}

std::string time_text(std::int64_t ns) {
    std::string out;
    append_time(out, {ns}, TimeForm::Readable);
    return out;
}

std::string grouped(std::uint64_t value) {
    std::string out;
    append_grouped(out, value);
    return out;
}

std::string rounded(double value) {
    std::string out;
    append_rounded(out, value);
    return out;
}

std::string address(std::string_view text, Ipv6Form form) {
    std::string out;
    append_address(out, Address::parse(text).value(), form);
    return out;
}

std::size_t size_at_start(std::string_view text) {
    char32_t code = 0;
    return utf8_size(text, 0, code);
}

// The plain way round, against which every code point is checked.
std::string encoded(char32_t code) {
    const auto tail = [code](int shift) {
        return static_cast<char>(0x80 | (code >> shift & 0x3f));
    };
    if (code < 0x80) {
        return {static_cast<char>(code)};
    }
    if (code < 0x800) {
        return {static_cast<char>(0xc0 | code >> 6), tail(0)};
    }
    if (code < 0x10000) {
        return {static_cast<char>(0xe0 | code >> 12), tail(6), tail(0)};
    }
    return {static_cast<char>(0xf0 | code >> 18), tail(12), tail(6), tail(0)};
}

TEST(Utf8Test, AcceptsEveryCodePointAndNothingElse) {
    for (char32_t code = 0; code < 0x120000; ++code) {
        const std::string text = encoded(code);
        const bool valid = code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        char32_t decoded = 0;
        ASSERT_EQ(utf8_size(text, 0, decoded), valid ? text.size() : 0)
            << static_cast<std::uint32_t>(code);
        if (valid) {
            const std::size_t broken = size_at_start(text.substr(0, text.size() - 1) + "x");
            ASSERT_TRUE(decoded == code && broken == (text.size() == 1 ? 1U : 0U));
        }
    }
}

TEST(Utf8Test, RefusesOverlongAndCutForms) {
    for (const std::string_view text : {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
                                        "\x80", "\xff", "\xc3", "\xe2\x82", "\xf0\x9f\x98"}) {
        EXPECT_EQ(size_at_start(text), 0U) << printable(text);
    }
}

TEST(PrintableTest, KeepsTextAsItIs) {
    EXPECT_EQ(printable("plain ~ \\x \"text\" Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
              "plain ~ \\x \"text\" Gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
}

TEST(PrintableTest, EscapesWhatMovesACursor) {
    EXPECT_EQ(printable("a\x1b[31mb\rc\nd\te\x7f"), "a\\x1b[31mb\\rc\\nd\\te\\x7f");
    EXPECT_EQ(printable(std::string_view("\0x", 2)), "\\x00x");
    EXPECT_EQ(printable("\xc2\x9b"
                        "1m"),
              "\\xc2\\x9b1m");  // CSI as one C1 character.
    EXPECT_EQ(printable("\xe2\x80\xae"
                        "gpj"),
              "\\xe2\\x80\\xaegpj");  // Right-to-left override.
    EXPECT_EQ(printable("\xff\xc3"), "\\xff\\xc3");
}

TEST(NumberTest, GroupsByThousands) {
    EXPECT_EQ(grouped(0), "0");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(grouped(1000), "1,000");
    EXPECT_EQ(grouped(123456), "123,456");
    EXPECT_EQ(grouped(UINT64_MAX), "18,446,744,073,709,551,615");
}

TEST(NumberTest, RoundsToThreeDigitsAndAUnit) {
    EXPECT_EQ(rounded(0), "0");
    EXPECT_EQ(rounded(-1), "0");
    EXPECT_EQ(rounded(999), "999");
    EXPECT_EQ(rounded(999.6), "1.0 k");
    EXPECT_EQ(rounded(1234), "1.2 k");
    EXPECT_EQ(rounded(999'960), "1.0 M");
    EXPECT_EQ(rounded(34'500'000), "34.5 M");
    EXPECT_EQ(rounded(std::numeric_limits<double>::quiet_NaN()), "0");
    EXPECT_FALSE(rounded(std::numeric_limits<double>::max()).empty());
    EXPECT_FALSE(rounded(std::numeric_limits<double>::infinity()).empty());
}

TEST(TimeTest, ShowsEveryInstantThatFits) {
    EXPECT_EQ(time_text(0), "1970-01-01 00:00:00.000000");
    EXPECT_EQ(time_text(1795428000123456789), "2026-11-23 10:00:00.123456");
    EXPECT_EQ(time_text(-1), "1969-12-31 23:59:59.999999");
    EXPECT_EQ(time_text(951782400000000000), "2000-02-29 00:00:00.000000");
    EXPECT_EQ(time_text(951868799999999999), "2000-02-29 23:59:59.999999");
    EXPECT_EQ(time_text(4107542400000000000), "2100-03-01 00:00:00.000000");
    EXPECT_EQ(time_text(INT64_MIN), "1677-09-21 00:12:43.145224");
    EXPECT_EQ(time_text(INT64_MAX), "2262-04-11 23:47:16.854775");
}

TEST(TimeTest, WritesTheZoneForEve) {
    std::string out;
    append_time(out, {1795428000123456789}, TimeForm::Eve);
    EXPECT_EQ(out, "2026-11-23T10:00:00.123456+0000");
}

TEST(AddressTest, ShowsBothForms) {
    EXPECT_EQ(address("192.168.10.1", Ipv6Form::Expanded), "192.168.10.1");
    EXPECT_EQ(address("0.0.0.255", Ipv6Form::Compressed), "0.0.0.255");
    EXPECT_EQ(address("2001:db8::a1", Ipv6Form::Expanded),
              "2001:0db8:0000:0000:0000:0000:0000:00a1");
    EXPECT_EQ(address("2001:0db8:0:0:0:0:0:a1", Ipv6Form::Compressed), "2001:db8::a1");
}

TEST(ProtocolTest, FallsBackToTheNumber) {
    const auto name = [](std::uint8_t protocol) {
        std::string out;
        append_protocol(out, protocol);
        return out;
    };
    EXPECT_EQ(name(6), "TCP");
    EXPECT_EQ(name(58), "IPv6-ICMP");
    EXPECT_EQ(name(200), "200");
}

}  // namespace
}  // namespace haka::report
