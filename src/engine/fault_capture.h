// What a worker process leaves behind: the last packets of the connection that it ended at.
#pragma once

#include <string>

#include "engine/black_box.h"

namespace haka::engine {

struct FaultCapture {
    std::size_t packets = 0;  // 0: there were none, and no file was made.
    std::string error;
};

// Writes to `path`, a .pcapng, the packets that have the last one's addresses and ports; of the
// worker that the fault was noted for, else of the one that had a packet last.
[[nodiscard]] FaultCapture write_last_packets(const BlackBox& box, const std::string& path);

}  // namespace haka::engine
