// The head of an HTTP/1 message: request or status line and headers (RFC 9112, 2 to 5), read where
// it stands. Whatever two readers of these bytes could understand differently is refused, and each
// refusal has its name.
//
//   find_head_end()   as bytes come: is the head complete?
//   parse_head()      once it is
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/event.h"

namespace haka::http {

enum class Kind : std::uint8_t { Request, Response };

struct Limits {
    std::uint32_t head_bytes_max = 0;
    std::uint32_t line_bytes_max = 0;
    std::uint32_t headers_max = 0;
};

// Where find_head_end() went on to, from the head's first byte.
struct HeadScan {
    std::uint32_t line = 0;      // The line at work begins here.
    std::uint32_t searched = 0;  // No line end before it is still to be looked at.
};

struct HeadEnd {
    std::uint32_t size = 0;       // Of the head with its empty line; 0: it isn't complete.
    Event refused = Event::None;  // What comes won't be a head any more.
};

// `bytes` begin with the head and only grow from call to call. In all, each byte is looked at a few
// times, however many calls there are.
[[nodiscard]] HeadEnd find_head_end(ByteView bytes, Kind kind, const Limits& limits,
                                    HeadScan& scan);

// A part of the head: from its first byte.
struct Part {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
};

struct Field {
    Part name;
    Part value;  // Without white space around it.
    Part line;   // With its line end.
};

// How the end of the body is found (RFC 9112, 6.3).
enum class Framing : std::uint8_t { None, Length, Chunked, UntilClose, Tunnel };

struct Head {
    Kind kind = Kind::Request;
    Part method;              // Of a request.
    Part target;              // Of a request.
    Part version;             // "HTTP/1.1"
    Part status;              // Of a response.
    Part reason;              // Of a response.
    std::uint32_t code = 0;   // The status.
    std::uint32_t minor = 1;  // HTTP/1.0 or 1.1.
    std::uint32_t size = 0;
    std::uint32_t fields_end = 0;  // Where the empty line begins.
    std::vector<Field> fields;     // In their order.

    bool has_length = false;
    bool chunked = false;
    bool close = false;        // Connection: close
    bool keep_alive = false;   // Connection: keep-alive
    bool upgrade = false;      // An Upgrade header.
    std::uint64_t length = 0;  // Content-Length.
};

struct Parsed {
    Event refused = Event::None;
    std::uint32_t size = 0;  // Of the head with its empty line; 0: that isn't there.
    std::uint64_t remarks =
        0;  // remark_bit() of what is let pass, or not, by a setting of its own.
};

[[nodiscard]] constexpr std::uint64_t remark_bit(Event event) {
    return std::uint64_t{1} << (static_cast<std::size_t>(event) - kFirstHttpEvent);
}

// `bytes` is the head as find_head_end() found it, or begins with it: when it is complete and
// nothing is refused, one call does for both. `head` is overwritten; its memory is used again.
[[nodiscard]] Parsed parse_head(ByteView bytes, Kind kind, const Limits& limits, Head& head);

// What the answer to a request depends on in it.
enum class Asked : std::uint8_t { Other, Head, Connect };
[[nodiscard]] Asked asked_by(std::string_view method);

[[nodiscard]] Framing request_framing(const Head& head);
[[nodiscard]] Framing response_framing(const Head& head, Asked asked);

[[nodiscard]] inline std::string_view text_of(ByteView head, Part part) {
    return as_text(head.subspan(part.begin, part.size));
}

// The first field of that name from number `from` on, or fields.size().
[[nodiscard]] std::size_t find_field(const Head& head, ByteView bytes, std::string_view name,
                                     std::size_t from = 0);

// The bytes that names and methods are made of (RFC 9110, 5.6.2).
[[nodiscard]] bool is_token(std::string_view text);
// No control character but the tab: it stays within its line.
[[nodiscard]] bool is_line_text(std::string_view text);
[[nodiscard]] bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace haka::http
