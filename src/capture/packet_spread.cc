// Tested by: packet_socket_test.cc
#include "capture/packet_spread.h"

#include <cstdint>
#include <initializer_list>

#include <linux/if_ether.h>

namespace haka::capture {
namespace {

constexpr std::uint32_t kMix = 0x9e3779b1;  // Odd: near addresses get far apart.
constexpr std::uint32_t kIcmp = 1;
constexpr std::uint32_t kIcmpv6 = 58;
constexpr std::uint32_t kFragment = 0x3fff;  // More fragments, or an offset.
constexpr std::uint32_t kTagSize = 4;

using Code = std::vector<sock_filter>;

void add(Code& code, int operation, std::uint32_t value) {
    code.push_back({static_cast<std::uint16_t>(operation), 0, 0, value});
}

// Jumps are counted in instructions behind this one.
void branch(Code& code, int operation, std::uint32_t value, std::size_t yes, std::size_t no) {
    code.push_back({static_cast<std::uint16_t>(BPF_JMP | BPF_K | operation),
                    static_cast<std::uint8_t>(yes), static_cast<std::uint8_t>(no), value});
}

std::uint32_t at_net(std::uint32_t offset) {
    return static_cast<std::uint32_t>(SKF_NET_OFF) + offset;
}

// Adds `words` words up and returns a mixture of the sum. `mode`: BPF_ABS, or BPF_IND behind X.
void add_sum(Code& code, int mode, std::uint32_t from, std::uint32_t words) {
    add(code, BPF_LD | BPF_W | mode, at_net(from));
    for (std::uint32_t i = 1; i < words; ++i) {
        add(code, BPF_ST, 0);
        if (mode == BPF_IND) {
            add(code, BPF_STX, 1);
        }
        add(code, BPF_LD | BPF_W | mode, at_net(from + i * 4));
        add(code, BPF_LDX | BPF_MEM, 0);
        add(code, BPF_ALU | BPF_ADD | BPF_X, 0);
        if (mode == BPF_IND) {
            add(code, BPF_LDX | BPF_MEM, 1);
        }
    }
    add(code, BPF_ALU | BPF_MUL | BPF_K, kMix);
    add(code, BPF_ALU | BPF_RSH | BPF_K, 16);
    add(code, BPF_RET | BPF_A, 0);
}

Code sum_of(int mode, std::uint32_t from, std::uint32_t words) {
    Code code;
    add_sum(code, mode, from, words);
    return code;
}

void append(Code& code, const Code& more) {
    code.insert(code.end(), more.begin(), more.end());
}

// The IPv4 packet that begins `base` bytes behind the network header's place.
Code ipv4_at(std::uint32_t base) {
    const Code plain = sum_of(BPF_ABS, base + 12, 2);
    const Code quoted = sum_of(BPF_IND, base + 8 + 12, 2);
    Code code;
    // An ICMP error of whole, unfragmented headers jumps over `plain` to `quoted`.
    constexpr std::size_t kToPlain = 11;  // Instructions in front of it.
    add(code, BPF_LD | BPF_B | BPF_ABS, at_net(base + 9));
    branch(code, BPF_JEQ, kIcmp, 0, kToPlain - 2);
    add(code, BPF_LD | BPF_H | BPF_ABS, at_net(base + 6));
    branch(code, BPF_JSET, kFragment, kToPlain - 4, 0);
    add(code, BPF_LDX | BPF_B | BPF_MSH, at_net(base));
    add(code, BPF_LD | BPF_B | BPF_IND, at_net(base));
    const std::size_t to_quoted = kToPlain + plain.size();
    for (const std::uint32_t type : {3U, 4U, 5U, 11U, 12U}) {
        branch(code, BPF_JEQ, type, to_quoted - code.size() - 1, 0);
    }
    append(code, plain);
    append(code, quoted);
    return code;
}

Code ipv6_at(std::uint32_t base) {
    const Code plain = sum_of(BPF_ABS, base + 8, 8);
    Code code;
    add(code, BPF_LD | BPF_B | BPF_ABS, at_net(base + 6));
    branch(code, BPF_JEQ, kIcmpv6, 0, 2);
    add(code, BPF_LD | BPF_B | BPF_ABS, at_net(base + 40));
    branch(code, BPF_JGE, 128, 0, plain.size());  // Errors are the types below.
    append(code, plain);
    append(code, sum_of(BPF_ABS, base + 40 + 8 + 8, 8));
    return code;
}

// Decides by the type in A; returns 0 for others than IP.
Code ip_at(std::uint32_t base) {
    const Code ipv4 = ipv4_at(base);
    Code code;
    branch(code, BPF_JEQ, ETH_P_IP, 0, ipv4.size());
    append(code, ipv4);
    const Code ipv6 = ipv6_at(base);
    branch(code, BPF_JEQ, ETH_P_IPV6, 0, ipv6.size());
    append(code, ipv6);
    add(code, BPF_RET | BPF_K, 0);
    return code;
}

}  // namespace

std::vector<sock_filter> spread_program() {
    Code code;
    // The outer tag is out of the frame here; an inner one still stands in it.
    const Code untagged = ip_at(0);
    add(code, BPF_LD | BPF_H | BPF_ABS, static_cast<std::uint32_t>(SKF_AD_OFF) + SKF_AD_PROTOCOL);
    branch(code, BPF_JEQ, ETH_P_8021Q, 2, 0);
    branch(code, BPF_JEQ, ETH_P_8021AD, 1, 0);
    add(code, BPF_JMP | BPF_JA, 2 + static_cast<std::uint32_t>(ip_at(kTagSize).size()) - 1);
    add(code, BPF_LD | BPF_H | BPF_ABS, at_net(2));
    append(code, ip_at(kTagSize));
    append(code, untagged);
    return code;
}

}  // namespace haka::capture
