// How the kernel spreads an interface's frames over workers: by address pair, the same for both
// directions, for every fragment, and for an ICMP error and the packet that it quotes.
#pragma once

#include <vector>

#include <linux/filter.h>

namespace haka::capture {

// A classic BPF program; the kernel takes what it returns modulo the number of workers. What isn't
// IP, or stands behind more than two VLAN tags, is worker 0's.
[[nodiscard]] std::vector<sock_filter> spread_program();

}  // namespace haka::capture
