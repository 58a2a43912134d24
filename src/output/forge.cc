#include "output/forge.h"

#include <algorithm>
#include <cassert>
#include <cstring>

#include "script/abi.h"
#include "wire/checksum.h"

namespace haka::output {
namespace {

constexpr std::uint8_t kFin = 1;

}  // namespace

void fix_checksums(const wire::Headers& headers, MutableByteView frame, std::uint32_t changed) {
    if (headers.ip_version == 4 && (changed & HAKA_CHANGED_NET) != 0) {
        wire::compute_ipv4_header(headers, frame);
    }
    if ((changed & HAKA_CHANGED_TRANSPORT) != 0) {
        (void)wire::compute_transport(headers, frame);  // False: there is none to make right.
    }
}

std::uint32_t trim_payload(wire::Headers& headers, MutableByteView frame, Kept kept) {
    const std::uint32_t begin = std::min(kept.skip, headers.end - headers.payload);
    assert(headers.payload + begin + kept.size <= headers.end);
    std::uint8_t* payload = frame.data() + headers.payload;
    std::memmove(payload, payload + begin, kept.size);
    std::uint8_t* seq = frame.data() + headers.transport + 4;
    // What is left empty stays where it was: only from there its receiver answers by an ACK.
    if (kept.size + kept.cut != 0 || (frame[headers.transport + 13] & kFin) != 0) {
        store_be32(seq, load_be32(seq) + kept.skip);
    }
    headers.end = headers.payload + kept.size;
    headers.cut = kept.cut;
    std::uint8_t* net = frame.data() + headers.net;
    const std::uint32_t size = headers.end - headers.net + kept.cut;
    if (headers.ip_version == 4) {
        store_be16(net + 2, static_cast<std::uint16_t>(size));
    } else {
        store_be16(net + 4, static_cast<std::uint16_t>(size - 40));
    }
    fix_checksums(headers, frame, HAKA_CHANGED_NET | HAKA_CHANGED_TRANSPORT);
    return headers.end;
}

}  // namespace haka::output
