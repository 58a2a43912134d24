// The language of the control socket: one JSON object a line in, one a line out.
//
//   {"command": "drop", "arguments": {"id": 1234}}
//   {"return": "OK", "message": "connection 1234 is dropped"}
//
// `return` is OK or NOK; `message` is a text, or an object for what is listed. docs/control.md has
// them all.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "control/engine.h"

namespace haka::control {

constexpr std::array<std::string_view, 9> kCommands = {
    "status", "stats", "connections", "drop", "reset", "rules", "reload", "log-level", "stop"};

// The answer to one request, without a newline. Any bytes may be asked.
[[nodiscard]] std::string respond(std::string_view request, Engine& engine, std::size_t rows_max);

// An answer that says no.
[[nodiscard]] std::string refusal(std::string_view why);

}  // namespace haka::control
