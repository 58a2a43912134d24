// One run over a capture: reads it, walks every packet through the rooms with N workers, merges
// what they have to say in packet order, and writes it.
//
// The calling thread runs no Lua: it writes, draws progress, watches for a rule that hangs and for
// a request to stop.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/settings.h"
#include "base/time.h"
#include "report/console.h"
#include "report/summary.h"
#include "stream/tracker.h"

namespace haka::engine {

class BlackBox;

// Live traffic in the place of a file.
struct LiveInput {
    std::string interface;               // -i; empty: none.
    std::string peer;                    // The other side; empty: traffic is only looked at.
    std::optional<std::uint16_t> queue;  // --nfqueue: the first one, others follow it.

    [[nodiscard]] bool is_given() const { return !interface.empty() || queue; }
};

struct RunOptions {
    std::string input;                              // Path, or "-" for standard input.
    LiveInput live;                                 // In the place of `input`.
    std::string output;                             // -w; empty: nothing is written.
    std::string policy;                             // Path of the policy's Lua file.
    std::string filter;                             // -f; empty: none.
    std::string eve;                                // --eve; empty: none.
    std::map<std::string, std::string> log_levels;  // Module or "default" -> level.
    Settings settings;
    bool quiet = false;  // No alerts on the console, no progress.
    bool profile = false;
    bool progress = false;           // Draw a progress line through `err`.
    report::ConsoleStyle out_style;  // Of what goes to `out`: alerts and prints.
    report::ConsoleStyle log_style;  // Of log lines.
    // Live: as if the packets came just now and their ends could still hear us. For tests.
    stream::Mode mode = stream::Mode::File;
    // Live, with a supervisor:
    BlackBox* black_box = nullptr;  // What it reads after a fault; outlives the run.
    std::uint32_t restarts = 0;     // So many worker processes have ended by a fault before.
};

// Where text goes; each is called from the calling thread only, with whole lines. They return false
// when the text could not be written (disk full, closed pipe): counted, told once, exit code 1.
struct Sinks {
    std::function<bool(std::string_view)> out;  // Alerts and prints.
    std::function<bool(std::string_view)> log;  // Log lines.
    std::function<bool(std::string_view)> err;  // Progress, and what the run itself has to say.
    // Live; either may be empty. Hands text to the system that waits in buffers,
    std::function<void()> flush{};
    // and opens files anew by their names. Returns what went wrong, a line; empty: nothing.
    std::function<std::string()> reopen{};
};

// Set from signal handlers: 1 asks the run to stop after the packets at hand.
struct StopFlag {
    std::atomic<int> requested{0};
    std::atomic<int> reopen{0};  // Live: 1 asks for files to be opened anew by their names.
    std::atomic<int> reload{0};  // Live: one more asks for the policy to be loaded anew.
};

struct RunOutcome {
    // Setup failed before the first packet: exit 2 (1 if the policy called haka.log.fatal and
    // `failed` is true, too), `message` says what and the remedy.
    bool setup_failed = false;
    // Something went wrong on the way (damage, hang, interrupt, write error, fatal): exit 1; what
    // was decided until then is written and flushed.
    bool failed = false;
    // A rule hangs in a thread that can't be ended: after printing, leave by _exit().
    bool must_abandon = false;
    std::string message;  // One or more lines, without a newline at the end.
    report::Summary summary;
};

[[nodiscard]] RunOutcome run(const RunOptions& options, const Sinks& sinks, const StopFlag& stop);

// `haka check`: loads the policy without packets. `listing` is what people read.
struct CheckOutcome {
    bool failed = false;
    bool fatal = false;         // By haka.log.fatal: exit 1.
    bool must_abandon = false;  // As in RunOutcome.
    std::string message;
    std::string listing;
};
[[nodiscard]] CheckOutcome check(const RunOptions& options, const StopFlag& stop);

}  // namespace haka::engine
