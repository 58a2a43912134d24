// Makes whole packets out of named fields, with right lengths and checksums: for the packets that
// the engine itself sends, for policies, and for tests.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/address.h"
#include "base/bytes.h"
#include "base/link_type.h"
#include "wire/headers.h"

namespace haka::wire {

// The addresses' family says which IP. Precondition: both of one family.
struct IpFields {
    Address src;
    Address dst;
    std::uint8_t ttl = 64;   // IPv6: hop limit.
    std::uint8_t tos = 0;    // IPv6: traffic class.
    std::uint8_t flags = 0;  // kIpv4DontFragment ...; of IPv6 only kIpv4MoreFragments counts.
    std::uint32_t id = 0;    // IPv6: of the fragment header.
    std::uint32_t frag_offset = 0;  // In bytes, a multiple of 8. IPv6 gets a fragment header.
    std::uint32_t flow_label = 0;   // IPv6 only.
    ByteView options{};             // IPv4 only; a multiple of 4 bytes, at most 40.
};

struct TcpFields {
    std::uint16_t srcport = 0;
    std::uint16_t dstport = 0;
    std::uint32_t seq = 0;
    std::uint32_t ack_seq = 0;
    std::uint8_t res = 0;
    std::uint8_t flags = 0;
    std::uint16_t window_size = 0;
    std::uint16_t urgent_pointer = 0;
    ByteView options{};  // At most 40 bytes; padded with end-of-list to a multiple of 4.
};

struct UdpFields {
    std::uint16_t srcport = 0;
    std::uint16_t dstport = 0;
};

// ICMP or ICMPv6, as the addresses say.
struct IcmpFields {
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint16_t id = 0;
    std::uint16_t sequence = 0;
};

// Each overwrites `out` (its capacity is reused) with `link` + IP + transport + payload. `link` is
// the link header to copy, empty on a raw link. Precondition: the datagram fits 65535 bytes, and
// nothing handed in lies in `out`.
void build_tcp(ByteView link, const IpFields& ip, const TcpFields& tcp, ByteView payload,
               std::vector<std::uint8_t>& out);
void build_udp(ByteView link, const IpFields& ip, const UdpFields& udp, ByteView payload,
               std::vector<std::uint8_t>& out);
void build_icmp(ByteView link, const IpFields& ip, const IcmpFields& icmp, ByteView payload,
                std::vector<std::uint8_t>& out);
// Any protocol, or a fragment; no checksum but the IPv4 header's.
void build_ip(ByteView link, const IpFields& ip, std::uint8_t protocol, ByteView payload,
              std::vector<std::uint8_t>& out);

using MacAddress = std::array<std::uint8_t, 6>;

struct EthernetFields {
    MacAddress src = {2, 0, 0, 0, 0, 1};
    MacAddress dst = {2, 0, 0, 0, 0, 2};
    std::uint16_t type = 0;
};
[[nodiscard]] std::vector<std::uint8_t> ethernet_header(const EthernetFields& fields);

// A plausible link header of any type, for packets that no packet lent theirs: made-up addresses,
// no VLAN tag; empty on a raw link.
[[nodiscard]] std::vector<std::uint8_t> default_link_header(LinkType link, Family family);

}  // namespace haka::wire
