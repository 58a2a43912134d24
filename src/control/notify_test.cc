#include "control/notify.h"

#include <array>

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include "capture/test_folder.h"
#include "control/unix_address.h"

namespace haka::control {
namespace {

class NotifyTest : public testing::Test {
protected:
    void SetUp() override {
        const auto address = UnixAddress::of(path_);
        ASSERT_EQ(bind(manager_, address->get(), address->size()), 0);
    }
    void TearDown() override { close(manager_); }
    [[nodiscard]] std::string heard() const {
        std::array<char, 4096> bytes{};
        const ssize_t count = recv(manager_, bytes.data(), bytes.size(), MSG_DONTWAIT);
        return count < 0 ? "nothing" : std::string(bytes.data(), static_cast<std::size_t>(count));
    }

    capture::test::Folder folder_;
    std::string path_ = folder_.file("notify");
    int manager_ = socket(AF_UNIX, SOCK_DGRAM, 0);
};

TEST_F(NotifyTest, SaysWhatTheManagerUnderstands) {
    const Notifier notifier(path_);
    notifier.ready("2 workers");
    EXPECT_EQ(heard(), "READY=1\nSTATUS=2 workers\n");
    notifier.reloading({5'000'000});
    EXPECT_EQ(heard(), "RELOADING=1\nMONOTONIC_USEC=5000\n");
    notifier.alive();
    EXPECT_EQ(heard(), "WATCHDOG=1\n");
    notifier.status("a worker was restarted");
    EXPECT_EQ(heard(), "STATUS=a worker was restarted\n");
    notifier.stopping("asked to");
    EXPECT_EQ(heard(), "STOPPING=1\nSTATUS=asked to\n");
}

TEST_F(NotifyTest, AStatusCannotSayMoreThanItself) {
    const Notifier notifier(path_);
    notifier.status("a\nREADY=1");
    EXPECT_EQ(heard(), "STATUS=a READY=1\n");
}

TEST_F(NotifyTest, WithoutAManagerNothingHappens) {
    const Notifier nobody("");
    nobody.ready("x");
    const Notifier gone(folder_.file("no-such"));
    gone.ready("x");
    EXPECT_EQ(heard(), "nothing");
}

TEST(NotifierTest, LivesTwiceAsOftenAsTheManagerWaits) {
    EXPECT_EQ(Notifier("", "30000000").watchdog(), kSecond * 15);
    for (const char* text : {"", "0", "-5", "x", "10x", "99999999999999999999"}) {
        EXPECT_FALSE(Notifier("", text).watchdog()) << text;
    }
}

}  // namespace
}  // namespace haka::control
