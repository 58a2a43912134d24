#include "capture/format.h"

#include <gtest/gtest.h>

#include "capture/test_captures.h"

namespace haka::capture {
namespace {

TEST(FormatTest, IsDetectedByTheFirstFourBytes) {
    std::string error;
    for (const auto& bytes : {test::Pcap().bytes(), test::Pcapng().section().bytes()}) {
        EXPECT_NE(detect_format(ByteView(bytes).first(4), error), nullptr);
        EXPECT_EQ(error, "");
    }
}

TEST(FormatTest, NamesTheBytesItDoesNotKnow) {
    std::string error;
    // The "modified" pcap, with longer record headers.
    EXPECT_EQ(detect_format(test::Pcap({.magic = 0xa1b2cd34}).bytes(), error), nullptr);
    EXPECT_EQ(error,
              "not a pcap or pcapng file (it begins with 34 cd b2 a1); convert it, e.g. with "
              "editcap -F pcapng");
}

}  // namespace
}  // namespace haka::capture
