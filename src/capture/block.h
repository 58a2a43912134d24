// A stretch of a capture: about 256 KiB of bytes and the frames that lie in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "packet/packet.h"

namespace haka::capture {

constexpr std::size_t kBlockSize = 1U << 18;
// Largest record that is accepted (libpcap's MAXIMUM_SNAPLEN); a larger length is damage.
constexpr std::uint32_t kFrameSizeMax = 262'144;

// Owned by whoever reads; frames point into `bytes`, so a block is moved never copied.
struct Block {
    std::vector<std::uint8_t> bytes;
    std::vector<Frame> frames;

    Block() = default;
    Block(Block&&) = default;
    Block& operator=(Block&&) = default;
    Block(const Block&) = delete;
    Block& operator=(const Block&) = delete;
    ~Block() = default;
};

// One interface of a capture, as pcapng describes it; a pcap file has exactly one.
struct Interface {
    LinkType link = LinkType::Ethernet;
    std::uint32_t snaplen = kFrameSizeMax;
    std::string name{};
};

}  // namespace haka::capture
