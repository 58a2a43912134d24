// Can live traffic be taken from there, and will it be what one expects? `haka doctor` shows all
// findings with the commands that mend them; `haka run` refuses with those that prevent it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/live_source.h"
#include "app/system_facts.h"
#include "report/console.h"

namespace haka::app {

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
