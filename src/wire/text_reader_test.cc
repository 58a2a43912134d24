#include "wire/text_reader.h"

#include <gtest/gtest.h>

namespace haka::wire::detail {
namespace {

TEST(TextReaderTest, KeepsTheFirstFailure) {
    TextReader in("abc");
    EXPECT_TRUE(in.accept("a"));
    EXPECT_FALSE(in.accept("x"));
    EXPECT_TRUE(in.error().empty());
    EXPECT_FALSE(in.expect("x"));
    EXPECT_EQ(in.error_column(), 2U);
    EXPECT_FALSE(in.fail("later"));
    EXPECT_EQ(in.error(), "expected \"x\"");
}

TEST(TextReaderTest, ReadsNumbersUpToTheirBound) {
    TextReader in("255 256 99999999999999999999");
    std::uint8_t value = 0;
    EXPECT_TRUE(in.number(value));
    EXPECT_EQ(value, 255);
    EXPECT_TRUE(in.expect(" "));
    EXPECT_FALSE(in.number(value));
    in.move_to(8);
    EXPECT_FALSE(in.number(value));
    EXPECT_EQ(value, 255);
}

TEST(TextReaderTest, ReadsBytes) {
    TextReader in("0x00fF \"a\\x00\\\\\\\"\\t\"");
    std::vector<std::uint8_t> bytes;
    EXPECT_TRUE(in.hex(bytes));
    EXPECT_EQ(bytes, (std::vector<std::uint8_t>{0, 0xff}));
    EXPECT_TRUE(in.expect(" "));
    bytes.clear();
    EXPECT_TRUE(in.quoted(bytes));
    EXPECT_EQ(bytes, (std::vector<std::uint8_t>{'a', 0, '\\', '"', '\t'}));
    EXPECT_TRUE(in.at_end());
}

}  // namespace
}  // namespace haka::wire::detail
