// Cuts a TCP segment that is longer than its way takes into several, as a card would.
#pragma once

#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "packet/packet.h"

namespace haka::capture {

// Calls `leave(bytes)` for each segment, whose payload has `payload_max` bytes at most; `room` is
// where they are made. Checksums are computed. Whatever isn't TCP leaves as it is, its checksum
// computed if that was left to the sender.
template <typename Leave>
void cut_segments(const Frame& frame, std::uint32_t payload_max, std::vector<std::uint8_t>& room,
                  const Leave& leave);

// What `payload_max` is for a frame with such headers: what the MTU leaves, and no more than its
// receiver takes (0: unknown).
[[nodiscard]] std::uint32_t payload_max_of(const wire::Headers& headers, std::uint32_t mtu,
                                           std::uint16_t receiver);

// One of them: bytes [begin, end) of the payload, as number `index` behind the frame's headers.
struct SegmentPart {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint16_t index = 0;
};
void make_segment(const Frame& frame, const wire::Headers& headers, SegmentPart part,
                  std::vector<std::uint8_t>& segment);
void complete_checksum(const wire::Headers& headers, MutableByteView bytes);

template <typename Leave>
void cut_segments(const Frame& frame, std::uint32_t payload_max, std::vector<std::uint8_t>& room,
                  const Leave& leave) {
    const wire::Headers headers = wire::find_headers(frame.link, frame.bytes());
    const bool is_tcp = headers.transport_ok && headers.protocol == wire::kProtocolTcp;
    const std::uint32_t size = is_tcp ? headers.end - headers.payload : 0;
    if (size <= payload_max) {
        if (frame.checksum == FrameChecksum::Partial) {
            complete_checksum(headers, frame.mutable_bytes());
        }
        leave(frame.bytes());
        return;
    }
    SegmentPart part;
    while (part.begin < size) {
        part.end = size - part.begin > payload_max ? part.begin + payload_max : size;
        make_segment(frame, headers, part, room);
        leave(ByteView(room));
        part.begin = part.end;
        part.index += 1;
    }
}

}  // namespace haka::capture
