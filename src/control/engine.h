// What a running engine answers to whoever operates it: the control socket and the metrics page ask
// through this, the live run implements it. Called from other threads than the packets', one call
// at a time each; an implementation hands questions to the workers and waits, never for long.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "engine/worker_control.h"
#include "report/console.h"

namespace haka::control {

// Did it work, and what people are told about it.
struct Outcome {
    bool done = false;
    std::string message;
};

struct Status {
    std::string version;
    std::string revision;
    std::string policy;
    std::uint64_t generation = 1;  // Of the policy.
    std::string source;            // As on the command line: `-i eth0:eth1`, `--nfqueue 0:3`.
    std::uint32_t workers = 0;
    double uptime_seconds = 0;
    std::uint64_t connections = 0;  // In the tables.
    std::uint64_t packets = 0;      // That came.
    bool pass_through = false;
    std::map<std::string, std::string> log_levels;  // Module or "default" -> level.
};

struct PolicyFigures {
    std::uint64_t generation = 1;        // Of new connections; each reload adds one.
    std::uint64_t generations_live = 1;  // With connections of their own.
    std::uint64_t reloads_done = 0;
    std::uint64_t reloads_failed = 0;
    double last_reload_seconds = 0;  // Since 1970; 0: there was none.
    std::string last_error;          // Of the last reload, empty when it went well.
};

// A worker, and the queue or ring that it takes packets from.
struct WorkerSight {
    engine::WorkerFigures figures;
    std::uint64_t queue_depth = 0;   // Packets that wait in the kernel.
    std::uint64_t kernel_drops = 0;  // Lost before the engine saw them.
    bool answered = true;            // False: it didn't in time, the figures are its last ones.
};

struct Figures {
    std::vector<WorkerSight> workers;
    PolicyFigures policy;
};

struct Listing {
    std::vector<engine::ConnectionRow> rows;
    bool is_cut = false;  // There are more.
};

class Engine {
public:
    Engine() = default;
    virtual ~Engine() = default;
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    [[nodiscard]] virtual Status status() = 0;
    [[nodiscard]] virtual Figures figures() = 0;
    // At most `rows_max` rows in all.
    [[nodiscard]] virtual Listing connections(const engine::ConnectionFilter& filter,
                                              std::size_t rows_max) = 0;
    virtual Outcome end_connection(std::uint64_t id, engine::EndKind kind) = 0;
    // Loads and checks the policy anew; returns when it is in force, or refused.
    virtual Outcome reload() = 0;
    // Of one module, or of "default": all that have none of their own.
    virtual Outcome set_log_level(std::string_view module, report::LogLevel level) = 0;
    // Asks the run to end; the answer can still be sent.
    virtual Outcome stop() = 0;
};

}  // namespace haka::control
