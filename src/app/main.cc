// The program: options in, exit status out. 0: done; 1: failed on the way; 2: not begun.
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fcntl.h>
#include <fmt/format.h>
#include <malloc.h>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include <sys/random.h>
#include <unistd.h>

#include "app/ctl.h"
#include "app/doctor.h"
#include "app/help.h"
#include "app/interface_claim.h"
#include "app/live.h"
#include "app/options.h"
#include "app/same_file.h"
#include "app/signals.h"
#include "app/streams.h"
#include "app/supervisor.h"
#include "app/version.h"
#include "engine/fault_note.h"
#include "engine/live_run.h"
#include "engine/run.h"
#include "report/summary.h"

namespace haka::app {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kNotBegun = 2;
constexpr int kLargeBuffer = 4 << 20;

// Without buffers of the C library, so that it works at any time.
void say(int fd, std::string_view text) {
    TextOutput(fd, TextOutput::Gather::No).write(text);
}

int refuse(std::string_view what) {
    say(STDERR_FILENO, fmt::format("haka: {}\n", what));
    return kNotBegun;
}

// Nothing is wrong with what was asked for when the user ended it.
int not_begun() {
    return stop_flag().requested.load() != 0 ? kFailed : kNotBegun;
}

int print(std::string_view text) {
    return TextOutput(STDOUT_FILENO, TextOutput::Gather::No).write(text) ? kDone : kFailed;
}

Environment environment() {
    const char* no_colour = std::getenv("NO_COLOR");
    const char* terminal = std::getenv("TERM");
    return {.no_colour = no_colour != nullptr && *no_colour != '\0',
            .dumb = terminal == nullptr || std::string_view(terminal) == "dumb"};
}

std::uint64_t random_seed() {
    std::uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) {
        throw std::runtime_error("the system gives no random seed; set one by --seed N");
    }
    return seed;
}

engine::RunOptions run_options(const Options& options, const Settings& settings) {
    engine::RunOptions run;
    run.input = options.input;
    run.live = options.live;
    run.output = options.output;
    run.policy = options.policy;
    run.filter = options.filter;
    run.eve = options.eve;
    run.log_levels = options.log_levels;
    run.settings = settings;
    // JSON lines on standard output take the readable alerts' place.
    run.quiet = options.quiet || options.eve == "-";
    run.profile = options.profile || !options.metrics.empty();
    return run;
}

// What the supervisor shares with a worker process; nothing when there is none.
struct Supervised {
    engine::BlackBox* box = nullptr;
    std::uint32_t restarts = 0;
};

int run_policy(const Options& options, const Settings& settings, Supervised supervised) {
    if (const std::string clash = clashing_files(options); !clash.empty()) {
        return refuse(clash);
    }
    Streams::Opened opened = Streams::open(options, environment());
    if (!opened.streams) {
        return refuse(opened.error);
    }
    Streams& streams = *opened.streams;
    engine::RunOptions run = run_options(options, settings);
    run.out_style = streams.out_style();
    run.log_style = streams.log_style();
    run.progress = !options.quiet && streams.can_draw();
    run.black_box = supervised.box;
    run.restarts = supervised.restarts;
    if (supervised.restarts != 0) {
        streams.keep_old_log();
    }
    catch_signals();
    if (supervised.box != nullptr) {
        engine::note_fatal_signals(*supervised.box);
    }
    if (run.live.is_given()) {
        catch_hangup();
    }

    const engine::RunOutcome outcome = run.live.is_given()
                                           ? run_live(options, run, streams.sinks(), stop_flag())
                                           : engine::run(run, streams.sinks(), stop_flag());
    if (!outcome.setup_failed) {
        streams.begin_log();
    }
    const std::string unwritten = streams.finish();
    if (!options.quiet && !outcome.setup_failed) {
        std::string text;
        report::append_summary(text, outcome.summary, streams.err_style());
        streams.say(text);
    }
    for (const std::string_view message :
         {std::string_view(outcome.message), std::string_view(unwritten)}) {
        if (!message.empty()) {
            streams.say(fmt::format("haka: {}\n", message));
        }
    }
    if (outcome.must_abandon) {
        // Destructors would wait for the thread that hangs.
        _exit(outcome.setup_failed ? not_begun() : kFailed);
    }
    if (outcome.setup_failed && !outcome.failed) {
        return not_begun();
    }
    return outcome.failed || !unwritten.empty() ? kFailed : kDone;
}

int check_policy(const Options& options, const Settings& settings) {
    engine::RunOptions run = run_options(options, settings);
    run.out_style = style_of(STDOUT_FILENO, options.colour, environment());
    run.log_style = style_of(STDERR_FILENO, options.colour, environment());
    catch_signals();
    const engine::CheckOutcome outcome = engine::check(run, stop_flag());
    const int printed = print(outcome.listing);
    if (outcome.failed) {
        refuse(outcome.message);
        if (outcome.must_abandon) {
            _exit(not_begun());
        }
        return outcome.fatal ? kFailed : not_begun();
    }
    if (!outcome.message.empty()) {
        say(STDERR_FILENO, fmt::format("haka: {}\n", outcome.message));
    }
    return printed;
}

int version() {
    const std::string_view revision = kRevision;
    return print(fmt::format("haka {}{}\n", kVersion,
                             revision.empty() ? "" : fmt::format(" ({})", revision)));
}

void say_exception(const std::exception_ptr& exception) noexcept {
    try {
        std::rethrow_exception(exception);
    } catch (const std::bad_alloc&) {
        say(STDERR_FILENO, "haka: out of memory\n");
    } catch (const std::exception& error) {
        say(STDERR_FILENO, "haka: ");
        say(STDERR_FILENO, error.what());
        say(STDERR_FILENO, "\n");
    } catch (...) {
        say(STDERR_FILENO, "haka: an unknown exception\n");
    }
}

bool is_supervised = false;  // Set once, before there are threads.

// An exception in a worker's thread, or one out of a destructor. Where a supervisor looks it is a
// crash like any other.
[[noreturn]] void end_on_exception() {
    if (const std::exception_ptr exception = std::current_exception()) {
        say_exception(exception);
    } else {
        say(STDERR_FILENO, "haka: ended by std::terminate\n");
    }
    if (is_supervised) {
        std::abort();
    }
    _exit(kFailed);
}

int dispatch(const std::vector<std::string>& arguments) {
    if (!arguments.empty() && (arguments[0] == "ctl" || arguments[0] == "doctor")) {
        const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
        return arguments[0] == "ctl" ? ctl(rest) : doctor(rest);
    }
    const auto [options, error] = parse_options(arguments);
    if (!error.empty()) {
        return refuse(error);
    }
    Settings settings;
    switch (options.command) {
        case Command::Help:
            return print(options.help);
        case Command::Version:
            return version();
        case Command::Run:
        case Command::Check:
            break;
    }
    if (const std::string wrong = collect_settings(options, random_seed(), settings);
        !wrong.empty()) {
        return refuse(wrong);
    }
    if (options.command == Command::Check) {
        return check_policy(options, settings);
    }
    const InterfaceClaim claim(options.live);
    if (!options.live.is_given() || !settings.supervisor.enabled) {
        return run_policy(options, settings, {});
    }
    return supervise(settings, options.live, [&](engine::BlackBox& box, std::uint32_t restarts) {
        is_supervised = true;
        try {
            return run_policy(options, settings, {.box = &box, .restarts = restarts});
        } catch (...) {
            end_on_exception();
        }
    });
}

// Whoever started us may have closed a standard stream. The next file opened would get its number,
// and a message could be written into a capture; so the number is taken, by something that fails.
void take_standard_streams() {
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
        if (fcntl(fd, F_GETFD) < 0) {
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        }
    }
}

}  // namespace
}  // namespace haka::app

int main(int argc, char** argv) {
    std::set_terminate(haka::app::end_on_exception);
    haka::app::take_standard_streams();
    // Large buffers come from the system and go back to it.
    mallopt(M_MMAP_THRESHOLD, haka::app::kLargeBuffer);
    try {
        return haka::app::dispatch({argv + (argc > 0 ? 1 : 0), argv + argc});
    } catch (...) {
        haka::app::say_exception(std::current_exception());
        return haka::app::kFailed;
    }
}
