// The line that tells how far a long file has been read, drawn over itself on a terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/time.h"
#include "report/console.h"

namespace haka::report {

struct Progress {
    std::optional<double> fraction;  // 0 to 1 of the input; none when its size is unknown.
    std::uint64_t packets = 0;
    Duration elapsed;
};

// `\r[=====>    ]  42 %  1,234,567 packets  13.2 M/s  0:12 left`, filled with blanks to
// style.width - 1 columns so that it covers an earlier, longer one, and never longer.
void append_progress(std::string& out, const Progress& progress, const ConsoleStyle& style);

// Wipes the line, for what is printed next.
void append_progress_end(std::string& out, const ConsoleStyle& style);

}  // namespace haka::report
