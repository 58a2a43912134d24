#include "flow/recut.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "wire/checksum.h"

namespace haka::flow {

namespace {

constexpr std::uint32_t kIpv4MinSize = 20;
constexpr std::uint32_t kIpv6Size = 40;
constexpr std::uint32_t kFragmentHeaderSize = 8;
constexpr std::uint8_t kFragmentHeader = 44;
constexpr std::uint8_t kAuthentication = 51;
constexpr std::uint16_t kMoreIpv4 = 0x2000;
constexpr std::uint16_t kKeptFlags = 0xc000;  // Don't fragment, and the reserved bit.
constexpr std::uint16_t kMoreIpv6 = 1;

// Header bytes that fragments start with.
using HeaderBytes = std::array<std::uint8_t, 60>;

// One fragment's share of the data.
struct Share {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
    bool last = false;
};

// Lays `head` (link and IP header) and `share` of `data` at the end of `out`.
std::uint8_t* append(Recut& out, const Frame& changed, ByteView head, ByteView data) {
    const std::size_t at = out.bytes.size();
    out.bytes.insert(out.bytes.end(), head.begin(), head.end());
    out.bytes.insert(out.bytes.end(), data.begin(), data.end());
    Frame frame = changed;
    frame.data = out.bytes.data() + at;  // Room was reserved: bytes don't move.
    frame.size = frame.original_size = static_cast<std::uint32_t>(head.size() + data.size());
    out.frames.push_back(frame);
    return frame.data;
}

// Calls `each` with every share of `size` bytes of data; all but the last have `piece` bytes.
template <typename Each>
void for_each_share(std::uint32_t size, std::uint32_t piece, Each each) {
    for (std::uint32_t begin = 0; begin < size; begin += piece) {
        const std::uint32_t share = std::min(piece, size - begin);
        each(Share{.begin = begin, .size = share, .last = begin + share == size});
    }
}

void reserve(Recut& out, std::size_t head, std::uint32_t data, std::uint32_t piece) {
    const std::size_t count = data / piece + 1;
    out.bytes.reserve(count * head + data);
    out.frames.reserve(count);
}

// The header that fragments behind the first carry: of the options, those with the copied flag
// (RFC 791, 3.1). Options that can't be read end the copy.
std::uint32_t later_ipv4_header(ByteView header, HeaderBytes& to) {
    constexpr std::uint8_t kCopied = 0x80;
    std::memcpy(to.data(), header.data(), kIpv4MinSize);
    std::uint32_t size = kIpv4MinSize;
    for (std::size_t at = kIpv4MinSize; at < header.size() && header[at] != 0;) {
        if (header[at] == 1) {  // Padding between options.
            ++at;
            continue;
        }
        const std::size_t option = at + 1 < header.size() ? header[at + 1] : 0;
        if (option < 2 || option > header.size() - at) {
            break;
        }
        if ((header[at] & kCopied) != 0) {
            std::memcpy(&to[size], &header[at], option);
            size += static_cast<std::uint32_t>(option);
        }
        at += option;
    }
    while (size % 4 != 0) {
        to[size++] = 0;
    }
    to[0] = static_cast<std::uint8_t>(0x40 | size / 4);
    return size;
}

bool recut_ipv4(const Frame& changed, const FragmentShape& shape, Recut& out) {
    const ByteView frame = changed.bytes();
    const ByteView ip = frame.subspan(shape.net);
    if (ip.size() < kIpv4MinSize || ip[0] >> 4 != 4) {
        return false;
    }
    const std::uint32_t header_size = (ip[0] & 0x0fU) * 4;
    const std::uint32_t total = load_be16(&ip[2]);
    if (header_size < kIpv4MinSize || header_size > total || total > ip.size()) {
        return false;
    }
    if (total <= shape.size_max) {
        reserve(out, shape.net + header_size, total, total);
        append(out, changed, frame.first(shape.net + header_size),
               ip.subspan(header_size, total - header_size));
        return true;
    }
    if (shape.size_max < header_size + 8) {
        return false;
    }
    const std::uint32_t piece = (shape.size_max - header_size) / 8 * 8;
    const ByteView data = ip.subspan(header_size, total - header_size);
    HeaderBytes later{};
    const std::uint32_t later_size = later_ipv4_header(ip.first(header_size), later);
    const auto data_size = static_cast<std::uint32_t>(data.size());
    const auto flags = static_cast<std::uint16_t>(load_be16(&ip[6]) & kKeptFlags);
    reserve(out, shape.net + header_size, data_size, piece);
    for_each_share(data_size, piece, [&](Share share) {
        const std::uint32_t head_size = share.begin == 0 ? header_size : later_size;
        std::uint8_t* to = append(out, changed, frame.first(shape.net + head_size),
                                  data.subspan(share.begin, share.size)) +
                           shape.net;
        if (share.begin != 0) {
            std::memcpy(to, later.data(), later_size);
        }
        store_be16(to + 2, static_cast<std::uint16_t>(head_size + share.size));
        store_be16(to + 6, static_cast<std::uint16_t>(flags | (share.last ? 0 : kMoreIpv4) |
                                                      share.begin / 8));
        store_be16(to + 10, 0);
        store_be16(to + 10, wire::internet_checksum({to, head_size}));
    });
    return true;
}

bool recut_ipv6(const Frame& changed, const FragmentShape& shape, Recut& out) {
    const ByteView frame = changed.bytes();
    const ByteView ip = frame.subspan(shape.net);
    if (ip.size() < kIpv6Size || ip[0] >> 4 != 6) {
        return false;
    }
    const std::uint32_t total = kIpv6Size + load_be16(&ip[4]);
    const std::uint32_t stays = shape.unfragmentable;
    if (total > ip.size() || stays > total) {
        return false;
    }
    if (total <= shape.size_max) {
        reserve(out, shape.net, total, total);
        append(out, changed, frame.first(shape.net), ip.first(total));
        return true;
    }
    const std::uint32_t field = ipv6_next_header_field(ip.first(total), stays);
    if (field == 0 || shape.size_max < stays + kFragmentHeaderSize + 8) {
        return false;
    }
    const std::uint32_t piece = (shape.size_max - stays - kFragmentHeaderSize) / 8 * 8;
    const ByteView data = ip.subspan(stays, total - stays);
    // Link and IP headers with a fragment header behind them.
    const std::size_t head_size = shape.net + stays + kFragmentHeaderSize;
    std::vector<std::uint8_t> head(frame.begin(), frame.begin() + shape.net + stays);
    head.resize(head_size);
    std::uint8_t* fragment_header = &head[shape.net + stays];
    fragment_header[0] = ip[field];
    store_be32(fragment_header + 4, shape.identification);
    head[shape.net + field] = kFragmentHeader;
    reserve(out, head_size, static_cast<std::uint32_t>(data.size()), piece);
    for_each_share(static_cast<std::uint32_t>(data.size()), piece, [&](Share share) {
        store_be16(&head[shape.net + 4], static_cast<std::uint16_t>(stays + kFragmentHeaderSize -
                                                                    kIpv6Size + share.size));
        store_be16(fragment_header + 2,
                   static_cast<std::uint16_t>(share.begin | (share.last ? 0 : kMoreIpv6)));
        append(out, changed, head, data.subspan(share.begin, share.size));
    });
    return true;
}

}  // namespace

std::uint32_t ipv6_next_header_field(ByteView ip, std::uint32_t size) {
    std::uint32_t field = 6;
    std::uint32_t at = kIpv6Size;
    while (at < size && at + 8 <= ip.size()) {
        const std::uint8_t type = ip[field];
        field = at;
        if (type == kFragmentHeader) {
            at += kFragmentHeaderSize;
        } else if (type == kAuthentication) {
            at += (ip[at + 1] + 2U) * 4;  // RFC 4302, 2.2
        } else {
            at += (ip[at + 1] + 1U) * 8;
        }
    }
    return at == size ? field : 0;
}

bool recut(const Frame& changed, const FragmentShape& shape, Recut& out) {
    out.bytes.clear();
    out.frames.clear();
    if (shape.net > changed.size || shape.unfragmentable > changed.size) {
        return false;
    }
    return shape.ip_version == 4 ? recut_ipv4(changed, shape, out)
                                 : recut_ipv6(changed, shape, out);
}

}  // namespace haka::flow
