#include "report/community_id.h"

#include <bit>
#include <cassert>
#include <optional>
#include <tuple>
#include <utility>

#include "wire/headers.h"

namespace haka::report {

namespace {

using Sha1State = std::array<std::uint32_t, 5>;

// 20 of the 80 steps, which share a function and a constant.
template <typename Mix>
void sha1_steps(Sha1State& state, const std::uint32_t* words, std::uint32_t constant, Mix mix) {
    auto [a, b, c, d, e] = state;
    for (std::size_t i = 0; i < 20; ++i) {
        const std::uint32_t next = std::rotl(a, 5) + mix(b, c, d) + e + constant + words[i];
        e = d;
        d = c;
        c = std::rotl(b, 30);
        b = a;
        a = next;
    }
    state = {a, b, c, d, e};
}

void sha1_block(Sha1State& state, const std::uint8_t* block) {
    std::array<std::uint32_t, 80> words;
    for (std::size_t i = 0; i < 16; ++i) {
        words[i] = load_be32(block + 4 * i);
    }
    for (std::size_t i = 16; i < 80; ++i) {
        words[i] = std::rotl(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    }
    using Word = std::uint32_t;
    const auto choose = [](Word b, Word c, Word d) { return d ^ (b & (c ^ d)); };
    const auto parity = [](Word b, Word c, Word d) { return b ^ c ^ d; };
    const auto majority = [](Word b, Word c, Word d) { return (b & c) | (d & (b | c)); };
    Sha1State mixed = state;
    sha1_steps(mixed, &words[0], 0x5a827999U, choose);
    sha1_steps(mixed, &words[20], 0x6ed9eba1U, parity);
    sha1_steps(mixed, &words[40], 0x8f1bbcdcU, majority);
    sha1_steps(mixed, &words[60], 0xca62c1d6U, parity);
    for (std::size_t i = 0; i < state.size(); ++i) {
        state[i] += mixed[i];
    }
}

// The type that answers (or asks for) an ICMP message of `type`, none for one-way messages.
std::optional<std::uint16_t> icmp_counterpart(std::uint16_t type) {
    switch (type) {
        case 0:  // Echo.
            return 8;
        case 8:
            return 0;
        case 9:  // Router advertisement and solicitation.
            return 10;
        case 10:
            return 9;
        case 13:  // Time stamp.
            return 14;
        case 14:
            return 13;
        case 15:  // Information.
            return 16;
        case 16:
            return 15;
        case 17:  // Address mask.
            return 18;
        case 18:
            return 17;
        default:
            return std::nullopt;
    }
}

std::optional<std::uint16_t> icmpv6_counterpart(std::uint16_t type) {
    switch (type) {
        case 128:  // Echo.
            return 129;
        case 129:
            return 128;
        case 130:  // Multicast listener.
            return 131;
        case 131:
            return 130;
        case 133:  // Router solicitation and advertisement.
            return 134;
        case 134:
            return 133;
        case 135:  // Neighbour.
            return 136;
        case 136:
            return 135;
        case 139:  // Node information.
            return 140;
        case 140:
            return 139;
        case 144:  // Home agent address discovery.
            return 145;
        case 145:
            return 144;
        default:
            return std::nullopt;
    }
}

// What is hashed, in its order.
struct Ends {
    const Address* first;
    const Address* second;
    std::uint16_t first_port;
    std::uint16_t second_port;
};

Ends order(const FiveTuple& flow) {
    Ends ends{&flow.source, &flow.destination, flow.source_port, flow.destination_port};
    if (flow.protocol == wire::kProtocolIcmp || flow.protocol == wire::kProtocolIcmpv6) {
        const auto counterpart = flow.protocol == wire::kProtocolIcmp
                                     ? icmp_counterpart(flow.source_port)
                                     : icmpv6_counterpart(flow.source_port);
        if (!counterpart) {
            return ends;
        }
        ends.second_port = *counterpart;
    } else if (!community_id_uses_ports(flow.protocol)) {
        ends.first_port = 0;
        ends.second_port = 0;
    }
    if (std::tie(flow.source.bytes, ends.first_port) >
        std::tie(flow.destination.bytes, ends.second_port)) {
        std::swap(ends.first, ends.second);
        std::swap(ends.first_port, ends.second_port);
    }
    return ends;
}

}  // namespace

std::array<std::uint8_t, 20> sha1(ByteView message) {
    Sha1State state = {0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U, 0xc3d2e1f0U};
    const std::uint64_t bits = message.size() * 8;
    while (message.size() >= 64) {
        sha1_block(state, message.data());
        message = message.subspan(64);
    }
    std::array<std::uint8_t, 128> tail{};
    if (!message.empty()) {
        std::memcpy(tail.data(), message.data(), message.size());
    }
    tail[message.size()] = 0x80;
    const std::size_t blocks = message.size() + 9 > 64 ? 2 : 1;
    store_be32(&tail[64 * blocks - 8], static_cast<std::uint32_t>(bits >> 32));
    store_be32(&tail[64 * blocks - 4], static_cast<std::uint32_t>(bits));
    for (std::size_t i = 0; i < blocks; ++i) {
        sha1_block(state, &tail[64 * i]);
    }
    std::array<std::uint8_t, 20> digest;
    for (std::size_t i = 0; i < state.size(); ++i) {
        store_be32(&digest[4 * i], state[i]);
    }
    return digest;
}

void append_base64(std::string& out, ByteView bytes) {
    constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::size_t to = out.size();
    out.resize(to + (bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t left = bytes.size() - i;
        std::uint32_t group = static_cast<std::uint32_t>(bytes[i]) << 16;
        group |= left > 1 ? static_cast<std::uint32_t>(bytes[i + 1]) << 8 : 0;
        group |= left > 2 ? bytes[i + 2] : 0U;
        out[to++] = kAlphabet[group >> 18];
        out[to++] = kAlphabet[group >> 12 & 63];
        out[to++] = left > 1 ? kAlphabet[group >> 6 & 63] : '=';
        out[to++] = left > 2 ? kAlphabet[group & 63] : '=';
    }
}

bool community_id_uses_ports(std::uint8_t protocol) {
    return protocol == wire::kProtocolTcp || protocol == wire::kProtocolUdp ||
           protocol == kProtocolSctp || protocol == wire::kProtocolIcmp ||
           protocol == wire::kProtocolIcmpv6;
}

void append_community_id(std::string& out, const FiveTuple& flow, std::uint16_t seed) {
    assert(flow.source.family == flow.destination.family);
    const Ends ends = order(flow);
    std::array<std::uint8_t, 2 + 16 + 16 + 2 + 4> hashed;
    std::size_t size = 0;
    const auto add_be16 = [&](std::uint16_t value) {
        store_be16(&hashed[size], value);
        size += 2;
    };
    add_be16(seed);
    for (const Address* address : {ends.first, ends.second}) {
        const ByteView bytes = address->wire();
        std::memcpy(&hashed[size], bytes.data(), bytes.size());
        size += bytes.size();
    }
    hashed[size++] = flow.protocol;
    hashed[size++] = 0;
    if (community_id_uses_ports(flow.protocol)) {
        add_be16(ends.first_port);
        add_be16(ends.second_port);
    }
    out += "1:";
    append_base64(out, sha1({hashed.data(), size}));
}

}  // namespace haka::report
