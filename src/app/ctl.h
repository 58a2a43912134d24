// The command that asks a running engine over its control socket, and shows the answer: `haka ctl`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace haka::app {

struct CtlOptions {
    bool help = false;
    bool json = false;
    std::string socket;
    std::string request;  // The line that is sent.
};

struct ParsedCtl {
    CtlOptions options;
    std::string error;  // Empty: all is well.
};

// `arguments` behind the command.
[[nodiscard]] ParsedCtl parse_ctl(const std::vector<std::string>& arguments);

// An answer as lines for people: members in a column, lists as tables.
struct ShownAnswer {
    bool done = false;  // The engine did what was asked.
    std::string text;
};
[[nodiscard]] ShownAnswer show_answer(std::string_view answer);

// Returns the exit status: 0 done, 1 refused or no engine, 2 wrong usage or no permission.
int ctl(const std::vector<std::string>& arguments);

}  // namespace haka::app
