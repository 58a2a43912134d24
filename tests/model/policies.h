// The policies that histories run through, each with what it makes of a stream, told by an
// independent function.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace haka::model {

struct Policy {
    std::string_view name;
    // Lua; empty: no engine at all, the ends talk to each other (a test of the model). The
    // function edited(pkt) is there.
    std::string_view text;
    std::string (*result)(std::string_view input);
};

[[nodiscard]] std::span<const Policy> policies();
// The whole text to load. `direction`: 0: both, 1: the client's stream, 2: the server's.
[[nodiscard]] std::string policy_text(const Policy& policy, unsigned direction);

}  // namespace haka::model
