#include "wire/text.h"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>

#include "wire/build.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/headers.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/tcp.h"
#include "wire/text_detail.h"
#include "wire/text_options.h"
#include "wire/udp.h"

namespace haka::wire {
namespace detail {

std::string hex(ByteView bytes) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string text = "0x";
    text.reserve(2 + bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 15];
    }
    return text;
}

}  // namespace detail

namespace {

using detail::hex;

std::string quoted(ByteView bytes) {
    std::string text = "\"";
    for (const std::uint8_t byte : bytes) {
        switch (byte) {
            case '"':
                text += "\\\"";
                break;
            case '\\':
                text += "\\\\";
                break;
            case '\n':
                text += "\\n";
                break;
            case '\r':
                text += "\\r";
                break;
            case '\t':
                text += "\\t";
                break;
            default:
                if (byte >= 0x20 && byte < 0x7f) {
                    text += static_cast<char>(byte);
                } else {
                    fmt::format_to(std::back_inserter(text), "\\x{:02x}", byte);
                }
        }
    }
    return text + '"';
}

// Describes one frame; the words come in the order in which parse_text() wants them.
class Writer {
public:
    Writer(ByteView frame, LinkType link)
        : frame_(frame), link_(link), headers_(find_headers(link, frame)) {}

    std::string describe() {
        if (headers_.ip_version == 0) {
            if (headers_.malformed != Event::None) {
                return fmt::format("{}", event_name(headers_.malformed));
            }
            return fmt::format("not IP, type 0x{:04x}", headers_.ether_type);
        }
        write_link();
        write_transport();
        write_ip_attributes();
        write_rest();
        return text_;
    }

private:
    template <typename... Args>
    void add(fmt::format_string<Args...> format, Args&&... args) {
        fmt::format_to(std::back_inserter(text_), format, std::forward<Args>(args)...);
    }
    [[nodiscard]] bool is_ipv4() const { return headers_.ip_version == 4; }
    [[nodiscard]] ByteView datagram() const {
        return frame_.subspan(headers_.net, headers_.end - headers_.net);
    }
    [[nodiscard]] ByteView transport() const {
        return frame_.subspan(headers_.transport, headers_.end - headers_.transport);
    }

    void write_link();
    void write_ends(bool with_ports);
    void write_transport();
    void write_tcp();
    void write_icmp();
    void write_fragment();
    void write_length(ByteView payload);
    void write_ip_attributes();
    void write_rest();

    ByteView frame_;
    LinkType link_;
    Headers headers_;
    std::string text_;
};

void Writer::write_link() {
    const ByteView header = frame_.first(headers_.net);
    const Family family = is_ipv4() ? Family::Ipv4 : Family::Ipv6;
    auto plain = default_link_header(link_, family);
    if (link_ == LinkType::Ethernet) {
        const ByteView ends = header.first(12);
        if (!std::equal(ends.begin(), ends.end(), plain.begin())) {
            const auto mac = [](ByteView b) {
                return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", b[0], b[1], b[2],
                                   b[3], b[4], b[5]);
            };
            add("{} > {}, ", mac(ends.subspan(6)), mac(ends.first(6)));
        }
        for (std::size_t i = 12; i + 4 <= header.size() - 2; i += 4) {
            const bool is_plain_tag = load_be16(&header[i]) == kEtherTypeVlan;
            add("{} {}, ", is_plain_tag ? "vlan" : "svlan", load_be16(&header[i + 2]) & 0xfff);
        }
    } else if (!std::equal(header.begin(), header.end(), plain.begin(), plain.end())) {
        add("link {}, ", hex(header));
    }
    text_ += is_ipv4() ? "IP " : "IP6 ";
}

void Writer::write_ends(bool with_ports) {
    Address src;
    Address dst;
    if (is_ipv4()) {
        src = Address::ipv4(load_be32(&frame_[headers_.net + 12]));
        dst = Address::ipv4(load_be32(&frame_[headers_.net + 16]));
    } else {
        src = Address::ipv6(&frame_[headers_.net + 8]);
        dst = Address::ipv6(&frame_[headers_.net + 24]);
    }
    if (with_ports) {
        const ByteView ports = transport();
        add("{}.{} > {}.{}: ", src.text(), load_be16(&ports[0]), dst.text(), load_be16(&ports[2]));
    } else {
        add("{} > {}: ", src.text(), dst.text());
    }
}

void Writer::write_transport() {
    const bool is_tcp = headers_.protocol == kProtocolTcp;
    const bool is_udp = headers_.protocol == kProtocolUdp;
    write_ends(headers_.transport_ok && (is_tcp || is_udp));
    if (headers_.fragment) {
        write_fragment();
    } else if (!headers_.transport_ok) {
        add("proto {}", headers_.protocol);
        write_length(transport());
    } else if (is_tcp) {
        write_tcp();
    } else if (is_udp) {
        text_ += "UDP";
        write_length(transport().subspan(UdpView::kHeaderSize));
    } else {
        write_icmp();
    }
}

void Writer::write_tcp() {
    const auto tcp = TcpView::parse(transport());
    text_ += "Flags [";
    for (std::size_t i = 0; i < detail::kFlagLetters.size(); ++i) {
        if ((tcp->flags() >> i & 1) != 0) {
            text_ += detail::kFlagLetters[i];
        }
    }
    add("{}], seq {}", tcp->flags() == 0 ? "none" : "", tcp->seq());
    if ((tcp->flags() & kAck) != 0 || tcp->ack_seq() != 0) {
        add(", ack {}", tcp->ack_seq());
    }
    add(", win {}", tcp->window_size());
    if ((tcp->flags() & kUrg) != 0 || tcp->urgent_pointer() != 0) {
        add(", urg {}", tcp->urgent_pointer());
    }
    if (tcp->res() != 0) {
        add(", res {}", tcp->res());
    }
    if (!tcp->options().empty()) {
        add(", options [{}]", detail::options_text(tcp->options()));
    }
    write_length(tcp->payload());
}

void Writer::write_icmp() {
    const auto icmp = IcmpView::parse(transport());
    text_ += is_ipv4() ? "ICMP " : "ICMP6 ";
    const std::uint8_t request = is_ipv4() ? kIcmpEchoRequest : kIcmpv6EchoRequest;
    const std::uint8_t reply = is_ipv4() ? kIcmpEchoReply : kIcmpv6EchoReply;
    if (icmp->type() == request && icmp->code() == 0) {
        text_ += "echo request";
    } else if (icmp->type() == reply && icmp->code() == 0) {
        text_ += "echo reply";
    } else {
        add("type {} code {}", icmp->type(), icmp->code());
    }
    add(", id {}, seq {}", icmp->id(), icmp->sequence());
    write_length(icmp->payload());
}

void Writer::write_fragment() {
    std::uint32_t id = 0;
    std::uint32_t offset = 0;
    bool has_more = false;
    if (is_ipv4()) {
        const auto ip = Ipv4View::parse(datagram());
        id = ip->id();
        offset = ip->frag_offset();
        has_more = (ip->flags() & kIpv4MoreFragments) != 0;
    } else {
        const std::uint8_t* const fragment = &frame_[headers_.transport - 8];
        id = load_be32(fragment + 4);
        offset = load_be16(fragment + 2) & 0xfff8;
        has_more = (fragment[3] & 1) != 0;
    }
    add("frag {}:{}{}, proto {}", id, offset, has_more ? "+" : "", headers_.protocol);
    write_length(transport());
}

void Writer::write_length(ByteView payload) {
    add(", length {}", payload.size());
    const bool is_filler =
        payload.size() > detail::kFillerShown &&
        std::all_of(payload.begin(), payload.end(), [](auto b) { return b == detail::kFiller; });
    if (!payload.empty() && !is_filler) {
        text_ += ' ';
        text_ += headers_.transport_ok ? quoted(payload) : hex(payload);
    }
}

void Writer::write_ip_attributes() {
    std::uint8_t ttl = 0;
    std::uint8_t tos = 0;
    if (is_ipv4()) {
        const auto ip = Ipv4View::parse(datagram());
        ttl = ip->ttl();
        tos = ip->tos();
        if (ip->id() != 0 && !headers_.fragment) {
            add(", id {}", ip->id());
        }
        text_ += (ip->flags() & kIpv4DontFragment) != 0 ? ", df" : "";
        text_ += (ip->flags() & kIpv4Reserved) != 0 ? ", rb" : "";
        if (!ip->options().empty()) {
            add(", ip-options {}", hex(ip->options()));
        }
    } else {
        const auto ip = Ipv6View::parse(datagram());
        ttl = ip->hop_limit();
        tos = ip->traffic_class();
        if (ip->flow_label() != 0) {
            add(", flow {}", ip->flow_label());
        }
    }
    if (ttl != detail::kDefaultTtl) {
        add(", ttl {}", ttl);
    }
    if (tos != 0) {
        add(", tos {}", tos);
    }
}

// Checksums that are not what they should be, and what lies behind the datagram.
void Writer::write_rest() {
    std::vector<std::uint8_t> right(frame_.begin(), frame_.end());
    const auto compare = [&](std::size_t field, std::string_view name) {
        const std::uint16_t is = load_be16(&frame_[field]);
        const std::uint16_t should = load_be16(&right[field]);
        if (is == should) {
            return;
        }
        if (is == detail::spoilt(should)) {
            add(", bad-{}", name);
        } else {
            add(", {} 0x{:04x}", name, is);
        }
    };
    if (is_ipv4()) {
        compute_ipv4_header(headers_, right);
        compare(headers_.net + 10, "ip-cksum");
    }
    if (compute_transport(headers_, right)) {
        std::size_t field = headers_.transport + 2;
        if (headers_.protocol == kProtocolTcp) {
            field += 14;
        } else if (headers_.protocol == kProtocolUdp) {
            field += 4;
        }
        compare(field, "cksum");
    }
    const ByteView padding = frame_.subspan(headers_.end);
    if (!padding.empty()) {
        add(", pad {}", padding.size());
    }
}

}  // namespace

std::string to_text(ByteView frame, LinkType link) {
    std::string text = Writer(frame, link).describe();
    const Parsed again = parse_text(text, link);
    if (!again || !std::equal(again.bytes.begin(), again.bytes.end(), frame.begin(), frame.end())) {
        text += ", bytes " + hex(frame);
    }
    return text;
}

}  // namespace haka::wire
