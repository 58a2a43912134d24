// The Internet checksum (RFC 1071): compute, verify, and follow a changed field (RFC 1624).
//
// Checksums go in and out as numbers in host order, ready for load_be16/store_be16.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/event.h"
#include "wire/headers.h"

namespace haka::wire {

// A one's complement sum in the making: 16-bit words as the machine loads them, not yet folded.
// Pieces may be summed one after the other if all but the last have an even size.
using PartialSum = std::uint64_t;

[[nodiscard]] PartialSum sum_bytes(ByteView bytes, PartialSum start = 0);

// The pseudo header of RFC 9293, 3.1 and RFC 8200, 8.1; `source` and `target` are 4 or 16 bytes.
struct PseudoHeader {
    ByteView source;
    ByteView target;
    std::uint32_t size = 0;  // Of the transport header and its payload.
    std::uint8_t protocol = 0;
};
[[nodiscard]] PartialSum sum_pseudo_header(const PseudoHeader& pseudo);

// The checksum that belongs to the sum; 0 if the summed bytes contain a right one.
[[nodiscard]] inline std::uint16_t finish(PartialSum sum) {
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    const auto folded = static_cast<std::uint16_t>(~sum);
    return __builtin_bswap16(folded);
}

[[nodiscard]] inline std::uint16_t internet_checksum(ByteView bytes) {
    return finish(sum_bytes(bytes));
}

enum class ChecksumCheck : std::uint8_t {
    Right,
    Wrong,
    Absent,       // UDP over IPv4 without a checksum, which is allowed.
    Unverifiable  // Bytes were cut off, a fragment, no or unknown transport header.
};

// `header` is a whole IPv4 header, options included.
[[nodiscard]] bool verify_ipv4_header(ByteView header);
// The same for a frame's own header. Precondition: headers.ip_version == 4.
[[nodiscard]] inline bool verify_ipv4_header(const Headers& headers, const std::uint8_t* frame) {
    const std::uint8_t* ip = frame + headers.net;
    if (*ip != 0x45) {
        return verify_ipv4_header(ByteView(ip, std::size_t{*ip & 15U} * 4));
    }
    std::uint64_t sum = std::uint64_t{load_native<std::uint32_t>(ip)} +
                        load_native<std::uint32_t>(ip + 4) + load_native<std::uint32_t>(ip + 8) +
                        load_native<std::uint32_t>(ip + 12) + load_native<std::uint32_t>(ip + 16);
    return finish(sum) == 0;
}
// `headers` are those of `frame`. A zero UDP checksum over IPv6 is Wrong (RFC 8200, 8.1).
[[nodiscard]] ChecksumCheck verify_transport(const Headers& headers, ByteView frame);
// What the event of a Wrong answer is called, e.g. TcpBadChecksum; None for other protocols.
[[nodiscard]] Event bad_checksum_event(std::uint8_t protocol);

// Write the right checksum into `frame`. Precondition: headers.ip_version == 4.
void compute_ipv4_header(const Headers& headers, MutableByteView frame);
// False, and nothing written, where verify_transport would say Unverifiable. Writes one for UDP
// over IPv4 even where none was.
bool compute_transport(const Headers& headers, MutableByteView frame);

// The checksum after a 16-bit word that it covers changed; equation 3 of RFC 1624.
[[nodiscard]] inline std::uint16_t update_checksum(std::uint16_t checksum, std::uint16_t old_word,
                                                   std::uint16_t new_word) {
    std::uint32_t sum = std::uint32_t{static_cast<std::uint16_t>(~checksum)} +
                        static_cast<std::uint16_t>(~old_word) + new_word;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

// The same for a 32-bit field that lies at an even offset.
[[nodiscard]] inline std::uint16_t update_checksum32(std::uint16_t checksum, std::uint32_t old_word,
                                                     std::uint32_t new_word) {
    checksum = update_checksum(checksum, static_cast<std::uint16_t>(old_word >> 16),
                               static_cast<std::uint16_t>(new_word >> 16));
    return update_checksum(checksum, static_cast<std::uint16_t>(old_word),
                           static_cast<std::uint16_t>(new_word));
}

}  // namespace haka::wire
