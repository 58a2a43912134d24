// Cuts a joined datagram that was changed into fragments again.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "packet/packet.h"

namespace haka::flow {

// How a datagram had been cut, so that it can be cut like that again.
struct FragmentShape {
    std::uint8_t ip_version = 0;
    std::uint32_t identification = 0;
    std::uint32_t net = 0;             // Where the joined frame's IP header starts.
    std::uint32_t unfragmentable = 0;  // IPv6: size of the headers before the fragment header.
    std::uint32_t size_max = 0;        // IP bytes of the largest original fragment.
};

// The fragments of a changed datagram. Reused from call to call.
struct Recut {
    std::vector<std::uint8_t> bytes;
    std::vector<Frame> frames;  // Point into `bytes`.
};

// Cuts `changed` (a joined frame, of any new length up to 65,535 IP bytes) into fragments that are
// at most as large as the largest original one; one unfragmented datagram if it fits. The frames
// carry `changed`'s number, time and interface, link header and IP header (IPv4 options as RFC 791,
// 3.1 says). False, and no frames, if its IP header doesn't say what is there or leaves no room for
// data.
[[nodiscard]] bool recut(const Frame& changed, const FragmentShape& shape, Recut& out);

// Offset of the field that names the header which starts `size` bytes into the IPv6 datagram `ip`;
// 0 if no header of its chain starts there. Precondition: ip.size() >= 40.
[[nodiscard]] std::uint32_t ipv6_next_header_field(ByteView ip, std::uint32_t size);

}  // namespace haka::flow
