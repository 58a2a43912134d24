#include "app/streams.h"

#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>

#include <sys/ioctl.h>
#include <system_error>
#include <unistd.h>

#include "report/progress.h"

namespace haka::app {
namespace {

constexpr int kNarrowest = 40;

TextOutput::Gather gather_for(int fd) {
    return isatty(fd) != 0 ? TextOutput::Gather::No : TextOutput::Gather::Yes;
}

}  // namespace

report::ConsoleStyle style_of(int fd, Colour colour, const Environment& environment) {
    report::ConsoleStyle style;
    style.terminal = isatty(fd) != 0;
    style.colour = colour == Colour::Always || (colour == Colour::Auto && style.terminal &&
                                                !environment.no_colour && !environment.dumb);
    struct winsize window {};
    if (style.terminal && ioctl(fd, TIOCGWINSZ, &window) == 0 && window.ws_col >= kNarrowest) {
        style.width = window.ws_col;
    }
    return style;
}

Streams::Opened Streams::open(const Options& options, const Environment& environment) {
    int log_fd = -1;
    if (!options.log_file.empty()) {
        constexpr mode_t kReadable = 0644;
        log_fd = ::open(options.log_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, kReadable);
        if (log_fd < 0) {
            return {.streams = nullptr,
                    .error = fmt::format("cannot write --log {}: {}", options.log_file,
                                         std::generic_category().message(errno))};
        }
    }
    return {.streams = std::unique_ptr<Streams>(new Streams(options, environment, log_fd)),
            .error = {}};
}

Streams::Streams(const Options& options, const Environment& environment, int log_fd)
    : log_path_(options.log_file),
      log_file_(log_fd),
      has_old_log_(log_fd >= 0),
      out_fd_(options.output == "-" ? STDERR_FILENO : STDOUT_FILENO),
      out_style_(style_of(out_fd_, options.colour, environment)),
      log_style_(style_of(log_fd < 0 ? STDERR_FILENO : log_fd, options.colour, environment)),
      err_style_(style_of(STDERR_FILENO, options.colour, environment)),
      out_(out_fd_, gather_for(out_fd_)),
      log_(log_fd < 0 ? STDERR_FILENO : log_fd, gather_for(log_fd < 0 ? STDERR_FILENO : log_fd)),
      err_(STDERR_FILENO, TextOutput::Gather::No),
      out_and_log_meet_(out_.is_same_as(log_)),
      out_and_err_meet_(out_.is_same_as(err_)),
      log_and_err_meet_(log_.is_same_as(err_)) {}

Streams::~Streams() {
    out_.flush();
    log_.flush();
    if (log_file_ >= 0) {
        close(log_file_);
    }
}

engine::Sinks Streams::sinks() {
    return {.out = [this](std::string_view text) { return write(To::Out, text); },
            .log = [this](std::string_view text) { return write(To::Log, text); },
            .err = [this](std::string_view text) { return write(To::Err, text); },
            .flush =
                [this] {
                    out_.flush();
                    log_.flush();
                },
            .reopen = [this] { return reopen_log(); }};
}

bool Streams::can_draw() const {
    return err_style_.terminal;
}

void Streams::keep_old_log() {
    has_old_log_ = false;
    if (log_file_ >= 0) {
        (void)lseek(log_file_, 0, SEEK_END);
    }
}

void Streams::begin_log() {
    if (has_old_log_) {
        has_old_log_ = false;
        (void)ftruncate(log_file_, 0);  // Of a pipe or terminal nothing remains anyway.
    }
}

std::string Streams::reopen_log() {
    if (log_file_ < 0) {
        return {};
    }
    begin_log();
    log_.flush();
    constexpr mode_t kReadable = 0644;
    const int fd = ::open(log_path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, kReadable);
    // The same number: everybody who writes there goes on.
    if (fd < 0 || dup3(fd, log_file_, O_CLOEXEC) < 0) {
        const std::string cause = std::generic_category().message(errno);
        if (fd >= 0) {
            close(fd);
        }
        return fmt::format("cannot open --log {} anew: {}; the old file is written on", log_path_,
                           cause);
    }
    close(fd);
    return {};
}

void Streams::wipe_drawn() {
    if (drawn_) {
        std::string blanks;
        report::append_progress_end(blanks, err_style_);
        err_.write(blanks);
        drawn_ = false;
    }
}

bool Streams::write(To to, std::string_view text) {
    switch (to) {
        case To::Out:
            if (out_style_.terminal) {
                wipe_drawn();
            }
            if (out_and_log_meet_) {
                log_.flush();
            }
            return out_.write(text);
        case To::Log:
            begin_log();
            if (log_style_.terminal) {
                wipe_drawn();
            }
            if (out_and_log_meet_) {
                out_.flush();
            }
            return log_.write(text);
        case To::Err:
            if (out_and_err_meet_) {
                out_.flush();
            }
            if (log_and_err_meet_) {
                log_.flush();
            }
            if (!text.starts_with('\r')) {
                wipe_drawn();
            }
            drawn_ = text.starts_with('\r') && !text.ends_with('\r');
            return err_.write(text);
    }
    return false;
}

void Streams::say(std::string_view text) {
    write(To::Err, text);
}

std::string Streams::finish() {
    wipe_drawn();
    std::string failures;
    const auto check = [&failures](TextOutput& output, std::string_view name) {
        if (!output.flush()) {
            failures += fmt::format("{}cannot write {}: {}", failures.empty() ? "" : "\n", name,
                                    output.failure());
        }
    };
    check(out_, out_fd_ == STDOUT_FILENO ? "to standard output" : "to standard error");
    check(log_, log_file_ < 0 ? "log lines" : "the log file");
    return failures;
}

}  // namespace haka::app
