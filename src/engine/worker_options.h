// What of a run's options concerns each worker, and what a run costs.
#pragma once

#include <cstdint>

#include "engine/run.h"
#include "engine/worker.h"

namespace haka::engine {

[[nodiscard]] WorkerOptions worker_options(const RunOptions& options, std::uint32_t index);
// Of the whole process, until now.
[[nodiscard]] double cpu_seconds();

}  // namespace haka::engine
