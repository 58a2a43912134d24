// Fail-open: while no worker process is there, frames pass from one interface to the other,
// unlooked. Those of connections that were being edited don't: their ends count other bytes, and
// each would take the other's for what they are not.
#pragma once

#include <memory>

#include "base/settings.h"
#include "base/time.h"
#include "capture/live_source.h"
#include "engine/black_box.h"
#include "engine/run.h"

namespace haka::engine {

class Forwarder {
public:
    // `box` must outlive it. Null: the interfaces can't be had.
    [[nodiscard]] static std::unique_ptr<Forwarder> open(const LiveInput& input,
                                                         const LiveSettings& settings,
                                                         const BlackBox& box);
    // `way` joins the two sides.
    Forwarder(std::unique_ptr<capture::LiveSource> way, const BlackBox& box)
        : way_(std::move(way)), box_(&box) {}

    // Passes what has come, a batch at most; false: nothing had. Never waits.
    bool turn(Instant wall);

private:
    std::unique_ptr<capture::LiveSource> way_;
    const BlackBox* box_;
};

}  // namespace haka::engine
