// A segment's headers without its payload: kept while its bytes are held back, and put before
// other bytes, so that what leaves looks like what came.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "flow/recut.h"
#include "packet/packet.h"
#include "wire/headers.h"

namespace haka::output {

struct Head {
    std::vector<std::uint8_t> bytes;  // Link, IP and TCP header.
    wire::Headers headers;            // Of a frame without payload.
    LinkType link = LinkType::Ethernet;
    std::uint32_t interface = 0;  // Where such a packet comes in.
    flow::FragmentShape shape;    // In what fragments it came; size_max 0: whole.
};

// The head of a TCP segment. Precondition: headers.transport_ok, TCP, and `headers` are of `frame`.
[[nodiscard]] Head head_of(const Frame& frame, const wire::Headers& headers);

// RFC 7323's option as a segment of our own carries it.
struct Timestamps {
    bool used = false;  // Both ends agreed on them.
    std::uint32_t value = 0;
    std::uint32_t echo = 0;
};

// The head that the receiver of such a segment would answer with: addresses, ports and link
// addresses change places, IP and TCP options are gone but time stamps.
[[nodiscard]] Head answer_to(const Head& came, const Timestamps& timestamps);

// The same head without IP and TCP options but time stamps: for segments of our own.
[[nodiscard]] Head plain_head(const Head& head);

// The same for bytes that came with `head` and leave later: routers' words about them (DSCP, ECN,
// flow label, TTL) and the reserved bits stay theirs.
[[nodiscard]] Head waiting_head(const Head& head);

// What is the piece's own.
struct Piece {
    std::uint32_t seq = 0;
    std::uint32_t ack_seq = 0;
    std::uint16_t window = 0;
    std::uint8_t flags = 0;
    std::uint16_t id_step = 0;  // Added to the IPv4 id: pieces of one packet may be fragmented.
};

// Overwrites `out` with head, `options` behind the head's own (a multiple of 4 bytes, as far as
// they fit) and payload; lengths and checksums right, urgent pointer 0. Precondition: the datagram
// fits 65,535 bytes.
void build_piece(const Head& head, const Piece& piece, ByteView options, ByteView payload,
                 std::vector<std::uint8_t>& out);

// Where the time stamp option's value stands in a TCP header, from its first byte on; 0: nowhere.
[[nodiscard]] std::uint32_t find_timestamp(ByteView tcp);

}  // namespace haka::output
