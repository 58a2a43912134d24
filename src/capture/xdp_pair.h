// Two interfaces as one wire through AF_XDP: frames go from one card's memory to the other's
// without the kernel's packets in between. Frames are those of the wire: none are joined and no
// checksum is left to be computed, so the cards and hosts around must not do either.
// Optional: built with -DHAKA_AF_XDP=ON.
#pragma once

#include <cstdint>
#include <string>

#include "base/settings.h"
#include "capture/live_source.h"

namespace haka::capture {

// Whether this build can.
[[nodiscard]] bool has_af_xdp();
// The longest packets that it takes: a page without the kernel's room and a link header.
constexpr std::uint32_t kXdpMtuMax = 4096 - 256 - 22;

struct XdpPairOptions {
    std::string interface;
    std::string peer;
    LiveSettings settings;
    std::uint32_t workers = 1;  // More can't be had.
};

// One source: of cards with several queues the two directions of a connection would not come to
// the same one.
[[nodiscard]] LiveSources open_xdp_pair(const XdpPairOptions& options);

}  // namespace haka::capture
