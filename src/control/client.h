// Asks a running engine one thing over its control socket.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"

namespace haka::control {

enum class AskFailure : std::uint8_t {
    None,
    NoEngine,      // Nobody listens there.
    NoPermission,  // Not for us to open.
    Broken         // It went away, or was silent, before it had answered.
};

struct Asked {
    std::string answer;  // One line, without its newline.
    AskFailure failure = AskFailure::None;
    std::string error;  // What, where, the remedy.
};

// Each wait, for reading or writing, lasts `patience` at most.
[[nodiscard]] Asked ask(const std::string& socket_path, std::string_view request,
                        Duration patience);

}  // namespace haka::control
