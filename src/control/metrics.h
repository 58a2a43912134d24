// The engine's figures as Prometheus metric families; docs/metrics.md lists them all.
#pragma once

#include <prometheus/metric_family.h>
#include <string>
#include <vector>

#include "control/engine.h"

namespace haka::control {

// Of this process, as the system tells it.
struct ProcessFigures {
    double resident_bytes = 0;
    double cpu_seconds = 0;
    double open_files = 0;
};
[[nodiscard]] ProcessFigures process_figures();

// Every family that there is, also when nothing was counted yet.
[[nodiscard]] std::vector<prometheus::MetricFamily> metric_families(const Status& status,
                                                                    const Figures& figures,
                                                                    const ProcessFigures& process);

}  // namespace haka::control
