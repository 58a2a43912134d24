// What a frame asks of whoever sends it: a checksum that isn't computed yet, and to be cut into
// segments. The kernel's own description, for frames that we changed.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "packet/packet.h"

namespace haka::capture {

// Laid out as the kernel's struct virtio_net_hdr, whose header C++ can't read.
struct Offload {
    static constexpr std::uint8_t kNeedsChecksum = 1;  // Flags.
    static constexpr std::uint8_t kVerified = 2;
    static constexpr std::uint8_t kWhole = 0;  // Kinds: not to be cut.
    static constexpr std::uint8_t kTcpIpv4 = 1;
    static constexpr std::uint8_t kTcpIpv6 = 4;
    static constexpr std::uint8_t kUdp = 5;     // Into datagrams, which segment_size tells apart.
    static constexpr std::uint8_t kEcn = 0x80;  // The first segment alone has CWR.

    std::uint8_t flags = 0;
    std::uint8_t kind = kWhole;
    std::uint16_t header_size = 0;
    std::uint16_t segment_size = 0;
    std::uint16_t checksum_start = 0;
    std::uint16_t checksum_offset = 0;  // Behind checksum_start.
};
static_assert(sizeof(Offload) == 10);

struct OffloadNeeds {
    std::uint32_t packet_max = 0;    // The MTU: longer ones must be cut.
    std::uint16_t segment_size = 0;  // And those with more payload; 0: what the MTU allows.
    bool is_joined_udp = false;      // Several datagrams of that size came as one.
};

// For a frame whose bytes are not those that it came with. Where its checksum is left to the sender
// its field is made the sum of the pseudo header.
[[nodiscard]] Offload describe_offload(const Frame& frame, const OffloadNeeds& needs);

}  // namespace haka::capture
