// Tested by: nfqueue_test.cc
#include "capture/raw_sender.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <poll.h>

#include <system_error>
#include <unistd.h>

namespace haka::capture {
namespace {

constexpr std::size_t kIpv4Header = 20;
constexpr std::size_t kIpv6Header = 40;
constexpr int kSendBuffer = 32 << 20;
constexpr int kRoomPatienceMs = 1;
constexpr int kTriesMax = 4;

bool set(int fd, int level, int name, int value) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

int open_raw(int family, std::uint32_t mark) {
    const int fd = socket(family, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd == -1) {
        return -1;
    }
    const bool is_ipv4 = family == AF_INET;
    (void)set(fd, SOL_SOCKET, SO_SNDBUFFORCE, kSendBuffer);  // More is better, less works.
    if (!set(fd, SOL_SOCKET, SO_MARK, static_cast<int>(mark)) ||
        !set(fd, is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6, is_ipv4 ? IP_HDRINCL : IPV6_HDRINCL, 1)) {
        const int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

}  // namespace

RawSender::~RawSender() {
    for (const int fd : {ipv4_, ipv6_}) {
        if (fd != -1) {
            close(fd);
        }
    }
}

std::string RawSender::open(std::uint32_t mark) {
    ipv4_ = open_raw(AF_INET, mark);
    if (ipv4_ == -1) {
        return fmt::format("no raw socket: {}{}", std::generic_category().message(errno),
                           errno == EPERM ? "; run as root, or with the capabilities CAP_NET_ADMIN "
                                            "and CAP_NET_RAW"
                                          : "");
    }
    ipv6_ = open_raw(AF_INET6, mark);
    return {};
}

int RawSender::send(ByteView packet) const {
    sockaddr_in ipv4{};
    sockaddr_in6 ipv6{};
    const void* to = &ipv4;
    socklen_t size = sizeof ipv4;
    int fd = ipv4_;
    if (packet.size() >= kIpv4Header && packet[0] >> 4 == 4) {
        ipv4.sin_family = AF_INET;
        std::memcpy(&ipv4.sin_addr, packet.data() + 16, sizeof ipv4.sin_addr);
    } else if (packet.size() >= kIpv6Header && packet[0] >> 4 == 6 && ipv6_ != -1) {
        ipv6.sin6_family = AF_INET6;
        std::memcpy(&ipv6.sin6_addr, packet.data() + 24, sizeof ipv6.sin6_addr);
        to = &ipv6;
        size = sizeof ipv6;
        fd = ipv6_;
    } else {
        return EAFNOSUPPORT;
    }
    int error = 0;
    for (int tries = 0; tries < kTriesMax; ++tries) {
        const ssize_t sent = sendto(fd, packet.data(), packet.size(), MSG_DONTWAIT,
                                    static_cast<const sockaddr*>(to), size);
        if (sent >= 0) {
            return 0;
        }
        error = errno;
        if (error == EAGAIN || error == ENOBUFS) {
            pollfd room{.fd = fd, .events = POLLOUT, .revents = 0};
            (void)::poll(&room, 1, kRoomPatienceMs);
        } else if (error != EINTR) {
            return error;
        }
    }
    return error;
}

}  // namespace haka::capture
