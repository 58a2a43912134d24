#include "tcp_frame.h"

namespace haka::bench {
namespace {

constexpr std::size_t kIpAt = 14;
constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kOptionSack = 5;

// The Internet checksum (RFC 1071), four bytes at a time.
std::uint16_t checksum(ByteView bytes, std::uint64_t sum) {
    std::size_t i = 0;
    for (; i + 4 <= bytes.size(); i += 4) {
        sum += load_be32(bytes.data() + i);
    }
    for (; i < bytes.size(); ++i) {
        sum += std::uint64_t{bytes[i]} << (24 - 8 * (i % 4));
    }
    sum = (sum >> 32U) + (sum & 0xffffffffU);
    sum = (sum >> 32U) + (sum & 0xffffffffU);
    sum = (sum >> 16U) + (sum & 0xffffU);
    sum = (sum >> 16U) + (sum & 0xffffU);
    return static_cast<std::uint16_t>(~sum);
}

}  // namespace

std::optional<TcpFrame> TcpFrame::find(MutableByteView frame) {
    if (frame.size() < kIpAt + 20 || load_be16(frame.data() + 12) != kEtherTypeIpv4) {
        return std::nullopt;
    }
    const std::uint8_t* ip = frame.data() + kIpAt;
    const std::size_t tcp_at = kIpAt + 4U * (ip[0] & 0x0fU);
    const std::size_t end = kIpAt + load_be16(ip + 2);
    const bool fragment = (load_be16(ip + 6) & 0x3fffU) != 0;
    if (ip[9] != kProtocolTcp || fragment || end > frame.size() || tcp_at + 20 > end) {
        return std::nullopt;
    }
    const std::size_t payload_at = tcp_at + 4U * (frame[tcp_at + 12] >> 4U);
    if (payload_at < tcp_at + 20 || payload_at > end) {
        return std::nullopt;
    }
    return TcpFrame(frame, tcp_at, payload_at, end);
}

std::uint8_t* TcpFrame::ip() const {
    return frame_.data() + kIpAt;
}

void TcpFrame::set_source(Endpoint to) {
    store_be32(ip() + 12, to.address);
    store_be16(tcp(), to.port);
}

void TcpFrame::set_target(Endpoint to) {
    store_be32(ip() + 16, to.address);
    store_be16(tcp() + 2, to.port);
}

void TcpFrame::move_acknowledgements(std::uint32_t by) {
    if ((flags() & kAck) == 0) {
        return;
    }
    store_be32(tcp() + 8, load_be32(tcp() + 8) + by);
    std::size_t at = tcp_at_ + 20;
    while (at + 1 < payload_at_ && frame_[at] != kOptionEnd) {
        if (frame_[at] == kOptionNop) {
            ++at;
            continue;
        }
        const std::size_t size = frame_[at + 1];
        if (size < 2 || at + size > payload_at_) {
            return;
        }
        for (std::size_t edge = 2; frame_[at] == kOptionSack && edge + 4 <= size; edge += 4) {
            std::uint8_t* p = frame_.data() + at + edge;
            store_be32(p, load_be32(p) + by);
        }
        at += size;
    }
}

void TcpFrame::fix_checksums() {
    store_be16(ip() + 10, 0);
    store_be16(ip() + 10, checksum({ip(), tcp_at_ - kIpAt}, 0));
    const std::uint64_t pseudo = std::uint64_t{load_be32(ip() + 12)} + load_be32(ip() + 16) +
                                 kProtocolTcp + (end_ - tcp_at_);
    store_be16(tcp() + 16, 0);
    store_be16(tcp() + 16, checksum({tcp(), end_ - tcp_at_}, pseudo));
}

void set_total_length(MutableByteView frame) {
    store_be16(frame.data() + kIpAt + 2, static_cast<std::uint16_t>(frame.size() - kIpAt));
}

}  // namespace haka::bench
