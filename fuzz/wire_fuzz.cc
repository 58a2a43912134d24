// Any bytes as a frame of every link type, and as a line of the text form.
//
// Input: the first byte chooses the link type, the rest is the frame (or, for the last choices, a
// line). What headers.h promises is asserted; sanitizers see to the rest.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "fuzz.h"
#include "wire/checksum.h"
#include "wire/ethernet.h"
#include "wire/headers.h"
#include "wire/icmp.h"
#include "wire/ipv4.h"
#include "wire/ipv6.h"
#include "wire/segment.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"
#include "wire/text.h"
#include "wire/udp.h"

namespace haka::wire {
namespace {

using fuzz::Input;
using fuzz::require;

constexpr std::array kLinks = {LinkType::Ethernet, LinkType::Raw,      LinkType::Null,
                               LinkType::Loop,     LinkType::LinuxSll, LinkType::LinuxSll2,
                               LinkType::Ipv4,     LinkType::Ipv6};

void check_headers(const Headers& h, ByteView frame) {
    require(h.net <= h.transport && h.transport <= h.payload);
    require(h.payload <= h.end && h.end <= frame.size());
    if (h.ip_version == 0) {
        require(h.net == h.transport && h.net == h.payload);
        require(!h.fragment && !h.transport_ok);
    }
    require(h.transport_ok || h.payload == h.transport);
    require(!h.fragment || !h.transport_ok);
    require(!h.transport_ok || h.malformed == Event::None);
    require(h.vlan_count <= 8 && h.vlan <= 4095);
}

void check_segment(const Headers& h, ByteView frame) {
    const Segment segment = read_segment(h, frame);
    require(segment.payload_size == h.end - h.payload + h.cut);
    require(segment.window_scale <= 14);
    const auto tcp = TcpView::parse(frame.subspan(h.transport, h.end - h.transport));
    require(tcp.has_value());
    require(tcp->payload().data() == frame.data() + h.payload);
    TcpOptions options(tcp->options());
    TcpOption option;
    std::size_t steps = 0;
    while (options.next(option)) {
        require(++steps <= 40);
    }
}

// The views must bear any bytes, not only what find_headers() liked.
std::size_t touch_views(ByteView bytes) {
    std::size_t sum = 0;
    if (const auto ethernet = EthernetView::parse(bytes)) {
        sum += ethernet->type() + ethernet->payload().size();
    }
    if (const auto ip = Ipv4View::parse(bytes)) {
        sum += ip->options().size() + ip->payload().size() + ip->src().bytes[15];
        sum += verify_ipv4_header(ip->header()) ? 1 : 0;
    }
    if (const auto ip = Ipv6View::parse(bytes)) {
        sum += ip->payload().size() + ip->flow_label() + ip->dst().bytes[15];
    }
    if (const auto tcp = TcpView::parse(bytes)) {
        sum += tcp->options().size() + tcp->payload().size() + tcp->urgent_pointer();
    }
    if (const auto udp = UdpView::parse(bytes)) {
        sum += udp->payload().size();
    }
    if (const auto icmp = IcmpView::parse(bytes)) {
        sum += icmp->payload().size() + icmp->sequence();
    }
    return sum;
}

void check_frame(LinkType link, ByteView frame) {
    const Headers headers = find_headers(link, frame);
    check_headers(headers, frame);
    (void)touch_views(frame.subspan(headers.net));
    (void)touch_views(frame.subspan(headers.transport));
    if (headers.transport_ok && headers.protocol == kProtocolTcp) {
        check_segment(headers, frame);
    }
    const ChecksumCheck before = verify_transport(headers, frame);
    std::vector<std::uint8_t> right(frame.begin(), frame.end());
    const bool is_written = compute_transport(headers, right);
    require(is_written || before == ChecksumCheck::Unverifiable);
    if (is_written) {
        require(verify_transport(headers, right) == ChecksumCheck::Right);
    }
    if (headers.ip_version == 4) {
        compute_ipv4_header(headers, right);
    }
    const Parsed again = parse_text(to_text(frame, link), link);
    require(static_cast<bool>(again));
    require(std::equal(again.bytes.begin(), again.bytes.end(), frame.begin(), frame.end()));
}

void check_line(LinkType link, std::string_view line) {
    const Parsed parsed = parse_text(line, link);
    require(static_cast<bool>(parsed) == (parsed.column == 0));
    require(parsed.column <= line.size() + 1);
    if (parsed) {
        check_headers(find_headers(link, parsed.bytes), parsed.bytes);
    }
}

}  // namespace
}  // namespace haka::wire

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using haka::wire::kLinks;
    if (size == 0) {
        return 0;
    }
    // A copy of its own, so that a read past its end is seen.
    const std::vector<std::uint8_t> bytes(data + 1, data + size);
    const std::size_t choice = data[0] % (2 * kLinks.size());
    if (choice < kLinks.size()) {
        haka::wire::check_frame(kLinks[choice], bytes);
    } else {
        haka::wire::check_line(kLinks[choice - kLinks.size()], haka::as_text(bytes));
    }
    return 0;
}
