// What the command line asks for. Nothing is opened or looked up here.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/setting.h"
#include "base/settings.h"
#include "engine/run.h"

namespace haka::app {

enum class Command : std::uint8_t { Help, Version, Run, Check };
enum class Colour : std::uint8_t { Auto, Always, Never };

struct Options {
    Command command = Command::Help;
    std::string help;  // The text, for Command::Help.

    std::string policy;
    std::string input;
    engine::LiveInput live;  // Where packets come from, in the place of `input`.
    std::string output;
    std::string filter;
    std::string eve;
    std::string metrics;                            // ADDRESS:PORT; empty: none.
    std::string log_file;                           // Empty: standard error.
    std::map<std::string, std::string> log_levels;  // Module or "default" -> level.
    bool quiet = false;
    bool profile = false;
    Colour colour = Colour::Auto;

    std::string settings_file;
    std::vector<std::string> set;           // section.key=value, in order.
    std::optional<ChecksumMode> checksums;  // These go before what file and --set say.
    std::optional<std::uint32_t> workers;
    std::optional<std::uint64_t> seed;
    bool pass_through = false;
    bool unsafe = false;
};

struct ParsedOptions {
    Options options;
    std::string error;  // Empty: all is well. Else what, the nearest, the remedy.
};

// `arguments` without the program's name.
[[nodiscard]] ParsedOptions parse_options(const std::vector<std::string>& arguments);

// Settings file, then --set, then the options that have a setting, later ones winning; `seed` is
// used where nobody sets one. Returns what is wrong, empty when nothing.
[[nodiscard]] std::string collect_settings(const Options& options, std::uint64_t seed,
                                           Settings& settings);

}  // namespace haka::app
