// What a line of the text form says, before it becomes a frame. For text_parse.cc alone.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/link_type.h"
#include "wire/build.h"

namespace haka::wire::detail {

struct Draft {
    enum class Kind : std::uint8_t { Tcp, Udp, Icmp, Other };
    struct Tag {
        std::uint16_t type = 0;
        std::uint16_t id = 0;
    };

    std::optional<std::vector<std::uint8_t>> link_header;  // As it is; else made from what follows.
    EthernetFields ethernet;
    std::vector<Tag> tags;  // Outermost first.
    Family family = Family::Ipv4;
    IpFields ip;  // Its options are ip_options.
    std::vector<std::uint8_t> ip_options;
    Kind kind = Kind::Other;
    TcpFields tcp;  // Its options are tcp_options, its ports UDP's too.
    std::vector<std::uint8_t> tcp_options;
    IcmpFields icmp;
    std::uint8_t protocol = 0;  // Of Kind::Other.
    std::vector<std::uint8_t> payload;
    bool has_bad_checksum = false;
    bool has_bad_ip_checksum = false;
    std::optional<std::uint16_t> checksum;  // Instead of the right one.
    std::optional<std::uint16_t> ip_checksum;
    std::size_t padding = 0;  // Zero bytes behind the datagram.
};

// Precondition: the sizes are those that the builders of build.h take.
[[nodiscard]] std::vector<std::uint8_t> make_frame(const Draft& draft, LinkType link);

}  // namespace haka::wire::detail
