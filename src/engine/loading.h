// Loads a policy for a worker in a thread of its own, because a policy may loop for ever while it
// loads and nothing but the end of the process stops that.
#pragma once

#include <memory>
#include <string>

#include "engine/run.h"
#include "engine/worker.h"

namespace haka::engine {

struct LoadedWorker {
    std::unique_ptr<Worker> worker;  // Null on failure.
    std::string error;
    // The policy still runs: the process must end without waiting for it.
    bool hangs = false;
    bool fatal = false;  // It called haka.log.fatal.
};

// Gives up after kLoadPatience times lua.rule_timeout, or when `stop` is requested.
constexpr int kLoadPatience = 5;
[[nodiscard]] LoadedWorker load_worker(const WorkerOptions& options, const StopFlag& stop);

}  // namespace haka::engine
