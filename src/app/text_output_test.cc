#include "app/text_output.h"

#include <array>
#include <fcntl.h>

#include <gtest/gtest.h>
#include <unistd.h>

namespace haka::app {
namespace {

// Both ends of a pipe that never blocks.
struct Pipe {
    Pipe() { EXPECT_EQ(pipe2(ends.data(), O_NONBLOCK), 0); }
    ~Pipe() {
        close(ends[0]);
        close(ends[1]);
    }
    Pipe(const Pipe&) = delete;
    Pipe& operator=(const Pipe&) = delete;

    [[nodiscard]] std::string take() const {
        std::array<char, 100> bytes{};
        const ssize_t size = read(ends[0], bytes.data(), bytes.size());
        return {bytes.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
    }

    std::array<int, 2> ends{};
};

TEST(TextOutputTest, ATerminalGetsEachTextAtOnce) {
    const Pipe pipe;
    TextOutput output(pipe.ends[1], TextOutput::Gather::No);
    EXPECT_TRUE(output.write("one\n"));
    EXPECT_EQ(pipe.take(), "one\n");
}

TEST(TextOutputTest, AFileGetsGatheredTextAtTheFlush) {
    const Pipe pipe;
    TextOutput output(pipe.ends[1], TextOutput::Gather::Yes);
    EXPECT_TRUE(output.write("one\n"));
    EXPECT_TRUE(output.write("two\n"));
    EXPECT_EQ(pipe.take(), "");
    EXPECT_TRUE(output.flush());
    EXPECT_EQ(pipe.take(), "one\ntwo\n");
    EXPECT_TRUE(output.flush());
    EXPECT_EQ(pipe.take(), "");
}

TEST(TextOutputTest, GatheringHasAnEnd) {
    const int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    TextOutput output(fd, TextOutput::Gather::Yes);
    EXPECT_TRUE(output.write(std::string(65'535, 'x')));
    EXPECT_FALSE(output.failed());
    EXPECT_FALSE(output.write("x"));
    EXPECT_TRUE(output.failed());
    EXPECT_EQ(output.failure(), "No space left on device");
    EXPECT_FALSE(output.write("more"));
    EXPECT_FALSE(output.flush());
    close(fd);
}

TEST(TextOutputTest, KnowsWhereItGoes) {
    const Pipe pipe;
    const Pipe other;
    const int copy = dup(pipe.ends[1]);
    const TextOutput output(pipe.ends[1], TextOutput::Gather::No);
    EXPECT_TRUE(output.is_same_as(TextOutput(copy, TextOutput::Gather::No)));
    EXPECT_FALSE(output.is_same_as(TextOutput(other.ends[1], TextOutput::Gather::No)));
    close(copy);
}

}  // namespace
}  // namespace haka::app
