// Two interfaces as one wire: what comes by one leaves by the other. Or one interface, looked at.
#pragma once

#include <array>
#include <string>

#include "capture/live_source.h"
#include "capture/packet_socket.h"

namespace haka::capture {

struct PacketPairOptions {
    std::string interface;
    std::string peer;  // Empty: nothing leaves.
    LiveSettings settings;
    std::uint32_t workers = 1;
};

[[nodiscard]] LiveSources open_packet_pair(const PacketPairOptions& options);

}  // namespace haka::capture
