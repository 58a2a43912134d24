// An IPv4 or IPv6 address. IPv4 is kept as its IPv4-mapped IPv6 form (RFC 4291, 2.5.5.2), so one
// table serves both families; `family` tells them apart.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace haka {

enum class Family : std::uint8_t { Ipv4 = 4, Ipv6 = 6 };

struct Address {
    std::array<std::uint8_t, 16> bytes{};
    Family family = Family::Ipv4;

    [[nodiscard]] static Address ipv4(std::uint32_t host_order);
    [[nodiscard]] static Address ipv6(const std::uint8_t* sixteen);
    // Dotted or colon text; nothing else (no names, no zone).
    [[nodiscard]] static std::optional<Address> parse(std::string_view text);

    // Network order, 4 or 16 bytes. Valid as long as this object.
    [[nodiscard]] ByteView wire() const {
        return family == Family::Ipv4 ? ByteView(bytes).subspan(12) : ByteView(bytes);
    }
    [[nodiscard]] std::string text() const;

    friend auto operator<=>(const Address&, const Address&) = default;
};

}  // namespace haka
