// What a frame's first bytes are. Values are the LINKTYPE_ numbers that pcap files carry.
#pragma once

#include <cstdint>

namespace haka {

enum class LinkType : std::uint16_t {
    Null = 0,        // BSD loopback: address family in the writer's byte order.
    Ethernet = 1,    // May carry 802.1Q / 802.1ad tags.
    Raw = 101,       // IPv4 or IPv6, told apart by the first nibble.
    Loop = 108,      // OpenBSD loopback: address family in network order.
    LinuxSll = 113,  // Linux cooked v1.
    Ipv4 = 228,
    Ipv6 = 229,
    LinuxSll2 = 276  // Linux cooked v2.
};

}  // namespace haka
