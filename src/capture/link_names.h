// Names of the LINKTYPE_ numbers in capture files, and which of them are read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/link_type.h"

namespace haka::capture {

// Nothing for a number that the engine can't dissect.
[[nodiscard]] std::optional<LinkType> supported_link(std::uint32_t number);

// "PPP (9)"; the bare number when it has no name here.
[[nodiscard]] std::string link_name(std::uint32_t number);

// "link type PPP (9) is not supported; supported are ..."
[[nodiscard]] std::string unsupported_link(std::uint32_t number);

}  // namespace haka::capture
