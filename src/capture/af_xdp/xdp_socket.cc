// Tested by: xdp_pair_test.cc
#include "capture/af_xdp/xdp_socket.h"

#include <algorithm>
#include <array>
#include <bit>
#include <bpf/bpf.h>
#include <cerrno>
#include <fmt/format.h>
#include <net/if.h>
#include <poll.h>
#include <utility>

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_packet.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

#include "capture/interface_watch.h"

namespace haka::capture {
namespace {

constexpr int kRoomPatienceMs = 1;
constexpr int kRoomTriesMax = 4;
// Times its ring: what comes, what waits to leave, and what is leaving.
constexpr std::uint32_t kPlacesOfSocket = 3;
constexpr std::size_t kProgramSize = 6;

std::string failed(const std::string& interface, std::string_view what, int error,
                   std::string_view remedy) {
    return fmt::format("{}: AF_XDP: {}: {}{}", interface, what,
                       std::generic_category().message(error), remedy);
}

std::string_view remedy_for(int error) {
    return error == EPERM || error == ENOBUFS
               ? "; run as root, or with CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_IPC_LOCK"
               : std::string_view();
}

// Redirects each frame to the socket of the queue that it came by, or lets the kernel have it.
std::array<bpf_insn, kProgramSize> redirect_program(int map_fd) {
    return {{
        {.code = BPF_LDX | BPF_MEM | BPF_W,
         .dst_reg = BPF_REG_2,
         .src_reg = BPF_REG_1,
         .off = offsetof(xdp_md, rx_queue_index),
         .imm = 0},
        {.code = BPF_LD | BPF_IMM | BPF_DW,
         .dst_reg = BPF_REG_1,
         .src_reg = BPF_PSEUDO_MAP_FD,
         .off = 0,
         .imm = map_fd},
        {},  // The second half of the map's address.
        {.code = BPF_ALU64 | BPF_MOV | BPF_K,
         .dst_reg = BPF_REG_3,
         .src_reg = 0,
         .off = 0,
         .imm = XDP_PASS},
        {.code = BPF_JMP | BPF_CALL,
         .dst_reg = 0,
         .src_reg = 0,
         .off = 0,
         .imm = BPF_FUNC_redirect_map},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
    }};
}

}  // namespace

XdpArea::~XdpArea() {
    if (umem_ != nullptr) {
        xsk_umem__delete(umem_);
    }
    if (memory_ != nullptr) {
        munmap(memory_, size_);
    }
}

std::string XdpArea::make(std::uint32_t places, const xsk_umem_config& config, xsk_ring_prod& fill,
                          xsk_ring_cons& done) {
    size_ = std::size_t{places} * kPlaceSize;
    void* const memory =
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return fmt::format("AF_XDP: no memory for {} frames; lower live.ring_frames", places);
    }
    memory_ = static_cast<std::uint8_t*>(memory);
    if (const int error = xsk_umem__create(&umem_, memory, size_, &fill, &done, &config);
        error != 0) {
        return fmt::format("AF_XDP: the kernel doesn't take the frames' memory: {}{}",
                           std::generic_category().message(-error), remedy_for(-error));
    }
    free_.reserve(places);
    laid_by_.reserve(places);
    for (std::uint32_t place = 0; place < places; ++place) {
        give(std::uint64_t{place} * kPlaceSize);
    }
    return {};
}

void XdpArea::give_laid_by() {
    for (const std::uint64_t address : laid_by_) {
        give(address);
    }
    laid_by_.clear();
}

std::optional<std::uint64_t> XdpArea::take() {
    if (free_.empty()) {
        return std::nullopt;
    }
    const std::uint64_t address = free_.back();
    free_.pop_back();
    return address;
}

XdpSocket::~XdpSocket() {
    for (const int fd : {link_fd_, program_fd_, map_fd_, interface_fd_}) {
        if (fd >= 0) {
            close(fd);
        }
    }
    if (socket_ != nullptr) {
        xsk_socket__delete(socket_);
    }
}

std::string XdpSocket::open(XdpArea& area, const std::string& interface,
                            std::uint32_t ring_frames) {
    area_ = &area;
    name_ = interface;
    places_ = std::bit_ceil(ring_frames);
    if (std::string error = ask_interface(interface); !error.empty()) {
        return error;
    }
    const xsk_umem_config area_config{.fill_size = places_,
                                      .comp_size = places_,
                                      .frame_size = XdpArea::kPlaceSize,
                                      .frame_headroom = 0,
                                      .flags = 0};
    if (area.umem() == nullptr) {
        if (std::string error = area.make(places_ * kPlacesOfSocket * 2, area_config, fill_, done_);
            !error.empty()) {
            return error;
        }
    }
    xsk_socket_config config{};
    config.rx_size = places_;
    config.tx_size = places_;
    config.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD;
    config.bind_flags = XDP_USE_NEED_WAKEUP;
    const int error = xsk_socket__create_shared(&socket_, interface.c_str(), 0, area.umem(),
                                                &received_, &sent_, &fill_, &done_, &config);
    if (error != 0) {
        socket_ = nullptr;
        return failed(
            interface, "no socket", -error,
            error == -EBUSY ? "; another program has the card's queue 0" : remedy_for(-error));
    }
    refill();
    return load_program();
}

std::string XdpSocket::ask_interface(const std::string& interface) {
    interface_fd_ = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (interface_fd_ < 0) {
        return failed(interface, "no packet socket", errno, remedy_for(errno));
    }
    index_ = if_nametoindex(interface.c_str());
    if (index_ == 0) {
        return no_such_interface(interface);
    }
    packet_mreq promiscuous{};
    promiscuous.mr_ifindex = static_cast<int>(index_);
    promiscuous.mr_type = PACKET_MR_PROMISC;
    if (setsockopt(interface_fd_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
                   sizeof promiscuous) != 0) {
        return failed(interface, "not promiscuous", errno, remedy_for(errno));
    }
    return {};
}

std::string XdpSocket::load_program() {
    map_fd_ = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "haka", sizeof(std::uint32_t),
                             sizeof(std::uint32_t), 1, nullptr);
    if (map_fd_ < 0) {
        return failed(name_, "no map", errno, remedy_for(errno));
    }
    const std::array<bpf_insn, kProgramSize> code = redirect_program(map_fd_);
    program_fd_ =
        bpf_prog_load(BPF_PROG_TYPE_XDP, "haka", "MPL", code.data(), code.size(), nullptr);
    if (program_fd_ < 0) {
        return failed(name_, "no program", errno, remedy_for(errno));
    }
    if (const int error = xsk_socket__update_xskmap(socket_, map_fd_); error != 0) {
        return failed(name_, "no entry in the map", -error, "");
    }
    return {};
}

std::string XdpSocket::begin() {
    // In the driver where it can, else before the stack, which copies more.
    for (const std::uint32_t mode : {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE}) {
        bpf_link_create_opts options{};
        options.sz = sizeof options;
        options.flags = mode;
        link_fd_ = bpf_link_create(program_fd_, static_cast<int>(index_), BPF_XDP, &options);
        if (link_fd_ >= 0) {
            return {};
        }
        if (errno == EBUSY || errno == EEXIST) {
            break;
        }
    }
    return failed(name_, "the program can't be attached", errno,
                  errno == EBUSY || errno == EEXIST
                      ? fmt::format("; another one is: `ip link set {} xdp off`", name_)
                      : remedy_for(errno));
}

std::optional<XdpSocket::Found> XdpSocket::next() {
    std::uint32_t at = 0;
    if (xsk_ring_cons__peek(&received_, 1, &at) == 0) {
        return std::nullopt;
    }
    const xdp_desc& found = *xsk_ring_cons__rx_desc(&received_, at);
    const Found frame{.address = found.addr, .size = found.len};
    xsk_ring_cons__release(&received_, 1);
    return frame;
}

bool XdpSocket::send(Found frame) {
    std::uint32_t at = 0;
    if (xsk_ring_prod__reserve(&sent_, 1, &at) == 0) {
        (void)flush();
        if (xsk_ring_prod__reserve(&sent_, 1, &at) == 0) {
            return false;
        }
    }
    *xsk_ring_prod__tx_desc(&sent_, at) = {.addr = frame.address, .len = frame.size, .options = 0};
    xsk_ring_prod__submit(&sent_, 1);
    return true;
}

std::uint32_t XdpSocket::waiting() {
    return places_ - xsk_prod_nb_free(&sent_, places_);
}

// A call takes 32 frames at most where the card has no rings of its own for them.
int XdpSocket::flush() {
    int error = 0;
    int tries = 0;
    std::uint32_t before = waiting();
    while (before != 0 && tries < kRoomTriesMax && xsk_ring_prod__needs_wakeup(&sent_) != 0) {
        error = sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0 ? errno : 0;
        if (error == ENETDOWN || error == ENXIO) {
            return error;
        }
        const bool has_room = take_back();
        const std::uint32_t now = waiting();
        if (now == before && !has_room) {
            pollfd room{.fd = fd(), .events = POLLOUT, .revents = 0};
            (void)::poll(&room, 1, kRoomPatienceMs);
            tries += 1;
        }
        before = now;
    }
    (void)take_back();
    return before == 0 ? 0 : error;
}

// True: the card has room for more.
bool XdpSocket::take_back() {
    std::uint32_t at = 0;
    const std::uint32_t count = xsk_ring_cons__peek(&done_, places_, &at);
    for (std::uint32_t i = 0; i < count; ++i) {
        area_->lay_by(*xsk_ring_cons__comp_addr(&done_, at + i));
    }
    if (count != 0) {
        xsk_ring_cons__release(&done_, count);
    }
    return count != 0;
}

void XdpSocket::refill() {
    std::uint32_t count = std::min(xsk_prod_nb_free(&fill_, places_),
                                   static_cast<std::uint32_t>(area_->free_places()));
    std::uint32_t at = 0;
    if (count == 0 || xsk_ring_prod__reserve(&fill_, count, &at) == 0) {
        return;
    }
    for (std::uint32_t i = 0; i < count; ++i) {
        *xsk_ring_prod__fill_addr(&fill_, at + i) = area_->take().value_or(0);
    }
    xsk_ring_prod__submit(&fill_, count);
}

std::uint64_t XdpSocket::take_lost() {
    xdp_statistics counted{};
    socklen_t size = sizeof counted;
    if (getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &counted, &size) != 0) {
        return 0;
    }
    const std::uint64_t lost = counted.rx_dropped + counted.rx_ring_full;
    return lost - std::exchange(lost_, lost);
}

}  // namespace haka::capture
