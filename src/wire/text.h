// One text form per packet, like tcpdump's, that people read in logs and tests write and compare.
//
//   IP 10.0.0.1.1234 > 10.0.0.2.80: Flags [P.], seq 1000, ack 2001, win 512,
//       options [nop,nop,TS val 1 ecr 0], length 5 "GET \x00", ttl 63, id 7, df      (one line)
//   IP6 2001:db8::1.53 > 2001:db8::2.1024: UDP, length 0
//   vlan 7, IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 2, length 0
//   IP 10.0.0.1 > 10.0.0.2: frag 7:1480+, proto 6, length 8 0x0102030405060708
//   not IP, type 0x0806, bytes 0x...
//
// parse_text(to_text(frame)) is `frame` again, always: what the words can't say follows them as
// `bytes 0x...`, the whole frame. README.md lists the words.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/link_type.h"

namespace haka::wire {

[[nodiscard]] std::string to_text(ByteView frame, LinkType link);

// A frame, or where and why the line makes none.
struct Parsed {
    std::vector<std::uint8_t> bytes;
    std::string error;       // Empty: `bytes` is the frame.
    std::size_t column = 0;  // 1-based, of the error.

    [[nodiscard]] explicit operator bool() const { return error.empty(); }
};

// Reads one line without its newline. Lengths and checksums come out right unless the line says
// otherwise (`bad-cksum`, `cksum 0x...`). Where it says more freely than to_text() does:
//   length "GET"    the number may be left out
//   length 1000     without bytes: 1000 times 'x'
[[nodiscard]] Parsed parse_text(std::string_view line, LinkType link);

}  // namespace haka::wire
