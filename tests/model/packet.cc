#include "packet.h"

#include "base/address.h"
#include "wire/build.h"
#include "wire/checksum.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace haka::model {

namespace {

constexpr std::uint32_t kClient = 0x0a00'0001;
constexpr std::uint32_t kServer = 0x0a00'0002;
constexpr std::uint16_t kServerPort = 80;

class OptionWriter {
public:
    void byte(std::uint32_t value) { bytes_.at(size_++) = static_cast<std::uint8_t>(value); }
    void word(std::uint32_t value) {
        byte(value >> 8);
        byte(value & 0xff);
    }
    void number(std::uint32_t value) {
        word(value >> 16);
        word(value & 0xffff);
    }
    void fill() {
        while (size_ % 4 != 0) {
            byte(wire::kOptionNop);
        }
    }
    [[nodiscard]] ByteView bytes() const { return ByteView(bytes_).first(size_); }

private:
    std::array<std::uint8_t, 40> bytes_{};
    std::size_t size_ = 0;
};

OptionWriter options_of(const Packet& packet) {
    OptionWriter out;
    if (packet.mss != 0) {
        out.byte(wire::kOptionMss);
        out.byte(4);
        out.word(packet.mss);
    }
    if (packet.scale >= 0) {
        out.byte(wire::kOptionWindowScale);
        out.byte(3);
        out.byte(static_cast<std::uint32_t>(packet.scale));
    }
    if (packet.sack_permitted) {
        out.byte(wire::kOptionSackPermitted);
        out.byte(2);
    }
    if (packet.has_timestamp) {
        out.byte(wire::kOptionTimestamp);
        out.byte(10);
        out.number(packet.ts_value);
        out.number(packet.ts_echo);
    }
    if (packet.sack_count != 0) {
        out.byte(wire::kOptionSack);
        out.byte(2 + packet.sack_count * 8);
        for (std::uint32_t i = 0; i < packet.sack_count; ++i) {
            out.number(packet.sacks.at(i).begin);
            out.number(packet.sacks.at(i).end);
        }
    }
    out.fill();
    return out;
}

void read_option(const wire::TcpOption& option, Packet& packet) {
    const std::uint8_t* const value = option.value.data();
    switch (option.kind) {
        case wire::kOptionMss:
            packet.mss = load_be16(value);
            break;
        case wire::kOptionWindowScale:
            packet.scale = static_cast<std::int8_t>(*value);
            break;
        case wire::kOptionSackPermitted:
            packet.sack_permitted = true;
            break;
        case wire::kOptionTimestamp:
            packet.has_timestamp = true;
            packet.ts_value = load_be32(value);
            packet.ts_echo = load_be32(value + 4);
            break;
        case wire::kOptionSack:
            packet.sack_count = static_cast<std::uint32_t>(option.value.size() / 8);
            for (std::uint32_t i = 0; i < packet.sack_count; ++i) {
                packet.sacks.at(i) = wire::sack_block(option, i);
            }
            break;
        default:
            break;
    }
}

}  // namespace

std::uint32_t options_size(const Packet& packet) {
    return static_cast<std::uint32_t>(options_of(packet).bytes().size());
}

void write(const Packet& packet, Bytes& out) {
    const Address client = Address::ipv4(kClient);
    const Address server = Address::ipv4(kServer);
    const OptionWriter options = options_of(packet);
    wire::IpFields ip;
    ip.src = packet.from_client ? client : server;
    ip.dst = packet.from_client ? server : client;
    ip.flags = wire::kIpv4DontFragment;
    const wire::TcpFields tcp{.srcport = packet.from_client ? packet.client_port : kServerPort,
                              .dstport = packet.from_client ? kServerPort : packet.client_port,
                              .seq = packet.seq,
                              .ack_seq = packet.ack,
                              .flags = packet.flags,
                              .window_size = packet.window,
                              .options = options.bytes()};
    wire::build_tcp({}, ip, tcp, as_bytes(packet.payload), out);
}

std::string read(ByteView frame, Packet& packet) {
    const wire::Headers headers = wire::find_headers(LinkType::Raw, frame);
    if (!headers.transport_ok || headers.protocol != wire::kProtocolTcp) {
        return "a packet that isn't TCP";
    }
    if (!wire::verify_ipv4_header(headers, frame.data()) ||
        wire::verify_transport(headers, frame) != wire::ChecksumCheck::Right) {
        return "a wrong checksum";
    }
    const auto tcp = wire::TcpView::parse(frame.subspan(headers.transport));
    packet.from_client = tcp->dstport() == kServerPort;
    packet.client_port = packet.from_client ? tcp->srcport() : tcp->dstport();
    packet.seq = tcp->seq();
    packet.ack = tcp->ack_seq();
    packet.window = tcp->window_size();
    packet.flags = tcp->flags();
    packet.options_size = headers.payload - headers.transport - 20;
    packet.payload = as_text(frame.subspan(headers.payload, headers.end - headers.payload));
    wire::TcpOptions options(tcp->options());
    for (wire::TcpOption option; options.next(option);) {
        if (wire::has_impossible_size(option)) {
            return "an option of an impossible size";
        }
        read_option(option, packet);
    }
    return options.bad() == Event::None ? "" : "bad options";
}

}  // namespace haka::model
