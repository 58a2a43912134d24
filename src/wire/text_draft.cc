#include "wire/text_draft.h"

#include "wire/ethernet.h"
#include "wire/text_detail.h"

namespace haka::wire::detail {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes make_link(const Draft& draft, LinkType link) {
    if (draft.link_header) {
        return *draft.link_header;
    }
    if (link != LinkType::Ethernet) {
        return default_link_header(link, draft.family);
    }
    EthernetFields ethernet = draft.ethernet;
    ethernet.type = draft.family == Family::Ipv4 ? kEtherTypeIpv4 : kEtherTypeIpv6;
    Bytes header = ethernet_header(ethernet);
    for (const Draft::Tag& tag : draft.tags) {
        const std::size_t end = header.size();
        header.resize(end + EthernetView::kTagSize);
        store_be16(&header[end - 2], tag.type);
        store_be16(&header[end], tag.id);
        store_be16(&header[end + 2], ethernet.type);
    }
    return header;
}

void spoil(std::uint8_t* field, bool is_bad, std::optional<std::uint16_t> value) {
    if (value) {
        store_be16(field, *value);
    } else if (is_bad) {
        store_be16(field, spoilt(load_be16(field)));
    }
}

}  // namespace

std::vector<std::uint8_t> make_frame(const Draft& draft, LinkType link) {
    const Bytes header = make_link(draft, link);
    IpFields ip = draft.ip;
    ip.options = draft.ip_options;
    TcpFields tcp = draft.tcp;
    tcp.options = draft.tcp_options;
    Bytes frame;
    std::size_t from_end = draft.payload.size();  // Where the checksum is, counted from the end.
    switch (draft.kind) {
        case Draft::Kind::Tcp:
            build_tcp(header, ip, tcp, draft.payload, frame);
            from_end += (tcp.options.size() + 3) / 4 * 4 + 4;
            break;
        case Draft::Kind::Udp:
            build_udp(header, ip, {.srcport = tcp.srcport, .dstport = tcp.dstport}, draft.payload,
                      frame);
            from_end += 2;
            break;
        case Draft::Kind::Icmp:
            build_icmp(header, ip, draft.icmp, draft.payload, frame);
            from_end += 6;
            break;
        case Draft::Kind::Other:
            build_ip(header, ip, draft.protocol, draft.payload, frame);
            break;
    }
    if (draft.kind != Draft::Kind::Other) {
        spoil(&frame[frame.size() - from_end], draft.has_bad_checksum, draft.checksum);
    }
    if (draft.family == Family::Ipv4) {
        spoil(&frame[header.size() + 10], draft.has_bad_ip_checksum, draft.ip_checksum);
    }
    frame.resize(frame.size() + draft.padding);
    return frame;
}

}  // namespace haka::wire::detail
