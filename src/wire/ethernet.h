// An Ethernet header and its VLAN tags seen through bytes that someone else owns.
//
//   0     6     12     14 (no tags)      12      14    16       18 (one tag)
//   +-----+-----+------+---------        +-------+-----+--------+---------
//   | dst | src | type | payload         | TPID  | TCI |  type  | payload
//   +-----+-----+------+---------        +-------+-----+--------+---------
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/result.h"

namespace haka::wire {

constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
constexpr std::uint16_t kEtherTypeArp = 0x0806;
constexpr std::uint16_t kEtherTypeVlan = 0x8100;          // 802.1Q
constexpr std::uint16_t kEtherTypeProviderVlan = 0x88a8;  // 802.1ad
constexpr std::uint16_t kEtherTypeOldProviderVlan = 0x9100;
constexpr std::uint16_t kEtherTypeIpv6 = 0x86dd;

[[nodiscard]] constexpr bool is_vlan_type(std::uint16_t type) {
    return type == kEtherTypeVlan || type == kEtherTypeProviderVlan ||
           type == kEtherTypeOldProviderVlan;
}

// The setters exist for MutableByteView. Valid as long as the bytes.
template <typename Bytes>
class BasicEthernet {
public:
    static constexpr std::size_t kHeaderSize = 14;
    static constexpr std::size_t kTagSize = 4;
    static constexpr std::size_t kAddressSize = 6;

    [[nodiscard]] static Result<BasicEthernet> parse(Bytes frame) {
        if (frame.size() < kHeaderSize) {
            return Error::Truncated;
        }
        return BasicEthernet(frame);
    }

    [[nodiscard]] Bytes dst() const { return bytes_.first(kAddressSize); }
    [[nodiscard]] Bytes src() const { return bytes_.subspan(kAddressSize, kAddressSize); }
    // The first type field: a VLAN tag's, if there is one.
    [[nodiscard]] std::uint16_t type() const { return load_be16(bytes_.data() + 12); }
    [[nodiscard]] Bytes payload() const { return bytes_.subspan(kHeaderSize); }

    void set_type(std::uint16_t type) const { store_be16(bytes_.data() + 12, type); }

private:
    explicit BasicEthernet(Bytes frame) : bytes_(frame) {}

    Bytes bytes_;
};

using EthernetView = BasicEthernet<ByteView>;
using EthernetEdit = BasicEthernet<MutableByteView>;

}  // namespace haka::wire
