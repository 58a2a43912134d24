// Can live traffic be taken from there, and will it be what one expects? `haka doctor` shows all
// findings with the commands that mend them; `haka run` refuses with those that prevent it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/system_facts.h"
#include "report/console.h"

namespace haka::app {

enum class LiveKind : std::uint8_t { None, Queues, Passive, Pair };

struct LiveSource {
    LiveKind kind = LiveKind::None;
    std::uint16_t first_queue = 0;
    std::uint16_t last_queue = 0;
    std::vector<std::string> interfaces{};  // One, or two.
};

// `N`, `N:M`. Returns what is wrong, empty when nothing.
[[nodiscard]] std::string parse_queues(const std::string& text, LiveSource& source);
// `IF`, `IF1:IF2`.
[[nodiscard]] std::string parse_interfaces(const std::string& text, LiveSource& source);

enum class Verdict : std::uint8_t { Ok, Warn, Fail };

struct Finding {
    Verdict verdict = Verdict::Ok;
    std::string what;
    std::vector<std::string> remedy;  // Commands.
};

// Of LiveKind::None: what concerns every source.
[[nodiscard]] std::vector<Finding> examine(const LiveSource& source, const SystemFacts& facts);

void append_findings(std::string& out, const std::vector<Finding>& findings,
                     const report::ConsoleStyle& style);

// Looks at the system: why a run from `source` can't begin, with the commands that mend it; empty
// when it can.
[[nodiscard]] std::string refusal_of(const LiveSource& source);

// `haka doctor`; arguments behind the command. Returns the exit status.
int doctor(const std::vector<std::string>& arguments);

}  // namespace haka::app
