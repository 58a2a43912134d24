#include "capture/file_reader.h"

#include <gtest/gtest.h>

namespace haka::capture {
namespace {

TEST(FileReaderTest, SaysWhichFileIsMissing) {
    const auto opened = FileReader::open("no/such/file.pcap");
    EXPECT_EQ(opened.reader, nullptr);
    EXPECT_EQ(opened.error, "no/such/file.pcap: no such file; check the path");
}

}  // namespace
}  // namespace haka::capture
