#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <vector>

#include "wire/build.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/text.h"
#include "wire/text_detail.h"
#include "wire/text_options.h"
#include "wire/text_reader.h"

namespace haka::wire {
namespace {

using detail::TextReader;
using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kDatagramMax = 65535;
// More than any header chain that the words can name.
constexpr std::size_t kHeadersMax = 60 + 60;
constexpr std::size_t kVlanTagsMax = 8;

// Reads a line into fields, then lets the builders make the frame.
class Parser {
public:
    Parser(std::string_view line, LinkType link) : in_(line), link_(link) {}

    Parsed parse() {
        if (read_link() && read_family() && read_ends() && read_body() && read_length() &&
            read_attributes()) {
            make();
        }
        return {.bytes = std::move(frame_), .error = in_.error(), .column = in_.error_column()};
    }

private:
    enum class Kind : std::uint8_t { Tcp, Udp, Icmp, Other };
    struct Tag {
        std::uint16_t type = 0;
        std::uint16_t id = 0;
    };

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
    void make();
    void make_link();
    void spoil(std::size_t field, bool is_bad, std::optional<std::uint16_t> value);

    TextReader in_;
    LinkType link_;
    Bytes frame_;

    Bytes link_header_;
    bool has_link_header_ = false;
    EthernetFields ethernet_;
    std::vector<Tag> tags_;
    Family family_ = Family::Ipv4;
    IpFields ip_;
    Bytes ip_options_;
    Kind kind_ = Kind::Other;
    std::string_view src_end_;
    std::string_view dst_end_;
    TcpFields tcp_;
    Bytes tcp_options_;
    IcmpFields icmp_;
    std::uint8_t protocol_ = 0;
    Bytes payload_;
    bool has_bad_checksum_ = false;
    bool has_bad_ip_checksum_ = false;
    std::optional<std::uint16_t> checksum_;
    std::optional<std::uint16_t> ip_checksum_;
    std::size_t padding_ = 0;
};

bool Parser::read_link() {
    if (in_.accept("link ")) {
        has_link_header_ = true;
        return in_.hex(link_header_) && in_.expect(", ");
    }
    if (link_ != LinkType::Ethernet) {
        return true;
    }
    if (in_.sees_mac()) {
        if (!read_mac(ethernet_.src) || !in_.expect(" > ") || !read_mac(ethernet_.dst) ||
            !in_.expect(", ")) {
            return false;
        }
    }
    while (tags_.size() < kVlanTagsMax) {
        Tag tag{.type = kEtherTypeVlan};
        if (in_.accept("svlan ")) {
            tag.type = kEtherTypeProviderVlan;
        } else if (!in_.accept("vlan ")) {
            break;
        }
        if (!in_.number(tag.id, 4095) || !in_.expect(", ")) {
            return false;
        }
        tags_.push_back(tag);
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
        family_ = Family::Ipv6;
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
    if (!parsed || parsed->family != family_) {
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
    const std::uint32_t id_max = family_ == Family::Ipv4 ? 0xffff : 0xffffffff;
    if (!in_.number(ip_.id, id_max) || !in_.expect(":") || !in_.number(ip_.frag_offset, 65528)) {
        return false;
    }
    if (ip_.frag_offset % 8 != 0) {
        return in_.fail("a fragment's offset is a multiple of 8");
    }
    if (in_.accept("+")) {
        ip_.flags = kIpv4MoreFragments;
    }
    return in_.expect(", ");
}

bool Parser::read_body() {
    if (in_.accept("Flags [")) {
        kind_ = Kind::Tcp;
    } else if (in_.accept("UDP")) {
        kind_ = Kind::Udp;
    } else if (in_.accept(family_ == Family::Ipv4 ? "ICMP " : "ICMP6 ")) {
        kind_ = Kind::Icmp;
    } else if (!in_.sees("frag ") && !in_.sees("proto ")) {
        return in_.fail("expected Flags, UDP, ICMP (IPv6: ICMP6), frag or proto");
    }
    if (kind_ == Kind::Tcp || kind_ == Kind::Udp) {
        if (!read_port(src_end_, tcp_.srcport) || !read_port(dst_end_, tcp_.dstport)) {
            return false;
        }
    }
    if (!read_address(src_end_, ip_.src) || !read_address(dst_end_, ip_.dst)) {
        return false;
    }
    switch (kind_) {
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
    return in_.expect("proto ") && in_.number(protocol_);
}

bool Parser::read_flags() {
    if (in_.accept("none")) {
        return in_.expect("]");
    }
    for (std::size_t i = 0; i < detail::kFlagLetters.size(); ++i) {
        if (in_.accept(detail::kFlagLetters.substr(i, 1))) {
            tcp_.flags = static_cast<std::uint8_t>(tcp_.flags | 1U << i);
        }
    }
    return in_.accept("]") || in_.fail("flags are some of FSRP.UEW, in this order, or none");
}

bool Parser::read_tcp() {
    if (!read_flags() || !in_.expect(", seq ") || !in_.number(tcp_.seq)) {
        return false;
    }
    if (in_.accept(", ack ") && !in_.number(tcp_.ack_seq)) {
        return false;
    }
    if (in_.accept(", win ") && !in_.number(tcp_.window_size)) {
        return false;
    }
    if (in_.accept(", urg ") && !in_.number(tcp_.urgent_pointer)) {
        return false;
    }
    if (in_.accept(", res ") && !in_.number(tcp_.res, 15)) {
        return false;
    }
    return !in_.accept(", options [") ||
           (detail::read_options(in_, tcp_options_) && in_.expect("]"));
}

bool Parser::read_icmp() {
    const bool is_ipv4 = family_ == Family::Ipv4;
    if (in_.accept("echo request")) {
        icmp_.type = is_ipv4 ? kIcmpEchoRequest : kIcmpv6EchoRequest;
    } else if (in_.accept("echo reply")) {
        icmp_.type = is_ipv4 ? kIcmpEchoReply : kIcmpv6EchoReply;
    } else if (!in_.expect("type ") || !in_.number(icmp_.type) || !in_.expect(" code ") ||
               !in_.number(icmp_.code)) {
        return false;
    }
    return in_.expect(", id ") && in_.number(icmp_.id) && in_.expect(", seq ") &&
           in_.number(icmp_.sequence);
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
            payload_.assign(*length, detail::kFiller);
            return true;
        }
    }
    if (in_.sees("\"") ? !in_.quoted(payload_) : !in_.hex(payload_)) {
        return false;
    }
    if (length && *length != payload_.size()) {
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
    if (is_only_ipv4 ? family_ == Family::Ipv6 : in_.sees("flow ") && family_ == Family::Ipv4) {
        return in_.fail("the other IP version has this attribute");
    }
    if (in_.accept("id ")) {
        return in_.number(ip_.id, 65535);
    }
    if (in_.accept("df")) {
        ip_.flags |= kIpv4DontFragment;
        return true;
    }
    if (in_.accept("rb")) {
        ip_.flags |= kIpv4Reserved;
        return true;
    }
    if (in_.accept("ip-options ")) {
        const bool is_read = in_.hex(ip_options_);
        const bool fits = ip_options_.size() % 4 == 0 && ip_options_.size() <= 40;
        return is_read && (fits || in_.fail("IP options have 4, 8 ... 40 bytes"));
    }
    if (in_.accept("flow ")) {
        return in_.number(ip_.flow_label, 0xfffff);
    }
    if (in_.accept("ttl ")) {
        return in_.number(ip_.ttl);
    }
    if (in_.accept("tos ")) {
        return in_.number(ip_.tos);
    }
    if (in_.accept("pad ")) {
        std::uint16_t padding = 0;
        const bool is_read = in_.number(padding);
        padding_ = padding;
        return is_read;
    }
    if (in_.accept("bad-cksum")) {
        has_bad_checksum_ = true;
        return true;
    }
    if (in_.accept("bad-ip-cksum")) {
        has_bad_ip_checksum_ = true;
        return true;
    }
    if (in_.sees("cksum ")) {
        return read_checksum_word("cksum ", checksum_);
    }
    if (in_.sees("ip-cksum ")) {
        return read_checksum_word("ip-cksum ", ip_checksum_);
    }
    return in_.fail("no such attribute");
}

bool Parser::read_attributes() {
    while (!in_.at_end()) {
        if (!in_.expect(", ") || !read_attribute()) {
            return false;
        }
    }
    if (payload_.size() + kHeadersMax > kDatagramMax) {
        return in_.fail("the packet is too long");
    }
    return true;
}

void Parser::make_link() {
    if (has_link_header_) {
        return;
    }
    link_header_ = default_link_header(link_, family_);
    if (link_ != LinkType::Ethernet) {
        return;
    }
    ethernet_.type = family_ == Family::Ipv4 ? kEtherTypeIpv4 : kEtherTypeIpv6;
    const std::uint16_t type = ethernet_.type;
    link_header_ = ethernet_header(ethernet_);
    for (const Tag& tag : tags_) {
        const std::size_t end = link_header_.size();
        link_header_.resize(end + 4);
        store_be16(&link_header_[end - 2], tag.type);
        store_be16(&link_header_[end], tag.id);
        store_be16(&link_header_[end + 2], type);
    }
}

void Parser::spoil(std::size_t field, bool is_bad, std::optional<std::uint16_t> value) {
    if (value) {
        store_be16(&frame_[field], *value);
    } else if (is_bad) {
        store_be16(&frame_[field], detail::spoilt(load_be16(&frame_[field])));
    }
}

void Parser::make() {
    make_link();
    ip_.options = ip_options_;
    tcp_.options = tcp_options_;
    std::size_t from_end = payload_.size();  // Where the checksum is, counted from the end.
    switch (kind_) {
        case Kind::Tcp:
            build_tcp(link_header_, ip_, tcp_, payload_, frame_);
            from_end += (tcp_options_.size() + 3) / 4 * 4 + 4;
            break;
        case Kind::Udp:
            build_udp(link_header_, ip_, {.srcport = tcp_.srcport, .dstport = tcp_.dstport},
                      payload_, frame_);
            from_end += 2;
            break;
        case Kind::Icmp:
            build_icmp(link_header_, ip_, icmp_, payload_, frame_);
            from_end += 6;
            break;
        case Kind::Other:
            build_ip(link_header_, ip_, protocol_, payload_, frame_);
            from_end = 0;
            break;
    }
    if (from_end > 0) {
        spoil(frame_.size() - from_end, has_bad_checksum_, checksum_);
    }
    if (family_ == Family::Ipv4) {
        spoil(link_header_.size() + 10, has_bad_ip_checksum_, ip_checksum_);
    }
    frame_.resize(frame_.size() + padding_);
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
