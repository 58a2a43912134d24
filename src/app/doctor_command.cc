// `haka doctor` as a command, and the same checks for a run that is to begin.
// Tested by: doctor_test.cc
#include <array>
#include <fmt/format.h>

#include <unistd.h>

#include "app/doctor.h"
#include "app/help.h"
#include "app/nearest.h"
#include "app/text_output.h"

namespace haka::app {
namespace {

void append_remedy(std::string& out, const Finding& finding) {
    for (const std::string& command : finding.remedy) {
        out += fmt::format("          {}\n", command);
    }
}

int say(int fd, std::string_view text, int status) {
    return TextOutput(fd, TextOutput::Gather::No).write(text) ? status : 1;
}

int wrong_usage(std::string_view what) {
    return say(STDERR_FILENO, fmt::format("haka: {}\n`haka doctor --help` shows examples\n", what),
               2);
}

}  // namespace

void append_findings(std::string& out, const std::vector<Finding>& findings,
                     const report::ConsoleStyle& style) {
    for (const Finding& finding : findings) {
        struct Mark {
            std::string_view word;
            std::string_view colour;
        };
        const Mark look = finding.verdict == Verdict::Ok     ? Mark{"ok", "\x1b[32m"}
                          : finding.verdict == Verdict::Warn ? Mark{"warn", "\x1b[33m"}
                                                             : Mark{"fail", "\x1b[31m"};
        out += style.colour
                   ? fmt::format("{}{:<6}\x1b[0m{}\n", look.colour, look.word, finding.what)
                   : fmt::format("{:<6}{}\n", look.word, finding.what);
        append_remedy(out, finding);
    }
}

std::string refusal_of(const LiveSource& source) {
    const SystemFacts facts = look_at_system(source.interfaces, Look::WithoutRules);
    std::vector<Finding> preventing;
    for (Finding& finding : examine(source, facts)) {
        if (finding.verdict == Verdict::Fail) {
            preventing.push_back(std::move(finding));
        }
    }
    std::string text;
    if (!preventing.empty()) {
        text = "live traffic can't be taken from there:\n";
        append_findings(text, preventing, {});
        text.pop_back();
    }
    return text;
}

int doctor(const std::vector<std::string>& arguments) {
    LiveSource source;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "-h" || word == "--help") {
            return say(STDOUT_FILENO, kDoctorHelp, 0);
        }
        if (word == "--af-xdp") {
            source.af_xdp = true;
            continue;
        }
        if (word != "-i" && word != "--nfqueue") {
            constexpr std::array<std::string_view, 3> kKnown = {"--nfqueue", "--af-xdp", "--help"};
            return wrong_usage(
                fmt::format("unknown option {}{}", word, did_you_mean(word, kKnown)));
        }
        if (i + 1 == arguments.size()) {
            return wrong_usage(fmt::format("{} needs a value", word));
        }
        if (source.kind != LiveKind::None) {
            return wrong_usage("one source at a time: --nfqueue or -i, once");
        }
        const std::string& value = arguments[++i];
        if (const std::string wrong =
                word == "-i" ? parse_interfaces(value, source) : parse_queues(value, source);
            !wrong.empty()) {
            return wrong_usage(wrong);
        }
    }
    if (source.af_xdp && source.kind != LiveKind::Pair) {
        return wrong_usage("--af-xdp needs the two interfaces: -i IF1:IF2");
    }
    const bool queues = source.kind == LiveKind::Queues;
    const SystemFacts facts =
        look_at_system(source.interfaces, queues ? Look::WithRules : Look::WithoutRules);
    const std::vector<Finding> findings = examine(source, facts);
    std::string text;
    append_findings(text, findings, {.colour = isatty(STDOUT_FILENO) != 0});
    int status = 0;
    for (const Finding& finding : findings) {
        status = finding.verdict == Verdict::Fail ? 1 : status;
    }
    return say(STDOUT_FILENO, text, status);
}

}  // namespace haka::app
