// The TCP segment that an ICMP error quotes (RFC 792, RFC 4443): its sender finds its connection by
// it, so numbers that were translated must be translated back.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "wire/headers.h"

namespace haka::wire {

// Offsets count from the frame's first byte.
struct IcmpQuote {
    std::uint32_t addresses = 0;  // Source, then destination address.
    std::uint32_t tcp = 0;        // Ports and sequence number are there; more need not be.
    std::uint8_t ip_version = 0;
};

// False when it is no ICMP error, or quotes no TCP segment, or too little of it. `headers` are
// those of `frame`.
[[nodiscard]] bool find_icmp_quote(const Headers& headers, ByteView frame, IcmpQuote& quote);

}  // namespace haka::wire
