#include "capture/file_reader.h"

#include <algorithm>
#include <filesystem>
#include <vector>

#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include "capture/test_captures.h"
#include "capture/test_folder.h"

namespace haka::capture {
namespace {

TEST(FileReaderTest, ReadsAFileAndKnowsHowFarItIs) {
    const test::Folder folder;
    const auto bytes = test::Pcap().packet("abc").bytes();
    const auto opened = FileReader::open(folder.write("x.pcap", bytes));
    ASSERT_TRUE(opened.reader) << opened.error;
    EXPECT_EQ(opened.reader->size(), bytes.size());
    const auto all = test::read_all(*opened.reader);
    ASSERT_EQ(all.frames.size(), 1U);
    EXPECT_EQ(all.frames[0].data, "abc");
    EXPECT_EQ(opened.reader->position(), bytes.size());
}

TEST(FileReaderTest, NamesTheFileThatItCannotOpen) {
    const test::Folder folder;
    EXPECT_EQ(FileReader::open("no/such/file.pcap").error,
              "no/such/file.pcap: no such file; check the path");
    const std::string empty = folder.write("empty.pcap", {});
    EXPECT_EQ(FileReader::open(empty).error, empty + ": the file is empty; capture it again");
    const std::string path = folder.file("");
    EXPECT_EQ(FileReader::open(path).error, path + ": is a directory; name one capture file in it");
}

TEST(FileReaderTest, InterfacesStayWhereTheyAre) {
    const test::Folder folder;
    test::Pcapng file;
    file.section();
    for (int i = 0; i < 1000; ++i) {
        file.interface(1).packet({.data = "x"});
    }
    const auto opened = FileReader::open(folder.write("x", file.bytes()));
    ASSERT_TRUE(opened.reader) << opened.error;
    const Interface* first = &opened.reader->interfaces().front();
    (void)test::read_all(*opened.reader);
    EXPECT_EQ(opened.reader->interfaces().size(), 1000U);
    EXPECT_EQ(&opened.reader->interfaces().front(), first);
}

std::vector<test::Seen> read_with_libpcap(const std::string& path) {
    std::vector<test::Seen> frames;
    char error[PCAP_ERRBUF_SIZE] = {};
    const std::unique_ptr<pcap_t, decltype(&pcap_close)> handle(
        pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, error),
        &pcap_close);
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    while (handle && pcap_next_ex(handle.get(), &header, &data) == 1) {
        frames.push_back({.data = std::string(as_text({data, header->caplen})),
                          .original_size = header->len,
                          .ns = header->ts.tv_sec * 1'000'000'000 + header->ts.tv_usec,
                          .number = frames.size() + 1,
                          .interface = 0,
                          .link = pcap_datalink(handle.get()) == DLT_RAW    ? LinkType::Raw
                                  : pcap_datalink(handle.get()) == DLT_IPV4 ? LinkType::Ipv4
                                                                            : LinkType::Ethernet});
    }
    return frames;
}

TEST(FileReaderTest, ReadsRealCapturesAsLibpcapDoes) {
    const std::string folder = HAKA_CAPTURES;
    if (folder.empty()) {
        GTEST_SKIP() << "set HAKA_CAPTURES to the folder of reference captures";
    }
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
        const std::string path = entry.path().string();
        if (!path.ends_with(".pcap")) {
            continue;
        }
        const auto opened = FileReader::open(path);
        ASSERT_TRUE(opened.reader) << opened.error;
        const auto all = test::read_all(*opened.reader);
        EXPECT_EQ(all.damage, "");
        EXPECT_FALSE(all.frames.empty());
        EXPECT_EQ(all.frames, read_with_libpcap(path)) << path;
        ++files;
    }
    EXPECT_GT(files, 0U);
}

}  // namespace
}  // namespace haka::capture
