#include "control/exposer.h"

#include <array>
#include <fmt/format.h>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/fake_engine.h"

namespace haka::control {
namespace {

// -1: none.
int connect_to(int port) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(port));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const void* address = &to;
    if (connect(fd, static_cast<const sockaddr*>(address), sizeof to) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

std::string get(int port, std::string_view path) {
    const int fd = connect_to(port);
    if (fd < 0) {
        return "no connection";
    }
    const std::string request = fmt::format("GET {} HTTP/1.0\r\nHost: localhost\r\n\r\n", path);
    EXPECT_EQ(send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
    std::string answer;
    std::array<char, 4096> bytes{};
    for (ssize_t count = 0; (count = recv(fd, bytes.data(), bytes.size(), 0)) > 0;) {
        answer.append(bytes.data(), static_cast<std::size_t>(count));
    }
    close(fd);
    return answer;
}

TEST(ExposerTest, ServesThePage) {
    test::FakeEngine engine;
    engine.figures_now.workers = {test::busy_worker()};
    const auto opened = Exposer::open("127.0.0.1:0", engine);
    ASSERT_NE(opened.exposer, nullptr) << opened.error;
    const std::string page = get(opened.exposer->port(), "/metrics");
    EXPECT_NE(page.find("200 OK"), std::string::npos);
    EXPECT_NE(page.find("\nhaka_packets_sent_total 95\n"), std::string::npos);
    EXPECT_NE(get(opened.exposer->port(), "/").find("404"), std::string::npos);
}

TEST(ExposerTest, SilentClientsStopNobodyForLong) {
    test::FakeEngine engine;
    engine.figures_now.workers = {test::busy_worker()};
    const auto opened = Exposer::open("127.0.0.1:0", engine);
    ASSERT_NE(opened.exposer, nullptr) << opened.error;
    std::vector<int> silent(8);
    for (int& fd : silent) {
        fd = connect_to(opened.exposer->port());
    }
    EXPECT_NE(get(opened.exposer->port(), "/metrics").find("200 OK"), std::string::npos);
    for (const int fd : silent) {
        close(fd);
    }
}

TEST(ExposerTest, APortInUseIsRefusedWithTheRemedy) {
    test::FakeEngine engine;
    const auto first = Exposer::open("0", engine);
    ASSERT_NE(first.exposer, nullptr) << first.error;
    const auto second = Exposer::open(std::to_string(first.exposer->port()), engine);
    EXPECT_EQ(second.exposer, nullptr);
    EXPECT_NE(second.error.find("the port is in use (`ss -ltnp`"), std::string::npos);
}

TEST(ExposerTest, AddressesAreNumbersWithAPort) {
    std::string normal;
    EXPECT_EQ(check_metrics_address("9477", normal), "");
    EXPECT_EQ(normal, "127.0.0.1:9477");
    EXPECT_EQ(check_metrics_address("0.0.0.0:1", normal), "");
    EXPECT_EQ(check_metrics_address("[::1]:9477", normal), "");
    EXPECT_EQ(normal, "[::1]:9477");
    for (const char* wrong : {"", ":", "localhost:9477", "127.0.0.1", "127.0.0.1:", "::1:9477",
                              "[127.0.0.1]:1", "127.0.0.1:65536", "127.0.0.1:1,2", "[]:1", "1s"}) {
        EXPECT_NE(check_metrics_address(wrong, normal).find("--metrics takes ADDRESS:PORT"),
                  std::string::npos)
            << wrong;
    }
}

}  // namespace
}  // namespace haka::control
