#include "stream/output_bytes.h"

#include <algorithm>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace haka::stream {
namespace {

class OutputBytesTest : public testing::Test {
protected:
    [[nodiscard]] std::string_view all() const {
        return as_text(bytes.view(bytes.begin(), bytes.end()));
    }
    void edit(std::uint64_t at, std::uint32_t erase, std::string_view insert) {
        ASSERT_TRUE(bytes.reserve(insert.size()));
        bytes.edit(at, erase, as_bytes(insert));
    }

    StreamMemory memory{TcpSettings{}};
    OutputBytes bytes{memory};
};

TEST_F(OutputBytesTest, OwnsNothingUntilItStarts) {
    EXPECT_FALSE(bytes.active());
    EXPECT_EQ(memory.used(), 0U);
    ASSERT_TRUE(bytes.start(100, as_bytes("hello")));
    EXPECT_EQ(bytes.begin(), 100U);
    EXPECT_EQ(bytes.end(), 105U);
    EXPECT_EQ(as_text(bytes.view(101, 104)), "ell");
    bytes.stop();
    EXPECT_FALSE(bytes.active());
    EXPECT_EQ(memory.used(), 0U);
    ASSERT_TRUE(bytes.start(7, {}));
    EXPECT_TRUE(bytes.active());
    EXPECT_EQ(bytes.end(), 7U);
}

TEST_F(OutputBytesTest, EditsInTheMidstAndAtBothEnds) {
    ASSERT_TRUE(bytes.start(10, as_bytes("hello")));
    edit(15, 0, " world");
    edit(10, 0, ">> ");
    edit(13, 5, "HI");
    EXPECT_EQ(all(), ">> HI world");
    edit(15, 6, "");
    EXPECT_EQ(all(), ">> HI");
    edit(10, 5, "");
    EXPECT_EQ(all(), "");
    EXPECT_EQ(bytes.begin(), 10U);
    EXPECT_EQ(bytes.end(), 10U);
}

TEST_F(OutputBytesTest, DropsOnlyWhatIsThere) {
    ASSERT_TRUE(bytes.start(10, as_bytes("0123456789")));
    bytes.drop_before(14);
    EXPECT_EQ(all(), "456789");
    bytes.drop_before(12);
    EXPECT_EQ(bytes.begin(), 14U);
    bytes.drop_before(UINT64_MAX);
    EXPECT_EQ(bytes.begin(), 20U);
    ASSERT_TRUE(bytes.append(as_bytes("more")));
    EXPECT_EQ(all(), "more");
}

TEST_F(OutputBytesTest, KeepsItsBytesWhileItGrowsAndMoves) {
    std::string expected;
    ASSERT_TRUE(bytes.start(0, {}));
    for (std::uint64_t i = 0; i < 5000; ++i) {
        const std::string piece(i % 7, static_cast<char>('a' + i % 26));
        ASSERT_TRUE(bytes.append(as_bytes(piece)));
        expected += piece;
        if (i % 3 == 0) {
            bytes.drop_before(bytes.end() - std::min<std::uint64_t>(50, bytes.end()));
        }
        if (i % 5 == 0) {
            edit(bytes.end(), 0, "!");
            expected += "!";
        }
        ASSERT_EQ(all(), std::string_view(expected).substr(bytes.begin()));
    }
    EXPECT_LE(memory.used(), 1024U);  // What is dropped doesn't stay.
}

TEST_F(OutputBytesTest, WithoutMemoryNothingChanges) {
    TcpSettings settings;
    settings.stream_memory_max = 1024;
    StreamMemory little(settings);
    OutputBytes few(little);
    const std::string many(2000, 'x');
    EXPECT_FALSE(few.start(5, as_bytes(many)));
    EXPECT_FALSE(few.active());
    EXPECT_EQ(little.used(), 0U);

    ASSERT_TRUE(few.start(5, as_bytes("hello")));
    EXPECT_FALSE(few.append(as_bytes(many)));
    EXPECT_FALSE(few.reserve(2000));
    EXPECT_EQ(as_text(few.view(5, few.end())), "hello");
    EXPECT_TRUE(few.append(as_bytes(" world")));
    EXPECT_EQ(as_text(few.view(5, few.end())), "hello world");
}

TEST_F(OutputBytesTest, RefusesASizeThatNoBlockHas) {
    ASSERT_TRUE(bytes.start(0, as_bytes("hello")));
    EXPECT_FALSE(bytes.reserve(StreamMemory::kBlockMax));
    EXPECT_EQ(all(), "hello");
}

}  // namespace
}  // namespace haka::stream
