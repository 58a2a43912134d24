// Whose packet is it: the address and port pair of a connection, the same for both directions.
#pragma once

#include <cstdint>

#include "base/address.h"

namespace haka::flow {

// One end of a connection. IPv4 addresses are in their IPv4-mapped form (base/address.h).
struct Endpoint {
    std::array<std::uint8_t, 16> address{};
    std::uint16_t port = 0;

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// Invariant: low <= high. `make_flow_key` orders the ends and says whether it swapped them.
struct FlowKey {
    Endpoint low;
    Endpoint high;

    friend bool operator==(const FlowKey&, const FlowKey&) = default;
};

}  // namespace haka::flow
