#include "wire/build.h"

#include <algorithm>
#include <cassert>

#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/udp.h"

namespace haka::wire {
namespace {

constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::size_t kFragmentHeaderSize = 8;
constexpr std::size_t kDatagramMax = 65535;

bool is_fragment(const IpFields& ip) {
    return ip.frag_offset > 0 || (ip.flags & kIpv4MoreFragments) != 0;
}

void write_ipv4(const IpFields& ip, std::uint8_t protocol, MutableByteView datagram) {
    const std::size_t header_size = Ipv4View::kMinHeaderSize + ip.options.size();
    datagram[0] = static_cast<std::uint8_t>(0x40 + header_size / 4);
    store_be16(&datagram[2], static_cast<std::uint16_t>(datagram.size()));
    const auto header = Ipv4Edit::parse(datagram);
    assert(header);
    header->set_tos(ip.tos);
    header->set_id(static_cast<std::uint16_t>(ip.id));
    header->set_flags(ip.flags);
    header->set_frag_offset(ip.frag_offset);
    header->set_ttl(ip.ttl);
    header->set_proto(protocol);
    header->set_src(ip.src);
    header->set_dst(ip.dst);
    std::copy(ip.options.begin(), ip.options.end(), header->options().begin());
    header->set_checksum(0);
    header->set_checksum(internet_checksum(header->header()));
}

void write_ipv6(const IpFields& ip, std::uint8_t protocol, MutableByteView datagram) {
    datagram[0] = 0x60;
    const auto header = Ipv6Edit::parse(datagram);
    assert(header);
    header->set_traffic_class(ip.tos);
    header->set_flow_label(ip.flow_label);
    header->set_payload_len(static_cast<std::uint16_t>(datagram.size() - Ipv6View::kHeaderSize));
    header->set_hop_limit(ip.ttl);
    header->set_src(ip.src);
    header->set_dst(ip.dst);
    header->set_next_header(protocol);
    if (is_fragment(ip)) {
        header->set_next_header(kFragmentHeader);
        std::uint8_t* const fragment = &datagram[Ipv6View::kHeaderSize];
        fragment[0] = protocol;
        const std::uint32_t more = (ip.flags & kIpv4MoreFragments) != 0 ? 1 : 0;
        store_be16(fragment + 2, static_cast<std::uint16_t>(ip.frag_offset | more));
        store_be32(fragment + 4, ip.id);
    }
}

// Lays link and IP header and returns room for `size` bytes behind them, all zero.
MutableByteView lay(ByteView link, const IpFields& ip, std::uint8_t protocol, std::size_t size,
                    std::vector<std::uint8_t>& out) {
    assert(ip.src.family == ip.dst.family);
    assert(ip.options.size() % 4 == 0 && ip.options.size() <= 40);
    const bool is_ipv4 = ip.src.family == Family::Ipv4;
    std::size_t header_size = Ipv4View::kMinHeaderSize + ip.options.size();
    if (!is_ipv4) {
        header_size = Ipv6View::kHeaderSize + (is_fragment(ip) ? kFragmentHeaderSize : 0);
    }
    assert(header_size + size <= kDatagramMax);
    out.assign(link.size() + header_size + size, 0);
    std::copy(link.begin(), link.end(), out.begin());
    const MutableByteView datagram = MutableByteView(out).subspan(link.size());
    if (is_ipv4) {
        write_ipv4(ip, protocol, datagram);
    } else {
        write_ipv6(ip, protocol, datagram);
    }
    return datagram.subspan(header_size);
}

// The checksum over a pseudo header and `covered`, whose checksum field is still zero.
std::uint16_t transport_checksum(const IpFields& ip, std::uint8_t protocol, ByteView covered) {
    const PseudoHeader pseudo{.source = ip.src.wire(),
                              .target = ip.dst.wire(),
                              .size = static_cast<std::uint32_t>(covered.size()),
                              .protocol = protocol};
    return finish(sum_bytes(covered, sum_pseudo_header(pseudo)));
}

}  // namespace

void build_tcp(ByteView link, const IpFields& ip, const TcpFields& tcp, ByteView payload,
               std::vector<std::uint8_t>& out) {
    const std::size_t header_size = TcpView::kMinHeaderSize + (tcp.options.size() + 3) / 4 * 4;
    assert(header_size <= TcpView::kMaxHeaderSize);
    const MutableByteView segment = lay(link, ip, kProtocolTcp, header_size + payload.size(), out);
    segment[12] = static_cast<std::uint8_t>(header_size * 4);
    const auto header = TcpEdit::parse(segment);
    assert(header);
    header->set_srcport(tcp.srcport);
    header->set_dstport(tcp.dstport);
    header->set_seq(tcp.seq);
    header->set_ack_seq(tcp.ack_seq);
    header->set_res(tcp.res);
    header->set_flags(tcp.flags);
    header->set_window_size(tcp.window_size);
    header->set_urgent_pointer(tcp.urgent_pointer);
    std::copy(tcp.options.begin(), tcp.options.end(), header->options().begin());
    std::copy(payload.begin(), payload.end(), header->payload().begin());
    header->set_checksum(transport_checksum(ip, kProtocolTcp, segment));
}

void build_udp(ByteView link, const IpFields& ip, const UdpFields& udp, ByteView payload,
               std::vector<std::uint8_t>& out) {
    const std::size_t size = UdpView::kHeaderSize + payload.size();
    const MutableByteView datagram = lay(link, ip, kProtocolUdp, size, out);
    store_be16(&datagram[4], static_cast<std::uint16_t>(size));
    const auto header = UdpEdit::parse(datagram);
    assert(header);
    header->set_srcport(udp.srcport);
    header->set_dstport(udp.dstport);
    std::copy(payload.begin(), payload.end(), header->payload().begin());
    const std::uint16_t checksum = transport_checksum(ip, kProtocolUdp, datagram);
    header->set_checksum(checksum == 0 ? std::uint16_t{0xffff} : checksum);  // RFC 768
}

void build_icmp(ByteView link, const IpFields& ip, const IcmpFields& icmp, ByteView payload,
                std::vector<std::uint8_t>& out) {
    const bool is_ipv4 = ip.src.family == Family::Ipv4;
    const std::uint8_t protocol = is_ipv4 ? kProtocolIcmp : kProtocolIcmpv6;
    const std::size_t size = IcmpView::kHeaderSize + payload.size();
    const MutableByteView message = lay(link, ip, protocol, size, out);
    const auto header = IcmpEdit::parse(message);
    assert(header);
    header->set_type(icmp.type);
    header->set_code(icmp.code);
    header->set_id(icmp.id);
    header->set_sequence(icmp.sequence);
    std::copy(payload.begin(), payload.end(), header->payload().begin());
    header->set_checksum(is_ipv4 ? internet_checksum(message)
                                 : transport_checksum(ip, protocol, message));
}

void build_ip(ByteView link, const IpFields& ip, std::uint8_t protocol, ByteView payload,
              std::vector<std::uint8_t>& out) {
    const MutableByteView room = lay(link, ip, protocol, payload.size(), out);
    std::copy(payload.begin(), payload.end(), room.begin());
}

std::vector<std::uint8_t> ethernet_header(const EthernetFields& fields) {
    std::vector<std::uint8_t> header(EthernetView::kHeaderSize);
    std::copy(fields.dst.begin(), fields.dst.end(), header.begin());
    std::copy(fields.src.begin(), fields.src.end(), header.begin() + 6);
    store_be16(&header[12], fields.type);
    return header;
}

std::vector<std::uint8_t> default_link_header(LinkType link, Family family) {
    const bool is_ipv4 = family == Family::Ipv4;
    const std::uint16_t type = is_ipv4 ? kEtherTypeIpv4 : kEtherTypeIpv6;
    const std::uint8_t bsd_family = is_ipv4 ? 2 : 24;
    std::vector<std::uint8_t> header;
    switch (link) {
        case LinkType::Ethernet:
            return ethernet_header({.type = type});
        case LinkType::Raw:
        case LinkType::Ipv4:
        case LinkType::Ipv6:
            break;
        case LinkType::Null:
            header = {bsd_family, 0, 0, 0};
            break;
        case LinkType::Loop:
            header = {0, 0, 0, bsd_family};
            break;
        case LinkType::LinuxSll:
            header = {0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0};
            store_be16(&header[14], type);
            break;
        case LinkType::LinuxSll2:
            header = {0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0};
            store_be16(&header[0], type);
            break;
    }
    return header;
}

}  // namespace haka::wire
