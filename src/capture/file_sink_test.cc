#include "capture/file_sink.h"

#include <algorithm>
#include <csignal>
#include <fcntl.h>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capture/test_folder.h"

namespace haka::capture {
namespace {

bool put(FileSink& sink, std::string_view text) {
    std::uint8_t* room = sink.append(text.size());
    if (room != nullptr) {
        std::ranges::copy(as_bytes(text), room);
    }
    return room != nullptr;
}

TEST(FileSinkTest, WritesInOrderWhateverTheSizes) {
    const test::Folder folder;
    std::string expected;
    {
        const auto opened = FileSink::open(folder.file("out"));
        ASSERT_TRUE(opened.sink) << opened.error;
        for (const std::size_t size :
             {std::size_t{1}, FileSink::kBufferSize - 1, std::size_t{2}, FileSink::kBufferSize,
              FileSink::kBufferSize + 1, std::size_t{3}}) {
            const std::string text(size, static_cast<char>('a' + expected.size() % 26));
            expected += text;
            ASSERT_TRUE(put(*opened.sink, text));
            EXPECT_EQ(opened.sink->position(), expected.size());
        }
    }
    EXPECT_EQ(folder.content("out"), expected);
}

TEST(FileSinkTest, EmptiesAnOlderFile) {
    const test::Folder folder;
    const std::string path = folder.write("out", as_bytes("something older"));
    { EXPECT_TRUE(put(*FileSink::open(path).sink, "new")); }
    EXPECT_EQ(folder.content("out"), "new");
}

TEST(FileSinkTest, PatchesWhatWasWritten) {
    const test::Folder folder;
    {
        const auto opened = FileSink::open(folder.file("out"));
        ASSERT_TRUE(put(*opened.sink, "0123456789"));
        opened.sink->patch(2, 0x64636261);
        ASSERT_TRUE(put(*opened.sink, "!"));
    }
    EXPECT_EQ(folder.content("out"), "01abcd6789!");
}

TEST(FileSinkTest, AFullDeviceIsAnErrorAndTheEnd) {
    const auto opened = FileSink::open("/dev/full");
    ASSERT_TRUE(opened.sink) << opened.error;
    ASSERT_TRUE(put(*opened.sink, "x"));
    EXPECT_FALSE(opened.sink->flush());
    EXPECT_EQ(opened.sink->error(), "No space left on device; free some, or name a file elsewhere");
    EXPECT_FALSE(put(*opened.sink, "y"));
    EXPECT_FALSE(opened.sink->flush());
}

TEST(FileSinkTest, AFileThatCannotGrowEndsWithAWholeRecord) {
    const test::Folder folder;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto signal_before = std::signal(SIGXFSZ, SIG_IGN);
    const auto opened = FileSink::open(folder.file("out"));
    ASSERT_TRUE(put(*opened.sink, "sound"));
    ASSERT_TRUE(opened.sink->flush());
    const rlimit tight{.rlim_cur = 8, .rlim_max = before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
    ASSERT_TRUE(put(*opened.sink, "half of this fits"));
    const bool is_flushed = opened.sink->flush();
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, signal_before);
    EXPECT_FALSE(is_flushed);
    EXPECT_EQ(opened.sink->error(), "File too large");
    EXPECT_EQ(folder.content("out"), "sound");
}

TEST(FileSinkTest, ALeftPipeIsAnError) {
    const test::Folder folder;
    const std::string path = folder.file("pipe");
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const auto signal_before = std::signal(SIGPIPE, SIG_IGN);
    const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
    const auto opened = FileSink::open(path);
    ASSERT_TRUE(opened.sink) << opened.error;
    ::close(reader);
    ASSERT_TRUE(put(*opened.sink, "x"));
    EXPECT_FALSE(opened.sink->flush());
    EXPECT_EQ(opened.sink->error(), "nobody reads the other end of the pipe any more");
    std::signal(SIGPIPE, signal_before);
}

TEST(FileSinkTest, NamesCauseAndRemedy) {
    const test::Folder folder;
    EXPECT_EQ(FileSink::open(folder.file("none/out")).error, "no such directory; create it first");
    EXPECT_EQ(FileSink::open(folder.file("")).error, "is a directory; name a file in it");
}

}  // namespace
}  // namespace haka::capture
