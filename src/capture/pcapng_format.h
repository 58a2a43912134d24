// The pcapng format: sections (each with its own byte order and interfaces) of blocks. Packets come
// in enhanced, simple and the obsolete packet blocks; blocks of any other kind are passed over,
// whatever their size.
//
//   [ type 4 | total length 4 | body ... | total length 4 ]     all lengths are multiples of 4
#pragma once

#include "capture/byte_order.h"
#include "capture/format.h"

namespace haka::capture {

constexpr std::uint32_t kPcapngMagic = 0x0a0d0d0a;

// How an interface counts time (if_tsresol, if_tsoffset).
class Clock {
public:
    static constexpr std::uint8_t kMicroseconds = 6;

    // `resolution` n: a tick is 10^-n s; with the top bit set, 2^-n s. The offset is added.
    explicit Clock(std::uint8_t resolution = kMicroseconds, std::int64_t offset_seconds = 0);

    // Nanoseconds since 1970; saturates.
    [[nodiscard]] Instant at(std::uint64_t ticks) const;

private:
    std::uint8_t resolution_;
    std::int64_t offset_seconds_;
    std::uint64_t ns_per_tick_ = 0;  // 0 when it is no whole number or there is an offset.
};

class PcapngFormat final : public Format {
public:
    // A file with more interfaces than this in all its sections together is refused.
    static constexpr std::size_t kInterfacesMax = 4096;

    PcapngFormat() { interfaces_.reserve(kInterfacesMax); }

    [[nodiscard]] Scan scan(MutableByteView bytes, std::vector<Frame>& frames) override;
    [[nodiscard]] bool is_started() const override { return !interfaces_.empty(); }
    [[nodiscard]] bool may_end() const override { return has_section_ && to_skip_ == 0; }
    [[nodiscard]] std::string place(ByteView rest) const override;

private:
    // An interface as the current section numbers it.
    struct Described {
        std::uint32_t link_number = 0;
        std::uint32_t snaplen = 0;
        std::uint32_t index = 0;  // In interfaces_; only when `is_supported`.
        bool is_supported = false;
        LinkType link = LinkType::Ethernet;
        Clock clock;
    };
    enum class Step : std::uint8_t { Done, Stop };

    static Step wants(Scan& scan, std::size_t size);
    static Step damage(Scan& scan, std::string problem);
    static Step refuse(Scan& scan, std::string problem);

    Step scan_block(MutableByteView rest, std::vector<Frame>& frames, Scan& scan);
    Step skip(ByteView rest, Scan& scan);
    Step begin_section(ByteView block, ByteOrder order, Scan& scan);
    Step describe_interface(ByteView block, Scan& scan);
    Step read_options(ByteView options, Described& described, Interface& interface,
                      Scan& scan) const;
    Step read_packet(MutableByteView block, std::vector<Frame>& frames, Scan& scan);
    Step read_simple_packet(MutableByteView block, std::vector<Frame>& frames, Scan& scan);
    const Described* find_interface(std::uint32_t id, Scan& scan) const;

    ByteOrder order_;
    bool has_section_ = false;
    std::vector<Described> described_;
    std::uint64_t described_count_ = 0;  // In all sections, supported or not.
    std::uint32_t to_skip_ = 0;          // Bytes of an uninteresting block, its trailer included.
    std::uint32_t skipped_length_ = 0;   // What that trailer must say.
};

}  // namespace haka::capture
