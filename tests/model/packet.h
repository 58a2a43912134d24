// One TCP packet between two model ends: as fields, and as a frame on the wire.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/tcp_options.h"

namespace haka::model {

using Bytes = std::vector<std::uint8_t>;

struct Packet {
    bool from_client = true;
    std::uint16_t client_port = 0;
    std::uint32_t seq = 0;
    std::uint32_t ack = 0;
    std::uint16_t window = 0;  // Unscaled.
    std::uint16_t mss = 0;     // 0: no such option.
    std::int8_t scale = -1;    // -1: no such option.
    std::uint8_t flags = 0;
    bool sack_permitted = false;
    bool has_timestamp = false;
    std::uint32_t ts_value = 0;
    std::uint32_t ts_echo = 0;
    std::array<wire::SackBlock, 4> sacks{};
    std::uint32_t sack_count = 0;
    std::string payload{};
    std::uint32_t options_size = 0;  // Of a read packet.

    [[nodiscard]] bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

// How many bytes the options of `packet` will take.
[[nodiscard]] std::uint32_t options_size(const Packet& packet);
// IPv4 on a raw link; right lengths and checksums.
void write(const Packet& packet, Bytes& out);
// What is wrong with the frame: a bad checksum, no TCP, an impossible option; empty: nothing.
[[nodiscard]] std::string read(ByteView frame, Packet& packet);

}  // namespace haka::model
