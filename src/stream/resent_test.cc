#include "stream/resent.h"

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

TEST(ResentTest, ABlockStandsForWhatWasSentAgain) {
    Resent resent;
    resent.note({.begin = 10, .end = 20}, {.begin = 100, .end = 130});
    resent.note({.begin = 20, .end = 30}, {.begin = 130, .end = 150});
    EXPECT_TRUE(resent.take({.begin = 150, .end = 160}).empty());
    EXPECT_TRUE(resent.take({.begin = 90, .end = 100}).empty());
    EXPECT_EQ(resent.take({.begin = 130, .end = 140}), (Resent::Range{.begin = 20, .end = 30}));
    EXPECT_EQ(resent.take({.begin = 90, .end = 101}), (Resent::Range{.begin = 10, .end = 20}));
}

TEST(ResentTest, EachIsToldOnce) {
    Resent resent;
    resent.note({.begin = 10, .end = 20}, {.begin = 100, .end = 130});
    EXPECT_FALSE(resent.take({.begin = 100, .end = 120}).empty());
    EXPECT_TRUE(resent.take({.begin = 120, .end = 130}).empty());
}

TEST(ResentTest, TheOldestIsForgottenForOneMore) {
    Resent resent;
    for (std::uint64_t i = 0; i <= Resent::kMax; ++i) {
        resent.note({.begin = i, .end = i + 1}, {.begin = i * 10, .end = i * 10 + 10});
    }
    EXPECT_TRUE(resent.take({.begin = 0, .end = 10}).empty());
    EXPECT_FALSE(resent.take({.begin = 10, .end = 20}).empty());
    EXPECT_FALSE(resent.take({.begin = Resent::kMax * 10, .end = Resent::kMax * 10 + 1}).empty());
}

}  // namespace
}  // namespace haka::stream
