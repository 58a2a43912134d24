// Where a run's text goes: alerts and prints, log lines, and what the run itself has to say; and
// how each of them looks (colours, width).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "app/options.h"
#include "app/text_output.h"
#include "engine/run.h"
#include "report/console.h"

namespace haka::app {

// Of the process: what decides about colours.
struct Environment {
    bool no_colour = false;  // NO_COLOR is set and not empty.
    bool dumb = false;       // TERM is "dumb" or unset.
};

// Whether and how text for `fd` is styled.
[[nodiscard]] report::ConsoleStyle style_of(int fd, Colour colour, const Environment& environment);

class Streams {
public:
    struct Opened {
        std::unique_ptr<Streams> streams;  // Null on failure.
        std::string error;
    };
    // Data goes to standard output, unless packets are written there (-w -).
    [[nodiscard]] static Opened open(const Options& options, const Environment& environment);

    ~Streams();
    Streams(const Streams&) = delete;
    Streams& operator=(const Streams&) = delete;

    // Valid as long as this.
    [[nodiscard]] engine::Sinks sinks();
    [[nodiscard]] const report::ConsoleStyle& out_style() const { return out_style_; }
    [[nodiscard]] const report::ConsoleStyle& log_style() const { return log_style_; }
    [[nodiscard]] const report::ConsoleStyle& err_style() const { return err_style_; }
    // A progress line can be drawn, and nobody's data stands in it.
    [[nodiscard]] bool can_draw() const;

    // Empties the file of --log. The first line does it too: a run that never begins keeps what an
    // earlier one left there.
    void begin_log();
    // Goes on behind what the log holds, in the place of begin_log().
    void keep_old_log();
    // Opens the file of --log anew by its name, to write on in it. Returns what went wrong.
    [[nodiscard]] std::string reopen_log();
    // What the program says after the run, on standard error.
    void say(std::string_view text);
    // Hands everything to the system. Returns what could not be written, empty when all was.
    [[nodiscard]] std::string finish();

private:
    enum class To : std::uint8_t { Out, Log, Err };

    Streams(const Options& options, const Environment& environment, int log_fd);
    bool write(To to, std::string_view text);
    void wipe_drawn();

    std::string log_path_;
    int log_file_;  // -1: standard error.
    bool has_old_log_;
    int out_fd_;
    report::ConsoleStyle out_style_;
    report::ConsoleStyle log_style_;
    report::ConsoleStyle err_style_;
    TextOutput out_;
    TextOutput log_;
    TextOutput err_;
    bool out_and_log_meet_;  // 2>&1: whole lines in the order in which they were written.
    bool out_and_err_meet_;
    bool log_and_err_meet_;
    bool drawn_ = false;  // A progress line stands on the terminal.
};

}  // namespace haka::app
