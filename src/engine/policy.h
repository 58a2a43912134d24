// One generation of the policy, loaded for one worker: its Lua state and what the worker keeps
// beside it.
//
// A connection stays with the generation that accepted it. So a worker holds several for a while:
// the newest, which new connections take, and older ones until their connections have ended.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "engine/http_walk.h"
#include "engine/worker_setup.h"
#include "report/summary.h"
#include "script/abi.h"
#include "script/host.h"
#include "script/script.h"

namespace haka::engine {

struct Policy {
    struct Loaded {
        std::unique_ptr<Policy> policy;  // Null on failure.
        std::string error;               // What is wrong with it, with file and line.
        bool fatal = false;              // It called haka.log.fatal.
    };
    // In any thread: nothing of the worker is touched. `packets` is the worker's array of slots,
    // which Lua keeps the address of.
    [[nodiscard]] static Loaded load(const WorkerOptions& options, haka_packet* packets,
                                     std::uint32_t generation);

    Policy() = default;
    ~Policy() = default;
    Policy(const Policy&) = delete;  // Lua holds the address of `context`.
    Policy& operator=(const Policy&) = delete;

    haka_context context{};
    std::unique_ptr<script::Host> loading_host;  // Hears what it says while it loads.
    std::unique_ptr<script::Script> script;
    std::uint32_t generation = 1;
    std::uint64_t connections = 0;  // That it has accepted and that have not ended.
    Instant deadline{INT64_MAX};    // When its connections move on, once it isn't the newest.
    bool has_down_hooks = false;
    bool ipv4_on = true;
    bool ipv6_on = true;
    bool tcp_on = true;
    bool connections_on = true;
    bool http_on = true;
    HttpWalk::Setup http;
    std::vector<std::uint64_t> drops_by_rule;
    std::vector<report::RuleTime> rule_times;
    // What it logged and printed while it loaded: records as in a journal.
    std::vector<std::uint8_t> loading_journal;
};

// Adds what its rules dropped, the errors they raised and how long they ran to `summary`.
void add_counts(const Policy& policy, report::Summary& summary);

}  // namespace haka::engine
