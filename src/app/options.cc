#include "app/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <fmt/format.h>
#include <string_view>

#include "app/help.h"
#include "app/live_source.h"
#include "app/nearest.h"
#include "app/settings_file.h"
#include "control/exposer.h"

namespace haka::app {
namespace {

using Words = std::vector<std::string>;
using Names = std::vector<std::string_view>;

constexpr std::array<std::string_view, 5> kLevels = {"fatal", "error", "warning", "info", "debug"};

// Every option as it was given, so that what is wrong can be told in our own words.
struct Given {
    Words input, output, filter, checksums, settings_file, workers, log_file, eve, seed, colour;
    Words log_levels, set, live, nfqueue, metrics, policies;
    bool help = false;
    bool version = false;
};

struct WrongUsage {
    std::string what;
};

void add_values(CLI::App& command, const std::string& names, Words& values) {
    command.add_option(names, values)
        ->type_size(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_common(CLI::App& command, Given& given, Options& options) {
    command.set_help_flag();
    command.allow_extras();
    command.add_flag("-h,--help", given.help);
    command.add_flag("-V,--version", given.version);
    add_values(command, "-c", given.settings_file);
    add_values(command, "--set", given.set);
    command.add_flag("--unsafe", options.unsafe);
    add_values(command, "--colour,--color", given.colour);
    command.add_option("policy", given.policies);
}

void add_run(CLI::App& command, Given& given, Options& options) {
    add_values(command, "-r", given.input);
    add_values(command, "-w", given.output);
    add_values(command, "-f", given.filter);
    add_values(command, "-k", given.checksums);
    add_values(command, "-j", given.workers);
    add_values(command, "-i", given.live);
    add_values(command, "--nfqueue", given.nfqueue);
    add_values(command, "--metrics", given.metrics);
    add_values(command, "--log", given.log_file);
    add_values(command, "--log-level", given.log_levels);
    add_values(command, "--eve", given.eve);
    add_values(command, "--seed", given.seed);
    command.add_flag("-q,--quiet", options.quiet);
    command.add_flag("--profile", options.profile);
    command.add_flag("--pass-through", options.pass_through);
}

std::string help_of(const CLI::App& command) {
    return command.get_name().empty() ? "haka --help"
                                      : fmt::format("haka {} --help", command.get_name());
}

[[noreturn]] void unknown_option(const CLI::App& command, const std::string& option) {
    std::string name = option.substr(0, option.find('='));
    std::vector<std::string> known;
    for (const CLI::Option* each : command.get_options()) {
        for (const std::string& word : each->get_lnames()) {
            known.push_back("--" + word);
        }
        for (const std::string& word : each->get_snames()) {
            known.push_back("-" + word);
        }
    }
    // One letter is near to every other: only long names are worth a guess.
    const Names names(known.begin(), known.end());
    throw WrongUsage{fmt::format("unknown option {}{}\n`{}` lists them all", name,
                                 name.starts_with("--") ? did_you_mean(name, names) : "",
                                 help_of(command))};
}

std::string one(std::string_view option, const Words& values) {
    if (values.size() > 1) {
        throw WrongUsage{fmt::format("{} is given {} times (\"{}\", \"{}\"); give it once", option,
                                     values.size(), values[0], values[1])};
    }
    if (!values.empty() && values[0].empty()) {
        throw WrongUsage{fmt::format("{} needs a value, not an empty text", option)};
    }
    return values.empty() ? std::string() : values[0];
}

std::string one_word(std::string_view option, const Words& values,
                     std::span<const std::string_view> words) {
    std::string value = one(option, values);
    if (!values.empty() && std::find(words.begin(), words.end(), value) == words.end()) {
        throw WrongUsage{fmt::format("{} takes {}, not \"{}\"{}", option, fmt::join(words, ", "),
                                     value, did_you_mean(value, words))};
    }
    return value;
}

std::optional<std::uint64_t> number(std::string_view option, const Words& values, std::uint64_t min,
                                    std::uint64_t max) {
    const std::string text = one(option, values);
    if (text.empty()) {
        return std::nullopt;
    }
    std::uint64_t value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || rest != end || value < min || value > max) {
        throw WrongUsage{fmt::format("{} takes a whole number from {} to {}, not \"{}\"", option,
                                     min, max, text)};
    }
    return value;
}

std::map<std::string, std::string> log_levels(const Words& values) {
    std::map<std::string, std::string> levels;
    for (const std::string& value : values) {
        const std::size_t equals = value.find('=');
        const bool names_module = equals != std::string::npos;
        const std::string module = names_module ? value.substr(0, equals) : "default";
        const std::string level = names_module ? value.substr(equals + 1) : value;
        one_word("--log-level", {level}, kLevels);
        if (module.empty()) {
            throw WrongUsage{fmt::format("--log-level {}: no module before the =", value)};
        }
        levels[module] = level;
    }
    return levels;
}

std::string one_policy(const CLI::App& command, const Words& policies) {
    if (policies.empty()) {
        throw WrongUsage{fmt::format("haka {} needs a policy, a Lua file\n`{}` shows examples",
                                     command.get_name(), help_of(command))};
    }
    if (policies.size() > 1) {
        throw WrongUsage{
            fmt::format("one policy at a time, not \"{}\" and \"{}\"", policies[0], policies[1])};
    }
    return policies[0];
}

void take_common(const CLI::App& command, const Given& given, Options& options) {
    constexpr std::array<std::string_view, 3> kColours = {"auto", "always", "never"};
    options.policy = one_policy(command, given.policies);
    options.settings_file = one("-c", given.settings_file);
    options.set = given.set;
    const std::string colour = one_word("--colour", given.colour, kColours);
    options.colour = colour == "always"  ? Colour::Always
                     : colour == "never" ? Colour::Never
                                         : Colour::Auto;
}

void refuse(const std::string& wrong) {
    if (!wrong.empty()) {
        throw WrongUsage{wrong};
    }
}

// One worker for each queue.
void take_queues(const std::string& text, Options& options) {
    LiveSource source;
    refuse(parse_queues(text, source));
    const unsigned count = source.last_queue - source.first_queue + 1U;
    if (options.workers && *options.workers != count) {
        throw WrongUsage{
            fmt::format("--nfqueue {} has a worker for each queue, {}; -j {} says "
                        "otherwise: leave it out, or give --nfqueue {}:{}",
                        text, count, *options.workers, source.first_queue,
                        source.first_queue + *options.workers - 1)};
    }
    options.workers = count;
    options.live.queue = source.first_queue;
}

void take_interfaces(const std::string& text, Options& options) {
    LiveSource source;
    refuse(parse_interfaces(text, source));
    options.live.interface = source.interfaces.front();
    options.live.peer = source.kind == LiveKind::Pair ? source.interfaces.back() : "";
}

void take_input(const Given& given, Options& options) {
    if (const auto workers = number("-j", given.workers, 1, kWorkersMax)) {
        options.workers = static_cast<std::uint32_t>(*workers);
    }
    options.input = one("-r", given.input);
    const std::string interfaces = one("-i", given.live);
    const std::string queues = one("--nfqueue", given.nfqueue);
    const int sources = static_cast<int>(!options.input.empty()) +
                        static_cast<int>(!interfaces.empty()) + static_cast<int>(!queues.empty());
    if (sources == 0) {
        throw WrongUsage{
            "where do packets come from? -r FILE (-r - is standard input), -i IF1:IF2 between two "
            "interfaces, -i IF to look at one, or --nfqueue N"};
    }
    if (sources > 1) {
        throw WrongUsage{"one of -r, -i and --nfqueue at a time"};
    }
    if (!interfaces.empty()) {
        take_interfaces(interfaces, options);
    }
    if (!queues.empty()) {
        take_queues(queues, options);
    }
}

std::string metrics_address(const Given& given, const Options& options) {
    std::string address = one("--metrics", given.metrics);
    if (address.empty()) {
        return address;
    }
    if (!options.live.is_given()) {
        throw WrongUsage{"--metrics is for live runs (-i, --nfqueue): a run over a file ends"};
    }
    std::string normal;
    if (std::string wrong = control::check_metrics_address(address, normal); !wrong.empty()) {
        throw WrongUsage{std::move(wrong)};
    }
    return normal;
}

void take_run(const Given& given, Options& options) {
    constexpr std::array<std::string_view, 3> kModes = {"auto", "all", "none"};
    take_input(given, options);
    options.output = one("-w", given.output);
    options.filter = one("-f", given.filter);
    options.log_file = one("--log", given.log_file);
    options.eve = one("--eve", given.eve);
    options.metrics = metrics_address(given, options);
    options.log_levels = log_levels(given.log_levels);
    options.seed = number("--seed", given.seed, 0, UINT64_MAX);
    const std::string mode = one_word("-k", given.checksums, kModes);
    if (!mode.empty()) {
        options.checksums = mode == "all"    ? ChecksumMode::All
                            : mode == "none" ? ChecksumMode::None
                                             : ChecksumMode::Auto;
    }
    if (options.output == "-" && options.eve == "-") {
        throw WrongUsage{"-w - and --eve - both want standard output; name a file for one of them"};
    }
}

[[noreturn]] void unknown_command(const std::string& word) {
    constexpr std::array<std::string_view, 4> kCommands = {"run", "check", "ctl", "doctor"};
    if (word.ends_with(".lua")) {
        throw WrongUsage{
            fmt::format("what to do with {}? haka check {} lists its rules, "
                        "haka run -r FILE {} runs it",
                        word, word, word)};
    }
    throw WrongUsage{fmt::format("unknown command {}{}\n`haka --help` lists them", word,
                                 did_you_mean(word, kCommands))};
}

void refuse_extras(const CLI::App& command) {
    for (const std::string& word : command.remaining()) {
        if (word == "--") {
            continue;  // What follows it was taken as the policy's name.
        }
        if (word.starts_with('-')) {
            unknown_option(command, word);
        }
        if (command.get_name().empty()) {
            unknown_command(word);
        }
    }
}

// The library says `-r: 1 required TEXT missing` and the like.
std::string in_our_words(const CLI::ParseError& error) {
    std::string what = error.what();
    const std::string option = what.substr(0, what.find(':'));
    if (error.get_name() == "ArgumentMismatch" && option.starts_with('-')) {
        return fmt::format("{} needs a value", option);
    }
    return what;
}

Options parse(const Words& arguments) {
    Options options;
    Given given;
    CLI::App app;
    app.set_help_flag();
    app.allow_extras();
    app.add_flag("-h,--help", given.help);
    app.add_flag("-V,--version", given.version);
    CLI::App* run = app.add_subcommand("run");
    add_common(*run, given, options);
    add_run(*run, given, options);
    CLI::App* check = app.add_subcommand("check");
    add_common(*check, given, options);
    app.require_subcommand(0, 1);

    app.parse(Words(arguments.rbegin(), arguments.rend()));  // It takes them from the back.
    const CLI::App* command = run->parsed() ? run : check->parsed() ? check : &app;
    if (given.version) {
        options.command = Command::Version;
        return options;
    }
    if (given.help) {
        options.help = command == run ? kRunHelp : command == check ? kCheckHelp : kHelp;
        return options;
    }
    refuse_extras(app);
    refuse_extras(*command);
    if (command == &app) {
        options.help = kHelp;
        return options;
    }
    options.command = command == run ? Command::Run : Command::Check;
    take_common(*command, given, options);
    if (command == run) {
        take_run(given, options);
    }
    return options;
}

}  // namespace

ParsedOptions parse_options(const std::vector<std::string>& arguments) {
    try {
        return {.options = parse(arguments), .error = {}};
    } catch (const WrongUsage& wrong) {
        return {.options = {}, .error = wrong.what};
    } catch (const CLI::ParseError& error) {
        return {.options = {}, .error = in_our_words(error)};
    }
}

std::string collect_settings(const Options& options, std::uint64_t seed, Settings& settings) {
    settings.seed = seed;
    const std::vector<Setting> table = settings_table(settings);
    if (!options.settings_file.empty()) {
        if (std::string error = read_settings(options.settings_file, table); !error.empty()) {
            return error;
        }
    }
    for (const std::string& each : options.set) {
        if (const std::string error = set_from_text(table, each); !error.empty()) {
            return fmt::format("--set {}: {}", each, error);
        }
    }
    settings.checksums = options.checksums.value_or(settings.checksums);
    settings.workers = options.workers.value_or(settings.workers);
    settings.seed = options.seed.value_or(settings.seed);
    settings.pass_through = settings.pass_through || options.pass_through;
    settings.lua.unsafe = settings.lua.unsafe || options.unsafe;
    return {};
}

}  // namespace haka::app
