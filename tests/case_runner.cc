// case_runner [--accept] [--only TEXT] FILE.case ...: runs whole-engine cases, each by one worker
// and by two, which must do the same to the byte. Exit status 1 when one fails.
//
// --accept prints what came in the form of the file, to compare by eye and to paste.
#include <algorithm>
#include <cstdio>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <string>

#include "capture/file_reader.h"
#include "capture/file_writer.h"
#include "capture/test_folder.h"
#include "case_file.h"
#include "case_shorthand.h"
#include "case_variations.h"
#include "engine/run.h"

namespace haka::test {
namespace {

using Counts = std::map<std::string, std::uint64_t, std::less<>>;
using Lines = std::vector<std::string>;

struct Came {
    engine::RunOutcome outcome;
    std::string out;
    std::string log;
    std::string eve;
    std::string capture;  // The output file's bytes.
    std::vector<Packet> packets;
};

Lines lines_of(std::string_view text) {
    Lines lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        lines.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::string write_capture(const capture::test::Folder& folder, LinkType link,
                          const std::vector<Packet>& packets) {
    std::string path = folder.file("in.pcap");
    const auto opened = capture::FileWriter::open(path);
    const capture::Interface interface {
        .link = link, .snaplen = capture::kFrameSizeMax, .name = {}
    };
    opened.writer->describe({interface});
    for (const Packet& packet : packets) {
        opened.writer->write({.interface = &interface,
                              .interface_index = 0,
                              .when = packet.when,
                              .original_size = packet.original_size,
                              .bytes = packet.bytes,
                              .comment = {}});
    }
    opened.writer->flush();
    return path;
}

std::vector<Packet> read_capture(const std::string& path) {
    std::vector<Packet> packets;
    const auto opened = capture::FileReader::open(path);
    capture::Block block;
    while (opened.reader != nullptr && opened.reader->read(block)) {
        for (const Frame& frame : block.frames) {
            packets.push_back({.when = frame.when,
                               .bytes = {frame.data, frame.data + frame.size},
                               .original_size = frame.original_size});
        }
    }
    return packets;
}

// Puts a # in the place of each number before `what`.
void hide_numbers_before(std::string& text, std::string_view what) {
    for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos;) {
        const std::string_view before = std::string_view(text).substr(0, at);
        const std::size_t begin = before.find_last_not_of("0123456789") + 1;
        text.replace(begin, at - begin, "#");
        at = begin + 1 + what.size();
    }
}

Came run(const Case& test, const std::vector<Packet>& packets, std::uint32_t workers) {
    const capture::test::Folder folder;
    Came came;
    engine::RunOptions options;
    options.input = write_capture(folder, test.link, packets);
    options.output = folder.file("out.pcap");
    options.eve = folder.file("eve.json");
    options.policy = folder.write("policy.lua", as_bytes(test.policy));
    options.settings = test.settings;
    options.settings.workers = workers;
    options.quiet = true;
    options.mode = test.live ? stream::Mode::Live : stream::Mode::File;
    const auto into = [](std::string& text) {
        return [&text](std::string_view more) {
            text += more;
            return true;
        };
    };
    const engine::StopFlag stop;
    came.outcome = engine::run(
        options, {.out = into(came.out), .log = into(came.log), .err = into(came.log)}, stop);
    came.eve = folder.content("eve.json");
    hide_numbers_before(came.log, " bytes in use");  // Of Lua's memory: another each time.
    came.capture = folder.content("out.pcap");
    came.packets = read_capture(options.output);
    // The folder's name is another each time.
    for (std::size_t at = 0; (at = came.log.find(folder.file(""), at)) != std::string::npos;) {
        came.log.erase(at, folder.file("").size());
    }
    return came;
}

std::string line_of(const Packet& packet, LinkType link) {
    std::string line = shorten(packet.bytes, link);
    if (packet.original_size != packet.bytes.size()) {
        line += fmt::format(", captured {}", packet.bytes.size());
    }
    return line;
}

bool is_same(const Packet& a, const Packet& b) {
    return a.bytes == b.bytes && a.original_size == b.original_size;
}

template <typename Reasons>
Counts counts_of(const Reasons& reasons) {
    Counts counts;
    for (std::size_t i = 0; i < kEventCount; ++i) {
        if (reasons[i] != 0) {
            counts[std::string(event_name(static_cast<Event>(i)))] = reasons[i];
        }
    }
    return counts;
}

Counts ended_of(const report::Summary& summary) {
    Counts counts;
    for (std::size_t i = 0; i < report::kEndReasonCount; ++i) {
        if (summary.connections_ended[i] != 0) {
            counts[std::string(flow::to_string(static_cast<flow::EndReason>(i)))] =
                summary.connections_ended[i];
        }
    }
    return counts;
}

// One case's findings, one line each.
class Judge {
public:
    Judge(const Case& test, const Came& came) : test_(test), came_(came) {}

    std::string findings() {
        if (!came_.outcome.message.empty()) {
            say(came_.outcome.message);
        }
        packets();
        lines("print", test_.prints, lines_of(came_.out));
        parts("log", test_.logs, lines_of(came_.log));
        parts("eve", test_.eve, lines_of(came_.eve));
        for (const auto& [text, count] : test_.eve_counts) {
            std::uint64_t found = 0;
            for (const std::string& line : lines_of(came_.eve)) {
                found += line.find(text) != std::string::npos ? 1U : 0U;
            }
            if (found != count) {
                say(fmt::format("EVE lines with {}: expected {}, came {}", text, count, found));
            }
        }
        const report::Summary& summary = came_.outcome.summary;
        counts("dropped", test_.drops, counts_of(summary.drops));
        counts("event", test_.events, counts_of(summary.events));
        if (!test_.ended.empty()) {
            counts("ended", test_.ended, ended_of(summary));
        }
        std::uint64_t drops = 0;
        for (const std::uint64_t count : summary.drops) {
            drops += count;
        }
        const std::uint64_t dropped = test_.settings.pass_through ? 0 : summary.packets_dropped;
        const std::uint64_t came = summary.packets_in + summary.packets_injected;
        const std::uint64_t went =
            summary.packets_out + dropped + summary.packets_absorbed + test_.recut;
        if (drops != summary.packets_dropped || came != went) {
            say(fmt::format("counts don't add up: {} came and were made, {} went, {} reasons", came,
                            went, drops));
        }
        return std::move(text_);
    }

private:
    void say(std::string_view line) { text_ += fmt::format("        {}\n", line); }

    // Both sides from the first difference on, without the tail that is the same.
    void packets() {
        const auto& want = test_.packets_out;
        const auto& got = came_.packets;
        std::size_t begin = 0;
        while (begin < want.size() && begin < got.size() && is_same(want[begin], got[begin])) {
            begin += 1;
        }
        std::size_t tail = 0;
        while (tail + begin < want.size() && tail + begin < got.size() &&
               is_same(want[want.size() - 1 - tail], got[got.size() - 1 - tail])) {
            tail += 1;
        }
        if (begin + tail == want.size() && begin + tail == got.size()) {
            return;
        }
        say(fmt::format("packets differ from the {}th that leaves on:", begin + 1));
        for (std::size_t i = begin; i < want.size() - tail; ++i) {
            say(fmt::format("  missing  > {}", line_of(want[i], test_.link)));
        }
        for (std::size_t i = begin; i < got.size() - tail; ++i) {
            say(fmt::format("  came     > {}", line_of(got[i], test_.link)));
        }
    }

    void lines(std::string_view what, const Lines& want, const Lines& got) {
        for (std::size_t i = 0; i < std::max(want.size(), got.size()); ++i) {
            if (i >= want.size()) {
                say(fmt::format("unexpected {}: {}", what, got[i]));
            } else if (i >= got.size()) {
                say(fmt::format("missing {}: {}", what, want[i]));
            } else if (want[i] != got[i]) {
                say(fmt::format("{} {}: expected {}", what, i + 1, want[i]));
                say(fmt::format("{} {}: came     {}", what, i + 1, got[i]));
            }
        }
    }

    void parts(std::string_view what, const Lines& want, const Lines& got) {
        std::size_t at = 0;
        for (const std::string& part : want) {
            while (at < got.size() && got[at].find(part) == std::string::npos) {
                at += 1;
            }
            if (at == got.size()) {
                say(fmt::format("no {} line with: {}", what, part));
                for (const std::string& line : got) {
                    say(fmt::format("  came: {}", line));
                }
                return;
            }
            at += 1;
        }
    }

    void counts(std::string_view what, const Counts& want, const Counts& got) {
        Counts all = want;
        all.insert(got.begin(), got.end());
        for (const auto& [name, count] : all) {
            const auto value = [&name = name](const Counts& counts) {
                const auto found = counts.find(name);
                return found == counts.end() ? 0 : found->second;
            };
            if (value(want) != value(got)) {
                say(fmt::format("{} {}: expected {}, came {}", what, name, value(want),
                                value(got)));
            }
        }
    }

    const Case& test_;
    const Came& came_;
    std::string text_;
};

std::string compare_workers(const Came& one, const Came& two) {
    std::string text;
    const auto compare = [&text](std::string_view what, const std::string& a,
                                 const std::string& b) {
        if (a != b) {
            text += fmt::format("        {} differ between one worker and two\n", what);
        }
    };
    compare("packets", one.capture, two.capture);
    compare("prints", one.out, two.out);
    compare("logs", one.log, two.log);
    compare("EVE lines", one.eve, two.eve);
    compare("messages", one.outcome.message, two.outcome.message);
    return text;
}

std::string variations(const Case& test) {
    std::string text;
    for_each_variation(test, [&](const std::vector<Packet>& packets) {
        const Came came = run(test, packets, 1);
        const Lines got = lines_of(came.out);
        if (got == test.prints) {
            return true;
        }
        text = "        a variation prints something else:\n";
        for (const std::string& line : got) {
            text += fmt::format("          : {}\n", line);
        }
        for (const Packet& packet : packets) {
            text += fmt::format("          < {}\n", line_of(packet, test.link));
        }
        return false;
    });
    return text;
}

// What came, in the form of a case file.
void print_accepted(const Case& test, const Came& came) {
    fmt::print("case {}\npackets\n", test.name);
    std::size_t out = 0;
    for (const Packet& packet : test.packets_in) {
        const bool leaves = out < came.packets.size() && is_same(came.packets[out], packet);
        fmt::print("    {} {}\n", leaves ? '+' : '-', line_of(packet, test.link));
        out += leaves ? 1 : 0;
        while (out < came.packets.size() && came.packets[out].when <= packet.when &&
               std::none_of(test.packets_in.begin(), test.packets_in.end(),
                            [&](const Packet& in) { return is_same(in, came.packets[out]); })) {
            fmt::print("    > {}\n", line_of(came.packets[out], test.link));
            out += 1;
        }
    }
    for (; out < came.packets.size(); ++out) {
        fmt::print("    > {}\n", line_of(came.packets[out], test.link));
    }
    for (const std::string& line : lines_of(came.out)) {
        fmt::print("    : {}\n", line);
    }
    const report::Summary& summary = came.outcome.summary;
    for (const auto& [name, count] : counts_of(summary.drops)) {
        fmt::print("    # dropped {} {}\n", name, count);
    }
    for (const auto& [name, count] : counts_of(summary.events)) {
        fmt::print("    ! {} {}\n", name, count);
    }
    for (const auto& [name, count] : ended_of(summary)) {
        fmt::print("    ended {} {}\n", name, count);
    }
    for (const auto* text : {&came.log, &came.eve}) {
        for (const std::string& line : lines_of(*text)) {
            fmt::print("    # {}\n", line);
        }
    }
}

// How many failed; -1 when the file can't be read.
int run_file(const char* path, std::string_view only, bool accept) {
    std::ifstream in(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    const CaseFile file = read_cases(text);
    if (!in || !file.error.empty()) {
        fmt::print(stderr, "{}: {}\n", path, in ? file.error : "can't be read");
        return -1;
    }
    int failed = 0;
    int run_count = 0;
    for (const Case& test : file.cases) {
        if (test.name.find(only) == std::string::npos) {
            continue;
        }
        run_count += 1;
        const Came one = run(test, test.packets_in, 1);
        if (accept) {
            print_accepted(test, one);
            continue;
        }
        std::string findings = Judge(test, one).findings();
        findings += compare_workers(one, run(test, test.packets_in, 2));
        findings += variations(test);
        if (!findings.empty()) {
            failed += 1;
            fmt::print("{}:{}: {}\n{}", path, test.line, test.name, findings);
        }
    }
    fmt::print("{}: {} cases, {} failed\n", path, run_count, failed);
    return failed;
}

}  // namespace
}  // namespace haka::test

int main(int argc, char** argv) {
    bool accept = false;
    std::string_view only;
    int status = 0;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--accept") {
            accept = true;
        } else if (argument == "--only" && i + 1 < argc) {
            only = argv[++i];
        } else if (haka::test::run_file(argv[i], only, accept) != 0) {
            status = 1;
        }
    }
    return status;
}
