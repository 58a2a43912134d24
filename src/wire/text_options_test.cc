#include "wire/text_options.h"

#include <random>

#include <gtest/gtest.h>

namespace haka::wire::detail {
namespace {

// Whatever the bytes are, the words give them back, up to the padding that ends a header.
TEST(TextOptionsTest, GivesEveryOptionFieldBack) {
    std::mt19937 random(9);
    for (int round = 0; round < 20000; ++round) {
        std::vector<std::uint8_t> bytes((1 + random() % 10) * 4);
        for (auto& byte : bytes) {
            byte = static_cast<std::uint8_t>(random() % 3 == 0 ? random() : random() % 12);
        }
        const std::string text = options_text(bytes);
        TextReader in(text);
        std::vector<std::uint8_t> again;
        ASSERT_TRUE(read_options(in, again)) << text << "\n" << in.error();
        ASSERT_TRUE(in.at_end()) << text;
        again.resize((again.size() + 3) / 4 * 4);
        ASSERT_EQ(again, bytes) << text;
    }
}

}  // namespace
}  // namespace haka::wire::detail
