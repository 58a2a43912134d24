#include "output/head.h"

#include <algorithm>
#include <array>
#include <cassert>

#include "output/forge.h"
#include "script/abi.h"
#include "wire/build.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace haka::output {
namespace {

constexpr std::uint32_t kTcpHeader = 20;
constexpr std::uint32_t kOptionsMax = 40;

Address address_at(const std::uint8_t* bytes, std::uint8_t ip_version) {
    return ip_version == 4 ? Address::ipv4(load_be32(bytes)) : Address::ipv6(bytes);
}

enum class Way : std::uint8_t { Same, Back };

// The headers without options but time stamps, as the packet has them or for the way back.
Head rebuild(const Head& came, Way way, const Timestamps& timestamps) {
    const wire::Headers& headers = came.headers;
    const bool turned = way == Way::Back;
    const std::uint8_t* const net = came.bytes.data() + headers.net;
    const std::uint8_t* const tcp = came.bytes.data() + headers.transport;
    const bool ipv4 = headers.ip_version == 4;
    std::vector<std::uint8_t> link(came.bytes.data(), net);
    if (turned && came.link == LinkType::Ethernet && link.size() >= 12) {
        std::swap_ranges(link.begin(), link.begin() + 6, link.begin() + 6);
    }
    std::array<std::uint8_t, 12> options{wire::kOptionNop, wire::kOptionNop, wire::kOptionTimestamp,
                                         10};
    store_be32(&options[4], timestamps.value);
    store_be32(&options[8], timestamps.echo);
    const Address src = address_at(net + (ipv4 ? 12 : 8), headers.ip_version);
    const Address dst = address_at(net + (ipv4 ? 16 : 24), headers.ip_version);
    Head head;
    wire::build_tcp(link,
                    {.src = turned ? dst : src,
                     .dst = turned ? src : dst,
                     .flags = ipv4 ? static_cast<std::uint8_t>(net[6] >> 5 & 2) : std::uint8_t{0}},
                    {.srcport = load_be16(tcp + (turned ? 2 : 0)),
                     .dstport = load_be16(tcp + (turned ? 0 : 2)),
                     .options = timestamps.used ? ByteView(options) : ByteView()},
                    {}, head.bytes);
    wire::find_headers(came.link, head.bytes, head.headers);
    head.link = came.link;
    head.interface = came.interface ^ (turned ? 1U : 0U);
    return head;
}

}  // namespace

Head head_of(const Frame& frame, const wire::Headers& headers) {
    Head head;
    head.bytes.assign(frame.data, frame.data + headers.payload);
    head.headers = headers;
    head.headers.end = headers.payload;
    head.headers.cut = 0;
    head.link = frame.link;
    head.interface = frame.interface;
    return head;
}

Head answer_to(const Head& came, const Timestamps& timestamps) {
    return rebuild(came, Way::Back, timestamps);
}

Head plain_head(const Head& head) {
    const std::uint8_t* const from = head.bytes.data() + head.headers.transport;
    const std::uint32_t came =
        find_timestamp({from, head.headers.payload - head.headers.transport});
    Timestamps timestamps;
    if (came != 0) {
        timestamps = {
            .used = true, .value = load_be32(from + came), .echo = load_be32(from + came + 4)};
    }
    Head plain = rebuild(head, Way::Same, timestamps);
    std::uint8_t* const to = plain.bytes.data() + plain.headers.transport;
    store_be32(to + 8, load_be32(from + 8));
    to[13] = from[13] & wire::kAck;  // A SYN's ACK number means nothing.
    store_be16(to + 14, load_be16(from + 14));
    if (head.shape.size_max != 0) {
        std::uint8_t* const net = plain.bytes.data() + plain.headers.net;
        if (plain.headers.ip_version == 4) {  // Its fragments are known by its id.
            store_be16(net + 4, load_be16(head.bytes.data() + head.headers.net + 4));
        }
        plain.shape = head.shape;
        plain.shape.unfragmentable = plain.headers.transport - plain.headers.net;
    }
    return plain;
}

Head waiting_head(const Head& head) {
    Head waiting = plain_head(head);
    const std::uint8_t* const net = head.bytes.data() + head.headers.net;
    std::uint8_t* const to_net = waiting.bytes.data() + waiting.headers.net;
    if (head.headers.ip_version == 4) {
        to_net[1] = net[1];
        to_net[8] = net[8];
    } else {
        std::copy_n(net, 4, to_net);
        to_net[7] = net[7];
    }
    const std::uint8_t* const tcp = head.bytes.data() + head.headers.transport;
    std::uint8_t* const to_tcp = waiting.bytes.data() + waiting.headers.transport;
    to_tcp[12] = static_cast<std::uint8_t>((to_tcp[12] & 0xf0U) | (tcp[12] & 0x0fU));
    to_tcp[13] = tcp[13] & (wire::kAck | wire::kEce | wire::kCwr);
    return waiting;
}

void build_piece(const Head& head, const Piece& piece, ByteView options, ByteView payload,
                 std::vector<std::uint8_t>& out) {
    const std::uint32_t own = head.headers.payload - head.headers.transport;
    if (own + options.size() > kTcpHeader + kOptionsMax) {
        options = options.first((kTcpHeader + kOptionsMax - own) / 4 * 4);
    }
    out.clear();
    out.insert(out.end(), head.bytes.begin(), head.bytes.end());
    out.insert(out.end(), options.begin(), options.end());
    out.insert(out.end(), payload.begin(), payload.end());
    wire::Headers headers = head.headers;
    headers.payload += static_cast<std::uint32_t>(options.size());
    headers.end = static_cast<std::uint32_t>(out.size());
    std::uint8_t* const net = out.data() + headers.net;
    const std::uint32_t size = headers.end - headers.net;
    assert(size <= 65'535 + 40);
    if (headers.ip_version == 4) {
        store_be16(net + 2, static_cast<std::uint16_t>(size));
        store_be16(net + 4, static_cast<std::uint16_t>(load_be16(net + 4) + piece.id_step));
    } else {
        store_be16(net + 4, static_cast<std::uint16_t>(size - 40));
    }
    std::uint8_t* const tcp = out.data() + headers.transport;
    store_be32(tcp + 4, piece.seq);
    store_be32(tcp + 8, piece.ack_seq);
    tcp[12] = static_cast<std::uint8_t>((own + options.size()) / 4 << 4 | (tcp[12] & 0x0fU));
    tcp[13] = piece.flags;
    store_be16(tcp + 14, piece.window);
    store_be16(tcp + 18, 0);
    fix_checksums(headers, out, HAKA_CHANGED_NET | HAKA_CHANGED_TRANSPORT);
}

std::uint32_t find_timestamp(ByteView tcp) {
    wire::TcpOptions options(tcp.subspan(kTcpHeader));
    wire::TcpOption option;
    while (options.next(option)) {
        if (option.kind == wire::kOptionTimestamp && !has_impossible_size(option)) {
            return static_cast<std::uint32_t>(option.value.data() - tcp.data());
        }
    }
    return 0;
}

}  // namespace haka::output
