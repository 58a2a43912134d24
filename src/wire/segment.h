// What the TCP state machine wants to know of one packet, read once, in host order.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/event.h"
#include "wire/headers.h"

namespace haka::wire {

struct Segment {
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;           // As sent, also when the ACK flag is off.
    std::uint32_t payload_size = 0;  // As sent: what the capture cut off (Headers::cut) counts too.
    std::uint32_t ts_value = 0;      // RFC 7323
    std::uint32_t ts_echo = 0;
    std::uint16_t window = 0;       // Unscaled.
    std::uint16_t urgent = 0;       // The pointer as sent, also when the URG flag is off.
    std::uint16_t mss = 0;          // 0: no such option.
    std::int8_t window_scale = -1;  // -1: no such option; at most 14 (RFC 7323, 2.3).
    std::uint8_t flags = 0;         // kFin ... kCwr of tcp.h.
    bool has_timestamp = false;
    bool sack_permitted = false;
    bool fast_open = false;   // RFC 7413, also in its experimental form; request or cookie.
    bool signature = false;   // MD5 (RFC 2385) or AO (RFC 5925) is there.
    Event bad = Event::None;  // TcpBadOption: reading stopped, or skipped that option.
};

// Precondition: headers.transport_ok, headers.protocol is TCP, and `headers` are of `frame`.
// Options that RFC 9293 and others allow in a SYN only are reported wherever they are; an option
// that comes twice counts as the last one says.
[[nodiscard]] Segment read_segment(const Headers& headers, ByteView frame);

}  // namespace haka::wire
