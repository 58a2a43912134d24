#include "capture/byte_source.h"

#include <array>
#include <fcntl.h>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/test_folder.h"

namespace haka::capture {
namespace {

using State = ByteSource::State;

TEST(ByteSourceTest, ReadsAFileToItsEnd) {
    const test::Folder folder;
    const auto opened = open_source(folder.write("x", as_bytes("hello")));
    ASSERT_TRUE(opened.source) << opened.error;
    EXPECT_EQ(opened.source->size(), 5U);
    std::array<std::uint8_t, 3> room{};
    auto got = opened.source->read(room, Wait::No);
    EXPECT_EQ(got.state, State::Data);
    EXPECT_EQ(as_text(ByteView(room).first(got.size)), "hel");
    got = opened.source->read(room, Wait::Yes);
    EXPECT_EQ(as_text(ByteView(room).first(got.size)), "lo");
    EXPECT_EQ(opened.source->position(), 5U);
    EXPECT_EQ(opened.source->read(room, Wait::Yes).state, State::End);
}

TEST(ByteSourceTest, AnIdlePipeIsLaterNotEnd) {
    const test::Folder folder;
    const std::string path = folder.file("pipe");
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    // Opened for both, so that neither side waits for the other.
    const int other_end = ::open(path.c_str(), O_RDWR);
    ASSERT_GE(other_end, 0);
    const auto opened = open_source(path);
    ASSERT_TRUE(opened.source) << opened.error;
    EXPECT_EQ(opened.source->size(), 0U);
    std::array<std::uint8_t, 8> room{};
    EXPECT_EQ(opened.source->read(room, Wait::No).state, State::Later);
    ASSERT_EQ(::write(other_end, "ab", 2), 2);
    EXPECT_EQ(opened.source->read(room, Wait::No).size, 2U);
    EXPECT_EQ(opened.source->read(room, Wait::No).state, State::Later);
    ::close(other_end);
    EXPECT_EQ(opened.source->read(room, Wait::No).state, State::End);
}

TEST(ByteSourceTest, NamesCauseAndRemedy) {
    const test::Folder folder;
    EXPECT_EQ(open_source(folder.file("none")).error, "no such file; check the path");
    EXPECT_EQ(open_source(folder.file("")).error, "is a directory; name one capture file in it");
    const std::string closed = folder.write("closed", as_bytes("x"));
    ASSERT_EQ(::chmod(closed.c_str(), 0), 0);
    if (::geteuid() != 0) {  // Nothing is closed to the superuser.
        EXPECT_EQ(open_source(closed).error, "permission denied; run as a user who may read it");
    }
}

TEST(ByteSourceTest, MemoryTrickles) {
    const auto source = memory_source(as_bytes("abc"), 2);
    std::array<std::uint8_t, 8> room{};
    EXPECT_EQ(source->read(room, Wait::No).state, State::Later);
    EXPECT_EQ(source->read(room, Wait::Yes).size, 2U);
    EXPECT_EQ(source->read(room, Wait::Yes).size, 1U);
    EXPECT_EQ(source->read(room, Wait::Yes).state, State::End);
}

}  // namespace
}  // namespace haka::capture
