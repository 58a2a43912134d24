// The classic format: a file header of 24 bytes, then records of 16 bytes and the packet.
#pragma once

#include "capture/format.h"

namespace haka::capture {

class PcapFormat final : public Format {
public:
    // Null when the file's first four bytes, read big-endian, are no pcap magic.
    [[nodiscard]] static std::unique_ptr<PcapFormat> from_magic(std::uint32_t magic);

    [[nodiscard]] Scan scan(MutableByteView bytes, std::vector<Frame>& frames) override;
    [[nodiscard]] bool is_started() const override { return !interfaces_.empty(); }
    [[nodiscard]] bool may_end() const override { return is_started(); }
    [[nodiscard]] std::string place(ByteView rest) const override;

private:
    PcapFormat(bool is_big_endian, std::int64_t fraction_ns)
        : is_big_endian_(is_big_endian), fraction_ns_(fraction_ns) {}

    [[nodiscard]] Scan scan_header(ByteView bytes);
    template <bool kBigEndian>
    [[nodiscard]] Scan scan_records(MutableByteView bytes, std::vector<Frame>& frames);

    bool is_big_endian_;
    std::int64_t fraction_ns_;  // Nanoseconds in one unit of the time stamp's second half.
};

}  // namespace haka::capture
