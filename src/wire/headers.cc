#include "wire/headers.h"

#include <algorithm>
#include <limits>

#include "wire/ethernet.h"

namespace haka::wire {
namespace {

constexpr std::uint8_t kVlanTagsMax = 8;
constexpr std::uint32_t kEthernetSize = 14;
constexpr std::uint32_t kTagSize = 4;
constexpr std::uint32_t kIpv4MinSize = 20;
constexpr std::uint32_t kIpv6Size = 40;
constexpr std::uint32_t kTcpMinSize = 20;
constexpr std::uint32_t kUdpSize = 8;
constexpr std::uint32_t kIcmpSize = 8;

// IPv6 extension headers, and the authentication header which IPv4 has too.
constexpr int kExtensionsMax = 10;
constexpr std::uint8_t kHopByHop = 0;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint8_t kDestination = 60;
constexpr std::uint8_t kMobility = 135;
constexpr std::uint8_t kHostIdentity = 139;
constexpr std::uint8_t kShim6 = 140;

// Reads one frame from the outside in; each step leaves `headers_` as true as it got.
class Reader {
public:
    explicit Reader(ByteView frame) : frame_(frame) { headers_.end = size(); }

    Headers read(LinkType link) {
        switch (link) {
            case LinkType::Ethernet:
                read_typed(12, kEthernetSize);
                break;
            case LinkType::LinuxSll:
                read_typed(14, 16);
                break;
            case LinkType::LinuxSll2:
                read_typed(0, 20);
                break;
            case LinkType::Null:
            case LinkType::Loop:
                read_loopback(link);
                break;
            case LinkType::Raw:
                read_raw();
                break;
            case LinkType::Ipv4:
                read_network(kEtherTypeIpv4, 0);
                break;
            case LinkType::Ipv6:
                read_network(kEtherTypeIpv6, 0);
                break;
        }
        return headers_;
    }

private:
    [[nodiscard]] std::uint32_t size() const { return static_cast<std::uint32_t>(frame_.size()); }
    [[nodiscard]] const std::uint8_t* at(std::uint32_t offset) const {
        return frame_.data() + offset;
    }
    // Bytes of the datagram from `offset` on that were captured.
    [[nodiscard]] std::uint32_t left(std::uint32_t offset) const { return headers_.end - offset; }

    void stop_at(std::uint32_t offset, Event reason) {
        headers_.net = headers_.transport = headers_.payload = offset;
        headers_.malformed = reason;
    }
    // A header that should be there isn't: the capture's fault, or a lie of the sender.
    void stop_short(Event lie) {
        headers_.malformed = headers_.cut > 0 ? Event::FrameSnaplen : lie;
    }

    void read_typed(std::uint32_t type_offset, std::uint32_t link_size);
    void read_loopback(LinkType link);
    void read_raw();
    void read_network(std::uint16_t type, std::uint32_t offset);
    void read_ipv4();
    void read_ipv6();
    void set_lengths(std::uint32_t header_size, std::uint32_t datagram_size);
    void read_extensions(std::uint8_t next, Event lie);
    [[nodiscard]] bool read_extension(std::uint8_t& next, Event lie);
    void read_transport(std::uint8_t protocol);
    void read_tcp();
    void read_udp();
    void read_icmp();
    void accept_transport(std::uint32_t header_size) {
        headers_.payload = headers_.transport + header_size;
        headers_.transport_ok = true;
    }

    ByteView frame_;
    Headers headers_;
};

void Reader::read_typed(std::uint32_t type_offset, std::uint32_t link_size) {
    if (size() < link_size) {
        return stop_at(0, Event::FrameTruncated);
    }
    std::uint16_t type = load_be16(at(type_offset));
    std::uint32_t offset = link_size;
    while (is_vlan_type(type) && headers_.vlan_count < kVlanTagsMax) {
        if (size() - offset < kTagSize) {
            headers_.ether_type = type;
            return stop_at(offset, Event::FrameTruncated);
        }
        if (headers_.vlan_count == 0) {
            headers_.vlan = load_be16(at(offset)) & 0x0fff;
        }
        ++headers_.vlan_count;
        type = load_be16(at(offset + 2));
        offset += kTagSize;
    }
    read_network(type, offset);
}

void Reader::read_loopback(LinkType link) {
    if (size() < 4) {
        return stop_at(0, Event::FrameTruncated);
    }
    std::uint32_t family = load_be32(at(0));
    if (link == LinkType::Null && family > 0xffff) {
        family = __builtin_bswap32(family);  // The writer was a little-endian machine.
    }
    const bool is_ipv6 = family == 10 || family == 24 || family == 28 || family == 30;
    std::uint16_t type = 0;
    if (family == 2) {
        type = kEtherTypeIpv4;
    } else if (is_ipv6) {
        type = kEtherTypeIpv6;
    }
    read_network(type, 4);
}

void Reader::read_raw() {
    if (size() == 0) {
        return stop_at(0, Event::FrameTruncated);
    }
    read_network(*at(0) >> 4 == 6 ? kEtherTypeIpv6 : kEtherTypeIpv4, 0);
}

void Reader::read_network(std::uint16_t type, std::uint32_t offset) {
    stop_at(offset, Event::None);
    // Below 0x600 the field is an 802.3 length, no type.
    headers_.ether_type = type < 0x600 ? std::uint16_t{0} : type;
    if (type == kEtherTypeIpv4) {
        read_ipv4();
    } else if (type == kEtherTypeIpv6) {
        read_ipv6();
    }
}

void Reader::set_lengths(std::uint32_t header_size, std::uint32_t datagram_size) {
    const std::uint32_t captured = size() - headers_.net;
    headers_.end = headers_.net + std::min(datagram_size, captured);
    headers_.cut = datagram_size - std::min(datagram_size, captured);
    headers_.transport = headers_.payload = headers_.net + header_size;
}

void Reader::read_ipv4() {
    const std::uint32_t captured = size() - headers_.net;
    if (captured < kIpv4MinSize) {
        headers_.malformed = Event::FrameTruncated;
        return;
    }
    const std::uint8_t* const ip = at(headers_.net);
    const std::uint32_t header_size = (ip[0] & 0x0fU) * 4;
    const std::uint32_t total = load_be16(ip + 2);
    if (ip[0] >> 4 != 4 || header_size < kIpv4MinSize || total < header_size) {
        headers_.malformed = Event::Ipv4BadHeader;
        return;
    }
    if (header_size > captured) {
        headers_.malformed = Event::FrameTruncated;
        return;
    }
    headers_.ip_version = 4;
    headers_.protocol = ip[9];
    set_lengths(header_size, total);
    headers_.fragment = (load_be16(ip + 6) & 0x3fff) != 0;
    if (headers_.fragment) {
        return;
    }
    if (headers_.protocol == kAuthentication) {
        read_extensions(kAuthentication, Event::Ipv4BadHeader);
    } else {
        read_transport(headers_.protocol);
    }
}

void Reader::read_ipv6() {
    if (size() - headers_.net < kIpv6Size) {
        headers_.malformed = Event::FrameTruncated;
        return;
    }
    const std::uint8_t* const ip = at(headers_.net);
    if (ip[0] >> 4 != 6) {
        headers_.malformed = Event::Ipv6BadHeader;
        return;
    }
    headers_.ip_version = 6;
    set_lengths(kIpv6Size, kIpv6Size + load_be16(ip + 4));
    read_extensions(ip[6], Event::Ipv6BadHeader);
}

// Walks the chain (RFC 8200, 4) up to a transport protocol, a fragment, or what can't be read.
void Reader::read_extensions(std::uint8_t next, Event lie) {
    for (int count = 0; count < kExtensionsMax; ++count) {
        headers_.protocol = next;
        const bool is_first = count == 0 && headers_.ip_version == 6;
        switch (next) {
            case kHopByHop:
                if (!is_first) {
                    headers_.malformed = lie;  // RFC 8200, 4.1: right behind the IPv6 header only.
                    return;
                }
                break;
            case kAuthentication:
                break;
            case kRouting:
            case kFragment:
            case kDestination:
            case kMobility:
            case kHostIdentity:
            case kShim6:
                if (headers_.ip_version == 6) {
                    break;
                }
                [[fallthrough]];
            default:
                read_transport(next);
                return;
        }
        if (!read_extension(next, lie)) {
            return;
        }
    }
    headers_.protocol = next;
    headers_.malformed = lie;
}

// Steps over one extension header; false if reading ends there.
bool Reader::read_extension(std::uint8_t& next, Event lie) {
    if (left(headers_.transport) < 8) {
        stop_short(lie);
        return false;
    }
    const std::uint8_t* const header = at(headers_.transport);
    std::uint32_t header_size = (header[1] + 1U) * 8;
    if (next == kFragment) {
        header_size = 8;
    } else if (next == kAuthentication) {
        header_size = (header[1] + 2U) * 4;  // RFC 4302, 2.2
        if (header_size < 12) {
            headers_.malformed = lie;
            return false;
        }
    }
    if (header_size > left(headers_.transport)) {
        const bool fits_uncut = header_size <= left(headers_.transport) + headers_.cut;
        headers_.malformed = fits_uncut ? Event::FrameSnaplen : lie;
        return false;
    }
    // An atomic fragment (RFC 6946) is a whole datagram that only looks like a part.
    const bool is_part = next == kFragment && (load_be16(header + 2) & 0xfff9) != 0;
    next = header[0];
    headers_.transport += header_size;
    headers_.payload = headers_.transport;
    if (is_part) {
        headers_.protocol = next;
        headers_.fragment = true;
        return false;
    }
    return true;
}

void Reader::read_transport(std::uint8_t protocol) {
    if (protocol == kProtocolTcp) {
        read_tcp();
    } else if (protocol == kProtocolUdp) {
        read_udp();
    } else if (protocol == (headers_.ip_version == 4 ? kProtocolIcmp : kProtocolIcmpv6)) {
        read_icmp();
    }
}

void Reader::read_tcp() {
    const std::uint32_t captured = left(headers_.transport);
    if (captured < kTcpMinSize) {
        return stop_short(Event::TcpBadHeader);
    }
    const std::uint32_t header_size = *(at(headers_.transport) + 12) / 16U * 4;
    if (header_size < kTcpMinSize || header_size > captured + headers_.cut) {
        headers_.malformed = Event::TcpBadHeader;
    } else if (header_size > captured) {
        headers_.malformed = Event::FrameSnaplen;
    } else {
        accept_transport(header_size);
    }
}

void Reader::read_udp() {
    const std::uint32_t captured = left(headers_.transport);
    if (captured < kUdpSize) {
        return stop_short(Event::UdpBadHeader);
    }
    const std::uint32_t length = load_be16(at(headers_.transport) + 4);
    if (length < kUdpSize || length > captured + headers_.cut) {
        headers_.malformed = Event::UdpBadHeader;
    } else {
        accept_transport(kUdpSize);
    }
}

void Reader::read_icmp() {
    if (left(headers_.transport) < kIcmpSize) {
        return stop_short(Event::IcmpBadHeader);
    }
    accept_transport(kIcmpSize);
}

// Most packets: Ethernet without tags, IPv4 without options, whole, not a fragment, good TCP.
inline bool read_common(ByteView frame, Headers& headers) {
    constexpr std::uint32_t kTransport = kEthernetSize + kIpv4MinSize;
    const std::uint8_t* const p = frame.data();
    if (frame.size() < kTransport + kTcpMinSize || load_be16(p + 12) != kEtherTypeIpv4 ||
        p[14] != 0x45 || p[23] != kProtocolTcp || (load_be16(p + 20) & 0x3fff) != 0) {
        return false;
    }
    const std::uint32_t end = kEthernetSize + load_be16(p + 16);
    const std::uint32_t header_size = p[kTransport + 12] / 16U * 4;
    if (header_size < kTcpMinSize || kTransport + header_size > end || end > frame.size()) {
        return false;
    }
    headers = {.net = kEthernetSize,
               .transport = kTransport,
               .payload = kTransport + header_size,
               .end = end,
               .ether_type = kEtherTypeIpv4,
               .ip_version = 4,
               .protocol = kProtocolTcp,
               .transport_ok = true};
    return true;
}

}  // namespace

void find_headers(LinkType link, ByteView frame, Headers& headers) {
    if (link == LinkType::Ethernet && read_common(frame, headers)) {
        return;
    }
    // Offsets are 32 bits wide; no capture format carries more.
    constexpr std::size_t kFrameMax = std::numeric_limits<std::uint32_t>::max();
    headers = Reader(frame.first(std::min(frame.size(), kFrameMax))).read(link);
}

}  // namespace haka::wire
