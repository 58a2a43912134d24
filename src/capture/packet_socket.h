// One interface: a packet socket with the ring that frames come through, and what waits to be sent.
//
// The ring is TPACKET_V2: it hands over each frame as it comes, where V3 keeps a block back for a
// millisecond or more. A place takes the largest segment that the kernel joins, so that none is
// cut.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>

#include "base/bytes.h"
#include "base/settings.h"
#include "capture/offload.h"
#include "packet/packet.h"

namespace haka::capture {

// A frame in the ring and what the kernel says of it. `offload` counts from the frame's first byte.
struct RingFrame {
    MutableByteView bytes;
    Offload offload{};
    std::uint32_t size_on_wire = 0;
};

class PacketSocket {
public:
    struct Options {
        std::string interface;
        LiveSettings settings;
        bool sends = true;          // Not: looks only, and sees what leaves the interface too.
        std::uint32_t workers = 1;  // That share the interface;
        const PacketSocket* first = nullptr;  // the one that others join; null: this is it.
    };
    PacketSocket() = default;
    ~PacketSocket();
    PacketSocket(const PacketSocket&) = delete;
    PacketSocket& operator=(const PacketSocket&) = delete;

    // Empty when it worked, else what didn't and the remedy.
    [[nodiscard]] std::string open(const Options& options);
    // Lets frames in. Until all workers' sockets are open each would see all frames.
    void begin() const;
    [[nodiscard]] int fd() const { return fd_; }

    // The next frame; its place stays ours until release().
    [[nodiscard]] std::optional<RingFrame> next();
    // Gives all places back that next() has shown.
    void release();

    // Queues a frame of which neither bytes nor order may change until flush().
    void send(ByteView bytes, const Offload& offload);
    // The same for bytes that are copied.
    void send_copy(ByteView bytes, const Offload& offload);
    // What the kernel refused since the last call, and why it did the last time, an errno.
    struct Refused {
        std::uint64_t count = 0;
        int error = 0;
    };
    [[nodiscard]] Refused flush();
    [[nodiscard]] bool is_full() const { return queued_ == kQueueMax; }

    // Frames that found no place in the ring since the last call.
    [[nodiscard]] std::uint64_t take_lost() const;
    // The socket's pending error, an errno; 0: none.
    [[nodiscard]] int take_error() const;

private:
    static constexpr std::size_t kQueueMax = 256;

    [[nodiscard]] std::string prepare(const Options& options);
    [[nodiscard]] std::string make_ring(const Options& options);
    [[nodiscard]] std::string join_group(const Options& options) const;
    [[nodiscard]] std::uint8_t* place(std::uint32_t number) const;
    void send_queued();
    void wait_for_room() const;

    int fd_ = -1;
    int index_ = 0;
    bool sends_ = true;
    bool ignores_outgoing_ = true;
    std::uint8_t* ring_ = nullptr;
    std::size_t ring_size_ = 0;
    std::size_t block_size_ = 0;
    std::uint32_t per_block_ = 0;
    std::uint32_t places_ = 0;
    std::uint32_t next_ = 0;      // The place that is read next.
    std::uint32_t released_ = 0;  // The first one that is still ours.
    std::uint32_t held_ = 0;      // Places between the two.

    std::vector<Offload> offloads_;
    std::vector<iovec> parts_;  // Two for each frame.
    std::vector<mmsghdr> heads_;
    std::size_t queued_ = 0;
    std::unique_ptr<std::uint8_t[]> copies_;
    std::size_t copied_ = 0;
    Refused refused_;
};

}  // namespace haka::capture
