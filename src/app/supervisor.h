// Starts the process that walks packets, and starts it again when it ends by a fault: by a signal,
// or because a rule hangs. What is asked of this process by signals is passed on to it.
#pragma once

#include <cstdint>
#include <functional>

#include "base/settings.h"
#include "engine/black_box.h"
#include "engine/run.h"

namespace haka::app {

// The worker process's whole work; its value is the process's exit status.
using Work = std::function<int(engine::BlackBox& box, std::uint32_t restarts)>;

// Returns the exit status. No thread may run, no file of the run be open. In the worker process it
// doesn't return.
[[nodiscard]] int supervise(const Settings& settings, const engine::LiveInput& input,
                            const Work& work);

}  // namespace haka::app
