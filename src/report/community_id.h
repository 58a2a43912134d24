// Community ID version 1: one short text that names a flow the same way in every tool that sees it
// (github.com/corelight/community-id-spec).
//
//   "1:" + base64(sha1(seed | low address | high address | protocol | 0 | low port | high port))
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/address.h"
#include "base/bytes.h"

namespace haka::report {

// Who talks to whom, as the packet at hand says it. Both addresses are of one family.
struct FiveTuple {
    Address source;
    Address destination;
    std::uint16_t source_port = 0;       // ICMP: type.
    std::uint16_t destination_port = 0;  // ICMP: code.
    std::uint8_t protocol = 0;
};

constexpr std::uint8_t kProtocolSctp = 132;

// Whether the id of `protocol` depends on ports (or ICMP's type and code).
[[nodiscard]] bool community_id_uses_ports(std::uint8_t protocol);

// Both directions of a flow get the same text; ICMP messages without a counterpart (errors,
// redirects) get one per direction. `seed` keeps the ids of separate sites apart.
void append_community_id(std::string& out, const FiveTuple& flow, std::uint16_t seed = 0);

// FIPS 180-4. Names things here, protects nothing.
[[nodiscard]] std::array<std::uint8_t, 20> sha1(ByteView message);

// RFC 4648, 4, with padding.
void append_base64(std::string& out, ByteView bytes);

}  // namespace haka::report
