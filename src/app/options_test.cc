#include "app/options.h"

#include <gtest/gtest.h>

namespace haka::app {
namespace {

using Words = std::vector<std::string>;

std::string error_of(const Words& arguments) {
    return parse_options(arguments).error;
}

Options options_of(const Words& arguments) {
    const ParsedOptions parsed = parse_options(arguments);
    EXPECT_EQ(parsed.error, "");
    return parsed.options;
}

TEST(OptionsTest, EveryOptionOfRunArrives) {
    const Options options = options_of({"run",
                                        "-r",
                                        "in.pcap",
                                        "-w",
                                        "out.pcapng",
                                        "-f",
                                        "tcp port 80",
                                        "-k",
                                        "all",
                                        "-q",
                                        "-c",
                                        "haka.toml",
                                        "-j",
                                        "4",
                                        "--pass-through",
                                        "--log-level",
                                        "debug",
                                        "--log-level",
                                        "filter=error",
                                        "--log",
                                        "haka.log",
                                        "--eve",
                                        "eve.json",
                                        "--seed",
                                        "7",
                                        "--set",
                                        "tcp.midstream=ignore",
                                        "--set",
                                        "lua.unsafe=true",
                                        "--profile",
                                        "--unsafe",
                                        "--colour",
                                        "always",
                                        "policy.lua"});
    EXPECT_EQ(options.command, Command::Run);
    EXPECT_EQ(options.input, "in.pcap");
    EXPECT_EQ(options.output, "out.pcapng");
    EXPECT_EQ(options.filter, "tcp port 80");
    EXPECT_EQ(options.checksums, ChecksumMode::All);
    EXPECT_TRUE(options.quiet);
    EXPECT_EQ(options.settings_file, "haka.toml");
    EXPECT_EQ(options.workers, 4U);
    EXPECT_TRUE(options.pass_through);
    const std::map<std::string, std::string> levels = {{"default", "debug"}, {"filter", "error"}};
    EXPECT_EQ(options.log_levels, levels);
    EXPECT_EQ(options.log_file, "haka.log");
    EXPECT_EQ(options.eve, "eve.json");
    EXPECT_EQ(options.seed, 7U);
    EXPECT_EQ(options.set, (Words{"tcp.midstream=ignore", "lua.unsafe=true"}));
    EXPECT_TRUE(options.profile);
    EXPECT_TRUE(options.unsafe);
    EXPECT_EQ(options.colour, Colour::Always);
    EXPECT_EQ(options.policy, "policy.lua");
}

TEST(OptionsTest, WhatIsNotGivenStaysOpen) {
    const Options options = options_of({"run", "policy.lua", "-r-"});
    EXPECT_EQ(options.input, "-");
    EXPECT_EQ(options.output, "");
    EXPECT_FALSE(options.quiet);
    EXPECT_FALSE(options.checksums.has_value());
    EXPECT_FALSE(options.workers.has_value());
    EXPECT_FALSE(options.seed.has_value());
    EXPECT_EQ(options.colour, Colour::Auto);
    EXPECT_TRUE(options.log_levels.empty());
}

TEST(OptionsTest, ShortOptionsMayBeJoinedAndTheOtherSpellingOfColourIsKnown) {
    const Options options = options_of({"run", "-qrin.pcap", "--color=never", "-j2", "policy.lua"});
    EXPECT_TRUE(options.quiet);
    EXPECT_EQ(options.input, "in.pcap");
    EXPECT_EQ(options.colour, Colour::Never);
    EXPECT_EQ(options.workers, 2U);
}

TEST(OptionsTest, BehindTwoDashesStandsThePolicy) {
    EXPECT_EQ(options_of({"run", "-r", "in.pcap", "--", "-odd.lua"}).policy, "-odd.lua");
}

TEST(OptionsTest, HelpFitsTheCommandAndGoesBeforeWhatIsWrong) {
    EXPECT_NE(options_of({}).help.find("haka check POLICY.lua"), std::string::npos);
    EXPECT_NE(options_of({"--help"}).help.find("haka check POLICY.lua"), std::string::npos);
    EXPECT_NE(options_of({"run", "-h"}).help.find("Exit status"), std::string::npos);
    EXPECT_NE(options_of({"run", "--help", "--bogus"}).help.find("Examples"), std::string::npos);
    EXPECT_NE(options_of({"check", "--help"}).help.find("haka check:"), std::string::npos);
    EXPECT_EQ(options_of({"--help"}).command, Command::Help);
}

TEST(OptionsTest, VersionNeedsNothingElse) {
    EXPECT_EQ(options_of({"-V"}).command, Command::Version);
    EXPECT_EQ(options_of({"run", "--version"}).command, Command::Version);
}

TEST(OptionsTest, CheckTakesAPolicyAndSettings) {
    const Options options = options_of({"check", "--set", "lua.memory_max=2MiB", "policy.lua"});
    EXPECT_EQ(options.command, Command::Check);
    EXPECT_EQ(options.policy, "policy.lua");
    EXPECT_EQ(options.set, (Words{"lua.memory_max=2MiB"}));
}

TEST(OptionsTest, AWrongCommandIsNamedWithTheNearest) {
    EXPECT_EQ(error_of({"chekc", "policy.lua"}),
              "unknown command chekc; did you mean check?\n`haka --help` lists them");
    EXPECT_EQ(error_of({"policy.lua"}),
              "what to do with policy.lua? haka check policy.lua lists its rules, haka run -r FILE "
              "policy.lua runs it");
}

TEST(OptionsTest, AWrongOptionIsNamedWithTheNearest) {
    EXPECT_EQ(error_of({"run", "-r", "a", "--pas-through", "p.lua"}),
              "unknown option --pas-through; did you mean --pass-through?\n"
              "`haka run --help` lists them all");
    EXPECT_EQ(error_of({"run", "-r", "a", "-Z", "p.lua"}),
              "unknown option -Z\n`haka run --help` lists them all");
    EXPECT_EQ(error_of({"--verison"}),
              "unknown option --verison; did you mean --version?\n`haka --help` lists them all");
    EXPECT_EQ(error_of({"check", "-r", "a", "p.lua"}),
              "unknown option -r\n`haka check --help` lists them all");
}

TEST(OptionsTest, WhatIsMissingIsNamed) {
    EXPECT_EQ(
        error_of({"run", "policy.lua"}),
        "where do packets come from? -r FILE (-r - is standard input), -i IF1:IF2 between two "
        "interfaces, -i IF to look at one, or --nfqueue N");
    EXPECT_EQ(error_of({"run", "-r", "in.pcap"}),
              "haka run needs a policy, a Lua file\n`haka run --help` shows examples");
    EXPECT_EQ(error_of({"check"}),
              "haka check needs a policy, a Lua file\n`haka check --help` shows examples");
    EXPECT_EQ(error_of({"run", "policy.lua", "-r"}), "-r needs a value");
    EXPECT_EQ(error_of({"run", "policy.lua", "-r", ""}), "-r needs a value, not an empty text");
}

TEST(OptionsTest, WhatIsTooMuchIsNamed) {
    EXPECT_EQ(error_of({"run", "-r", "a", "-r", "b", "p.lua"}),
              "-r is given 2 times (\"a\", \"b\"); give it once");
    EXPECT_EQ(error_of({"run", "-r", "a", "p.lua", "q.lua"}),
              "one policy at a time, not \"p.lua\" and \"q.lua\"");
    EXPECT_EQ(error_of({"run", "-r", "a", "-w", "-", "--eve", "-", "p.lua"}),
              "-w - and --eve - both want standard output; name a file for one of them");
}

TEST(OptionsTest, ValuesOutOfRangeAreRefusedWithTheRange) {
    for (const std::string wrong : {"0", "65", "-1", "two", "1x", "99999999999999999999"}) {
        EXPECT_EQ(error_of({"run", "-r", "a", "-j", wrong, "p.lua"}),
                  "-j takes a whole number from 1 to 64, not \"" + wrong + "\"");
    }
    EXPECT_EQ(options_of({"run", "-r", "a", "-j", "64", "p.lua"}).workers, 64U);
    EXPECT_EQ(options_of({"run", "-r", "a", "--seed", "18446744073709551615", "p.lua"}).seed,
              UINT64_MAX);
    EXPECT_EQ(error_of({"run", "-r", "a", "--seed", "x", "p.lua"}),
              "--seed takes a whole number from 0 to 18446744073709551615, not \"x\"");
}

TEST(OptionsTest, WrongWordsAreRefusedWithTheRightOnes) {
    EXPECT_EQ(error_of({"run", "-r", "a", "-k", "non", "p.lua"}),
              "-k takes auto, all, none, not \"non\"; did you mean none?");
    EXPECT_EQ(error_of({"run", "-r", "a", "--colour", "alway", "p.lua"}),
              "--colour takes auto, always, never, not \"alway\"; did you mean always?");
    EXPECT_EQ(error_of({"run", "-r", "a", "--log-level", "filter=deubg", "p.lua"}),
              "--log-level takes fatal, error, warning, info, debug, not \"deubg\"; did you mean "
              "debug?");
    EXPECT_EQ(error_of({"run", "-r", "a", "--log-level", "=debug", "p.lua"}),
              "--log-level =debug: no module before the =");
}

TEST(OptionsTest, PacketsComeFromAFileOrInterfacesOrQueues) {
    const Options looks = options_of({"run", "-i", "eth0", "p.lua"});
    EXPECT_EQ(looks.live.interface, "eth0");
    EXPECT_EQ(looks.live.peer, "");
    const Options joins = options_of({"run", "-i", "eth0:eth1", "-j", "2", "p.lua"});
    EXPECT_EQ(joins.live.interface, "eth0");
    EXPECT_EQ(joins.live.peer, "eth1");
    EXPECT_EQ(joins.workers, 2U);
    const Options queues = options_of({"run", "--nfqueue", "2:5", "p.lua"});
    EXPECT_EQ(queues.live.queue, 2U);
    EXPECT_EQ(queues.workers, 4U);
    EXPECT_EQ(options_of({"run", "--nfqueue", "65535", "p.lua"}).workers, 1U);
    EXPECT_EQ(error_of({"run", "-r", "a", "-i", "eth0", "p.lua"}),
              "one of -r, -i and --nfqueue at a time");
}

TEST(OptionsTest, MetricsAreForLiveRuns) {
    EXPECT_EQ(options_of({"run", "-i", "eth0", "--metrics", "9477", "p.lua"}).metrics,
              "127.0.0.1:9477");
    EXPECT_EQ(error_of({"run", "-r", "a", "--metrics", "9477", "p.lua"}),
              "--metrics is for live runs (-i, --nfqueue): a run over a file ends");
    EXPECT_EQ(error_of({"run", "-i", "eth0", "--metrics", "x:1", "p.lua"}),
              "--metrics takes ADDRESS:PORT, such as 127.0.0.1:9477 or [::1]:9477, not \"x:1\"");
}

TEST(OptionsTest, ImpossibleInterfacesAndQueuesAreRefused) {
    EXPECT_EQ(error_of({"run", "-i", "eth0:", "p.lua"}),
              "-i takes an interface to look at, or the two that are joined as in eth0:eth1, not "
              "\"eth0:\"");
    EXPECT_EQ(error_of({"run", "-i", "a:a", "p.lua"}),
              "-i a:a: an interface can't be joined to itself");
    EXPECT_EQ(error_of({"run", "--nfqueue", "5:2", "p.lua"}),
              "--nfqueue takes a queue's number from 0 to 65535, or the first and last of 64 at "
              "most as in 0:3, "
              "not \"5:2\"");
    EXPECT_EQ(error_of({"run", "--nfqueue", "65536", "p.lua"}),
              "--nfqueue takes a queue's number from 0 to 65535, or the first and last of 64 at "
              "most as in 0:3, not \"65536\"");
    EXPECT_EQ(error_of({"run", "--nfqueue", "0:3", "-j", "2", "p.lua"}),
              "--nfqueue 0:3 has a worker for each queue, 4; -j 2 says otherwise: leave it out, or "
              "give --nfqueue 0:1");
}

TEST(OptionsTest, OptionsGoBeforeSetAndSetBeforeDefaults) {
    Options options = options_of({"run", "-r", "a", "-j", "3", "-k", "none", "--set", "workers=2",
                                  "--set", "tcp.midstream=ignore", "p.lua"});
    Settings settings;
    EXPECT_EQ(collect_settings(options, 99, settings), "");
    EXPECT_EQ(settings.workers, 3U);
    EXPECT_EQ(settings.checksums, ChecksumMode::None);
    EXPECT_EQ(settings.tcp.midstream, Midstream::Ignore);
    EXPECT_EQ(settings.seed, 99U);
    options.set.emplace_back("seed=5");
    EXPECT_EQ(collect_settings(options, 99, settings), "");
    EXPECT_EQ(settings.seed, 5U);
    options.seed = 6;
    EXPECT_EQ(collect_settings(options, 99, settings), "");
    EXPECT_EQ(settings.seed, 6U);
}

TEST(OptionsTest, AWrongSettingNamesTheOptionThatHasIt) {
    Settings settings;
    const Options wrong = options_of({"run", "-r", "a", "--set", "tcp.midstraem=drop", "p.lua"});
    EXPECT_EQ(collect_settings(wrong, 0, settings),
              "--set tcp.midstraem=drop: unknown setting tcp.midstraem; did you mean "
              "tcp.midstream?");
    const Options missing = options_of({"run", "-r", "a", "-c", "/no/such/file", "p.lua"});
    EXPECT_EQ(collect_settings(missing, 0, settings),
              "cannot read the settings file /no/such/file: No such file or directory");
}

}  // namespace
}  // namespace haka::app
