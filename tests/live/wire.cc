#include "wire.h"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>

#include <linux/if_packet.h>
#include <netinet/in.h>
#include <unistd.h>

namespace haka::live {
namespace {

constexpr int kSocketBuffer = 64 << 20;

template <typename T>
bool set(int fd, int level, int name, const T& value) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

void lay_out(std::vector<std::array<std::uint8_t, kFrameSizeMax>>& buffers,
             std::vector<iovec>& parts, std::vector<mmsghdr>& heads) {
    buffers.resize(kBatch);
    parts.resize(kBatch);
    heads.resize(kBatch);
    for (std::size_t i = 0; i < kBatch; ++i) {
        parts[i] = {.iov_base = buffers[i].data(), .iov_len = buffers[i].size()};
        heads[i].msg_hdr.msg_iov = &parts[i];
        heads[i].msg_hdr.msg_iovlen = 1;
    }
}

}  // namespace

Wire::~Wire() {
    if (fd_ != -1) {
        close(fd_);
    }
}

std::string Wire::open(const std::string& interface) {
    const auto failed = [&interface](std::string_view what) {
        return fmt::format("{}: {}: {}", interface, what, std::strerror(errno));
    };
    // Of no protocol until it is bound: it would take frames of every interface meanwhile.
    fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ == -1) {
        return failed("no packet socket");
    }
    const unsigned index = if_nametoindex(interface.c_str());
    if (index == 0) {
        return failed("no such interface");
    }
    packet_mreq promiscuous{};
    promiscuous.mr_ifindex = static_cast<int>(index);
    promiscuous.mr_type = PACKET_MR_PROMISC;
    if (!set(fd_, SOL_SOCKET, SO_RCVBUFFORCE, kSocketBuffer) ||
        !set(fd_, SOL_SOCKET, SO_SNDBUFFORCE, kSocketBuffer) ||
        !set(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) ||
        !set(fd_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous)) {
        return failed("socket option");
    }
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = static_cast<int>(index);
    const void* const bytes = &address;
    if (bind(fd_, static_cast<const sockaddr*>(bytes), sizeof address) != 0) {
        return failed("bind");
    }
    lay_out(in_, in_parts_, in_heads_);
    lay_out(out_, out_parts_, out_heads_);
    return {};
}

std::vector<MutableByteView> Wire::receive() {
    std::vector<MutableByteView> frames;
    const int count = recvmmsg(fd_, in_heads_.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        frames.emplace_back(in_[at].data(), in_heads_[at].msg_len);
    }
    return frames;
}

void Wire::send(ByteView frame) {
    if (frame.size() > kFrameSizeMax) {
        refused_ += 1;
        return;
    }
    std::memcpy(out_[queued_].data(), frame.data(), frame.size());
    out_parts_[queued_].iov_len = frame.size();
    queued_ += 1;
    if (queued_ == kBatch) {
        flush();
    }
}

void Wire::flush() {
    std::size_t at = 0;
    while (at < queued_) {
        const int count =
            sendmmsg(fd_, &out_heads_[at], static_cast<unsigned>(queued_ - at), MSG_DONTWAIT);
        if (count > 0) {
            at += static_cast<std::size_t>(count);
            sent_ += static_cast<std::uint64_t>(count);
        } else if (errno == EAGAIN || errno == ENOBUFS) {
            pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
            poll(&room, 1, 1);
        } else if (errno != EINTR) {
            at += 1;
            refused_ += 1;
        }
    }
    queued_ = 0;
}

std::uint64_t Wire::missed() const {
    tpacket_stats stats{};
    socklen_t size = sizeof stats;
    return getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0 ? stats.tp_drops : 0;
}

}  // namespace haka::live
