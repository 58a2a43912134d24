// Where a frame's headers are: found once, checked once, then trusted by everyone.
//
//   frame: [ link + VLAN tags | IP header + extensions | TCP/UDP/ICMP header | payload | padding ]
//          0                  net                      transport             payload   end
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/event.h"
#include "base/link_type.h"

namespace haka::wire {

constexpr std::uint8_t kProtocolIcmp = 1;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint8_t kProtocolIcmpv6 = 58;

// Offsets count from the frame's first byte. Invariants after find_headers():
//   (1) net <= transport <= payload <= end <= frame size;
//   (2) ip_version == 0: not IP (or unreadable): net == transport == payload, nothing else counts;
//   (3) transport_ok: the whole TCP (options too), UDP or ICMP header lies inside [transport, end);
//       otherwise payload == transport;
//   (4) fragment: transport_ok is false, [transport, end) is the fragment's data.
struct Headers {
    std::uint32_t net = 0;
    std::uint32_t transport = 0;
    std::uint32_t payload = 0;
    std::uint32_t end = 0;         // One past the datagram's last captured byte; padding excluded.
    std::uint32_t cut = 0;         // Datagram bytes that the capture's snaplen cut off.
    std::uint16_t ether_type = 0;  // Of the network layer, behind all VLAN tags; 0 if unknown.
    std::uint16_t vlan = 0;        // Outermost VLAN id, 0 if none.
    std::uint8_t vlan_count = 0;
    std::uint8_t ip_version = 0;  // 4, 6, or 0.
    std::uint8_t protocol = 0;    // Behind IPv6 extension headers. ICMP, TCP, UDP, ...
    bool fragment = false;        // An IPv4/IPv6 fragment other than an IPv6 atomic one.
    bool transport_ok = false;
    Event malformed = Event::None;  // Why reading stopped, e.g. Ipv4BadHeader, TcpBadHeader.
};

// Reads the headers of a frame of `link` type into `headers`, in place because a copy right after
// the writes costs more than the reading. Never fails: what can't be read is named in
// `malformed`, and reading goes as far as the bytes go.
void find_headers(LinkType link, ByteView frame, Headers& headers);

[[nodiscard]] inline Headers find_headers(LinkType link, ByteView frame) {
    Headers headers;
    find_headers(link, frame, headers);
    return headers;
}

}  // namespace haka::wire
