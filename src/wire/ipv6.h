// An IPv6 header (RFC 8200, 3) seen through bytes that someone else owns.
//
//   0                               4        6      7     8     24    40
//   +-------------------------------+--------+------+-----+-----+-----+---------
//   |6|traffic class|  flow label   | length | next | hop | src | dst | extensions, payload
//   +-------------------------------+--------+------+-----+-----+-----+---------
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "base/address.h"
#include "base/bytes.h"
#include "base/result.h"

namespace haka::wire {

// The setters exist for MutableByteView. Valid as long as the bytes.
template <typename Bytes>
class BasicIpv6 {
public:
    static constexpr std::size_t kHeaderSize = 40;

    [[nodiscard]] static Result<BasicIpv6> parse(Bytes datagram) {
        if (datagram.size() < kHeaderSize) {
            return Error::Truncated;
        }
        const BasicIpv6 ip(datagram);
        if (ip.version() != 6) {
            return Error::BadLength;
        }
        return ip;
    }

    [[nodiscard]] std::uint8_t version() const { return *at(0) >> 4; }
    [[nodiscard]] std::uint8_t traffic_class() const {
        return static_cast<std::uint8_t>(load_be16(at(0)) >> 4);
    }
    [[nodiscard]] std::uint32_t flow_label() const { return load_be32(at(0)) & 0xfffff; }
    [[nodiscard]] std::uint16_t payload_len() const { return load_be16(at(4)); }
    [[nodiscard]] std::uint8_t next_header() const { return *at(6); }
    [[nodiscard]] std::uint8_t hop_limit() const { return *at(7); }
    [[nodiscard]] Address src() const { return Address::ipv6(at(8)); }
    [[nodiscard]] Address dst() const { return Address::ipv6(at(24)); }
    // What is there behind the fixed header, extension headers included; padding excluded.
    [[nodiscard]] Bytes payload() const {
        const std::size_t end = std::min(kHeaderSize + payload_len(), bytes_.size());
        return bytes_.subspan(kHeaderSize, end - kHeaderSize);
    }

    void set_traffic_class(std::uint8_t value) const {
        store_be32(at(0), (load_be32(at(0)) & 0xf00fffff) | std::uint32_t{value} << 20);
    }
    void set_flow_label(std::uint32_t value) const {
        store_be32(at(0), (load_be32(at(0)) & 0xfff00000) | (value & 0xfffff));
    }
    void set_payload_len(std::uint16_t value) const { store_be16(at(4), value); }
    void set_next_header(std::uint8_t value) const { *at(6) = value; }
    void set_hop_limit(std::uint8_t value) const { *at(7) = value; }
    // Precondition: IPv6 addresses.
    void set_src(const Address& src) const { set_address(8, src); }
    void set_dst(const Address& dst) const { set_address(24, dst); }

private:
    explicit BasicIpv6(Bytes datagram) : bytes_(datagram) {}
    [[nodiscard]] auto* at(std::size_t offset) const { return bytes_.data() + offset; }
    void set_address(std::size_t offset, const Address& address) const {
        assert(address.family == Family::Ipv6);
        std::memcpy(at(offset), address.wire().data(), 16);
    }

    Bytes bytes_;
};

using Ipv6View = BasicIpv6<ByteView>;
using Ipv6Edit = BasicIpv6<MutableByteView>;

}  // namespace haka::wire
