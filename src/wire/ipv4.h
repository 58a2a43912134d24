// An IPv4 header (RFC 791) seen through bytes that someone else owns.
//
//   0     1    2     4    6            8    9     10    12    16    20
//   +-----+----+-----+----+------------+----+-----+-----+-----+-----+---------+---------
//   |4|hl | tos| len | id |flags, frag.| ttl|proto| sum | src | dst | options | payload
//   +-----+----+-----+----+------------+----+-----+-----+-----+-----+---------+---------
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace haka::wire {

constexpr std::uint8_t kIpv4Reserved = 4;
constexpr std::uint8_t kIpv4DontFragment = 2;
constexpr std::uint8_t kIpv4MoreFragments = 1;

// The setters exist for MutableByteView and leave the checksum alone. Valid as long as the bytes.
template <typename Bytes>
class BasicIpv4 {
public:
    static constexpr std::size_t kMinHeaderSize = 20;
    static constexpr std::size_t kMaxHeaderSize = 60;

    // Checks once that every accessor below stays inside `datagram`. The total length may be more
    // than there is (a capture cut it) or less (padding follows).
    [[nodiscard]] static Result<BasicIpv4> parse(Bytes datagram) {
        if (datagram.size() < kMinHeaderSize) {
            return Error::Truncated;
        }
        const BasicIpv4 ip(datagram);
        if (ip.version() != 4 || ip.hdr_len() < kMinHeaderSize || ip.len() < ip.hdr_len()) {
            return Error::BadLength;
        }
        if (ip.hdr_len() > datagram.size()) {
            return Error::Truncated;
        }
        return ip;
    }

    [[nodiscard]] std::uint8_t version() const { return *at(0) >> 4; }
    [[nodiscard]] std::size_t hdr_len() const { return std::size_t{*at(0)} % 16 * 4; }
    [[nodiscard]] std::uint8_t tos() const { return *at(1); }
    [[nodiscard]] std::uint16_t len() const { return load_be16(at(2)); }
    [[nodiscard]] std::uint16_t id() const { return load_be16(at(4)); }
    // kIpv4Reserved, kIpv4DontFragment, kIpv4MoreFragments.
    [[nodiscard]] std::uint8_t flags() const { return *at(6) >> 5; }
    // In bytes.
    [[nodiscard]] std::uint32_t frag_offset() const { return (load_be16(at(6)) & 0x1fffU) * 8; }
    [[nodiscard]] std::uint8_t ttl() const { return *at(8); }
    [[nodiscard]] std::uint8_t proto() const { return *at(9); }
    [[nodiscard]] std::uint16_t checksum() const { return load_be16(at(10)); }
    [[nodiscard]] Address src() const { return Address::ipv4(load_be32(at(12))); }
    [[nodiscard]] Address dst() const { return Address::ipv4(load_be32(at(16))); }
    [[nodiscard]] Bytes header() const { return bytes_.first(hdr_len()); }
    [[nodiscard]] Bytes options() const {
        return bytes_.subspan(kMinHeaderSize, hdr_len() - kMinHeaderSize);
    }
    // What of the datagram is there; padding excluded.
    [[nodiscard]] Bytes payload() const {
        const std::size_t end = std::min<std::size_t>(len(), bytes_.size());
        return bytes_.subspan(hdr_len(), end - hdr_len());
    }

    void set_tos(std::uint8_t tos) const { *at(1) = tos; }
    // Precondition: at least hdr_len().
    void set_len(std::uint16_t len) const {
        assert(len >= hdr_len());
        store_be16(at(2), len);
    }
    void set_id(std::uint16_t id) const { store_be16(at(4), id); }
    void set_flags(std::uint8_t flags) const {
        *at(6) = static_cast<std::uint8_t>((flags << 5) | (*at(6) & 0x1f));
    }
    // Precondition: a multiple of 8 below 65536.
    void set_frag_offset(std::uint32_t offset) const {
        assert(offset % 8 == 0 && offset < 65536);
        store_be16(at(6),
                   static_cast<std::uint16_t>((std::uint32_t{flags()} << 13) | (offset / 8)));
    }
    void set_ttl(std::uint8_t ttl) const { *at(8) = ttl; }
    void set_proto(std::uint8_t proto) const { *at(9) = proto; }
    void set_checksum(std::uint16_t checksum) const { store_be16(at(10), checksum); }
    // Precondition: IPv4 addresses.
    void set_src(const Address& src) const { set_address(12, src); }
    void set_dst(const Address& dst) const { set_address(16, dst); }

private:
    explicit BasicIpv4(Bytes datagram) : bytes_(datagram) {}
    [[nodiscard]] auto* at(std::size_t offset) const { return bytes_.data() + offset; }
    void set_address(std::size_t offset, const Address& address) const {
        assert(address.family == Family::Ipv4);
        std::memcpy(at(offset), address.wire().data(), 4);
    }

    Bytes bytes_;
};

using Ipv4View = BasicIpv4<ByteView>;
using Ipv4Edit = BasicIpv4<MutableByteView>;

}  // namespace haka::wire
