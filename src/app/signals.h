// Ctrl-C and SIGTERM ask the run to stop; a second Ctrl-C ends the process at once. SIGUSR1 asks a
// live run to open its files anew, after somebody has moved them away.
#pragma once

#include "engine/run.h"

namespace haka::app {

// The flag that the handlers set.
[[nodiscard]] engine::StopFlag& stop_flag();

// Live: SIGHUP asks for the policy to be loaded anew.
void catch_hangup();

// From now on. SIGPIPE is ignored: a closed pipe is a write that fails.
void catch_signals();

}  // namespace haka::app
