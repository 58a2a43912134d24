// A UDP header (RFC 768) seen through bytes that someone else owns.
//
//   0     2     4        6     8
//   +-----+-----+--------+-----+---------
//   | src | dst | length | sum | payload
//   +-----+-----+--------+-----+---------
#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace haka::wire {

// The setters exist for MutableByteView and leave the checksum alone. Valid as long as the bytes.
template <typename Bytes>
class BasicUdp {
public:
    static constexpr std::size_t kHeaderSize = 8;

    // The length may be more than there is (a capture cut it), and less.
    [[nodiscard]] static Result<BasicUdp> parse(Bytes datagram) {
        if (datagram.size() < kHeaderSize) {
            return Error::Truncated;
        }
        const BasicUdp udp(datagram);
        if (udp.length() < kHeaderSize) {
            return Error::BadLength;
        }
        return udp;
    }

    [[nodiscard]] std::uint16_t srcport() const { return load_be16(at(0)); }
    [[nodiscard]] std::uint16_t dstport() const { return load_be16(at(2)); }
    [[nodiscard]] std::uint16_t length() const { return load_be16(at(4)); }
    [[nodiscard]] std::uint16_t checksum() const { return load_be16(at(6)); }
    // What of it is there, and not beyond length().
    [[nodiscard]] Bytes payload() const {
        const std::size_t end = std::min<std::size_t>(length(), bytes_.size());
        return bytes_.subspan(kHeaderSize, end - kHeaderSize);
    }

    void set_srcport(std::uint16_t port) const { store_be16(at(0), port); }
    void set_dstport(std::uint16_t port) const { store_be16(at(2), port); }
    // Precondition: at least 8.
    void set_length(std::uint16_t length) const {
        assert(length >= kHeaderSize);
        store_be16(at(4), length);
    }
    void set_checksum(std::uint16_t checksum) const { store_be16(at(6), checksum); }

private:
    explicit BasicUdp(Bytes datagram) : bytes_(datagram) {}
    [[nodiscard]] auto* at(std::size_t offset) const { return bytes_.data() + offset; }

    Bytes bytes_;
};

using UdpView = BasicUdp<ByteView>;
using UdpEdit = BasicUdp<MutableByteView>;

}  // namespace haka::wire
