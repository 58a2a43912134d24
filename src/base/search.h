// Looks for a text in bytes, fast: what stream:find() stands on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace haka {

// Offset of the first `text` in `bytes`, or -1. When there is none, `partial` is the size of the
// longest beginning of `text` (shorter than the whole) with which `bytes` end; else 0.
// Precondition: `text` is not empty.
[[nodiscard]] std::int64_t find_text(ByteView bytes, std::string_view text, std::size_t& partial);

}  // namespace haka
