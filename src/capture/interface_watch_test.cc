#include "capture/interface_watch.h"

#include <cerrno>
#include <net/if.h>
#include <sched.h>

#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace haka::capture {
namespace {

// In a network of its own.
class InterfaceWatchTest : public testing::Test {
protected:
    void SetUp() override {
        if (unshare(CLONE_NEWNET) != 0) {
            GTEST_SKIP() << "no network namespaces here";
        }
        fd_ = socket(AF_INET, SOCK_DGRAM, 0);
        set_up(true);
    }
    void TearDown() override {
        if (fd_ != -1) {
            close(fd_);
        }
    }
    void set_up(bool up) const {
        ifreq request{};
        std::string("lo").copy(static_cast<char*>(request.ifr_name), IFNAMSIZ - 1);
        request.ifr_flags = static_cast<short>(up ? IFF_UP : 0);
        ASSERT_EQ(ioctl(fd_, SIOCSIFFLAGS, &request), 0);
    }
    // What is said about it now.
    std::string look(std::uint64_t lost = 0) {
        std::vector<std::string> said;
        EXPECT_EQ(watch_.look(lost, counts_, said), "");
        return said.empty() ? std::string() : said.front();
    }

    int fd_ = -1;
    InterfaceWatch watch_;
    LiveCounts counts_;
};

TEST_F(InterfaceWatchTest, SaysOnceThatItIsDownAndUpAgain) {
    ASSERT_EQ(watch_.open("lo", fd_, true), "");
    EXPECT_EQ(watch_.mtu(), 65'536U);
    EXPECT_EQ(look(), "");
    set_up(false);
    EXPECT_EQ(look(), "lo: the interface is down; waiting for it");
    EXPECT_EQ(look(), "");
    set_up(true);
    EXPECT_EQ(look(), "lo: the interface is up again");
    EXPECT_EQ(look(), "");
}

TEST_F(InterfaceWatchTest, SaysWhatIsLostOnceAndCountsItAlways) {
    ASSERT_EQ(watch_.open("lo", fd_, true), "");
    EXPECT_NE(look(2).find("some are lost"), std::string::npos);
    EXPECT_EQ(look(3), "");
    EXPECT_EQ(counts_.kernel_lost.get(), 5U);
    watch_.note_refused(ENOBUFS);
    EXPECT_NE(look().find("such frames are lost"), std::string::npos);
    watch_.note_refused(ENOBUFS);
    EXPECT_EQ(look(), "");
}

TEST_F(InterfaceWatchTest, OneThatIsNotThereIsNamed) {
    EXPECT_NE(watch_.open("none", fd_, true).find("none: there is no such interface"),
              std::string::npos);
}

}  // namespace
}  // namespace haka::capture
