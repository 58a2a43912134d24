// One interface through AF_XDP: the area in which frames lie, the socket's four rings, and the
// program that brings frames to it (Linux Documentation/networking/af_xdp.rst).
//
//   XdpArea::take() -> fill ring -> card -> next() -> the walk -> send() -> card -> area again
//
// Two sockets share an area: what came by one leaves by the other uncopied.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>
#include <xdp/xsk.h>

#include "base/bytes.h"

namespace haka::capture {

class XdpArea {
public:
    static constexpr std::uint32_t kPlaceSize = 4096;
    static constexpr std::uint32_t kFrameMax = kPlaceSize - XDP_PACKET_HEADROOM;

    XdpArea() = default;
    ~XdpArea();
    XdpArea(const XdpArea&) = delete;
    XdpArea& operator=(const XdpArea&) = delete;

    // Empty when it worked, else what didn't and the remedy. The rings are the first socket's.
    [[nodiscard]] std::string make(std::uint32_t places, const xsk_umem_config& config,
                                   xsk_ring_prod& fill, xsk_ring_cons& done);
    [[nodiscard]] xsk_umem* umem() const { return umem_; }
    [[nodiscard]] std::uint8_t* at(std::uint64_t address) const { return memory_ + address; }

    // A place of the area, by its address; none: all are with the cards.
    [[nodiscard]] std::optional<std::uint64_t> take();
    // Any address in the place.
    void give(std::uint64_t address) { free_.push_back(address / kPlaceSize * kPlaceSize); }
    // The same for one whose bytes may still be looked at until give_laid_by().
    void lay_by(std::uint64_t address) { laid_by_.push_back(address); }
    void give_laid_by();
    [[nodiscard]] std::size_t free_places() const { return free_.size(); }

private:
    std::uint8_t* memory_ = nullptr;
    std::size_t size_ = 0;
    xsk_umem* umem_ = nullptr;
    std::vector<std::uint64_t> free_;
    std::vector<std::uint64_t> laid_by_;
};

class XdpSocket {
public:
    XdpSocket() = default;
    ~XdpSocket();
    XdpSocket(const XdpSocket&) = delete;
    XdpSocket& operator=(const XdpSocket&) = delete;

    // The first socket of an area makes it, with room for two.
    [[nodiscard]] std::string open(XdpArea& area, const std::string& interface,
                                   std::uint32_t ring_frames);
    // Lets frames in; from here on the kernel's own stack sees none.
    [[nodiscard]] std::string begin();
    [[nodiscard]] int fd() const { return xsk_socket__fd(socket_); }
    // A socket by which the interface can be asked; it keeps it promiscuous.
    [[nodiscard]] int interface_fd() const { return interface_fd_; }

    // The next frame. Its place is the caller's.
    struct Found {
        std::uint64_t address = 0;
        std::uint32_t size = 0;
    };
    [[nodiscard]] std::optional<Found> next();
    // Gives its place away, whose bytes stay as they are until XdpArea::give_laid_by(). False: the
    // card takes no more, and the place is the caller's as before.
    [[nodiscard]] bool send(Found frame);
    // Frames leave, and what has left is laid by. Returns an errno; 0: all went.
    [[nodiscard]] int flush();
    // Gives the card free places for what comes.
    void refill();
    // Frames that found no place since the last call.
    [[nodiscard]] std::uint64_t take_lost();

private:
    [[nodiscard]] std::string ask_interface(const std::string& interface);
    [[nodiscard]] std::string load_program();
    [[nodiscard]] std::uint32_t waiting();  // To leave.
    bool take_back();

    XdpArea* area_ = nullptr;
    std::string name_;
    std::uint32_t index_ = 0;
    std::uint32_t places_ = 0;  // Of each ring.
    xsk_socket* socket_ = nullptr;
    xsk_ring_cons received_{};
    xsk_ring_prod sent_{};
    xsk_ring_prod fill_{};
    xsk_ring_cons done_{};  // What has left.
    int interface_fd_ = -1;
    int map_fd_ = -1;
    int program_fd_ = -1;
    int link_fd_ = -1;  // The program goes with it, however the process ends.
    std::uint64_t lost_ = 0;
};

}  // namespace haka::capture
