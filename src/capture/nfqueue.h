// Packets that the kernel's packet filter holds until somebody says what becomes of them (NFQUEUE).
// They have no link header. What passes gets its verdict; what must become several packets, or is
// new, leaves by a raw socket.
#pragma once

#include <cstdint>

#include "base/settings.h"
#include "capture/live_source.h"

namespace haka::capture {

struct NfqueueOptions {
    std::uint16_t first = 0;
    std::uint32_t workers = 1;  // One for each of the queues first, first + 1 ...
    NfqueueSettings settings;
};

[[nodiscard]] LiveSources open_nfqueues(const NfqueueOptions& options);

}  // namespace haka::capture
