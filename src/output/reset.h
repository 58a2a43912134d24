// The RSTs that end a connection at both ends, each with the sequence number that its receiver
// accepts (RFC 9293, 3.10.7.4; RFC 5961, 3.2: exactly the next one it expects).
#pragma once

#include <cstdint>
#include <vector>

#include "base/link_type.h"
#include "flow/connection.h"

namespace haka::output {

struct Reset {
    std::vector<std::uint8_t> bytes;  // A whole frame.
    std::uint32_t interface = 0;      // Where such a packet comes in; the caller's to set.
    bool to_client = false;
};

// How much each end has sent and received, as stream offsets behind each SYN, a FIN included: what
// of the packet at hand does not leave must not be counted. Edits make a difference between what an
// end has sent and what the other has received.
struct Received {
    std::uint64_t sent_by_client = 0;
    std::uint64_t by_server = 0;
    std::uint64_t sent_by_server = 0;
    std::uint64_t by_client = 0;
};

// Appends one RST for each end that has seen the connection. Before the server's SYN was seen, the
// client gets RST+ACK of its ISN + 1 and the server none. `link` is a link header as the client
// sends it; its Ethernet addresses are swapped for the client.
void make_resets(const flow::Connection& connection, Received received, ByteView link,
                 LinkType link_type, std::vector<Reset>& out);

}  // namespace haka::output
