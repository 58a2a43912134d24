#include "case_variations.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <span>

#include "base/bytes.h"
#include "wire/checksum.h"
#include "wire/headers.h"

namespace haka::test {
namespace {

using Packets = std::vector<Packet>;
using Visit = std::function<bool(const Packets&)>;

constexpr std::size_t kRandomCuts = 12;
constexpr std::size_t kMaxOrders = 120;
constexpr std::uint8_t kFinAndPush = 0x09;

// The bytes [begin, end) of a TCP segment's payload as a segment of their own.
Packet piece_of(const Packet& whole, LinkType link, std::size_t begin, std::size_t end) {
    const wire::Headers headers = wire::find_headers(link, whole.bytes);
    Packet piece;
    piece.when = whole.when;
    const auto at = [&](std::size_t offset) {
        return whole.bytes.begin() + static_cast<std::ptrdiff_t>(offset);
    };
    piece.bytes.assign(whole.bytes.begin(), at(headers.payload));
    piece.bytes.insert(piece.bytes.end(), at(headers.payload + begin), at(headers.payload + end));
    piece.original_size = static_cast<std::uint32_t>(piece.bytes.size());
    const std::size_t lost = whole.bytes.size() - piece.bytes.size();
    std::uint8_t* length = &piece.bytes[headers.net + (headers.ip_version == 4 ? 2 : 4)];
    store_be16(length, static_cast<std::uint16_t>(load_be16(length) - lost));
    std::uint8_t* tcp = &piece.bytes[headers.transport];
    store_be32(tcp + 4, load_be32(tcp + 4) + static_cast<std::uint32_t>(begin));
    if (end != headers.end - headers.payload) {
        tcp[13] = static_cast<std::uint8_t>(tcp[13] & ~kFinAndPush);
    }
    const wire::Headers found = wire::find_headers(link, piece.bytes);
    if (headers.ip_version == 4) {
        wire::compute_ipv4_header(found, piece.bytes);
    }
    (void)wire::compute_transport(found, piece.bytes);
    return piece;
}

bool visit_cut(const Case& written, const Variation& variation, std::span<const std::size_t> cuts,
               const Visit& visit) {
    Packets packets;
    for (std::size_t i = 0; i < written.packets_in.size(); ++i) {
        if (i != variation.begin) {
            packets.push_back(written.packets_in[i]);
            continue;
        }
        for (std::size_t c = 0; c + 1 < cuts.size(); ++c) {
            packets.push_back(piece_of(written.packets_in[i], written.link, cuts[c], cuts[c + 1]));
        }
    }
    return visit(packets);
}

bool visit_cuts(const Case& written, const Variation& variation, const Visit& visit) {
    const wire::Headers headers =
        wire::find_headers(written.link, written.packets_in[variation.begin].bytes);
    const std::size_t size = headers.end - headers.payload;
    std::vector<std::size_t> each_byte(size + 1);
    std::iota(each_byte.begin(), each_byte.end(), std::size_t{0});
    if (!visit_cut(written, variation, each_byte, visit)) {
        return false;
    }
    for (std::size_t at = 1; at < size; ++at) {
        const std::size_t two[] = {0, at, size};
        if (!visit_cut(written, variation, two, visit)) {
            return false;
        }
    }
    std::mt19937 random(1);
    for (std::size_t i = 0; i < kRandomCuts; ++i) {
        std::vector<std::size_t> cuts;
        std::copy_if(each_byte.begin(), each_byte.end(), std::back_inserter(cuts),
                     [&](std::size_t at) { return at == 0 || at == size || random() % 4 == 0; });
        if (!visit_cut(written, variation, cuts, visit)) {
            return false;
        }
    }
    return true;
}

bool visit_orders(const Case& written, const Variation& variation, const Visit& visit) {
    std::vector<std::size_t> order(variation.end - variation.begin);
    std::iota(order.begin(), order.end(), variation.begin);
    std::mt19937 random(1);
    const bool all = order.size() <= 5;
    for (std::size_t i = 0; i < kMaxOrders; ++i) {
        if (all && !std::next_permutation(order.begin(), order.end())) {
            return true;
        }
        if (!all) {
            std::shuffle(order.begin(), order.end(), random);
        }
        Packets packets = written.packets_in;
        for (std::size_t p = 0; p < order.size(); ++p) {
            packets[variation.begin + p] = written.packets_in[order[p]];
            packets[variation.begin + p].when = written.packets_in[variation.begin + p].when;
        }
        if (!visit(packets)) {
            return false;
        }
    }
    return true;
}

}  // namespace

void for_each_variation(const Case& written,
                        const std::function<bool(const std::vector<Packet>&)>& visit) {
    for (const Variation& variation : written.variations) {
        if (!(variation.is_cut ? visit_cuts(written, variation, visit)
                               : visit_orders(written, variation, visit))) {
            return;
        }
    }
}

}  // namespace haka::test
