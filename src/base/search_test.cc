#include "base/search.h"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace haka {
namespace {

// What find_text must say, by trying every place.
std::int64_t slow_find(const std::string& in, const std::string& text, std::size_t& partial) {
    partial = 0;
    for (std::size_t at = 0; at + text.size() <= in.size(); ++at) {
        if (in.compare(at, text.size(), text) == 0) {
            return static_cast<std::int64_t>(at);
        }
    }
    for (std::size_t size = 1; size < text.size() && size <= in.size(); ++size) {
        if (in.compare(in.size() - size, size, text, 0, size) == 0) {
            partial = size;
        }
    }
    return -1;
}

TEST(SearchTest, AgreesWithTryingEveryPlace) {
    std::mt19937 random(7);
    for (int round = 0; round < 20000; ++round) {
        std::string in(random() % 150, ' ');
        for (char& c : in) {
            c = static_cast<char>('a' + random() % 2);
        }
        std::string text(1 + random() % 12, ' ');
        for (char& c : text) {
            c = static_cast<char>('a' + random() % 2);
        }
        std::size_t wanted_partial = 0;
        std::size_t partial = 0;
        ASSERT_EQ(find_text(as_bytes(in), text, partial), slow_find(in, text, wanted_partial))
            << in << " / " << text;
        ASSERT_EQ(partial, wanted_partial) << in << " / " << text;
    }
}

TEST(SearchTest, FindsAtBothEndsOfLargeInput) {
    std::string in(100'000, 'x');
    std::size_t partial = 0;
    EXPECT_EQ(find_text(as_bytes(in), "needle", partial), -1);
    in.replace(in.size() - 6, 6, "needle");
    EXPECT_EQ(find_text(as_bytes(in), "needle", partial), 99'994);
    in.replace(0, 6, "needle");
    EXPECT_EQ(find_text(as_bytes(in), "needle", partial), 0);
    EXPECT_EQ(find_text(ByteView(), "needle", partial), -1);
}

}  // namespace
}  // namespace haka
