#include "base/address.h"

#include <arpa/inet.h>

namespace haka {

Address Address::ipv4(std::uint32_t host_order) {
    Address address;
    address.bytes[10] = 0xff;
    address.bytes[11] = 0xff;
    store_be32(&address.bytes[12], host_order);
    return address;
}

Address Address::ipv6(const std::uint8_t* sixteen) {
    Address address;
    address.family = Family::Ipv6;
    std::memcpy(address.bytes.data(), sixteen, address.bytes.size());
    return address;
}

std::optional<Address> Address::parse(std::string_view text) {
    const std::string zero_ended(text);
    std::array<std::uint8_t, 16> bytes{};
    if (inet_pton(AF_INET, zero_ended.c_str(), bytes.data()) == 1) {
        return ipv4(load_be32(bytes.data()));
    }
    if (inet_pton(AF_INET6, zero_ended.c_str(), bytes.data()) == 1) {
        return ipv6(bytes.data());
    }
    return std::nullopt;
}

std::string Address::text() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    const int family_number = family == Family::Ipv4 ? AF_INET : AF_INET6;
    inet_ntop(family_number, wire().data(), buffer.data(), buffer.size());
    return buffer.data();
}

}  // namespace haka
