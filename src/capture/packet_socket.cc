#include "capture/packet_socket.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <net/if.h>
#include <poll.h>
#include <utility>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

#include "capture/interface_watch.h"
#include "capture/packet_spread.h"

namespace haka::capture {
namespace {

// The largest IP datagram behind an Ethernet header with two tags, and the ring's own header.
constexpr std::size_t kPlaceSize = 66'048;
constexpr std::size_t kRingBlockSize = 1U << 20;
constexpr std::size_t kCopiesSize = 1U << 20;
constexpr std::size_t kSenderAt = (sizeof(tpacket2_hdr) + 15) / 16 * 16;  // In a place.
constexpr std::size_t kTagSize = 4;
constexpr std::size_t kAddressesSize = 12;
constexpr std::uint32_t kReserve = 16;  // Room for a tag in front of a frame.
// PACKET_FANOUT_FLAG_IGNORE_OUTGOING, which older headers lack: what is set for a socket doesn't
// count in a group.
constexpr std::uint32_t kIgnoreOutgoing = 0x4000;
constexpr int kRoomPatienceMs = 1;
constexpr int kRoomTriesMax = 4;

template <typename T>
bool set(int fd, int name, const T& value, int level = SOL_PACKET) {
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

std::string failed(const std::string& interface, std::string_view what, std::string_view remedy) {
    return fmt::format("{}: {}: {}{}", interface, what, std::generic_category().message(errno),
                       remedy);
}

tpacket2_hdr* header_at(std::uint8_t* place) {
    return static_cast<tpacket2_hdr*>(static_cast<void*>(place));
}

bool is_outgoing(const std::uint8_t* place) {
    sockaddr_ll address{};
    std::memcpy(&address, place + kSenderAt, sizeof address);
    return address.sll_pkttype == PACKET_OUTGOING;
}

// What leaves there comes back: it would be seen twice.
bool is_loopback(int fd, const std::string& interface) {
    ifreq request{};
    interface.copy(static_cast<char*>(request.ifr_name), IFNAMSIZ - 1);
    return ioctl(fd, SIOCGIFFLAGS, &request) == 0 &&
           (static_cast<unsigned>(request.ifr_flags) & IFF_LOOPBACK) != 0;
}

// The card or driver took the tag out of the frame: its bytes are those of the wire again.
MutableByteView restore_tag(MutableByteView bytes, const tpacket2_hdr& header, Offload& offload) {
    const bool names_type = (header.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0;
    std::uint8_t* const begin = bytes.data() - kTagSize;
    std::memmove(begin, bytes.data(), kAddressesSize);
    store_be16(begin + kAddressesSize,
               names_type ? header.tp_vlan_tpid : static_cast<std::uint16_t>(ETH_P_8021Q));
    store_be16(begin + kAddressesSize + 2, header.tp_vlan_tci);
    if ((offload.flags & Offload::kNeedsChecksum) != 0) {
        offload.checksum_start = static_cast<std::uint16_t>(offload.checksum_start + kTagSize);
    }
    if (offload.kind != Offload::kWhole) {
        offload.header_size = static_cast<std::uint16_t>(offload.header_size + kTagSize);
    }
    return {begin, bytes.size() + kTagSize};
}

}  // namespace

PacketSocket::~PacketSocket() {
    if (ring_ != nullptr) {
        munmap(ring_, ring_size_);
    }
    if (fd_ != -1) {
        close(fd_);
    }
}

std::string PacketSocket::open(const Options& options) {
    // Of no protocol until it is bound: it would take frames of every interface meanwhile.
    fd_ = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ == -1) {
        return failed(options.interface, "no packet socket",
                      errno == EPERM ? "; run as root, or with the capability CAP_NET_RAW" : "");
    }
    index_ = static_cast<int>(if_nametoindex(options.interface.c_str()));
    if (index_ == 0) {
        return no_such_interface(options.interface);
    }
    ignores_outgoing_ = options.sends || is_loopback(fd_, options.interface);
    for (const auto step : {&PacketSocket::prepare, &PacketSocket::make_ring}) {
        if (std::string error = (this->*step)(options); !error.empty()) {
            return error;
        }
    }
    sock_filter nothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
    if (!set(fd_, SO_ATTACH_FILTER, sock_fprog{.len = 1, .filter = &nothing}, SOL_SOCKET)) {
        return failed(options.interface, "no filter", "");
    }
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = index_;
    const void* const bytes = &address;
    if (bind(fd_, static_cast<const sockaddr*>(bytes), sizeof address) != 0) {
        return failed(options.interface, "can't listen",
                      errno == ENETDOWN ? fmt::format("; `ip link set {} up`", options.interface)
                                        : std::string());
    }
    return options.workers > 1 ? join_group(options) : std::string();
}

std::string PacketSocket::prepare(const Options& options) {
    packet_mreq promiscuous{};
    promiscuous.mr_ifindex = index_;
    promiscuous.mr_type = PACKET_MR_PROMISC;
    if (!set(fd_, PACKET_VERSION, static_cast<int>(TPACKET_V2)) || !set(fd_, PACKET_VNET_HDR, 1) ||
        !set(fd_, PACKET_RESERVE, kReserve) ||
        (ignores_outgoing_ && !set(fd_, PACKET_IGNORE_OUTGOING, 1)) ||
        !set(fd_, PACKET_ADD_MEMBERSHIP, promiscuous)) {
        return failed(options.interface, "socket option", "; Linux 4.20 or later is needed");
    }
    const auto buffer = static_cast<int>(options.settings.send_buffer);
    if (!set(fd_, SO_SNDBUFFORCE, buffer, SOL_SOCKET) && !set(fd_, SO_SNDBUF, buffer, SOL_SOCKET)) {
        return failed(options.interface, "send buffer", "; lower live.send_buffer");
    }
    sends_ = options.sends;
    if (sends_) {
        offloads_.resize(kQueueMax);
        parts_.resize(kQueueMax * 2);
        heads_.resize(kQueueMax);
        for (std::size_t i = 0; i < kQueueMax; ++i) {
            parts_[i * 2] = {.iov_base = &offloads_[i], .iov_len = sizeof(Offload)};
            heads_[i].msg_hdr.msg_iov = &parts_[i * 2];
            heads_[i].msg_hdr.msg_iovlen = 2;
        }
        copies_ = std::make_unique<std::uint8_t[]>(kCopiesSize);
    }
    return {};
}

std::string PacketSocket::make_ring(const Options& options) {
    block_size_ = kRingBlockSize;
    per_block_ = kRingBlockSize / kPlaceSize;
    const std::uint32_t blocks = (options.settings.ring_frames + per_block_ - 1) / per_block_;
    places_ = blocks * per_block_;
    const tpacket_req request{.tp_block_size = kRingBlockSize,
                              .tp_block_nr = blocks,
                              .tp_frame_size = kPlaceSize,
                              .tp_frame_nr = places_};
    ring_size_ = block_size_ * blocks;
    if (!set(fd_, PACKET_RX_RING, request)) {
        return failed(options.interface, "no ring", "; lower live.ring_frames");
    }
    void* const memory = mmap(nullptr, ring_size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
    if (memory == MAP_FAILED) {
        return failed(options.interface, "no ring", "; lower live.ring_frames");
    }
    ring_ = static_cast<std::uint8_t*>(memory);
    return {};
}

std::string PacketSocket::join_group(const Options& options) const {
    const std::uint32_t kind =
        std::uint32_t{PACKET_FANOUT_CBPF} | (ignores_outgoing_ ? kIgnoreOutgoing : 0);
    std::uint32_t group = kind << 16 | std::uint32_t{PACKET_FANOUT_FLAG_UNIQUEID} << 16;
    socklen_t size = sizeof group;
    if (options.first != nullptr &&
        getsockopt(options.first->fd_, SOL_PACKET, PACKET_FANOUT, &group, &size) == 0) {
        group = (group & 0xffffU) | kind << 16;
    }
    std::vector<sock_filter> code = spread_program();
    const sock_fprog program{.len = static_cast<unsigned short>(code.size()),
                             .filter = code.data()};
    if (!set(fd_, PACKET_FANOUT, group) || !set(fd_, PACKET_FANOUT_DATA, program)) {
        return failed(options.interface, "can't share it among workers", "; use -j 1");
    }
    return {};
}

std::uint8_t* PacketSocket::place(std::uint32_t number) const {
    return ring_ + number / per_block_ * block_size_ + number % per_block_ * kPlaceSize;
}

std::optional<RingFrame> PacketSocket::next() {
    std::uint8_t* at = nullptr;
    std::uint32_t status = 0;
    do {
        if (held_ == places_) {
            return std::nullopt;
        }
        at = place(next_);
        status = __atomic_load_n(&header_at(at)->tp_status, __ATOMIC_ACQUIRE);
        if ((status & TP_STATUS_USER) == 0) {
            return std::nullopt;
        }
        next_ = next_ + 1 == places_ ? 0 : next_ + 1;
        held_ += 1;
    } while (ignores_outgoing_ &&
             is_outgoing(at));  // Of a kernel that doesn't know kIgnoreOutgoing.
    const tpacket2_hdr* const header = header_at(at);
    RingFrame frame{.bytes = {at + header->tp_mac, header->tp_snaplen},
                    .size_on_wire = header->tp_len};
    std::memcpy(&frame.offload, frame.bytes.data() - sizeof frame.offload, sizeof frame.offload);
    if ((status & TP_STATUS_VLAN_VALID) != 0 && frame.bytes.size() >= kAddressesSize) {
        frame.bytes = restore_tag(frame.bytes, *header, frame.offload);
        frame.size_on_wire += kTagSize;
    }
    return frame;
}

void PacketSocket::begin() const {
    (void)set(fd_, SO_DETACH_FILTER, 0, SOL_SOCKET);
}

void PacketSocket::release() {
    while (held_ != 0) {
        __atomic_store_n(&header_at(place(released_))->tp_status, TP_STATUS_KERNEL,
                         __ATOMIC_RELEASE);
        released_ = released_ + 1 == places_ ? 0 : released_ + 1;
        held_ -= 1;
    }
}

void PacketSocket::send(ByteView bytes, const Offload& offload) {
    if (is_full()) {
        send_queued();
    }
    offloads_[queued_] = offload;
    // The kernel reads them only; an iovec can't say so.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast)
    parts_[queued_ * 2 + 1] = {.iov_base = const_cast<std::uint8_t*>(bytes.data()),
                               .iov_len = bytes.size()};
    queued_ += 1;
}

void PacketSocket::send_copy(ByteView bytes, const Offload& offload) {
    if (bytes.size() > kCopiesSize) {
        refused_ = {.count = refused_.count + 1, .error = EMSGSIZE};
        return;
    }
    if (is_full() || copied_ + bytes.size() > kCopiesSize) {
        send_queued();
    }
    std::uint8_t* const copy = copies_.get() + copied_;
    std::memcpy(copy, bytes.data(), bytes.size());
    copied_ += bytes.size();
    send({copy, bytes.size()}, offload);
}

PacketSocket::Refused PacketSocket::flush() {
    send_queued();
    return std::exchange(refused_, {});
}

void PacketSocket::send_queued() {
    std::size_t at = 0;
    int tries = 0;
    while (at < queued_) {
        const int count =
            sendmmsg(fd_, &heads_[at], static_cast<unsigned>(queued_ - at), MSG_DONTWAIT);
        if (count > 0) {
            at += static_cast<std::size_t>(count);
            tries = 0;
        } else if ((errno == EAGAIN || errno == ENOBUFS) && tries < kRoomTriesMax) {
            wait_for_room();
            tries += 1;
        } else if (errno != EINTR) {
            at += 1;  // This one never fits, or the interface is down.
            refused_ = {.count = refused_.count + 1, .error = errno};
        }
    }
    queued_ = 0;
    copied_ = 0;
}

void PacketSocket::wait_for_room() const {
    pollfd room{.fd = fd_, .events = POLLOUT, .revents = 0};
    (void)::poll(&room, 1, kRoomPatienceMs);
}

std::uint64_t PacketSocket::take_lost() const {
    tpacket_stats stats{};
    socklen_t size = sizeof stats;
    return getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &stats, &size) == 0 ? stats.tp_drops : 0;
}

int PacketSocket::take_error() const {
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace haka::capture
