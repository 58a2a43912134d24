// The head of an HTTP message, whole and in pieces: both must give the same, and every part must
// lie in the head.
#include <cstdint>
#include <cstdlib>

#include "proto/http/head.h"

namespace haka {
namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void read(ByteView bytes, http::Kind kind) {
    const http::Limits limits{.head_bytes_max = 1024, .line_bytes_max = 256, .headers_max = 8};
    http::HeadScan at_once;
    const http::HeadEnd whole = http::find_head_end(bytes, kind, limits, at_once);
    http::HeadScan scan;
    http::HeadEnd pieces;
    for (std::size_t size = 1; size <= bytes.size(); ++size) {
        pieces = http::find_head_end(bytes.first(size), kind, limits, scan);
        if (pieces.size != 0 || pieces.refused != Event::None) {
            break;
        }
    }
    require(whole.size == pieces.size && whole.refused == pieces.refused);
    if (whole.size == 0) {
        return;
    }
    const ByteView head_bytes = bytes.first(whole.size);
    http::Head head;
    const http::Parsed parsed = http::parse_head(head_bytes, kind, limits, head);
    if (parsed.refused != Event::None) {
        return;
    }
    require(head.fields.size() <= limits.headers_max);
    const auto inside = [&](http::Part part) {
        require(part.begin <= whole.size && part.size <= whole.size - part.begin);
        (void)http::text_of(head_bytes, part);
    };
    for (const http::Part part :
         {head.method, head.target, head.version, head.status, head.reason}) {
        inside(part);
    }
    std::uint32_t end = 0;
    for (const http::Field& field : head.fields) {
        inside(field.name);
        inside(field.value);
        inside(field.line);
        require(field.line.begin >= end && field.name.begin == field.line.begin);
        require(http::is_token(http::text_of(head_bytes, field.name)));
        end = field.line.begin + field.line.size;
    }
    require(head.fields_end >= end && !(head.chunked && head.has_length));
    (void)http::request_framing(head);
    (void)http::response_framing(head, http::Asked::Other);
}

}  // namespace
}  // namespace haka

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    haka::read({data, size}, haka::http::Kind::Request);
    haka::read({data, size}, haka::http::Kind::Response);
    return 0;
}
