#include "control/unix_address.h"

#include <cstddef>
#include <string>

#include <gtest/gtest.h>

namespace haka::control {
namespace {

TEST(UnixAddressTest, APathEndsWithAZero) {
    const auto address = UnixAddress::of("/run/x");
    ASSERT_TRUE(address);
    EXPECT_EQ(address->size(), offsetof(sockaddr_un, sun_path) + 7);
    EXPECT_EQ(address->get()->sa_family, AF_UNIX);
}

TEST(UnixAddressTest, AnAbstractNameBeginsWithAZero) {
    const auto address = UnixAddress::of("@x");
    ASSERT_TRUE(address);
    EXPECT_EQ(address->size(), offsetof(sockaddr_un, sun_path) + 2);
}

TEST(UnixAddressTest, RefusesWhatDoesNotFit) {
    EXPECT_TRUE(UnixAddress::of(std::string(107, 'a')));
    EXPECT_FALSE(UnixAddress::of(std::string(108, 'a')));
    EXPECT_FALSE(UnixAddress::of(""));
    EXPECT_FALSE(UnixAddress::of(std::string_view("a\0b", 3)));
}

}  // namespace
}  // namespace haka::control
