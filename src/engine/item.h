// A packet between the capture and the cable, as one worker holds it.
#pragma once

#include <cstdint>

#include "flow/flow_key.h"
#include "flow/recut.h"
#include "packet/packet.h"
#include "wire/checksum.h"
#include "wire/headers.h"

namespace haka::engine {

// What was decided about a packet so far; all zero for one that was just read.
struct Fate {
    bool bad_ipv4_checksum = false;
    bool dropped = false;
    bool injected = false;       // Made here, not captured.
    bool joined = false;         // A datagram that was joined of fragments.
    bool taken = false;          // A policy took it over (tcp_stream:push).
    Event reason = Event::None;  // Why it is dropped.
    Event change = Event::None;  // Why its bytes aren't the captured ones; the first reason.
    std::uint32_t to_fix = 0;    // HAKA_CHANGED_*: which checksums must be made right.
    std::uint32_t rule = 0;      // The rule that dropped it.

    [[nodiscard]] bool changed() const { return change != Event::None; }
    void note_change(Event why) { change = changed() ? change : why; }
};

struct Item : Fate {
    Frame frame;
    wire::Headers headers;
    flow::OrderedKey key;    // TCP with a whole header only.
    std::uint64_t hash = 0;  // Of `key` in the connection table.
    wire::ChecksumCheck check = wire::ChecksumCheck::Unverifiable;  // Of the transport layer.
    // Of what came in fragments, and leaves in some; lives as long as the item.
    const flow::FragmentShape* shape = nullptr;
    bool owned = true;  // This worker's own; another worker walks it otherwise.

    [[nodiscard]] Fate& fate() { return *this; }
};

}  // namespace haka::engine
