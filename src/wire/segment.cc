#include "wire/segment.h"

#include <algorithm>
#include <cassert>

#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace haka::wire {
namespace {

constexpr std::uint8_t kWindowScaleMax = 14;

// Nearly every segment of a running connection: NOP NOP TIMESTAMP and nothing else.
constexpr std::uint32_t kOnlyTimestamp = 0x0101080a;
constexpr std::size_t kOnlyTimestampSize = 12;

void take(const TcpOption& option, Segment& segment) {
    if (has_impossible_size(option)) {
        segment.bad = Event::TcpBadOption;
        return;
    }
    const std::uint8_t* const value = option.value.data();
    switch (option.kind) {
        case kOptionMss:
            segment.mss = load_be16(value);
            break;
        case kOptionWindowScale:
            segment.window_scale = static_cast<std::int8_t>(std::min(value[0], kWindowScaleMax));
            break;
        case kOptionSackPermitted:
            segment.sack_permitted = true;
            break;
        case kOptionTimestamp:
            segment.has_timestamp = true;
            segment.ts_value = load_be32(value);
            segment.ts_echo = load_be32(value + 4);
            break;
        case kOptionMd5:
        case kOptionAo:
            segment.signature = true;
            break;
        default:
            segment.fast_open = segment.fast_open || is_fast_open(option);
            break;
    }
}

void read_options(ByteView bytes, Segment& segment) {
    if (bytes.size() == kOnlyTimestampSize && load_be32(bytes.data()) == kOnlyTimestamp) {
        segment.has_timestamp = true;
        segment.ts_value = load_be32(&bytes[4]);
        segment.ts_echo = load_be32(&bytes[8]);
        return;
    }
    TcpOptions options(bytes);
    TcpOption option;
    while (options.next(option)) {
        take(option, segment);
    }
    if (options.bad() != Event::None) {
        segment.bad = options.bad();
    }
}

}  // namespace

Segment read_segment(const Headers& headers, ByteView frame) {
    assert(headers.transport_ok && headers.protocol == kProtocolTcp);
    const std::uint8_t* const tcp = frame.data() + headers.transport;
    Segment segment;
    segment.seq = load_be32(tcp + 4);
    segment.ack = load_be32(tcp + 8);
    segment.flags = tcp[13];
    segment.window = load_be16(tcp + 14);
    segment.urgent = load_be16(tcp + 18);
    segment.payload_size = headers.end - headers.payload + headers.cut;
    const std::size_t header_size = headers.payload - headers.transport;
    if (header_size > TcpView::kMinHeaderSize) {
        read_options({tcp + TcpView::kMinHeaderSize, header_size - TcpView::kMinHeaderSize},
                     segment);
    }
    return segment;
}

}  // namespace haka::wire
