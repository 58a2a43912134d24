#include "control/client.h"

#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "capture/test_folder.h"
#include "control/unix_address.h"

namespace haka::control {
namespace {

// Takes one client and does `then` with it.
template <typename Then>
class Listener {
public:
    Listener(const std::string& path, Then then) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        const auto address = UnixAddress::of(path);
        EXPECT_EQ(bind(fd_, address->get(), address->size()), 0);
        EXPECT_EQ(listen(fd_, 1), 0);
        thread_ = std::thread([this, then] {
            const int client = accept(fd_, nullptr, nullptr);
            then(client);
            close(client);
        });
    }
    ~Listener() {
        thread_.join();
        close(fd_);
    }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;

private:
    int fd_;
    std::thread thread_;
};

TEST(ClientTest, SaysThatNoEngineIsThere) {
    const capture::test::Folder folder;
    const Asked asked = ask(folder.file("none.sock"), "{}", kSecond);
    EXPECT_EQ(asked.failure, AskFailure::NoEngine);
    EXPECT_NE(asked.error.find("--socket PATH"), std::string::npos);
}

TEST(ClientTest, SaysThatAPathIsTooLong) {
    EXPECT_NE(ask(std::string(300, 'a'), "{}", kSecond).error.find("1 to 107 bytes"),
              std::string::npos);
}

TEST(ClientTest, PutsAnAnswerTogether) {
    const capture::test::Folder folder;
    const Listener listener(folder.file("s"), [](int fd) {
        std::array<char, 100> bytes{};
        EXPECT_EQ(recv(fd, bytes.data(), bytes.size(), 0), 3);
        EXPECT_EQ(send(fd, "an ans", 6, 0), 6);
        EXPECT_EQ(send(fd, "wer\n", 4, 0), 4);
    });
    EXPECT_EQ(ask(folder.file("s"), "{}", kSecond * 20).answer, "an answer");
}

TEST(ClientTest, SaysThatTheEngineWentAwayInTheMiddle) {
    const capture::test::Folder folder;
    const Listener listener(folder.file("s"), [](int fd) {
        std::array<char, 100> bytes{};
        EXPECT_EQ(recv(fd, bytes.data(), bytes.size(), 0), 3);
        EXPECT_EQ(send(fd, "an ans", 6, 0), 6);
    });
    const Asked asked = ask(folder.file("s"), "{}", kSecond * 20);
    EXPECT_EQ(asked.failure, AskFailure::Broken);
    EXPECT_NE(asked.error.find("went away before it had answered"), std::string::npos);
}

TEST(ClientTest, SaysThatTheEngineIsSilent) {
    const capture::test::Folder folder;
    const Listener listener(folder.file("s"), [](int fd) {
        std::array<char, 100> bytes{};
        while (recv(fd, bytes.data(), bytes.size(), 0) > 0) {}
    });
    const Asked asked = ask(folder.file("s"), "{}", kMillisecond * 20);
    EXPECT_EQ(asked.failure, AskFailure::Broken);
    EXPECT_NE(asked.error.find("silent"), std::string::npos);
}

}  // namespace
}  // namespace haka::control
