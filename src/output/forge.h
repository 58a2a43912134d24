// Makes a changed packet ready to leave: what follows from its other bytes is made right.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "wire/headers.h"

namespace haka::output {

// Writes the checksums that HAKA_CHANGED_* bits of `changed` ask for into `frame`. `headers` are
// those of the changed frame.
void fix_checksums(const wire::Headers& headers, MutableByteView frame, std::uint32_t changed);

// Removes TCP payload outside [skip, skip + size + cut): moves the rest up, the sequence number by
// `skip`, and makes lengths and checksums right. Returns the frame's new size and updates
// `headers`. Precondition: headers.transport_ok, TCP, and the frame holds [skip, skip + size).
struct Kept {
    std::uint32_t skip = 0;  // May end in what the capture cut; size is 0 then.
    std::uint32_t size = 0;
    std::uint32_t cut = 0;  // Bytes behind that stay part of the segment but not of the frame.
};
[[nodiscard]] std::uint32_t trim_payload(wire::Headers& headers, MutableByteView frame, Kept kept);

}  // namespace haka::output
