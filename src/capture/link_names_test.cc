#include "capture/link_names.h"

#include <gtest/gtest.h>

namespace haka::capture {
namespace {

TEST(LinkNamesTest, SupportsWhatTheEngineDissects) {
    for (const std::uint32_t number : {0U, 1U, 101U, 108U, 113U, 228U, 229U, 276U}) {
        const auto link = supported_link(number);
        ASSERT_TRUE(link) << number;
        EXPECT_EQ(static_cast<std::uint32_t>(*link), number);
    }
    EXPECT_EQ(supported_link(12), LinkType::Raw);
    for (const std::uint32_t number : {9U, 105U, 127U, 189U, 65536U + 1U, UINT32_MAX}) {
        EXPECT_FALSE(supported_link(number)) << number;
    }
}

TEST(LinkNamesTest, NamesWhatItCan) {
    EXPECT_EQ(link_name(9), "PPP (9)");
    EXPECT_EQ(link_name(127), "IEEE802_11_RADIOTAP (127)");
    EXPECT_EQ(link_name(54321), "54321");
}

}  // namespace
}  // namespace haka::capture
