#include "base/address.h"

#include <gtest/gtest.h>

namespace haka {
namespace {

TEST(AddressTest, PrintsWhatItParsed) {
    for (const char* text : {"1.2.3.4", "0.0.0.0", "255.255.255.255", "::1", "2001:db8::1:0:2"}) {
        const auto address = Address::parse(text);
        ASSERT_TRUE(address) << text;
        EXPECT_EQ(address->text(), text);
    }
}

TEST(AddressTest, RefusesEverythingElse) {
    for (const char* text :
         {"", "1.2.3", "1.2.3.256", "01.2.3.4.5", "localhost", "::1%lo", "1.2.3.4 "}) {
        EXPECT_FALSE(Address::parse(text)) << text;
    }
}

TEST(AddressTest, FamiliesDiffer) {
    EXPECT_NE(*Address::parse("1.2.3.4"), *Address::parse("::ffff:1.2.3.4"));
    EXPECT_EQ(Address::ipv4(0x01020304), *Address::parse("1.2.3.4"));
    EXPECT_EQ(Address::ipv4(0x01020304).wire().size(), 4U);
}

}  // namespace
}  // namespace haka
