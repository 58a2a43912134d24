#include "app/nearest.h"

#include <array>
#include <string>

#include <gtest/gtest.h>

namespace haka::app {
namespace {

constexpr std::array<std::string_view, 4> kNames = {"midstream", "normalise", "drop", "ignore"};

TEST(NearestTest, ASwapAnOmissionAndAnAdditionAreOneEdit) {
    EXPECT_EQ(nearest("midstraem", kNames), "midstream");
    EXPECT_EQ(nearest("midstrem", kNames), "midstream");
    EXPECT_EQ(nearest("dropp", kNames), "drop");
    EXPECT_EQ(nearest("dorp", kNames), "drop");
}

TEST(NearestTest, WhatIsFarFromAllNamesMeantNoneOfThem) {
    EXPECT_EQ(nearest("quality", kNames), "");
    EXPECT_EQ(nearest("", kNames), "");
    EXPECT_EQ(nearest(std::string(100'000, 'a'), kNames), "");
    EXPECT_EQ(did_you_mean("quality", kNames), "");
}

TEST(NearestTest, AsksAboutTheOneItFound) {
    EXPECT_EQ(did_you_mean("normalize", kNames), "; did you mean normalise?");
}

}  // namespace
}  // namespace haka::app
