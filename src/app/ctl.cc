#include "app/ctl.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include "app/help.h"
#include "app/nearest.h"
#include "app/text_output.h"
#include "base/settings.h"
#include "control/client.h"
#include "control/respond.h"

namespace haka::app {
namespace {

using Json = nlohmann::ordered_json;
using Words = std::vector<std::string>;

constexpr Duration kPatience = kSecond * 30;  // A reload loads a policy for each worker.

// Takes the options out; what is left are the command and its words.
std::string take_options(const Words& arguments, CtlOptions& options, Words& words) {
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "-h" || word == "--help") {
            options.help = true;
        } else if (word == "--json") {
            options.json = true;
        } else if (word == "--socket") {
            if (i + 1 == arguments.size() || arguments[i + 1].empty()) {
                return "--socket needs a value, the engine's control.socket";
            }
            options.socket = arguments[++i];
        } else if (word.starts_with("--socket=")) {
            options.socket = word.substr(9);
        } else if (word.starts_with('-')) {
            constexpr std::array<std::string_view, 3> kKnown = {"--socket", "--json", "--help"};
            return fmt::format("unknown option {}{}", word, did_you_mean(word, kKnown));
        } else {
            words.push_back(word);
        }
    }
    return {};
}

std::string too_many(const Words& words, std::size_t most) {
    return words.size() <= most
               ? std::string()
               : fmt::format("haka ctl {}: \"{}\" is one word too many", words[0], words[most]);
}

std::string id_arguments(const Words& words, Json& arguments) {
    std::uint64_t id = 0;
    if (words.size() < 2) {
        return fmt::format("haka ctl {} needs a connection's id, see `haka ctl connections`",
                           words[0]);
    }
    const char* end = words[1].data() + words[1].size();
    const auto [rest, error] = std::from_chars(words[1].data(), end, id);
    if (error != std::errc() || rest != end) {
        return fmt::format("\"{}\" is no connection's id: a number, see `haka ctl connections`",
                           words[1]);
    }
    arguments["id"] = id;
    return too_many(words, 2);
}

std::string level_arguments(const Words& words, Json& arguments) {
    constexpr std::array<std::string_view, 5> kLevels = {"fatal", "error", "warning", "info",
                                                         "debug"};
    if (words.size() < 2) {
        return "haka ctl log-level needs a level: [MODULE=]fatal|error|warning|info|debug";
    }
    const std::size_t equals = words[1].find('=');
    const std::string level = equals == std::string::npos ? words[1] : words[1].substr(equals + 1);
    if (std::ranges::find(kLevels, level) == kLevels.end()) {
        return fmt::format("log-level takes {}, not \"{}\"{}", fmt::join(kLevels, ", "), level,
                           did_you_mean(level, kLevels));
    }
    if (equals == 0) {
        return fmt::format("log-level {}: no module before the =", words[1]);
    }
    if (equals != std::string::npos) {
        arguments["module"] = words[1].substr(0, equals);
    }
    arguments["level"] = level;
    return too_many(words, 2);
}

std::string request_of(const Words& words, std::string& request) {
    const std::string& command = words[0];
    if (std::ranges::find(control::kCommands, command) == control::kCommands.end()) {
        return fmt::format("unknown command {}{}", command,
                           did_you_mean(command, control::kCommands));
    }
    Json arguments = Json::object();
    std::string wrong;
    if (command == "connections") {
        arguments["filter"] = fmt::format("{}", fmt::join(words.begin() + 1, words.end(), " "));
    } else if (command == "drop" || command == "reset") {
        wrong = id_arguments(words, arguments);
    } else if (command == "log-level") {
        wrong = level_arguments(words, arguments);
    } else {
        wrong = too_many(words, 1);
    }
    request = Json{{"command", command}, {"arguments", std::move(arguments)}}.dump(
        -1, ' ', false, Json::error_handler_t::replace);
    return wrong;
}

int say(int fd, std::string_view text, int status) {
    return TextOutput(fd, TextOutput::Gather::No).write(text) ? status : 1;
}

int refuse(std::string_view what, int status) {
    return say(STDERR_FILENO, fmt::format("haka: {}\n", what), status);
}

}  // namespace

ParsedCtl parse_ctl(const std::vector<std::string>& arguments) {
    ParsedCtl parsed;
    parsed.options.socket = ControlSettings().socket;
    Words words;
    parsed.error = take_options(arguments, parsed.options, words);
    if (parsed.error.empty() && !parsed.options.help) {
        parsed.error =
            words.empty() ? "haka ctl needs a command" : request_of(words, parsed.options.request);
    }
    if (!parsed.error.empty()) {
        parsed.error += "\n`haka ctl --help` lists commands and options";
    }
    return parsed;
}

int ctl(const std::vector<std::string>& arguments) {
    const auto [options, error] = parse_ctl(arguments);
    if (!error.empty()) {
        return refuse(error, 2);
    }
    if (options.help) {
        return say(STDOUT_FILENO, kCtlHelp, 0);
    }
    const control::Asked asked = control::ask(options.socket, options.request, kPatience);
    if (asked.failure != control::AskFailure::None) {
        return refuse(asked.error, asked.failure == control::AskFailure::NoPermission ? 2 : 1);
    }
    const ShownAnswer shown = show_answer(asked.answer);
    if (options.json) {
        return say(STDOUT_FILENO, asked.answer + "\n", shown.done ? 0 : 1);
    }
    return shown.done ? say(STDOUT_FILENO, shown.text, 0) : refuse(shown.text, 1);
}

}  // namespace haka::app
