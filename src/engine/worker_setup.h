// What a worker is made with.
#pragma once

#include <cstdint>
#include <optional>

#include "base/settings.h"
#include "base/time.h"
#include "report/console.h"
#include "report/eve.h"
#include "script/script.h"
#include "stream/tracker.h"

namespace haka::engine {

class BlackBox;

struct WorkerOptions {
    Settings settings;
    script::Options script;
    std::uint32_t index = 0;
    bool writes_packets = false;  // -w was given.
    bool writes_eve = false;
    bool shows_alerts = true;
    report::ConsoleStyle out_style;
    report::ConsoleStyle log_style;
    // Live: the engine stands between two interfaces, 0 and 1, and both ends react to what it does.
    // A packet record's `interface` is the side from which such a packet comes: it leaves by the
    // other one.
    stream::Mode mode = stream::Mode::File;
    // Live: the frames of one walk() came together, so what the first ones bring may wait for the
    // last. (A capture's blocks hold packets of any time.)
    bool walks_batches = false;
    // Live: the engine was at work before this worker was, and ended by a fault.
    std::optional<Instant> restarted_at = std::nullopt;
    // Live: what the supervisor reads after a fault. Null: there is none. It must outlive the
    // worker.
    BlackBox* black_box = nullptr;
};

}  // namespace haka::engine
