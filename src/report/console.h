// Alerts, log lines and prints for people at a terminal or in a plain text file.
//
//   alert  high    Packet dropped : drop by default
//                  time 2026-11-23 10:00:00.123456  packet 12  rule firewall  blocked
//                  source 192.168.10.1 48922  target 192.168.20.1 80
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/time.h"
#include "report/alert.h"

namespace haka::report {

enum class LogLevel : std::uint8_t { Fatal, Error, Warning, Info, Debug };

[[nodiscard]] std::string_view to_string(LogLevel level);
[[nodiscard]] std::string_view to_string(Level level);
[[nodiscard]] std::string_view to_string(Completion completion);

struct ConsoleStyle {
    bool colour = false;
    int width = 100;        // Columns; details of an alert go on in the next line beyond it.
    bool terminal = false;  // Prints are escaped, too.
};

// Some aligned lines, each with its newline.
void append_alert(std::string& out, const Alert& alert, const Where& where,
                  const ConsoleStyle& style);

// What a policy or the engine logged.
struct LogRecord {
    Instant when;
    LogLevel level = LogLevel::Info;
    std::string_view module;
    std::string_view text;
};

// `2026-11-23 10:00:00.123456 warning filter: authorizing http traffic`. Further lines of the text
// are indented, line ends at its end ignored.
void append_log(std::string& out, const LogRecord& record, const ConsoleStyle& style);

// What a policy printed, and a newline. On a terminal it stays one line and can't move the cursor.
void append_print(std::string& out, std::string_view text, const ConsoleStyle& style);

}  // namespace haka::report
