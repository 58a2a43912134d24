// A run over live traffic with all that stands around it: the checks before it, the control socket,
// the metrics page, word to the service manager.
#pragma once

#include "app/options.h"
#include "engine/run.h"

namespace haka::app {

// Where packets come from, as on the command line: `-i eth0:eth1`, `--nfqueue 0:3`.
[[nodiscard]] std::string source_text(const engine::RunOptions& run);

[[nodiscard]] engine::RunOutcome run_live(const Options& options, const engine::RunOptions& run,
                                          const engine::Sinks& sinks, engine::StopFlag& stop);

}  // namespace haka::app
