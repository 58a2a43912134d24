// The words for TCP options in the text form. For text.cc and text_parse.cc alone.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/text_reader.h"

namespace haka::wire::detail {

// What stands between the brackets; `raw 0x...` where the words would not give `bytes` back.
[[nodiscard]] std::string options_text(ByteView bytes);

// Appends the options named at `in`; stops before the closing bracket. At most 40 bytes.
bool read_options(TextReader& in, std::vector<std::uint8_t>& options);

}  // namespace haka::wire::detail
