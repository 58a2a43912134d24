// Tested by: packet_socket_test.cc
#include "capture/packet_pair.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "capture/interface_watch.h"
#include "capture/offload.h"

namespace haka::capture {
namespace {

constexpr std::size_t kFramesOfSide = 64;  // In a batch.

class PacketPair final : public LiveSource {
public:
    PacketPair(const PacketPairOptions& options, std::uint32_t worker)
        : names_{options.interface, options.peer},
          sides_(options.peer.empty() ? 1 : 2),
          stride_(options.workers),
          worker_(static_cast<std::uint8_t>(worker)),
          number_(1 + worker) {
        frames_.reserve(kFramesOfSide * 2);
        offloads_.reserve(kFramesOfSide * 2);
    }

    // `first`: of the sources that share the interfaces; null: this is it.
    [[nodiscard]] std::string open(const PacketPairOptions& options, const PacketPair* first);
    void begin() const;

    std::span<Frame> receive(Instant wall) override;
    void pass(const Frame& frame) override;
    void send(const Frame& frame, Leaving leaving) override;
    void finish_batch() override;
    std::span<const pollfd> ready_fds() const override { return {fds_.data(), sides_}; }
    std::vector<std::string> look_after() override;
    const std::string& failure() const override { return failure_; }

private:
    void take(std::uint32_t side, Instant wall);
    [[nodiscard]] std::size_t place_of(const Frame& frame) const;
    [[nodiscard]] bool is_ring_frame(const Frame& frame) const {
        const std::size_t place = place_of(frame);
        return place < frames_.size() && frames_[place].data == frame.data;
    }

    std::array<std::string, 2> names_;
    std::size_t sides_;
    std::array<PacketSocket, 2> sockets_;
    std::array<pollfd, 2> fds_{};
    std::array<InterfaceWatch, 2> watches_;
    std::uint64_t stride_;
    std::uint8_t worker_;
    std::uint64_t number_;  // Of the batch's first frame.
    std::vector<Frame> frames_;
    std::vector<Offload> offloads_;
    std::string failure_;
};

std::string PacketPair::open(const PacketPairOptions& options, const PacketPair* first) {
    for (std::size_t side = 0; side < sides_; ++side) {
        std::string error = sockets_.at(side).open(
            {.interface = names_.at(side),
             .settings = options.settings,
             .sends = sides_ == 2,
             .workers = options.workers,
             .first = first == nullptr ? nullptr : &first->sockets_.at(side)});
        if (!error.empty()) {
            return error;
        }
        const int fd = sockets_.at(side).fd();
        fds_.at(side) = {.fd = fd, .events = POLLIN, .revents = 0};
        if (error = watches_.at(side).open(names_.at(side), fd, worker_ == 0); !error.empty()) {
            return error;
        }
    }
    return {};
}

void PacketPair::begin() const {
    for (std::size_t side = 0; side < sides_; ++side) {
        sockets_.at(side).begin();
    }
}

std::size_t PacketPair::place_of(const Frame& frame) const {
    return frame.number < number_ ? SIZE_MAX : (frame.number - number_) / stride_;
}

void PacketPair::take(std::uint32_t side, Instant wall) {
    std::uint64_t bytes = 0;
    std::uint64_t count = 0;
    for (; count < kFramesOfSide; ++count) {
        const std::optional<RingFrame> found = sockets_.at(side).next();
        if (!found) {
            break;
        }
        const auto size = static_cast<std::uint32_t>(found->bytes.size());
        if (size < found->size_on_wire) {
            counts_.cut.add(1);
            if (sides_ == 2) {
                continue;  // Half a frame is none.
            }
        }
        const std::uint8_t flags = found->offload.flags;
        frames_.push_back(
            {.data = found->bytes.data(),
             .size = size,
             .original_size = found->size_on_wire,
             .when = wall,
             .number = number_ + frames_.size() * stride_,
             .interface = side,
             .worker = worker_,
             .checksum = (flags & Offload::kNeedsChecksum) != 0 ? FrameChecksum::Partial
                         : (flags & Offload::kVerified) != 0    ? FrameChecksum::Verified
                                                                : FrameChecksum::Unknown});
        offloads_.push_back(found->offload);
        offloads_.back().flags = flags & Offload::kNeedsChecksum;
        bytes += size;
    }
    if (count != 0) {
        counts_.packets.add(count);
        counts_.bytes.add(bytes);
    }
}

std::span<Frame> PacketPair::receive(Instant wall) {
    for (std::uint32_t side = 0; side < sides_; ++side) {
        take(side, wall);
    }
    return frames_;
}

void PacketPair::pass(const Frame& frame) {
    if (sides_ != 2) {
        return;
    }
    if (!is_ring_frame(frame)) {
        send(frame, {});
        return;
    }
    counts_.passed.add(1);
    sockets_.at(1 - (frame.interface & 1U)).send(frame.bytes(), offloads_[place_of(frame)]);
}

void PacketPair::send(const Frame& frame, Leaving leaving) {
    if (sides_ != 2) {
        return;
    }
    const std::size_t to = 1 - (frame.interface & 1U);
    OffloadNeeds needs{.packet_max = watches_.at(to).mtu(), .segment_size = leaving.segment_size};
    const std::size_t place = place_of(frame);
    if (leaving.origin == Origin::Packet && place < offloads_.size() &&
        offloads_[place].segment_size != 0) {
        needs.segment_size = offloads_[place].segment_size;
        needs.is_joined_udp = offloads_[place].kind == Offload::kUdp;
    }
    const Offload offload = describe_offload(frame, needs);
    counts_.sent.add(1);
    if (is_ring_frame(frame)) {
        sockets_.at(to).send(frame.bytes(), offload);
    } else {
        sockets_.at(to).send_copy(frame.bytes(), offload);
    }
}

void PacketPair::finish_batch() {
    for (std::size_t side = 0; side < sides_; ++side) {
        const PacketSocket::Refused refused = sockets_.at(side).flush();
        if (refused.count != 0) {
            counts_.refused.add(refused.count);
            watches_.at(side).note_refused(refused.error);
        }
    }
    for (std::size_t side = 0; side < sides_; ++side) {
        sockets_.at(side).release();
    }
    number_ += frames_.size() * stride_;
    frames_.clear();
    offloads_.clear();
}

std::vector<std::string> PacketPair::look_after() {
    std::vector<std::string> said;
    for (std::size_t side = 0; side < sides_; ++side) {
        const PacketSocket& socket = sockets_.at(side);
        (void)socket.take_error();  // Else poll() would never wait again.
        std::string end = watches_.at(side).look(socket.take_lost(), counts_, said);
        if (!end.empty()) {
            failure_ = std::move(end);
        }
    }
    return said;
}

}  // namespace

LiveSources open_packet_pair(const PacketPairOptions& options) {
    LiveSources made;
    std::vector<const PacketPair*> pairs;
    for (std::uint32_t worker = 0; worker < options.workers; ++worker) {
        auto pair = std::make_unique<PacketPair>(options, worker);
        if (made.error = pair->open(options, pairs.empty() ? nullptr : pairs.front());
            !made.error.empty()) {
            made.sources.clear();
            return made;
        }
        pairs.push_back(pair.get());
        made.sources.push_back(std::move(pair));
    }
    std::ranges::for_each(pairs, &PacketPair::begin);
    for (const std::string& name : {options.interface, options.peer}) {
        if (!name.empty()) {
            made.interfaces.push_back({.link = LinkType::Ethernet, .name = name});
        }
    }
    return made;
}

}  // namespace haka::capture
