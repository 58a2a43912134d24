// One packet on its walk: bytes, arrival, where its headers are, what was decided.
//
//   captured at `when`        bytes()                     verdict
//   Instant ----------------- [ link | ip | tcp | ... ] - Undecided -> Pass | Drop(reason)
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/event.h"
#include "base/time.h"
#include "wire/headers.h"

namespace haka {

enum class Verdict : std::uint8_t { Undecided, Pass, Drop };

// What the source of a frame knows about its transport checksum.
enum class FrameChecksum : std::uint8_t {
    Unknown,
    Verified,  // Somebody before us has found it right.
    Partial    // Not computed yet: its field holds the sum of the pseudo header alone.
};

// A record as the capture side found it. `bytes` stay valid, and may be written, until the block
// (or batch) that it came with is given back.
struct Frame {
    std::uint8_t* data = nullptr;
    std::uint32_t size = 0;           // Captured bytes.
    std::uint32_t original_size = 0;  // Bytes on the wire; more than `size` if snaplen cut it.
    Instant when;
    std::uint64_t number = 0;  // 1-based place in the whole input.
    std::uint32_t interface = 0;
    LinkType link = LinkType::Ethernet;
    std::uint8_t worker = 0;  // Index of the one that walks it.
    FrameChecksum checksum = FrameChecksum::Unknown;

    [[nodiscard]] ByteView bytes() const { return {data, size}; }
    [[nodiscard]] MutableByteView mutable_bytes() const { return {data, size}; }
};

}  // namespace haka
