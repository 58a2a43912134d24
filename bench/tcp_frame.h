// A TCP segment in an IPv4 packet in an Ethernet frame, for tools that rewrite recorded traffic.
// Apart from the engine's own views on purpose: what measures and checks it shares no code with it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"

namespace haka::bench {

constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kRst = 0x04;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kAck = 0x10;

struct Endpoint {
    std::uint32_t address = 0;
    std::uint16_t port = 0;

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// Valid as long as the frame it was found in.
class TcpFrame {
public:
    // Nothing if the frame carries no whole TCP segment.
    [[nodiscard]] static std::optional<TcpFrame> find(MutableByteView frame);

    [[nodiscard]] Endpoint source() const { return {load_be32(ip() + 12), load_be16(tcp())}; }
    [[nodiscard]] Endpoint target() const { return {load_be32(ip() + 16), load_be16(tcp() + 2)}; }
    [[nodiscard]] std::uint32_t seq() const { return load_be32(tcp() + 4); }
    [[nodiscard]] std::uint8_t flags() const { return tcp()[13]; }
    [[nodiscard]] std::size_t headers_size() const { return payload_at_; }
    [[nodiscard]] ByteView payload() const {
        return ByteView(frame_).subspan(payload_at_, end_ - payload_at_);
    }

    void set_source(Endpoint to);
    void set_target(Endpoint to);
    void set_seq(std::uint32_t to) { store_be32(tcp() + 4, to); }
    void set_flags(std::uint8_t to) { tcp()[13] = to; }
    // Moves the acknowledgement and the SACK blocks, numbers of the other direction.
    void move_acknowledgements(std::uint32_t by);
    void fix_checksums();

private:
    TcpFrame(MutableByteView frame, std::size_t tcp_at, std::size_t payload_at, std::size_t end)
        : frame_(frame), tcp_at_(tcp_at), payload_at_(payload_at), end_(end) {}

    [[nodiscard]] std::uint8_t* ip() const;
    [[nodiscard]] std::uint8_t* tcp() const { return frame_.data() + tcp_at_; }

    MutableByteView frame_;
    std::size_t tcp_at_;
    std::size_t payload_at_;
    std::size_t end_;
};

// Writes the IPv4 total length that fits the frame.
void set_total_length(MutableByteView frame);

}  // namespace haka::bench
