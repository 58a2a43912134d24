// The number that joins all records of one connection in EVE's `flow_id`. It comes from the packets
// alone, so the same capture gives the same numbers in every run.
#pragma once

#include <cstdint>

#include "base/time.h"
#include "flow/flow_key.h"

namespace haka::report {

constexpr std::uint64_t kFlowIdMax = (1ULL << 51) - 1;  // Exact in a JavaScript number.

// The same for both directions (`key` is ordered) and in every run: FNV-1a, not keyed. It names
// flows and must not be used for a table that a peer could attack.
[[nodiscard]] constexpr std::uint32_t flow_hash(const flow::FlowKey& key, std::uint8_t protocol) {
    std::uint32_t hash = 2166136261U;
    const auto add = [&hash](std::uint8_t byte) { hash = (hash ^ byte) * 16777619U; };
    for (const flow::Endpoint* end : {&key.low, &key.high}) {
        for (const std::uint8_t byte : end->address) {
            add(byte);
        }
        add(static_cast<std::uint8_t>(end->port >> 8));
        add(static_cast<std::uint8_t>(end->port));
    }
    add(protocol);
    return hash;
}

// Suricata's layout: 3 bits of the start's second, 16 of its microsecond, 32 of the hash.
[[nodiscard]] constexpr std::uint64_t make_flow_id(Instant start, std::uint32_t hash) {
    constexpr std::int64_t kSecondNs = 1'000'000'000;
    std::int64_t seconds = start.ns / kSecondNs;
    std::int64_t rest = start.ns % kSecondNs;
    if (rest < 0) {
        seconds -= 1;
        rest += kSecondNs;
    }
    const std::uint64_t high = static_cast<std::uint64_t>(seconds) & 0xffff;
    const std::uint64_t middle = static_cast<std::uint64_t>(rest / 1000) & 0xffff;
    return (high << 48 | middle << 32 | hash) & kFlowIdMax;
}

}  // namespace haka::report
