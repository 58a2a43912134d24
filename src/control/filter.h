// Which connections are meant, as people write it:
//
//   address=10.0.0.0/8 port=443 state=established
//
// Words `client=`, `server=`, `address=` (either end) take an address or a network, `port=` a
// number, `state=` a name as tables show it, `id=` a number as tables show it. All must hold.
#pragma once

#include <string>
#include <string_view>

#include "engine/worker_control.h"

namespace haka::control {

struct ParsedFilter {
    engine::ConnectionFilter filter;
    std::string error;  // Empty: all is well. Else the word that is wrong, and what it may be.
};

[[nodiscard]] ParsedFilter parse_filter(std::string_view text);

}  // namespace haka::control
