#include "capture/pcap_format.h"

#include <algorithm>
#include <fmt/format.h>

#include "capture/byte_order.h"
#include "capture/link_names.h"

namespace haka::capture {
namespace {

constexpr std::uint32_t kMicroMagic = 0xa1b2c3d4;
constexpr std::uint32_t kNanoMagic = 0xa1b23c4d;
constexpr std::size_t kFileHeaderSize = 24;
constexpr std::size_t kRecordHeaderSize = 16;
constexpr std::uint32_t kLinkMask = 0x03ffffff;  // The rest says how long the frame check is.
constexpr std::int64_t kNsPerSecond = 1'000'000'000;

}  // namespace

std::unique_ptr<PcapFormat> PcapFormat::from_magic(std::uint32_t magic) {
    for (const bool is_big_endian : {true, false}) {
        const std::uint32_t value = is_big_endian ? magic : __builtin_bswap32(magic);
        if (value == kMicroMagic || value == kNanoMagic) {
            const std::int64_t fraction_ns = value == kNanoMagic ? 1 : 1000;
            return std::unique_ptr<PcapFormat>(new PcapFormat(is_big_endian, fraction_ns));
        }
    }
    return nullptr;
}

Scan PcapFormat::scan(MutableByteView bytes, std::vector<Frame>& frames) {
    if (!is_started()) {
        return scan_header(bytes);
    }
    return is_big_endian_ ? scan_records<true>(bytes, frames) : scan_records<false>(bytes, frames);
}

Scan PcapFormat::scan_header(ByteView bytes) {
    Scan scan;
    if (bytes.size() < kFileHeaderSize) {
        scan.outcome = Scan::Outcome::Wants;
        scan.wants = kFileHeaderSize;
        return scan;
    }
    const ByteOrder order{is_big_endian_};
    const std::uint16_t major = order.load16(&bytes[4]);
    const std::uint32_t link_number = order.load32(&bytes[20]) & kLinkMask;
    const auto link = supported_link(link_number);
    if (major != 2) {
        scan.outcome = Scan::Outcome::Refused;
        scan.problem = fmt::format("pcap version {}.{} is not supported; supported is 2.4", major,
                                   order.load16(&bytes[6]));
        return scan;
    }
    if (!link) {
        scan.outcome = Scan::Outcome::Refused;
        scan.problem = unsupported_link(link_number);
        return scan;
    }
    interfaces_.push_back({.link = *link, .snaplen = order.load32(&bytes[16]), .name = {}});
    scan.used = kFileHeaderSize;
    return scan;
}

template <bool kBigEndian>
Scan PcapFormat::scan_records(MutableByteView bytes, std::vector<Frame>& frames) {
    Scan scan{
        .outcome = Scan::Outcome::Wants, .used = 0, .wants = kRecordHeaderSize, .problem = {}};
    const LinkType link = interfaces_.front().link;
    const std::int64_t fraction_ns = fraction_ns_;
    std::uint64_t number = packets_;
    std::uint8_t* at = bytes.data();
    std::uint8_t* const end = at + bytes.size();
    while (static_cast<std::size_t>(end - at) >= kRecordHeaderSize) {
        const std::uint32_t size = load_u32<kBigEndian>(at + 8);
        const std::uint32_t original_size = load_u32<kBigEndian>(at + 12);
        if (size > kFrameSizeMax) {
            scan.outcome = Scan::Outcome::Damage;
            scan.problem = fmt::format("impossible packet length {}", size);
            break;
        }
        if (static_cast<std::size_t>(end - at) - kRecordHeaderSize < size) {
            scan.wants = kRecordHeaderSize + size;
            break;
        }
        // Neither sum nor products can overflow: all four factors are below 2^32.
        const std::int64_t when =
            load_u32<kBigEndian>(at) * kNsPerSecond + load_u32<kBigEndian>(at + 4) * fraction_ns;
        frames.push_back({.data = at + kRecordHeaderSize,
                          .size = size,
                          .original_size = std::max(size, original_size),
                          .when = {when},
                          .number = ++number,
                          .interface = 0,
                          .link = link});
        at += kRecordHeaderSize + size;
    }
    packets_ = number;
    scan.used = bytes.size() - static_cast<std::size_t>(end - at);
    return scan;
}

std::string PcapFormat::place(ByteView rest) const {
    if (!is_started()) {
        return "inside the file header";
    }
    return rest.empty() ? place_behind_record() : place_of_record();
}

}  // namespace haka::capture
