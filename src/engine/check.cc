// `haka check`: what a policy's rules are, by hook.
// Tested by: run_test.cc
#include <fmt/format.h>

#include "engine/loading.h"
#include "engine/run.h"
#include "engine/worker_options.h"

namespace haka::engine {
namespace {

bool is_engine_hook(const std::string& name) {
    for (std::size_t h = 0; h < script::kHookCount; ++h) {
        if (name == script::hook_name(static_cast<script::Hook>(h))) {
            return true;
        }
    }
    return false;
}

}  // namespace

CheckOutcome check(const RunOptions& options, const StopFlag& stop) {
    CheckOutcome outcome;
    const LoadedWorker made = load_worker(worker_options(options, 0), stop);
    if (made.worker == nullptr) {
        outcome.failed = true;
        outcome.fatal = made.fatal;
        outcome.must_abandon = made.hangs;
        outcome.message = made.error;
        return outcome;
    }
    std::string hook;
    const auto rules = made.worker->script().listing();
    for (std::size_t h = 0; h < script::kHookCount + 1; ++h) {
        for (const auto& rule : rules) {
            const bool is_ours = h < script::kHookCount
                                     ? rule.hook == script::hook_name(static_cast<script::Hook>(h))
                                     : !is_engine_hook(rule.hook);
            if (!is_ours) {
                continue;
            }
            if (rule.hook != hook) {
                hook = rule.hook;
                outcome.listing += fmt::format("{}\n", hook);
            }
            outcome.listing +=
                fmt::format("    {:<16} {}{}{}{}\n", rule.group, rule.name,
                            rule.name == rule.place ? "" : fmt::format("  ({})", rule.place),
                            rule.readonly ? "  readonly" : "", rule.streamed ? "  streamed" : "");
        }
    }
    if (rules.empty()) {
        outcome.listing = "no rules: every packet passes\n";
    }
    return outcome;
}

}  // namespace haka::engine
