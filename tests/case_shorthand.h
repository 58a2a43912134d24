// Packets of one client and one server in few words:
//
//   C S 1000, options [mss 1460]     IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [S], seq 1000, ...
//   S S. 5000 1001                   IP 10.0.0.2.80 > 10.0.0.1.40000: Flags [S.], seq 5000, ack
//   1001 C2 P. 1001 5001, "GET", ttl 1    the client's port 40002
//
// The window is 65535 unless `win N` follows. Everything else is the text form of wire/text.h,
// which may be written out in place of the short one.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/link_type.h"

namespace haka::test {

// The line in the words of wire/text.h.
[[nodiscard]] std::string expand(std::string_view line);
// The shortest line that makes this frame.
[[nodiscard]] std::string shorten(ByteView frame, LinkType link);

}  // namespace haka::test
