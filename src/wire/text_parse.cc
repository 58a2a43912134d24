#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/text.h"
#include "wire/text_detail.h"
#include "wire/text_draft.h"
#include "wire/text_options.h"
#include "wire/text_reader.h"

namespace haka::wire {
namespace {

using detail::Draft;
using detail::TextReader;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kDatagramMax = 65535;
// More than any header chain that the words can name.
constexpr std::size_t kHeadersMax = 60 + 60;
constexpr std::size_t kVlanTagsMax = 8;

// Reads a line into a draft.
class Parser {
public:
    Parser(std::string_view line, LinkType link) : in_(line), link_(link) {}

    Parsed parse() {
        if (read_link() && read_family() && read_ends() && read_body() && read_length() &&
            read_attributes()) {
            frame_ = detail::make_frame(draft_, link_);
        }
        return {.bytes = std::move(frame_), .error = in_.error(), .column = in_.error_column()};
    }

private:
    using Kind = Draft::Kind;

    bool read_link();
    bool read_mac(MacAddress& mac);
    bool read_family();
    bool read_ends();
    bool read_address(std::string_view text, Address& address);
    bool read_port(std::string_view& end, std::uint16_t& port);
    bool read_fragment();
    bool read_body();
    bool read_tcp();
    bool read_flags();
    bool read_icmp();
    bool read_length();
    bool read_attributes();
    bool read_attribute();
    bool read_checksum_word(std::string_view name, std::optional<std::uint16_t>& value);

    TextReader in_;
    LinkType link_;
    Draft draft_;
    std::string_view src_end_;
    std::string_view dst_end_;
    Bytes frame_;
};

bool Parser::read_link() {
    if (in_.accept("link ")) {
        return in_.hex(draft_.link_header.emplace()) && in_.expect(", ");
    }
    if (link_ != LinkType::Ethernet) {
        return true;
    }
    if (in_.sees_mac()) {
        if (!read_mac(draft_.ethernet.src) || !in_.expect(" > ") ||
            !read_mac(draft_.ethernet.dst) || !in_.expect(", ")) {
            return false;
        }
    }
    while (draft_.tags.size() < kVlanTagsMax) {
        Draft::Tag tag{.type = kEtherTypeVlan};
        if (in_.accept("svlan ")) {
            tag.type = kEtherTypeProviderVlan;
        } else if (!in_.accept("vlan ")) {
            break;
        }
        if (!in_.number(tag.id, 4095) || !in_.expect(", ")) {
            return false;
        }
        draft_.tags.push_back(tag);
    }
    return true;
}

bool Parser::read_mac(MacAddress& mac) {
    for (std::size_t i = 0; i < mac.size(); ++i) {
        if ((i > 0 && !in_.expect(":")) || !in_.hex_byte(mac[i])) {
            return false;
        }
    }
    return true;
}

bool Parser::read_family() {
    if (in_.accept("IP6 ")) {
        draft_.family = Family::Ipv6;
        return true;
    }
    return in_.accept("IP ") || in_.fail("here begins a packet: IP, IP6, or a link header");
}

// Which of them have ports is known only when the protocol is.
bool Parser::read_ends() {
    src_end_ = in_.word();
    if (!in_.expect(" > ")) {
        return false;
    }
    dst_end_ = in_.word();
    if (dst_end_.empty() || dst_end_.back() != ':') {
        return in_.fail("a colon must end the destination");
    }
    dst_end_.remove_suffix(1);
    return in_.expect(" ");
}

bool Parser::read_address(std::string_view text, Address& address) {
    const auto parsed = Address::parse(text);
    if (!parsed || parsed->family != draft_.family) {
        return in_.fail_at(text, "no such address");
    }
    address = *parsed;
    return true;
}

// "10.0.0.1.80": the port is what follows the last dot.
bool Parser::read_port(std::string_view& end, std::uint16_t& port) {
    const std::size_t dot = end.rfind('.');
    if (dot == std::string_view::npos || !TextReader::number_in(end.substr(dot + 1), port)) {
        return in_.fail_at(end, "a port must follow the address");
    }
    end = end.substr(0, dot);
    return true;
}

bool Parser::read_fragment() {
    const std::uint32_t id_max = draft_.family == Family::Ipv4 ? 0xffff : 0xffffffff;
    if (!in_.number(draft_.ip.id, id_max) || !in_.expect(":") ||
        !in_.number(draft_.ip.frag_offset, 65528)) {
        return false;
    }
    if (draft_.ip.frag_offset % 8 != 0) {
        return in_.fail("a fragment's offset is a multiple of 8");
    }
    if (in_.accept("+")) {
        draft_.ip.flags = kIpv4MoreFragments;
    }
    return in_.expect(", ");
}

bool Parser::read_body() {
    if (in_.accept("Flags [")) {
        draft_.kind = Kind::Tcp;
    } else if (in_.accept("UDP")) {
        draft_.kind = Kind::Udp;
    } else if (in_.accept(draft_.family == Family::Ipv4 ? "ICMP " : "ICMP6 ")) {
        draft_.kind = Kind::Icmp;
    } else if (!in_.sees("frag ") && !in_.sees("proto ")) {
        return in_.fail("expected Flags, UDP, ICMP (IPv6: ICMP6), frag or proto");
    }
    if (draft_.kind == Kind::Tcp || draft_.kind == Kind::Udp) {
        if (!read_port(src_end_, draft_.tcp.srcport) || !read_port(dst_end_, draft_.tcp.dstport)) {
            return false;
        }
    }
    if (!read_address(src_end_, draft_.ip.src) || !read_address(dst_end_, draft_.ip.dst)) {
        return false;
    }
    switch (draft_.kind) {
        case Kind::Tcp:
            return read_tcp();
        case Kind::Udp:
            return true;
        case Kind::Icmp:
            return read_icmp();
        case Kind::Other:
            break;
    }
    if (in_.accept("frag ") && !read_fragment()) {
        return false;
    }
    return in_.expect("proto ") && in_.number(draft_.protocol);
}

bool Parser::read_flags() {
    if (in_.accept("none")) {
        return in_.expect("]");
    }
    for (std::size_t i = 0; i < detail::kFlagLetters.size(); ++i) {
        if (in_.accept(detail::kFlagLetters.substr(i, 1))) {
            draft_.tcp.flags = static_cast<std::uint8_t>(draft_.tcp.flags | 1U << i);
        }
    }
    return in_.accept("]") || in_.fail("flags are some of FSRP.UEW, in this order, or none");
}

bool Parser::read_tcp() {
    if (!read_flags() || !in_.expect(", seq ") || !in_.number(draft_.tcp.seq)) {
        return false;
    }
    if (in_.accept(", ack ") && !in_.number(draft_.tcp.ack_seq)) {
        return false;
    }
    if (in_.accept(", win ") && !in_.number(draft_.tcp.window_size)) {
        return false;
    }
    if (in_.accept(", urg ") && !in_.number(draft_.tcp.urgent_pointer)) {
        return false;
    }
    if (in_.accept(", res ") && !in_.number(draft_.tcp.res, 15)) {
        return false;
    }
    return !in_.accept(", options [") ||
           (detail::read_options(in_, draft_.tcp_options) && in_.expect("]"));
}

bool Parser::read_icmp() {
    const bool is_ipv4 = draft_.family == Family::Ipv4;
    if (in_.accept("echo request")) {
        draft_.icmp.type = is_ipv4 ? kIcmpEchoRequest : kIcmpv6EchoRequest;
    } else if (in_.accept("echo reply")) {
        draft_.icmp.type = is_ipv4 ? kIcmpEchoReply : kIcmpv6EchoReply;
    } else if (!in_.expect("type ") || !in_.number(draft_.icmp.type) || !in_.expect(" code ") ||
               !in_.number(draft_.icmp.code)) {
        return false;
    }
    return in_.expect(", id ") && in_.number(draft_.icmp.id) && in_.expect(", seq ") &&
           in_.number(draft_.icmp.sequence);
}

bool Parser::read_length() {
    if (!in_.expect(", length ")) {
        return false;
    }
    std::optional<std::uint16_t> length;
    if (!in_.sees("\"") && !in_.sees("0x")) {
        length = std::uint16_t{0};
        if (!in_.number(*length)) {
            return false;
        }
        if (!in_.accept(" ")) {
            draft_.payload.assign(*length, detail::kFiller);
            return true;
        }
    }
    if (in_.sees("\"") ? !in_.quoted(draft_.payload) : !in_.hex(draft_.payload)) {
        return false;
    }
    if (length && *length != draft_.payload.size()) {
        return in_.fail("the length is not that of the bytes");
    }
    return true;
}

bool Parser::read_checksum_word(std::string_view name, std::optional<std::uint16_t>& value) {
    if (!in_.accept(name)) {
        return true;
    }
    Bytes bytes;
    if (!in_.hex(bytes)) {
        return false;
    }
    if (bytes.size() != 2) {
        return in_.fail("a checksum has four hex digits");
    }
    value = load_be16(bytes.data());
    return true;
}

bool Parser::read_attribute() {
    const std::array<std::string_view, 4> only_ipv4 = {"id ", "df", "rb", "ip-options "};
    const bool is_only_ipv4 = std::any_of(only_ipv4.begin(), only_ipv4.end(),
                                          [this](auto name) { return in_.sees(name); });
    if (is_only_ipv4 ? draft_.family == Family::Ipv6
                     : in_.sees("flow ") && draft_.family == Family::Ipv4) {
        return in_.fail("the other IP version has this attribute");
    }
    if (in_.accept("id ")) {
        return in_.number(draft_.ip.id, 65535);
    }
    if (in_.accept("df")) {
        draft_.ip.flags |= kIpv4DontFragment;
        return true;
    }
    if (in_.accept("rb")) {
        draft_.ip.flags |= kIpv4Reserved;
        return true;
    }
    if (in_.accept("ip-options ")) {
        const bool is_read = in_.hex(draft_.ip_options);
        const bool fits = draft_.ip_options.size() % 4 == 0 && draft_.ip_options.size() <= 40;
        return is_read && (fits || in_.fail("IP options have 4, 8 ... 40 bytes"));
    }
    if (in_.accept("flow ")) {
        return in_.number(draft_.ip.flow_label, 0xfffff);
    }
    if (in_.accept("ttl ")) {
        return in_.number(draft_.ip.ttl);
    }
    if (in_.accept("tos ")) {
        return in_.number(draft_.ip.tos);
    }
    if (in_.accept("pad ")) {
        std::uint16_t padding = 0;
        const bool is_read = in_.number(padding);
        draft_.padding = padding;
        return is_read;
    }
    if (in_.accept("bad-cksum")) {
        draft_.has_bad_checksum = true;
        return true;
    }
    if (in_.accept("bad-ip-cksum")) {
        draft_.has_bad_ip_checksum = true;
        return true;
    }
    if (in_.sees("cksum ")) {
        return read_checksum_word("cksum ", draft_.checksum);
    }
    if (in_.sees("ip-cksum ")) {
        return read_checksum_word("ip-cksum ", draft_.ip_checksum);
    }
    return in_.fail("no such attribute");
}

bool Parser::read_attributes() {
    while (!in_.at_end()) {
        if (!in_.expect(", ") || !read_attribute()) {
            return false;
        }
    }
    if (draft_.payload.size() + kHeadersMax > kDatagramMax) {
        return in_.fail("the packet is too long");
    }
    return true;
}

}  // namespace

Parsed parse_text(std::string_view line, LinkType link) {
    constexpr std::string_view kBytes = ", bytes ";
    const std::size_t at = line.rfind(kBytes);
    if (at != std::string_view::npos) {
        Parsed parsed;
        TextReader in(line);
        in.move_to(at + kBytes.size());
        if (in.hex(parsed.bytes) && in.at_end()) {
            return parsed;
        }
    }
    return Parser(line, link).parse();
}

}  // namespace haka::wire
