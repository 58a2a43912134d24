#include "capture/file_writer.h"

#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include "capture/file_reader.h"
#include "capture/test_captures.h"
#include "capture/test_folder.h"

namespace haka::capture {
namespace {

using test::Seen;

test::ReadAll read_file(const std::string& path) {
    const auto opened = FileReader::open(path);
    if (!opened.reader) {
        test::ReadAll failed;
        failed.error = opened.error;
        return failed;
    }
    return test::read_all(*opened.reader);
}

bool write(FileWriter& writer, const Seen& seen, const std::vector<Interface>& interfaces,
           std::string_view comment = {}) {
    return writer.write({.interface = &interfaces.at(seen.interface),
                         .interface_index = seen.interface,
                         .when = {seen.ns},
                         .original_size = seen.original_size,
                         .bytes = as_bytes(seen.data),
                         .comment = comment});
}

std::string copy(const test::ReadAll& all, const std::string& path) {
    const auto opened = FileWriter::open(path);
    if (!opened.writer) {
        return opened.error;
    }
    opened.writer->describe(all.interfaces);
    for (const Seen& seen : all.frames) {
        if (!write(*opened.writer, seen, all.interfaces)) {
            break;
        }
    }
    opened.writer->flush();
    return opened.writer->error();
}

test::ReadAll some_frames(LinkType link) {
    test::ReadAll all;
    all.interfaces = {{.link = link, .snaplen = 65535, .name = {}}};
    for (std::uint32_t i = 0; i < 9; ++i) {
        all.frames.push_back({.data = std::string("abcdefghi").substr(i),
                              .original_size = i == 3 ? 1500 : 9 - i,
                              .ns = 1'700'000'000'123'456'789 + i,
                              .number = i + 1,
                              .interface = 0,
                              .link = link});
    }
    return all;
}

TEST(FileWriterTest, WhatNobodyChangedLeavesAsItCame) {
    const test::Folder folder;
    for (const char* name : {"out.pcap", "out.pcapng"}) {
        for (const LinkType link : {LinkType::Null, LinkType::Raw, LinkType::LinuxSll2}) {
            const auto all = some_frames(link);
            ASSERT_EQ(copy(all, folder.file(name)), "");
            const auto again = read_file(folder.file(name));
            EXPECT_EQ(again.frames, all.frames);
            EXPECT_EQ(again.damage, "");
            EXPECT_EQ(again.interfaces.at(0).snaplen, 65535U);
        }
    }
}

TEST(FileWriterTest, CopyingTwiceGivesTheSameBytes) {
    const test::Folder folder;
    for (const char* ending : {".pcap", ".pcapng"}) {
        const std::string one = std::string("1") + ending;
        const std::string two = std::string("2") + ending;
        ASSERT_EQ(copy(some_frames(LinkType::Ethernet), folder.file(one)), "");
        ASSERT_EQ(copy(read_file(folder.file(one)), folder.file(two)), "");
        EXPECT_EQ(folder.content(one), folder.content(two));
    }
}

TEST(FileWriterTest, PcapngKeepsInterfacesAndComments) {
    const test::Folder folder;
    const std::vector<Interface> interfaces = {
        {.link = LinkType::Ethernet, .snaplen = 0, .name = "unused"},
        {.link = LinkType::Ethernet, .snaplen = 0, .name = "eth0"},
        {.link = LinkType::Raw, .snaplen = 1000, .name = ""}};
    const std::string comment = "dropped: tcp.bad-ack";
    {
        const auto opened = FileWriter::open(folder.file("x.pcapng"));
        ASSERT_TRUE(opened.writer) << opened.error;
        for (const std::uint32_t index : {2U, 1U, 2U}) {
            const Seen seen{.data = "abcde", .original_size = 5, .ns = 1, .interface = index};
            EXPECT_TRUE(write(*opened.writer, seen, interfaces, comment));
        }
    }
    const auto again = read_file(folder.file("x.pcapng"));
    ASSERT_EQ(again.interfaces.size(), 2U);  // In order of appearance.
    EXPECT_EQ(again.interfaces[0].link, LinkType::Raw);
    EXPECT_EQ(again.interfaces[0].snaplen, 1000U);
    EXPECT_EQ(again.interfaces[1].name, "eth0");
    ASSERT_EQ(again.frames.size(), 3U);
    EXPECT_EQ(again.frames[1].interface, 1U);
    const std::string content = folder.content("x.pcapng");
    const std::string option(
        "\x01\x00\x14\x00"
        "dropped: tcp.bad-ack",
        24);
    EXPECT_NE(content.find(option), std::string::npos);
}

TEST(FileWriterTest, CutsACommentBetweenCharacters) {
    const test::Folder folder;
    const auto all = some_frames(LinkType::Ethernet);
    {
        const auto opened = FileWriter::open(folder.file("x.pcapng"));
        const std::string comment = std::string(65'534, 'x') + "\xc3\xa9 behind";
        EXPECT_TRUE(write(*opened.writer, all.frames[0], all.interfaces, comment));
        EXPECT_TRUE(write(*opened.writer, all.frames[1], all.interfaces));
    }
    EXPECT_EQ(read_file(folder.file("x.pcapng")).frames.size(), 2U);
    EXPECT_EQ(folder.content("x.pcapng").find('\xc3'), std::string::npos);
}

TEST(FileWriterTest, AnEmptyOutputKeepsTheLinkType) {
    const test::Folder folder;
    for (const char* name : {"x.pcap", "x.pcapng"}) {
        test::ReadAll none;
        none.interfaces = {{.link = LinkType::LinuxSll, .snaplen = 96, .name = {}}};
        ASSERT_EQ(copy(none, folder.file(name)), "");
        EXPECT_EQ(read_file(folder.file(name)).interfaces.at(0).link, LinkType::LinuxSll);

        ASSERT_EQ(copy({}, folder.file(name)), "");
        EXPECT_EQ(read_file(folder.file(name)).interfaces.at(0).link, LinkType::Ethernet);
    }
}

TEST(FileWriterTest, AnInterfaceThatWasDescribedIsNotWrittenAgain) {
    const test::Folder folder;
    const auto all = some_frames(LinkType::Raw);
    {
        const auto opened = FileWriter::open(folder.file("x.pcapng"));
        opened.writer->describe(all.interfaces);
        ASSERT_TRUE(opened.writer->flush());
        ASSERT_TRUE(write(*opened.writer, all.frames[0], all.interfaces));
    }
    const auto again = read_file(folder.file("x.pcapng"));
    EXPECT_EQ(again.interfaces.size(), 1U);
    EXPECT_EQ(again.frames.size(), 1U);
}

TEST(FileWriterTest, APcapTakesOneLinkType) {
    const test::Folder folder;
    const std::string path = folder.file("x.pcap");
    const auto opened = FileWriter::open(path);
    const std::vector<Interface> interfaces = {{.link = LinkType::Ethernet, .name = {}},
                                               {.link = LinkType::Raw, .name = {}}};
    EXPECT_TRUE(write(*opened.writer, {.data = "a", .interface = 0}, interfaces));
    EXPECT_FALSE(write(*opened.writer, {.data = "b", .interface = 1}, interfaces));
    EXPECT_EQ(opened.writer->error(),
              path +
                  ": a .pcap file holds one link type, and the packets have Ethernet (1) and "
                  "raw IP (101); name the output .pcapng");
    EXPECT_FALSE(write(*opened.writer, {.data = "c", .interface = 0}, interfaces));
    EXPECT_FALSE(opened.writer->flush());
}

TEST(FileWriterTest, WantsAnEndingItKnows) {
    const test::Folder folder;
    for (const char* name : {"x", "x.cap", "pcap", "x.pcap.gz"}) {
        EXPECT_EQ(FileWriter::open(folder.file(name)).error,
                  folder.file(name) + ": name the output .pcap or .pcapng");
    }
    EXPECT_EQ(FileWriter::open(folder.file("no/x.pcap")).error,
              folder.file("no/x.pcap") + ": no such directory; create it first");
}

TEST(FileWriterTest, SaysThatTheDiskIsFull) {
    const test::Folder folder;
    std::filesystem::create_symlink("/dev/full", folder.file("x.pcap"));
    EXPECT_EQ(
        copy(some_frames(LinkType::Ethernet), folder.file("x.pcap")),
        folder.file("x.pcap") + ": No space left on device; free some, or name a file elsewhere");
}

// Hidden behind one more packet, so that the header has long left the buffer's front.
TEST(FileWriterTest, LibpcapReadsAPacketThatGrewBeyondTheSnaplen) {
    const test::Folder folder;
    const std::vector<Interface> interfaces = {
        {.link = LinkType::Ethernet, .snaplen = 96, .name = {}}};
    for (const char* name : {"x.pcap", "x.pcapng"}) {
        {
            const auto opened = FileWriter::open(folder.file(name));
            EXPECT_TRUE(write(*opened.writer, {.data = std::string(96, 'a')}, interfaces));
            EXPECT_TRUE(opened.writer->flush());
            EXPECT_TRUE(write(*opened.writer, {.data = std::string(97, 'b')}, interfaces));
        }
        char error[PCAP_ERRBUF_SIZE] = {};
        pcap_t* handle = pcap_open_offline(folder.file(name).c_str(), error);
        ASSERT_NE(handle, nullptr) << error;
        pcap_pkthdr* header = nullptr;
        const u_char* data = nullptr;
        EXPECT_EQ(pcap_next_ex(handle, &header, &data), 1);
        EXPECT_EQ(pcap_next_ex(handle, &header, &data), 1);
        EXPECT_EQ(header->caplen, 97U);
        pcap_close(handle);
    }
}

TEST(FileWriterTest, TimesThatTheFormatCannotSayAreTheNearestOnes) {
    const test::Folder folder;
    test::ReadAll all = some_frames(LinkType::Ethernet);
    all.frames.resize(2);
    all.frames[0].ns = -5;
    all.frames[1].ns = INT64_MAX;
    ASSERT_EQ(copy(all, folder.file("x.pcap")), "");
    auto again = read_file(folder.file("x.pcap"));
    EXPECT_EQ(again.frames.at(0).ns, 0);
    EXPECT_EQ(again.frames.at(1).ns / 1'000'000'000, UINT32_MAX);
    ASSERT_EQ(copy(all, folder.file("x.pcapng")), "");
    again = read_file(folder.file("x.pcapng"));
    EXPECT_EQ(again.frames.at(0).ns, 0);
    EXPECT_EQ(again.frames.at(1).ns, INT64_MAX);
}

TEST(FileWriterTest, RealCapturesComeBackAsTheyWent) {
    const std::string captures = HAKA_CAPTURES;
    if (captures.empty()) {
        GTEST_SKIP() << "set HAKA_CAPTURES to the folder of reference captures";
    }
    const test::Folder folder;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(captures)) {
        if (!entry.path().string().ends_with(".pcap")) {
            continue;
        }
        const auto all = read_file(entry.path().string());
        for (const char* name : {"x.pcap", "x.pcapng"}) {
            ASSERT_EQ(copy(all, folder.file(name)), "");
            EXPECT_EQ(read_file(folder.file(name)).frames, all.frames) << entry.path();
        }
    }
}

}  // namespace
}  // namespace haka::capture
