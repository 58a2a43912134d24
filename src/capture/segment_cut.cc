#include "capture/segment_cut.h"

#include <algorithm>
#include <cstring>

#include "wire/checksum.h"

namespace haka::capture {
namespace {

constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kCwr = 0x80;
constexpr std::uint32_t kIpv6Header = 40;

}  // namespace

std::uint32_t payload_max_of(const wire::Headers& headers, std::uint32_t mtu,
                             std::uint16_t receiver) {
    const std::uint32_t before = headers.payload - std::min(headers.net, headers.payload);
    const std::uint32_t most = mtu > before ? mtu - before : mtu;
    return receiver != 0 ? std::min<std::uint32_t>(most, receiver) : most;
}

void make_segment(const Frame& frame, const wire::Headers& headers, SegmentPart part,
                  std::vector<std::uint8_t>& segment) {
    const std::uint32_t size = headers.payload + part.end - part.begin;
    segment.resize(size);
    std::memcpy(segment.data(), frame.data, headers.payload);
    std::memcpy(segment.data() + headers.payload, frame.data + headers.payload + part.begin,
                part.end - part.begin);
    std::uint8_t* const net = segment.data() + headers.net;
    std::uint8_t* const tcp = segment.data() + headers.transport;
    store_be32(tcp + 4, load_be32(tcp + 4) + part.begin);
    if (headers.payload + part.end < headers.end) {  // These belong to the last one,
        tcp[13] = static_cast<std::uint8_t>(tcp[13] & ~(kFin | kPsh));
    }
    if (part.begin != 0) {  // and this to the first (RFC 3168, 6.1.2).
        tcp[13] = static_cast<std::uint8_t>(tcp[13] & ~kCwr);
    }
    if (headers.ip_version == 4) {
        store_be16(net + 2, static_cast<std::uint16_t>(size - headers.net));
        store_be16(net + 4, static_cast<std::uint16_t>(load_be16(net + 4) + part.index));
    } else {
        store_be16(net + 4, static_cast<std::uint16_t>(size - headers.net - kIpv6Header));
    }
    wire::Headers own = headers;
    own.end = size;
    if (headers.ip_version == 4) {
        wire::compute_ipv4_header(own, segment);
    }
    complete_checksum(own, segment);
}

void complete_checksum(const wire::Headers& headers, MutableByteView bytes) {
    (void)wire::compute_transport(headers, bytes);  // False: there is none.
}

}  // namespace haka::capture
