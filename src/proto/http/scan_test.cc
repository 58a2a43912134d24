#include "proto/http/scan.h"

#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace haka::http {
namespace {

// Every byte at every place of views of all sizes up to a few blocks, from each beginning.
template <typename Kind>
void find_each_byte(std::uint8_t filler) {
    constexpr std::uint32_t kSizeMax = 50;
    for (std::uint32_t size = 0; size <= kSizeMax; ++size) {
        std::vector<std::uint8_t> bytes(size, filler);
        for (std::uint32_t at = 0; at <= size; ++at) {
            ASSERT_EQ(find_other<Kind>(bytes, at), size);
        }
        for (std::uint32_t place = 0; place < size; ++place) {
            for (std::uint32_t c = 0; c < 256; ++c) {
                bytes[place] = static_cast<std::uint8_t>(c);
                const bool is_other = !Kind::has(bytes[place]);
                ASSERT_EQ(find_other<Kind>(bytes, 0), is_other ? place : size) << c;
                ASSERT_EQ(find_other<Kind>(bytes, place), is_other ? place : size) << c;
                ASSERT_EQ(find_other<Kind>(bytes, place + 1), size) << c;
            }
            bytes[place] = filler;
        }
    }
}

TEST(ScanTest, FindsEachByteThatIsOfAnotherKind) {
    find_each_byte<Text>('x');
    find_each_byte<Token>('x');
    find_each_byte<NoBlank>(0xff);
}

TEST(ScanTest, KnowsTheBytesOfTokens) {
    constexpr std::string_view kMembers =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (std::uint32_t c = 0; c < 256; ++c) {
        const bool is_member = kMembers.find(static_cast<char>(c)) != std::string_view::npos;
        EXPECT_EQ(Token::has(static_cast<std::uint8_t>(c)), is_member) << c;
    }
}

}  // namespace
}  // namespace haka::http
