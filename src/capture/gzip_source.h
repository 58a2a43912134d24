// Inflates another source: RFC 1952, any number of members one after the other.
#pragma once

#include <memory>
#include <vector>

#include "capture/byte_source.h"

namespace haka::capture {

[[nodiscard]] bool looks_like_gzip(ByteView first_bytes);

// `first_bytes` were already read from `packed`.
[[nodiscard]] std::unique_ptr<ByteSource> gzip_source(std::unique_ptr<ByteSource> packed,
                                                      std::vector<std::uint8_t> first_bytes);

}  // namespace haka::capture
