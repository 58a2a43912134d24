// Who stands between two interfaces says so: a second engine there would pass each frame on once
// more, also those that the first one drops.
#pragma once

#include <array>
#include <optional>
#include <string>

#include <sys/types.h>

#include "engine/run.h"

namespace haka::app {

// Of the interfaces of `-i IF1:IF2`, until this and all processes that it started have ended. Does
// nothing where another one was first: refusal_of() tells.
class InterfaceClaim {
public:
    explicit InterfaceClaim(const engine::LiveInput& input);
    ~InterfaceClaim();
    InterfaceClaim(const InterfaceClaim&) = delete;
    InterfaceClaim& operator=(const InterfaceClaim&) = delete;

private:
    std::array<int, 2> fds_{-1, -1};
};

// The process that has a claim on the interface in this network namespace, 0 if its number can't be
// known here. Nothing: none has, or it is this process or its parent, or somebody's who could not
// take live traffic.
[[nodiscard]] std::optional<pid_t> claimed_by(const std::string& interface);

}  // namespace haka::app
