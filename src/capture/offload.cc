#include "capture/offload.h"

#include <algorithm>

#include "wire/checksum.h"
#include "wire/headers.h"

namespace haka::capture {
namespace {

constexpr std::uint8_t kCwr = 0x80;
constexpr std::uint16_t kTcpChecksum = 16;
constexpr std::uint16_t kUdpChecksum = 6;

// The field's content while the checksum isn't computed: the pseudo header's sum, not inverted.
std::uint16_t pseudo_sum(const wire::Headers& headers, ByteView bytes) {
    const bool is_ipv4 = headers.ip_version == 4;
    const ByteView net = bytes.subspan(headers.net);
    return static_cast<std::uint16_t>(~wire::finish(
        wire::sum_pseudo_header({.source = net.subspan(is_ipv4 ? 12 : 8, is_ipv4 ? 4 : 16),
                                 .target = net.subspan(is_ipv4 ? 16 : 24, is_ipv4 ? 4 : 16),
                                 .size = headers.end - headers.transport,
                                 .protocol = headers.protocol})));
}

}  // namespace

Offload describe_offload(const Frame& frame, const OffloadNeeds& needs) {
    Offload offload{};
    const wire::Headers headers = wire::find_headers(frame.link, frame.bytes());
    const bool is_tcp = headers.protocol == wire::kProtocolTcp;
    if (!headers.transport_ok || (!is_tcp && headers.protocol != wire::kProtocolUdp)) {
        return offload;
    }
    const std::uint32_t in_front = headers.payload - headers.net;
    const std::uint32_t most = needs.packet_max - std::min(in_front, needs.packet_max - 1);
    const std::uint32_t size =
        needs.segment_size == 0 ? most : std::min<std::uint32_t>(most, needs.segment_size);
    const bool is_cut = (is_tcp || needs.is_joined_udp) && headers.end - headers.payload > size;
    if (!is_cut && frame.checksum != FrameChecksum::Partial) {
        return offload;
    }
    offload.flags = Offload::kNeedsChecksum;
    offload.checksum_start = static_cast<std::uint16_t>(headers.transport);
    offload.checksum_offset = is_tcp ? kTcpChecksum : kUdpChecksum;
    store_be16(frame.data + headers.transport + offload.checksum_offset,
               pseudo_sum(headers, frame.bytes()));
    if (!is_cut) {
        return offload;
    }
    offload.kind = !is_tcp                   ? Offload::kUdp
                   : headers.ip_version == 4 ? Offload::kTcpIpv4
                                             : Offload::kTcpIpv6;
    if (is_tcp && (frame.data[headers.transport + 13] & kCwr) != 0) {
        offload.kind |= Offload::kEcn;
    }
    offload.segment_size = static_cast<std::uint16_t>(size);
    offload.header_size = static_cast<std::uint16_t>(headers.payload);
    return offload;
}

}  // namespace haka::capture
