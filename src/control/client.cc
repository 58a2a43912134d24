#include "control/client.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <memory>

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "control/unix_address.h"

namespace haka::control {
namespace {

constexpr std::size_t kAnswerMax = std::size_t{256} << 20;  // Connections can be many.

// A file descriptor that is closed at the end.
class Connection {
public:
    explicit Connection(int fd) : fd_(fd) {}
    ~Connection() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_;
};

Asked cannot_connect(const std::string& path, int error) {
    switch (error) {
        case ENOENT:
        case ECONNREFUSED:
            return {{},
                    AskFailure::NoEngine,
                    fmt::format("no engine listens at {}; is `haka run` at work on live traffic? "
                                "Give its control.socket by --socket PATH",
                                path)};
        case EACCES:
        case EPERM:
            return {{},
                    AskFailure::NoPermission,
                    fmt::format("{}: permission denied; only the user who started the engine, and "
                                "root, may control it: try sudo",
                                path)};
        default:
            return {{},
                    AskFailure::NoEngine,
                    fmt::format("{}: {}", path, std::strerror(error))};  // NOLINT: one thread.
    }
}

Asked broken(const std::string& path, bool silent) {
    return {
        {},
        AskFailure::Broken,
        silent ? fmt::format("{}: the engine is silent; it may be waiting for a rule that "
                             "hangs, see its log",
                             path)
               : fmt::format("{}: the engine went away before it had answered; see its log", path)};
}

bool is_silence() {
    return errno == EAGAIN || errno == EWOULDBLOCK;
}

}  // namespace

Asked ask(const std::string& socket_path, std::string_view request, Duration patience) {
    const auto address = UnixAddress::of(socket_path);
    if (!address) {
        return {{},
                AskFailure::NoEngine,
                fmt::format("\"{}\" is no socket's path: it has 1 to {} bytes", socket_path,
                            UnixAddress::kPathMax)};
    }
    const Connection connection(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval wait{.tv_sec = patience.ns / kSecond.ns,
                       .tv_usec = patience.ns % kSecond.ns / 1000};
    (void)setsockopt(connection.fd(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    (void)setsockopt(connection.fd(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (connect(connection.fd(), address->get(), address->size()) != 0) {
        return errno == EAGAIN ? broken(socket_path, true) : cannot_connect(socket_path, errno);
    }
    const std::string line = fmt::format("{}\n", request);
    for (std::size_t sent = 0; sent < line.size();) {
        const ssize_t count =
            send(connection.fd(), line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
        if (count <= 0) {
            if (is_silence()) {
                return broken(socket_path, true);
            }
            break;  // It may have said why it wants no more.
        }
        sent += static_cast<std::size_t>(count);
    }
    Asked asked;
    std::array<char, 65'536> bytes{};
    while (asked.answer.size() < kAnswerMax) {
        const ssize_t count = recv(connection.fd(), bytes.data(), bytes.size(), 0);
        if (count <= 0) {
            return broken(socket_path, count < 0 && is_silence());
        }
        asked.answer.append(bytes.data(), static_cast<std::size_t>(count));
        if (asked.answer.back() == '\n') {
            asked.answer.pop_back();
            return asked;
        }
    }
    return broken(socket_path, false);
}

}  // namespace haka::control
