#include "report/progress.h"

#include <limits>

#include <gtest/gtest.h>

namespace haka::report {
namespace {

std::string line(const Progress& progress, int width) {
    std::string out;
    append_progress(out, progress, {.width = width});
    return out;
}

TEST(ProgressTest, ShowsBarRateAndTimeLeft) {
    const Progress half{.fraction = 0.25, .packets = 1'234'567, .elapsed = kSecond * 4};
    EXPECT_EQ(line(half, 80),
              "\r[=======>                      ]  25 %  1,234,567 packets  308.6 k/s  0:12 left");
}

TEST(ProgressTest, ShowsPacketsOnlyWhenTheSizeIsUnknown) {
    const Progress unknown{.fraction = {}, .packets = 2000, .elapsed = kSecond * 2};
    EXPECT_EQ(line(unknown, 40), "\r2,000 packets  1.0 k/s" + std::string(17, ' '));
}

TEST(ProgressTest, CoversAnEarlierLineAndNeverWraps) {
    for (int width = 2; width < 200; ++width) {
        for (const double fraction :
             {0.0, 0.004, 0.5, 0.999, 1.0, 7.0, -1.0, std::numeric_limits<double>::quiet_NaN()}) {
            const Progress progress{
                .fraction = fraction, .packets = 99'999'999, .elapsed = kSecond * 5000};
            const std::string text = line(progress, width);
            ASSERT_EQ(text.size(), static_cast<std::size_t>(width)) << text;
            ASSERT_EQ(text.find('\r', 1), std::string::npos);
        }
    }
}

TEST(ProgressTest, BeginsWithoutARate) {
    const Progress start{.fraction = 0.0, .packets = 0, .elapsed = {}};
    EXPECT_EQ(line(start, 40), "\r[>                   ]   0 %  0 packets");
}

TEST(ProgressTest, ShowsHoursAndStopsCountingAtAHundred) {
    EXPECT_NE(
        line({.fraction = 0.5, .packets = 1, .elapsed = kSecond * 3723}, 80).find("1:02:03 left"),
        std::string::npos);
    EXPECT_NE(line({.fraction = 1e-12, .packets = 1, .elapsed = kSecond * 3723}, 80)
                  .find("99:59:59 left"),
              std::string::npos);
}

TEST(ProgressTest, WipesItsLine) {
    std::string out;
    append_progress_end(out, {.width = 5});
    EXPECT_EQ(out, "\r    \r");
}

}  // namespace
}  // namespace haka::report
