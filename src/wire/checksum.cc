#include "wire/checksum.h"

#include <algorithm>
#include <array>
#include <optional>

namespace haka::wire {
namespace {

constexpr std::uint32_t kIpv4MinSize = 20;
constexpr std::uint32_t kIpv6Size = 40;
constexpr std::uint8_t kRouting = 43;
constexpr std::uint8_t kFragment = 44;
constexpr std::uint8_t kAuthentication = 51;

// Two 64-bit lanes, which every machine we run on has; the compiler widens nothing behind our back.
using Lanes = std::uint64_t __attribute__((vector_size(16)));
constexpr std::size_t kBlock = 4 * sizeof(Lanes);

inline Lanes load_lanes(const std::uint8_t* p) {
    Lanes lanes{};
    std::memcpy(&lanes, p, sizeof lanes);
    return lanes;
}

// Sums 32-bit halves into 64-bit lanes: no carry is lost before 2^30 blocks. Four loads a turn and
// sums that don't wait for each other keep the units busy.
PartialSum sum_blocks(const std::uint8_t* p, std::size_t blocks) {
    constexpr Lanes kLow = {0xffffffff, 0xffffffff};
    Lanes low_a{};
    Lanes high_a{};
    Lanes low_b{};
    Lanes high_b{};
    for (; blocks > 0; --blocks, p += kBlock) {
        const Lanes first = load_lanes(p);
        const Lanes second = load_lanes(p + sizeof(Lanes));
        const Lanes third = load_lanes(p + 2 * sizeof(Lanes));
        const Lanes fourth = load_lanes(p + 3 * sizeof(Lanes));
        low_a += (first & kLow) + (second & kLow);
        high_a += (first >> 32) + (second >> 32);
        low_b += (third & kLow) + (fourth & kLow);
        high_b += (third >> 32) + (fourth >> 32);
    }
    const Lanes all = low_a + high_a + low_b + high_b;
    return all[0] + all[1];
}

inline PartialSum halves(std::uint64_t word) {
    return (word & 0xffffffff) + (word >> 32);
}

inline PartialSum sum_inline(ByteView bytes, PartialSum start) {
    const std::uint8_t* p = bytes.data();
    std::size_t size = bytes.size();
    PartialSum sum = halves(start);
    if (size >= 2 * kBlock) {
        sum += sum_blocks(p, size / kBlock);
        p += size - size % kBlock;
        size %= kBlock;
    }
    for (; size >= 8; size -= 8, p += 8) {
        sum += halves(load_native<std::uint64_t>(p));
    }
    if ((size & 4) != 0) {
        sum += load_native<std::uint32_t>(p);
        p += 4;
    }
    if ((size & 2) != 0) {
        sum += load_native<std::uint16_t>(p);
        p += 2;
    }
    return (size & 1) != 0 ? sum + *p : sum;  // Little-endian: the odd byte is the low half.
}

// Bounded by what find_headers() saw, for the length may have been written over since.
ByteView ipv4_header(const Headers& headers, ByteView frame) {
    const std::uint32_t size = (frame[headers.net] & 0x0fU) * 4;
    return frame.subspan(headers.net,
                         std::clamp(size, kIpv4MinSize, headers.transport - headers.net));
}

// Where the checksum stands in its header, and how many bytes it covers; none if unknown.
struct Cover {
    std::uint32_t field = 0;
    std::uint32_t size = 0;
    bool has_pseudo = true;
};

std::optional<Cover> udp_cover(std::uint32_t length, std::uint32_t captured) {
    if (length < 8 || length > captured) {
        return std::nullopt;  // Written over since the headers were found.
    }
    return Cover{.field = 6, .size = length};
}

std::optional<Cover> cover_of(const Headers& headers, ByteView frame) {
    if (!headers.transport_ok || headers.cut > 0) {
        return std::nullopt;
    }
    const std::uint32_t size = headers.end - headers.transport;
    switch (headers.protocol) {
        case kProtocolTcp:
            return Cover{.field = 16, .size = size};
        case kProtocolUdp:
            return udp_cover(load_be16(frame.data() + headers.transport + 4), size);
        case kProtocolIcmp:
            return Cover{.field = 2, .size = size, .has_pseudo = false};
        case kProtocolIcmpv6:
            return Cover{.field = 2, .size = size};
        default:
            return std::nullopt;
    }
}

// The address at which a source-routed packet will arrive is the one that the sender summed.
// Empty: the destination in the IP header is it.
struct FinalTarget {
    bool is_known = true;
    ByteView address{};
};

FinalTarget final_target_ipv4(ByteView header) {
    for (std::size_t i = kIpv4MinSize; i < header.size() && header[i] != 0;) {
        if (header[i] == 1) {
            ++i;
            continue;
        }
        if (header.size() - i < 2 || header[i + 1] < 2 || header[i + 1] > header.size() - i) {
            break;
        }
        const std::size_t option_size = header[i + 1];
        const bool is_route = header[i] == 131 || header[i] == 137;
        if (is_route && option_size >= 7 && std::size_t{header[i + 2]} + 3 <= option_size) {
            return {.address = header.subspan(i + option_size - 4, 4)};
        }
        i += option_size;
    }
    return {};
}

FinalTarget final_target_ipv6(const Headers& headers, ByteView frame) {
    std::uint8_t next = frame[headers.net + 6];
    for (std::uint32_t i = headers.net + kIpv6Size; i < headers.transport;) {
        const ByteView header = frame.subspan(i, headers.transport - i);
        if (header.size() < 8) {
            return {.is_known = false};
        }
        std::uint32_t header_size = (header[1] + 1U) * 8;
        if (next == kFragment) {
            header_size = 8;
        } else if (next == kAuthentication) {
            header_size = (header[1] + 2U) * 4;
        }
        if (header_size > header.size()) {
            return {.is_known = false};
        }
        if (next == kRouting && header[3] > 0) {
            const bool has_address = header_size >= 24;
            if (has_address && (header[2] == 0 || header[2] == 2)) {
                return {.address = header.subspan(header_size - 16, 16)};
            }
            if (has_address && header[2] == 4) {
                return {.address = header.subspan(8, 16)};  // RFC 8754: the last segment is first.
            }
            return {.is_known = false};
        }
        next = header[0];
        i += header_size;
    }
    return {};
}

std::optional<PartialSum> sum_transport(const Headers& headers, ByteView frame,
                                        const Cover& cover) {
    const ByteView bytes = frame.subspan(headers.transport, cover.size);
    if (!cover.has_pseudo) {
        return sum_bytes(bytes);
    }
    const bool is_ipv4 = headers.ip_version == 4;
    const std::uint32_t plain_size = is_ipv4 ? kIpv4MinSize : kIpv6Size;
    const std::uint8_t* const ip = frame.data() + headers.net;
    PseudoHeader pseudo{.source = is_ipv4 ? ByteView(ip + 12, 4) : ByteView(ip + 8, 16),
                        .target = is_ipv4 ? ByteView(ip + 16, 4) : ByteView(ip + 24, 16),
                        .size = cover.size,
                        .protocol = headers.protocol};
    if (headers.transport - headers.net != plain_size) {
        const FinalTarget target = is_ipv4 ? final_target_ipv4(ipv4_header(headers, frame))
                                           : final_target_ipv6(headers, frame);
        if (!target.is_known) {
            return std::nullopt;
        }
        if (!target.address.empty()) {
            pseudo.target = target.address;
        }
    }
    return sum_bytes(bytes, sum_pseudo_header(pseudo));
}

// Most packets: TCP right behind an IPv4 header without options.
ChecksumCheck verify_plain_tcp(const Headers& headers, ByteView frame) {
    const std::uint32_t size = headers.end - headers.transport;
    const std::uint8_t* const addresses = frame.data() + headers.net + 12;
    const PartialSum pseudo = halves(load_native<std::uint64_t>(addresses)) +
                              __builtin_bswap32(size) +
                              __builtin_bswap32(std::uint32_t{kProtocolTcp});
    const PartialSum sum = sum_inline({frame.data() + headers.transport, size}, pseudo);
    return finish(sum) == 0 ? ChecksumCheck::Right : ChecksumCheck::Wrong;
}

}  // namespace

PartialSum sum_bytes(ByteView bytes, PartialSum start) {
    return sum_inline(bytes, start);
}

PartialSum sum_pseudo_header(const PseudoHeader& pseudo) {
    const PartialSum addresses = sum_bytes(pseudo.target, sum_bytes(pseudo.source));
    return addresses + __builtin_bswap32(pseudo.size) +
           __builtin_bswap32(std::uint32_t{pseudo.protocol});
}

bool verify_ipv4_header(ByteView header) {
    return internet_checksum(header) == 0;
}

ChecksumCheck verify_transport(const Headers& headers, ByteView frame) {
    if (headers.protocol == kProtocolTcp && headers.transport - headers.net == kIpv4MinSize &&
        headers.transport_ok && headers.cut == 0) {
        return verify_plain_tcp(headers, frame);
    }
    const auto cover = cover_of(headers, frame);
    if (!cover) {
        return ChecksumCheck::Unverifiable;
    }
    if (headers.protocol == kProtocolUdp &&
        load_be16(frame.data() + headers.transport + cover->field) == 0) {
        return headers.ip_version == 4 ? ChecksumCheck::Absent : ChecksumCheck::Wrong;
    }
    const auto sum = sum_transport(headers, frame, *cover);
    if (!sum) {
        return ChecksumCheck::Unverifiable;
    }
    return finish(*sum) == 0 ? ChecksumCheck::Right : ChecksumCheck::Wrong;
}

Event bad_checksum_event(std::uint8_t protocol) {
    switch (protocol) {
        case kProtocolTcp:
            return Event::TcpBadChecksum;
        case kProtocolUdp:
            return Event::UdpBadChecksum;
        case kProtocolIcmp:
        case kProtocolIcmpv6:
            return Event::IcmpBadChecksum;
        default:
            return Event::None;
    }
}

void compute_ipv4_header(const Headers& headers, MutableByteView frame) {
    assert(headers.ip_version == 4);
    std::uint8_t* const field = &frame[headers.net + 10];
    store_be16(field, 0);
    store_be16(field, internet_checksum(ipv4_header(headers, frame)));
}

bool compute_transport(const Headers& headers, MutableByteView frame) {
    const auto cover = cover_of(headers, frame);
    if (!cover) {
        return false;
    }
    std::uint8_t* const field = &frame[headers.transport + cover->field];
    const std::uint16_t old = load_be16(field);
    store_be16(field, 0);
    const auto sum = sum_transport(headers, frame, *cover);
    if (!sum) {
        store_be16(field, old);
        return false;
    }
    const std::uint16_t checksum = finish(*sum);
    // UDP says "none" with zero, so zero is sent as its other form (RFC 768).
    const bool is_udp_zero = headers.protocol == kProtocolUdp && checksum == 0;
    store_be16(field, is_udp_zero ? std::uint16_t{0xffff} : checksum);
    return true;
}

}  // namespace haka::wire
