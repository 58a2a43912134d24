// Whose packet is it: the address and port pair of a connection, the same for both directions, and
// the keyed hashes by which connections are found and packets are spread over workers.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/address.h"
#include "base/bytes.h"
#include "wire/headers.h"

namespace haka::flow {

// One end of a connection. IPv4 addresses are in their IPv4-mapped form (base/address.h).
struct Endpoint {
    std::array<std::uint8_t, 16> address{};
    std::uint16_t port = 0;

    [[nodiscard]] bool is_ipv4() const {
        return load_be64(address.data()) == 0 && load_be32(address.data() + 8) == 0xffff;
    }

    [[nodiscard]] Address ip() const {
        return is_ipv4() ? Address::ipv4(load_be32(address.data() + 12))
                         : Address::ipv6(address.data());
    }

    friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// Invariant: low <= high. `make_flow_key` orders the ends and says whether it swapped them.
struct FlowKey {
    Endpoint low;
    Endpoint high;

    // One comparison of memory: there is no padding, and this runs for every packet.
    friend bool operator==(const FlowKey& a, const FlowKey& b) {
        return std::memcmp(&a, &b, sizeof a) == 0;
    }
};
static_assert(sizeof(FlowKey) == 36 && std::has_unique_object_representations_v<FlowKey>);

struct OrderedKey {
    FlowKey key;
    bool source_is_low = true;  // The packet's source is `key.low`.
};

// Secret words for hash_flow(). Who doesn't know them can't choose tuples that collide.
struct HashKey {
    std::array<std::uint64_t, 6> words{};

    [[nodiscard]] static constexpr HashKey from_seed(std::uint64_t seed) {
        HashKey key;
        for (std::uint64_t& word : key.words) {  // SplitMix64: a good bit mixer, any seed will do.
            seed += 0x9e3779b97f4a7c15;
            word = seed;
            word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9;
            word = (word ^ (word >> 27)) * 0x94d049bb133111eb;
            word ^= word >> 31;
        }
        return key;
    }
};

namespace detail {

__extension__ using Product = unsigned __int128;

// Both halves of the product: every bit of `a` and `b` reaches most bits of the result.
[[nodiscard]] constexpr std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    const Product product = static_cast<Product>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// `low` and `high` point at 16 bytes each. The two inner products don't wait for one another.
[[nodiscard]] inline std::uint64_t hash_ends(const std::uint8_t* low, const std::uint8_t* high,
                                             std::uint64_t rest, const HashKey& secret) {
    const auto& w = secret.words;
    const std::uint64_t a =
        fold(load_native<std::uint64_t>(low) ^ w[0], load_native<std::uint64_t>(low + 8) ^ w[1]);
    const std::uint64_t b =
        fold(load_native<std::uint64_t>(high) ^ w[2], load_native<std::uint64_t>(high + 8) ^ w[3]);
    return fold(fold(a ^ rest, b ^ w[4]) ^ w[5], w[1] | 1);
}

// Writes an IPv4 address of the wire in its IPv4-mapped form.
inline void map_ipv4(std::array<std::uint8_t, 16>& to, const std::uint8_t* from) {
    static_assert(std::endian::native == std::endian::little);
    const std::uint64_t last = std::uint64_t{load_native<std::uint32_t>(from)} << 32U | 0xffff'0000;
    store_native(to.data(), std::uint64_t{0});  // In words: the hash reads them right back.
    store_native(to.data() + 8, last);
}

}  // namespace detail

// The key of an IP packet; ports are 0 unless it is TCP or UDP with its whole header there.
// Precondition: headers.ip_version != 0 and `headers` are those of `frame`.
inline void make_flow_key(const wire::Headers& headers, const std::uint8_t* frame,
                          OrderedKey& ordered) {
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;
    if (headers.transport_ok &&
        (headers.protocol == wire::kProtocolTcp || headers.protocol == wire::kProtocolUdp)) {
        source_port = load_be16(frame + headers.transport);
        destination_port = load_be16(frame + headers.transport + 2);
    }
    const std::uint8_t* net = frame + headers.net;
    if (headers.ip_version == 4) {
        const std::uint64_t source = std::uint64_t{load_be32(net + 12)} << 16 | source_port;
        const std::uint64_t destination =
            std::uint64_t{load_be32(net + 16)} << 16 | destination_port;
        ordered.source_is_low = source <= destination;
        detail::map_ipv4(ordered.key.low.address, net + (ordered.source_is_low ? 12 : 16));
        detail::map_ipv4(ordered.key.high.address, net + (ordered.source_is_low ? 16 : 12));
    } else {
        const int order = std::memcmp(net + 8, net + 24, 16);
        ordered.source_is_low = order < 0 || (order == 0 && source_port <= destination_port);
        std::memcpy(ordered.key.low.address.data(), net + (ordered.source_is_low ? 8 : 24), 16);
        std::memcpy(ordered.key.high.address.data(), net + (ordered.source_is_low ? 24 : 8), 16);
    }
    ordered.key.low.port = ordered.source_is_low ? source_port : destination_port;
    ordered.key.high.port = ordered.source_is_low ? destination_port : source_port;
}

[[nodiscard]] inline OrderedKey make_flow_key(const wire::Headers& headers,
                                              const std::uint8_t* frame) {
    OrderedKey ordered;
    make_flow_key(headers, frame, ordered);
    return ordered;
}

// All 36 bytes enter; every bit of the result may be used.
[[nodiscard]] inline std::uint64_t hash_flow(const FlowKey& key, const HashKey& secret) {
    const std::uint64_t ports = std::uint64_t{key.low.port} << 16 | key.high.port;
    return detail::hash_ends(key.low.address.data(), key.high.address.data(), ports, secret);
}

// Spreads packets over workers: the same for both directions and for every fragment of a datagram.
// The protocol is left out because an IPv6 fragment names the header behind it, which need not be
// the one that an unfragmented packet of the same connection ends with. Not IP: 0.
[[nodiscard]] inline std::uint64_t hash_address_pair(const wire::Headers& headers,
                                                     const std::uint8_t* frame,
                                                     const HashKey& secret) {
    if (headers.ip_version == 0) {
        return 0;
    }
    wire::Headers without_ports = headers;
    without_ports.transport_ok = false;
    return hash_flow(make_flow_key(without_ports, frame).key, secret);
}

}  // namespace haka::flow
