// A TCP header (RFC 9293, 3.1) seen through bytes that someone else owns.
//
//   0      2      4        8        12  13   14     16     18     20
//   +------+------+--------+--------+---+----+------+------+------+---------+---------
//   | src  | dst  |  seq   |  ack   |len|flag| wnd  | sum  | urg  | options | payload
//   +------+------+--------+--------+---+----+------+------+------+---------+---------
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace haka::wire {

constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kRst = 0x04;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kAck = 0x10;
constexpr std::uint8_t kUrg = 0x20;
constexpr std::uint8_t kEce = 0x40;
constexpr std::uint8_t kCwr = 0x80;

// `Bytes` is ByteView or MutableByteView; the setters exist for the latter. Setters leave the
// checksum alone. Valid as long as the bytes.
template <typename Bytes>
class BasicTcp {
public:
    static constexpr std::size_t kMinHeaderSize = 20;
    static constexpr std::size_t kMaxHeaderSize = 60;

    // Checks once that every accessor below stays inside `segment`.
    [[nodiscard]] static Result<BasicTcp> parse(Bytes segment) {
        if (segment.size() < kMinHeaderSize) {
            return Error::Truncated;
        }
        const BasicTcp tcp(segment);
        if (tcp.hdr_len() < kMinHeaderSize || tcp.hdr_len() > segment.size()) {
            return Error::BadLength;
        }
        return tcp;
    }

    [[nodiscard]] std::uint16_t srcport() const { return load_be16(at(0)); }
    [[nodiscard]] std::uint16_t dstport() const { return load_be16(at(2)); }
    [[nodiscard]] std::uint32_t seq() const { return load_be32(at(4)); }
    [[nodiscard]] std::uint32_t ack_seq() const { return load_be32(at(8)); }
    [[nodiscard]] std::size_t hdr_len() const { return std::size_t{*at(12)} / 16 * 4; }
    [[nodiscard]] std::uint8_t res() const { return *at(12) & 0x0f; }
    [[nodiscard]] std::uint8_t flags() const { return *at(13); }
    [[nodiscard]] std::uint16_t window_size() const { return load_be16(at(14)); }
    [[nodiscard]] std::uint16_t checksum() const { return load_be16(at(16)); }
    [[nodiscard]] std::uint16_t urgent_pointer() const { return load_be16(at(18)); }
    [[nodiscard]] Bytes options() const {
        return bytes_.subspan(kMinHeaderSize, hdr_len() - kMinHeaderSize);
    }
    [[nodiscard]] Bytes payload() const { return bytes_.subspan(hdr_len()); }

    void set_srcport(std::uint16_t port) const { store_be16(at(0), port); }
    void set_dstport(std::uint16_t port) const { store_be16(at(2), port); }
    void set_seq(std::uint32_t seq) const { store_be32(at(4), seq); }
    void set_ack_seq(std::uint32_t ack) const { store_be32(at(8), ack); }
    // Precondition: a multiple of 4 between 20 and 60, inside the segment.
    void set_hdr_len(std::size_t size) const {
        assert(size % 4 == 0 && size >= kMinHeaderSize && size <= kMaxHeaderSize);
        assert(size <= bytes_.size());
        *at(12) = static_cast<std::uint8_t>(size * 4 + res());
    }
    void set_res(std::uint8_t bits) const {
        *at(12) = static_cast<std::uint8_t>((*at(12) & 0xf0) | (bits & 0x0f));
    }
    void set_flags(std::uint8_t flags) const { *at(13) = flags; }
    void set_window_size(std::uint16_t window) const { store_be16(at(14), window); }
    void set_checksum(std::uint16_t checksum) const { store_be16(at(16), checksum); }
    void set_urgent_pointer(std::uint16_t pointer) const { store_be16(at(18), pointer); }

private:
    explicit BasicTcp(Bytes segment) : bytes_(segment) {}
    [[nodiscard]] auto* at(std::size_t offset) const { return bytes_.data() + offset; }

    Bytes bytes_;
};

using TcpView = BasicTcp<ByteView>;
using TcpEdit = BasicTcp<MutableByteView>;

}  // namespace haka::wire
