// Tested by: xdp_pair_test.cc
#include "capture/xdp_pair.h"

#include <array>
#include <cstring>
#include <utility>

#include "capture/af_xdp/xdp_socket.h"
#include "capture/interface_watch.h"
#include "capture/segment_cut.h"
#include "wire/headers.h"

namespace haka::capture {
namespace {

constexpr std::size_t kFramesOfSide = 64;  // In a batch.
constexpr std::uint64_t kGone = UINT64_MAX;
constexpr std::uint32_t kLinkHeaderMax = 22;  // Ethernet with two tags.
static_assert(kXdpMtuMax + kLinkHeaderMax == XdpArea::kFrameMax);

class XdpPair final : public LiveSource {
public:
    explicit XdpPair(const XdpPairOptions& options) : names_{options.interface, options.peer} {
        frames_.reserve(kFramesOfSide * 2);
        places_.reserve(kFramesOfSide * 2);
    }

    [[nodiscard]] std::string open(const LiveSettings& settings);

    std::span<Frame> receive(Instant wall) override;
    void pass(const Frame& frame) override;
    void send(const Frame& frame, Leaving leaving) override;
    void finish_batch() override;
    std::span<const pollfd> ready_fds() const override { return fds_; }
    std::vector<std::string> look_after() override;
    const std::string& failure() const override { return failure_; }

private:
    void take(std::uint32_t side, Instant wall);
    [[nodiscard]] std::uint64_t* place_of(const Frame& frame);
    void send_copy(std::size_t to, ByteView bytes);
    void refuse(std::size_t to, int error);

    std::array<std::string, 2> names_;
    XdpArea area_;  // Outlives the sockets.
    std::array<XdpSocket, 2> sockets_;
    std::array<pollfd, 2> fds_{};
    std::array<InterfaceWatch, 2> watches_;
    std::uint64_t number_ = 1;  // Of the batch's first frame.
    std::vector<Frame> frames_;
    std::vector<std::uint64_t> places_;  // Of the batch's frames; kGone: it leaves.
    std::vector<std::uint8_t> segment_;
    std::string failure_;
};

std::string XdpPair::open(const LiveSettings& settings) {
    for (std::size_t side = 0; side < sockets_.size(); ++side) {
        XdpSocket& socket = sockets_.at(side);
        if (std::string error = socket.open(area_, names_.at(side), settings.ring_frames);
            !error.empty()) {
            return error;
        }
        fds_.at(side) = {.fd = socket.fd(), .events = POLLIN, .revents = 0};
        if (std::string error =
                watches_.at(side).open(names_.at(side), socket.interface_fd(), true);
            !error.empty()) {
            return error;
        }
    }
    for (XdpSocket& socket : sockets_) {
        if (std::string error = socket.begin(); !error.empty()) {
            return error;
        }
    }
    return {};
}

// Null: not one of the batch, or it leaves already.
std::uint64_t* XdpPair::place_of(const Frame& frame) {
    const std::uint64_t at = frame.number - number_;  // Smaller numbers wrap round.
    const bool is_ours = at < frames_.size() && frames_[at].data == frame.data;
    return is_ours && places_[at] != kGone ? &places_[at] : nullptr;
}

void XdpPair::take(std::uint32_t side, Instant wall) {
    for (std::size_t count = 0; count < kFramesOfSide; ++count) {
        const std::optional<XdpSocket::Found> found = sockets_.at(side).next();
        if (!found) {
            return;
        }
        frames_.push_back({.data = area_.at(found->address),
                           .size = found->size,
                           .original_size = found->size,
                           .when = wall,
                           .number = number_ + frames_.size(),
                           .interface = side,
                           .worker = 0,
                           .checksum = FrameChecksum::Unknown});
        places_.push_back(found->address);
        counts_.packets.add(1);
        counts_.bytes.add(found->size);
    }
}

std::span<Frame> XdpPair::receive(Instant wall) {
    for (std::uint32_t side = 0; side < sockets_.size(); ++side) {
        take(side, wall);
    }
    return frames_;
}

void XdpPair::pass(const Frame& frame) {
    std::uint64_t* const place = place_of(frame);
    const std::size_t to = 1 - (frame.interface & 1U);
    counts_.passed.add(1);
    if (place == nullptr) {
        send_copy(to, frame.bytes());
    } else if (sockets_.at(to).send({.address = *place, .size = frame.size})) {
        *place = kGone;
    } else {
        refuse(to, ENOBUFS);
    }
}

void XdpPair::send(const Frame& frame, Leaving leaving) {
    const std::size_t to = 1 - (frame.interface & 1U);
    const wire::Headers headers = wire::find_headers(frame.link, frame.bytes());
    const std::uint32_t most = payload_max_of(headers, watches_.at(to).mtu(), leaving.segment_size);
    counts_.sent.add(1);
    cut_segments(frame, most, segment_, [this, to](ByteView bytes) { send_copy(to, bytes); });
}

void XdpPair::send_copy(std::size_t to, ByteView bytes) {
    if (bytes.size() > XdpArea::kFrameMax) {
        refuse(to, EMSGSIZE);
        return;
    }
    const std::optional<std::uint64_t> place = area_.take();
    if (!place) {
        refuse(to, ENOBUFS);
        return;
    }
    std::memcpy(area_.at(*place), bytes.data(), bytes.size());
    if (!sockets_.at(to).send(
            {.address = *place, .size = static_cast<std::uint32_t>(bytes.size())})) {
        area_.give(*place);
        refuse(to, ENOBUFS);
    }
}

void XdpPair::refuse(std::size_t to, int error) {
    counts_.refused.add(1);
    watches_.at(to).note_refused(error);
}

void XdpPair::finish_batch() {
    for (const std::uint64_t place : places_) {
        if (place != kGone) {
            area_.give(place);
        }
    }
    for (std::size_t side = 0; side < sockets_.size(); ++side) {
        if (const int error = sockets_.at(side).flush(); error != 0) {
            watches_.at(side).note_refused(error);
        }
    }
    area_.give_laid_by();
    for (XdpSocket& socket : sockets_) {
        socket.refill();
    }
    number_ += frames_.size();
    frames_.clear();
    places_.clear();
}

std::vector<std::string> XdpPair::look_after() {
    std::vector<std::string> said;
    for (std::size_t side = 0; side < sockets_.size(); ++side) {
        std::string end = watches_.at(side).look(sockets_.at(side).take_lost(), counts_, said);
        if (!end.empty()) {
            failure_ = std::move(end);
        }
    }
    return said;
}

}  // namespace

bool has_af_xdp() {
    return true;
}

LiveSources open_xdp_pair(const XdpPairOptions& options) {
    LiveSources made;
    if (options.workers > 1) {
        made.error = "live.af_xdp: it takes one worker; use -j 1, or leave the setting";
        return made;
    }
    auto pair = std::make_unique<XdpPair>(options);
    made.error = pair->open(options.settings);
    if (made.error.empty()) {
        made.sources.push_back(std::move(pair));
        made.interfaces = {{.link = LinkType::Ethernet, .name = options.interface},
                           {.link = LinkType::Ethernet, .name = options.peer}};
    }
    return made;
}

}  // namespace haka::capture
