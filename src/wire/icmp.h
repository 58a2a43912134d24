// The head that ICMP (RFC 792) and ICMPv6 (RFC 4443) messages share, seen through bytes that
// someone else owns.
//
//   0      1      2     4              8
//   +------+------+-----+--------------+---------
//   | type | code | sum | rest of head | payload
//   +------+------+-----+--------------+---------
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace haka::wire {

constexpr std::uint8_t kIcmpEchoReply = 0;
constexpr std::uint8_t kIcmpEchoRequest = 8;
constexpr std::uint8_t kIcmpv6EchoRequest = 128;
constexpr std::uint8_t kIcmpv6EchoReply = 129;

// The setters exist for MutableByteView and leave the checksum alone. Valid as long as the bytes.
template <typename Bytes>
class BasicIcmp {
public:
    static constexpr std::size_t kHeaderSize = 8;

    [[nodiscard]] static Result<BasicIcmp> parse(Bytes message) {
        if (message.size() < kHeaderSize) {
            return Error::Truncated;
        }
        return BasicIcmp(message);
    }

    [[nodiscard]] std::uint8_t type() const { return *at(0); }
    [[nodiscard]] std::uint8_t code() const { return *at(1); }
    [[nodiscard]] std::uint16_t checksum() const { return load_be16(at(2)); }
    // Bytes 4 to 8 as two numbers: an echo's identifier and sequence number.
    [[nodiscard]] std::uint16_t id() const { return load_be16(at(4)); }
    [[nodiscard]] std::uint16_t sequence() const { return load_be16(at(6)); }
    [[nodiscard]] Bytes payload() const { return bytes_.subspan(kHeaderSize); }

    void set_type(std::uint8_t type) const { *at(0) = type; }
    void set_code(std::uint8_t code) const { *at(1) = code; }
    void set_checksum(std::uint16_t checksum) const { store_be16(at(2), checksum); }
    void set_id(std::uint16_t id) const { store_be16(at(4), id); }
    void set_sequence(std::uint16_t sequence) const { store_be16(at(6), sequence); }

private:
    explicit BasicIcmp(Bytes message) : bytes_(message) {}
    [[nodiscard]] auto* at(std::size_t offset) const { return bytes_.data() + offset; }

    Bytes bytes_;
};

using IcmpView = BasicIcmp<ByteView>;
using IcmpEdit = BasicIcmp<MutableByteView>;

}  // namespace haka::wire
