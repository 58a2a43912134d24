#include "capture/pcapng_format.h"

#include <algorithm>
#include <fmt/format.h>

#include "capture/link_names.h"

namespace haka::capture {
namespace {

// Wide enough for any tick count times a thousand million.
__extension__ using Wide = __int128;

constexpr std::uint32_t kSection = kPcapngMagic;
constexpr std::uint32_t kInterfaceDescription = 1;
constexpr std::uint32_t kObsoletePacket = 2;
constexpr std::uint32_t kSimplePacket = 3;
constexpr std::uint32_t kEnhancedPacket = 6;

constexpr std::uint32_t kOrderMagic = 0x1a2b3c4d;
constexpr std::size_t kBlockHeaderSize = 8;
constexpr std::size_t kTrailerSize = 4;
constexpr std::size_t kBlockSizeMin = kBlockHeaderSize + kTrailerSize;
constexpr std::size_t kSectionSizeMin = 28;
constexpr std::size_t kInterfaceSizeMin = 20;
constexpr std::size_t kPacketHeaderSize = 28;
constexpr std::size_t kSimplePacketHeaderSize = 12;

constexpr std::uint16_t kOptionEnd = 0;
constexpr std::uint16_t kOptionName = 2;
constexpr std::uint16_t kOptionResolution = 9;
constexpr std::uint16_t kOptionOffset = 14;

constexpr std::int64_t kNsPerSecond = 1'000'000'000;

bool is_packet(std::uint32_t type) {
    return type == kObsoletePacket || type == kSimplePacket || type == kEnhancedPacket;
}

bool is_read(std::uint32_t type) {
    return type == kSection || type == kInterfaceDescription || is_packet(type);
}

}  // namespace

Instant Clock::at(std::uint64_t ticks) const {
    if (ns_per_tick_ != 0) {
        std::int64_t ns = 0;
        return {__builtin_mul_overflow(ticks, ns_per_tick_, &ns) ? INT64_MAX : ns};
    }
    constexpr Wide kMin = INT64_MIN;
    constexpr Wide kMax = INT64_MAX;
    const bool is_binary = (resolution_ & 0x80) != 0;
    const int digits = resolution_ & 0x7f;
    Wide ns = ticks;
    if (is_binary) {
        ns = (ns * kNsPerSecond) >> digits;
    } else {
        for (int i = digits; i < 9; ++i) {
            ns *= 10;
        }
        for (int i = 9; i < digits && ns != 0; ++i) {
            ns /= 10;
        }
    }
    ns += Wide{offset_seconds_} * kNsPerSecond;
    return {static_cast<std::int64_t>(std::clamp(ns, kMin, kMax))};
}

Clock::Clock(std::uint8_t resolution, std::int64_t offset_seconds)
    : resolution_(resolution), offset_seconds_(offset_seconds) {
    if (resolution <= 9 && offset_seconds == 0) {
        ns_per_tick_ = 1;
        for (int i = resolution; i < 9; ++i) {
            ns_per_tick_ *= 10;
        }
    }
}

Scan PcapngFormat::scan(MutableByteView bytes, std::vector<Frame>& frames) {
    Scan scan;
    const bool was_started = is_started();
    while (was_started == is_started()) {
        const MutableByteView rest = bytes.subspan(scan.used);
        const Step step = to_skip_ > 0 ? skip(rest, scan) : scan_block(rest, frames, scan);
        if (step == Step::Stop) {
            break;
        }
    }
    return scan;
}

std::string PcapngFormat::place(ByteView rest) const {
    if (!has_section_) {
        return "inside the file header";
    }
    if (to_skip_ == 0 && rest.empty()) {
        return place_behind_record();
    }
    if (to_skip_ == 0 && rest.size() >= 4 && is_packet(order_.load32(rest.data()))) {
        return place_of_record();
    }
    return "inside a block " + place_behind_record();
}

PcapngFormat::Step PcapngFormat::wants(Scan& scan, std::size_t size) {
    scan.outcome = Scan::Outcome::Wants;
    scan.wants = size;
    return Step::Stop;
}

PcapngFormat::Step PcapngFormat::damage(Scan& scan, std::string problem) {
    scan.outcome = Scan::Outcome::Damage;
    scan.problem = std::move(problem);
    return Step::Stop;
}

PcapngFormat::Step PcapngFormat::refuse(Scan& scan, std::string problem) {
    scan.outcome = Scan::Outcome::Refused;
    scan.problem = std::move(problem);
    return Step::Stop;
}

PcapngFormat::Step PcapngFormat::scan_block(MutableByteView rest, std::vector<Frame>& frames,
                                            Scan& scan) {
    if (rest.size() < kBlockSizeMin) {
        return wants(scan, kBlockSizeMin);
    }
    // A section's type reads the same in both orders; what follows its length says which it is.
    const std::uint32_t type = order_.load32(rest.data());
    ByteOrder order = order_;
    if (type == kSection) {
        order.is_big_endian = load_be32(&rest[8]) == kOrderMagic;
        if (order.load32(&rest[8]) != kOrderMagic) {
            return damage(scan, "impossible byte-order magic");
        }
    }
    const std::uint32_t length = order.load32(&rest[4]);
    if (length < kBlockSizeMin || length % 4 != 0 || (is_read(type) && length > kRecordSizeMax)) {
        return damage(scan, fmt::format("impossible block length {}", length));
    }
    if (!is_read(type)) {
        to_skip_ = length - static_cast<std::uint32_t>(kBlockHeaderSize);
        skipped_length_ = length;
        scan.used += kBlockHeaderSize;
        return Step::Done;
    }
    if (rest.size() < length) {
        return wants(scan, length);
    }
    const MutableByteView block = rest.first(length);
    if (const std::uint32_t again = order.load32(&block[length - kTrailerSize]); again != length) {
        return damage(scan,
                      fmt::format("block length {} that its end repeats as {}", length, again));
    }
    Step step = Step::Done;
    switch (type) {
        case kSection:
            step = begin_section(block, order, scan);
            break;
        case kInterfaceDescription:
            step = describe_interface(block, scan);
            break;
        case kSimplePacket:
            step = read_simple_packet(block, frames, scan);
            break;
        default:
            step = read_packet(block, frames, scan);
            break;
    }
    if (step == Step::Done) {
        scan.used += length;
    }
    return step;
}

// Passes over the rest of a block that says nothing to us, however long, without holding it.
PcapngFormat::Step PcapngFormat::skip(ByteView rest, Scan& scan) {
    if (to_skip_ > kTrailerSize) {
        const std::size_t body = std::min<std::size_t>(rest.size(), to_skip_ - kTrailerSize);
        if (body == 0) {
            return wants(scan, 1);
        }
        to_skip_ -= static_cast<std::uint32_t>(body);
        scan.used += body;
        return Step::Done;
    }
    if (rest.size() < kTrailerSize) {
        return wants(scan, kTrailerSize);
    }
    if (const std::uint32_t again = order_.load32(rest.data()); again != skipped_length_) {
        return damage(scan, fmt::format("block length {} that its end repeats as {}",
                                        skipped_length_, again));
    }
    to_skip_ = 0;
    scan.used += kTrailerSize;
    return Step::Done;
}

PcapngFormat::Step PcapngFormat::begin_section(ByteView block, ByteOrder order, Scan& scan) {
    if (block.size() < kSectionSizeMin) {
        return damage(scan, fmt::format("impossible block length {}", block.size()));
    }
    const std::uint16_t major = order.load16(&block[12]);
    if (major != 1) {
        return refuse(scan, fmt::format("pcapng version {}.{} is not supported; supported is 1.x",
                                        major, order.load16(&block[14])));
    }
    order_ = order;
    has_section_ = true;
    described_.clear();
    return Step::Done;
}

PcapngFormat::Step PcapngFormat::describe_interface(ByteView block, Scan& scan) {
    if (block.size() < kInterfaceSizeMin) {
        return damage(scan, fmt::format("impossible block length {}", block.size()));
    }
    if (described_count_ == kInterfacesMax) {
        return refuse(scan, fmt::format("more than {} interfaces; split the file, e.g. with "
                                        "editcap -c",
                                        kInterfacesMax));
    }
    Described described;
    Interface interface;
    described.link_number = order_.load16(&block[8]);
    described.snaplen = interface.snaplen = order_.load32(&block[12]);
    const ByteView options = block.subspan(16, block.size() - 16 - kTrailerSize);
    if (read_options(options, described, interface, scan) == Step::Stop) {
        return Step::Stop;
    }
    if (const auto link = supported_link(described.link_number)) {
        described.is_supported = true;
        described.link = interface.link = *link;
        described.index = static_cast<std::uint32_t>(interfaces_.size());
        interfaces_.push_back(std::move(interface));
    }
    described_.push_back(described);
    ++described_count_;
    return Step::Done;
}

PcapngFormat::Step PcapngFormat::read_options(ByteView options, Described& described,
                                              Interface& interface, Scan& scan) const {
    std::uint8_t resolution = Clock::kMicroseconds;
    std::int64_t offset_seconds = 0;
    while (options.size() >= 4) {
        const std::uint16_t code = order_.load16(options.data());
        const std::uint16_t size = order_.load16(&options[2]);
        if (code == kOptionEnd) {
            break;
        }
        const bool is_wrong_size =
            (code == kOptionResolution && size != 1) || (code == kOptionOffset && size != 8);
        if (size > options.size() - 4 || is_wrong_size) {
            return damage(scan, fmt::format("impossible length {} of option {}", size, code));
        }
        const ByteView value = options.subspan(4, size);
        if (code == kOptionName) {
            interface.name = as_text(value);
        } else if (code == kOptionResolution) {
            resolution = value[0];
        } else if (code == kOptionOffset) {
            offset_seconds = static_cast<std::int64_t>(order_.load64(value.data()));
        }
        options = options.subspan(std::min<std::size_t>(options.size(), 4 + (size + 3U) / 4 * 4));
    }
    described.clock = Clock(resolution, offset_seconds);
    return Step::Done;
}

const PcapngFormat::Described* PcapngFormat::find_interface(std::uint32_t id, Scan& scan) const {
    if (id >= described_.size()) {
        damage(scan, fmt::format("packet of interface {}, which no block describes,", id));
        return nullptr;
    }
    const Described& described = described_[id];
    if (!described.is_supported) {
        refuse(scan, unsupported_link(described.link_number));
        return nullptr;
    }
    return &described;
}

// Enhanced and obsolete packet blocks differ in the interface field alone.
PcapngFormat::Step PcapngFormat::read_packet(MutableByteView block, std::vector<Frame>& frames,
                                             Scan& scan) {
    if (block.size() < kPacketHeaderSize + kTrailerSize) {
        return damage(scan, fmt::format("impossible block length {}", block.size()));
    }
    const bool is_obsolete = order_.load32(block.data()) == kObsoletePacket;
    const std::uint32_t id = is_obsolete ? order_.load16(&block[8]) : order_.load32(&block[8]);
    const std::uint64_t ticks =
        std::uint64_t{order_.load32(&block[12])} << 32 | order_.load32(&block[16]);
    const std::uint32_t size = order_.load32(&block[20]);
    const std::uint32_t original_size = order_.load32(&block[24]);
    if (size > kFrameSizeMax || size > block.size() - kPacketHeaderSize - kTrailerSize) {
        return damage(scan, fmt::format("impossible packet length {}", size));
    }
    const Described* described = find_interface(id, scan);
    if (described == nullptr) {
        return Step::Stop;
    }
    frames.push_back({.data = &block[kPacketHeaderSize],
                      .size = size,
                      .original_size = std::max(size, original_size),
                      .when = described->clock.at(ticks),
                      .number = ++packets_,
                      .interface = described->index,
                      .link = described->link});
    return Step::Done;
}

// Has no time stamp, and no captured length either: it follows from the interface's snaplen.
PcapngFormat::Step PcapngFormat::read_simple_packet(MutableByteView block,
                                                    std::vector<Frame>& frames, Scan& scan) {
    if (block.size() < kSimplePacketHeaderSize + kTrailerSize) {
        return damage(scan, fmt::format("impossible block length {}", block.size()));
    }
    const Described* described = find_interface(0, scan);
    if (described == nullptr) {
        return Step::Stop;
    }
    const std::uint32_t original_size = order_.load32(&block[8]);
    const std::uint32_t size =
        described->snaplen == 0 ? original_size : std::min(original_size, described->snaplen);
    if (size > kFrameSizeMax || size > block.size() - kSimplePacketHeaderSize - kTrailerSize) {
        return damage(scan, fmt::format("impossible packet length {}", size));
    }
    frames.push_back({.data = &block[kSimplePacketHeaderSize],
                      .size = size,
                      .original_size = original_size,
                      .when = {},
                      .number = ++packets_,
                      .interface = described->index,
                      .link = described->link});
    return Step::Done;
}

}  // namespace haka::capture
