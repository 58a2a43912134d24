#include "app/setting_kind.h"

#include <limits>

#include <gtest/gtest.h>

namespace haka::app {
namespace {

SettingValue text(const char* value) {
    return std::string(value);
}
SettingValue number(std::int64_t value) {
    return value;
}

TEST(CountTest, TakesItsEdgesAndNothingBeyond) {
    std::uint32_t at = 5;
    const Setting::Set set = count(at, {.min = 2, .max = 9});
    EXPECT_EQ(set(number(2)), "");
    EXPECT_EQ(at, 2U);
    EXPECT_EQ(set(number(9)), "");
    EXPECT_EQ(at, 9U);
    EXPECT_EQ(set(number(1)), "must be a whole number from 2 to 9, not 1");
    EXPECT_EQ(set(number(10)), "must be a whole number from 2 to 9, not 10");
    EXPECT_EQ(set(number(-3)), "must be a whole number from 2 to 9, not -3");
    EXPECT_EQ(set(number((1LL << 32) + 5)), "must be a whole number from 2 to 9, not 4294967301");
    EXPECT_EQ(set(3.5), "must be a whole number from 2 to 9, not 3.5");
    EXPECT_EQ(set(true), "must be a whole number from 2 to 9, not true");
    EXPECT_EQ(set(text("3")), "must be a whole number from 2 to 9, not \"3\"");
    EXPECT_EQ(at, 9U);
}

TEST(SizeTest, TakesNumbersAndUnits) {
    std::uint64_t at = 0;
    const Setting::Set set = size(at, {.min = 1, .max = 4ULL << 30});
    EXPECT_EQ(set(number(7)), "");
    EXPECT_EQ(at, 7U);
    EXPECT_EQ(set(text("64KiB")), "");
    EXPECT_EQ(at, 65'536U);
    EXPECT_EQ(set(text("1.5 MiB")), "");
    EXPECT_EQ(at, 1'572'864U);
    EXPECT_EQ(set(text("4GiB")), "");
    EXPECT_EQ(at, 4ULL << 30);
    for (const char* wrong : {"5GiB", "64", "64kb", "KiB", "-1KiB", "nanKiB", "infB", "1e300GiB"}) {
        EXPECT_EQ(set(text(wrong)),
                  std::string("must be from 1 to 4294967296 bytes, as a number or like \"64KiB\", "
                              "\"1MiB\", \"2GiB\", not \"") +
                      wrong + "\"");
    }
    EXPECT_EQ(at, 4ULL << 30);
}

TEST(TimeTest, TakesSecondsAndUnits) {
    Duration at;
    const Setting::Set set = time(at, {.min = kMillisecond, .max = kSecond * 7200});
    EXPECT_EQ(set(number(30)), "");
    EXPECT_EQ(at, kSecond * 30);
    EXPECT_EQ(set(0.25), "");
    EXPECT_EQ(at, kMillisecond * 250);
    EXPECT_EQ(set(text("500ms")), "");
    EXPECT_EQ(at, kMillisecond * 500);
    EXPECT_EQ(set(text("30s")), "");
    EXPECT_EQ(at, kSecond * 30);
    EXPECT_EQ(set(text("5m")), "");
    EXPECT_EQ(at, kSecond * 300);
    EXPECT_EQ(set(text("2h")), "");
    EXPECT_EQ(at, kSecond * 7200);
    const std::string must =
        "must be from 0.001 to 7200 seconds, as a number or like \"500ms\", \"30s\", \"5m\", "
        "\"2h\", not ";
    EXPECT_EQ(set(number(0)), must + "0");
    EXPECT_EQ(set(number(7201)), must + "7201");
    EXPECT_EQ(set(std::numeric_limits<double>::quiet_NaN()), must + "nan");
    EXPECT_EQ(set(text("3 days")), must + "\"3 days\"");
    EXPECT_EQ(set(false), must + "false");
    EXPECT_EQ(at, kSecond * 7200);
}

TEST(YesOrNoTest, TakesNothingElse) {
    bool at = false;
    const Setting::Set set = yes_or_no(at);
    EXPECT_EQ(set(true), "");
    EXPECT_TRUE(at);
    EXPECT_EQ(set(number(0)), "must be true or false, not 0");
    EXPECT_EQ(set(text("no")), "must be true or false, not \"no\"");
    EXPECT_TRUE(at);
}

TEST(OneOfTest, TakesItsWordsAndNamesTheNearest) {
    Midstream at = Midstream::Drop;
    const Setting::Set set =
        one_of<Midstream>(at, {{"drop", Midstream::Drop}, {"ignore", Midstream::Ignore}});
    EXPECT_EQ(set(text("ignore")), "");
    EXPECT_EQ(at, Midstream::Ignore);
    EXPECT_EQ(set(text("dorp")), "must be drop or ignore, not \"dorp\"; did you mean drop?");
    EXPECT_EQ(set(text("Drop?")), "must be drop or ignore, not \"Drop?\"; did you mean drop?");
    EXPECT_EQ(set(text("quality")), "must be drop or ignore, not \"quality\"");
    EXPECT_EQ(at, Midstream::Ignore);
}

TEST(SettingKindTest, ATextIsBoundedAndPrintable) {
    std::string at = "before";
    const auto set = plain_text(at, 4);
    EXPECT_EQ(set(std::string("abcde")), "must be a text of at most 4 bytes, not \"abcde\"");
    EXPECT_NE(set(std::string("a\nb")), "");
    EXPECT_NE(set(std::int64_t{7}), "");
    EXPECT_EQ(at, "before");
    EXPECT_EQ(set(std::string("abcd")), "");
    EXPECT_EQ(at, "abcd");
    EXPECT_EQ(set(std::string()), "");
    EXPECT_EQ(at, "");
}

}  // namespace
}  // namespace haka::app
