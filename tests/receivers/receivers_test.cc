// receivers_test [--histories N] [--seed S] [CASES.case ...]: whatever comes, all receivers deliver
// the same bytes of what leaves, and these are the bytes that rules saw. Looks at the cases, then
// at random hostile packets; exit status 1 when something doesn't hold, with what replays it:
// receivers_test --replay SEED POLICY file|live
#include <charconv>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "../case_file.h"
#include "hostile.h"
#include "watched_engine.h"

namespace haka::receivers {
namespace {

// What passes unlooked, or isn't normalised, by setting or as the policy asks, is not unambiguous.
bool is_promised(const test::Case& test) {
    const auto passes = [](Exception exception) {
        return exception == Exception::Bypass || exception == Exception::Pass;
    };
    const Settings& settings = test.settings;
    return !settings.pass_through && settings.tcp.clear_urgent &&
           settings.tcp.midstream == Midstream::Drop && !passes(settings.exceptions.hold) &&
           !passes(settings.exceptions.memory) && !passes(settings.exceptions.table_full) &&
           settings.lua.on_error == Exception::Drop &&
           test.policy.find(":close()") == std::string::npos;
}

struct Tally {
    std::uint64_t checked = 0;
    std::uint64_t bytes = 0;
    int failed = 0;
};

void check_case(const std::string& path, const test::Case& test, Tally& tally) {
    if (!is_promised(test)) {
        return;
    }
    Settings settings = test.settings;
    settings.checksums = ChecksumMode::All;
    std::string error;
    const stream::Mode mode = test.live ? stream::Mode::Live : stream::Mode::File;
    const auto engine = WatchedEngine::make(test.policy, settings, mode, error);
    if (engine == nullptr) {
        fmt::print("{}:{}: {}\n", path, test.line, error);
        tally.failed += 1;
        return;
    }
    Watch watch(mode);
    for (const test::Packet& packet : test.packets_in) {
        const std::uint32_t size = packet.original_size != 0
                                       ? packet.original_size
                                       : static_cast<std::uint32_t>(packet.bytes.size());
        engine->walk(test.link, packet.bytes, size, packet.when, watch);
    }
    engine->finish(watch);
    tally.checked += 1;
    tally.bytes += watch.delivered();
    if (!watch.wrong().empty()) {
        fmt::print("{}:{}: {}\n        {}\n", path, test.line, test.name, watch.wrong());
        tally.failed += 1;
    }
}

bool check_file(const std::string& path, Tally& tally) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const test::CaseFile file = test::read_cases(text);
    if (!in || !file.error.empty()) {
        fmt::print(stderr, "{}: {}\n", path, in ? file.error : "can't be read");
        return false;
    }
    for (const test::Case& test : file.cases) {
        check_case(path, test, tally);
    }
    return true;
}

// An engine lives for many histories: loading a policy takes longer than a history.
struct Engines {
    std::vector<std::unique_ptr<WatchedEngine>> engines;
    Instant begin{1'700'000'000 * kSecond.ns};

    explicit Engines(std::string& error) {
        for (const HostilePolicy& policy : hostile_policies()) {
            for (const stream::Mode mode : {stream::Mode::File, stream::Mode::Live}) {
                Settings settings;
                settings.checksums = ChecksumMode::All;
                settings.tcp.early_ack_packets = 4;
                settings.tcp.held_segments_max = 12;
                engines.push_back(WatchedEngine::make(policy.text, settings, mode, error));
            }
        }
    }
};

struct History {
    std::uint64_t seed = 0;
    std::size_t policy = 0;
    bool live = false;
};

// What doesn't hold.
std::string run(const History& history, Engines& engines, std::string* trace, Tally& tally) {
    WatchedEngine& engine = *engines.engines.at(history.policy * 2 + (history.live ? 1 : 0));
    const auto packets = hostile_packets(history.seed, engines.begin);
    engine.set_trace(trace);
    Watch watch(history.live ? stream::Mode::Live : stream::Mode::File);
    for (const HostilePacket& packet : packets) {
        engine.walk(LinkType::Raw, packet.bytes, static_cast<std::uint32_t>(packet.bytes.size()),
                    packet.when, watch);
        if (!watch.wrong().empty()) {
            break;
        }
        if (!engine.adds_up()) {
            return "packets that came and went don't add up";
        }
    }
    // Three hours later everything has timed out.
    engines.begin = engines.begin + kSecond * 10'800;
    const std::vector<std::uint8_t> quiet{0};
    engine.walk(LinkType::Raw, quiet, 1, engines.begin, watch);
    tally.checked += 1;
    tally.bytes += watch.delivered();
    if (watch.wrong().empty() && !engine.adds_up()) {
        return "packets that came and went don't add up";
    }
    return watch.wrong();
}

std::string name_of(const History& history) {
    return fmt::format("receivers_test --replay {} {} {}", history.seed, history.policy,
                       history.live ? "live" : "file");
}

bool check_histories(std::uint64_t count, std::uint64_t seed, Tally& tally) {
    std::string error;
    Engines engines(error);
    if (!error.empty()) {
        fmt::print(stderr, "{}\n", error);
        return false;
    }
    for (std::uint64_t i = 0; i < count && tally.failed < 5; ++i) {
        const History history{
            .seed = seed + i, .policy = i / 2 % hostile_policies().size(), .live = i % 2 != 0};
        const std::string wrong = run(history, engines, nullptr, tally);
        if (!wrong.empty()) {
            fmt::print("{}\n        policy '{}', {}\n", name_of(history),
                       hostile_policies().at(history.policy).name, wrong);
            tally.failed += 1;
            engines = Engines(error);
        }
    }
    return true;
}

bool read_number(std::string_view text, std::uint64_t& number) {
    const char* const end = text.data() + text.size();
    return std::from_chars(text.data(), end, number).ptr == end && !text.empty();
}

int replay(const std::vector<std::string>& words) {
    History history;
    std::uint64_t policy = 0;
    if (words.size() != 3 || !read_number(words[0], history.seed) ||
        !read_number(words[1], policy) || policy >= hostile_policies().size()) {
        return 2;
    }
    history.policy = policy;
    history.live = words[2] == "live";
    std::string error;
    Engines engines(error);
    Tally tally;
    std::string trace;
    const std::string wrong = run(history, engines, &trace, tally);
    fmt::print("{}policy '{}': {}\n", trace, hostile_policies().at(policy).name,
               wrong.empty() ? "all is well" : wrong);
    return wrong.empty() ? 0 : 1;
}

int main_of(const std::vector<std::string>& arguments) {
    std::uint64_t histories = 0;
    std::uint64_t seed = 1;
    std::vector<std::string> files;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const bool has_value = i + 1 < arguments.size();
        if (arguments[i] == "--replay") {
            return replay(
                {arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end()});
        }
        if (arguments[i] == "--histories" || arguments[i] == "--seed") {
            if (!has_value ||
                !read_number(arguments[i + 1], arguments[i] == "--seed" ? seed : histories)) {
                return 2;
            }
            i += 1;
        } else {
            files.push_back(arguments[i]);
        }
    }
    Tally cases;
    for (const std::string& file : files) {
        if (!check_file(file, cases)) {
            return 2;
        }
    }
    Tally random;
    if (histories != 0 && !check_histories(histories, seed, random)) {
        return 2;
    }
    fmt::print("{} cases, {} bytes delivered; {} histories from seed {}, {} bytes delivered\n",
               cases.checked, cases.bytes, random.checked, seed, random.bytes);
    return cases.failed + random.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace haka::receivers

int main(int argc, char** argv) {
    const int status = haka::receivers::main_of({argv + 1, argv + argc});
    if (status == 2) {
        fmt::print(stderr,
                   "usage: receivers_test [--histories N] [--seed S] [CASES.case ...]\n"
                   "       receivers_test --replay SEED POLICY file|live\n");
    }
    return status;
}
