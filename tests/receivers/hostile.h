// Packets of ends that mean no good, from a seed: overlaps with other bytes, odd flags, old time
// stamps, urgent data, RSTs and SYNs in the middle, holes, and copies of all of it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"

namespace haka::receivers {

struct HostilePacket {
    Instant when;
    std::vector<std::uint8_t> bytes;
};

// `begin`: when the first one comes.
[[nodiscard]] std::vector<HostilePacket> hostile_packets(std::uint64_t seed, Instant begin);

struct HostilePolicy {
    std::string name;
    std::string text;
};
[[nodiscard]] const std::vector<HostilePolicy>& hostile_policies();

}  // namespace haka::receivers
