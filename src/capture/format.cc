#include "capture/format.h"

#include <fmt/format.h>

#include "capture/pcap_format.h"
#include "capture/pcapng_format.h"

namespace haka::capture {

std::string Format::place_of_record() const {
    return fmt::format("inside the record of packet {}", packets_ + 1);
}

std::string Format::place_behind_record() const {
    return packets_ > 0 ? fmt::format("behind packet {}", packets_) : "before the first packet";
}

std::unique_ptr<Format> detect_format(ByteView first_bytes, std::string& error) {
    const auto magic = load_be32(first_bytes.data());
    if (auto pcap = PcapFormat::from_magic(magic)) {
        return pcap;
    }
    if (magic == kPcapngMagic) {
        return std::make_unique<PcapngFormat>();
    }
    error = fmt::format(
        "not a pcap or pcapng file (it begins with {:02x}); convert it, e.g. with editcap -F "
        "pcapng",
        fmt::join(first_bytes.first(4), " "));
    return nullptr;
}

}  // namespace haka::capture
