// Whole-engine cases as text. A file holds cases of one topic; tests/cases/README.md is the manual.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/link_type.h"
#include "base/settings.h"
#include "base/time.h"

namespace haka::test {

struct Packet {
    Instant when;
    std::vector<std::uint8_t> bytes;
    std::uint32_t original_size = 0;
};

// Some packets of a dialogue that may come in any order, or one whose payload may be cut anywhere.
struct Variation {
    std::size_t begin = 0;  // Indices into Case::packets_in.
    std::size_t end = 0;
    bool is_cut = false;
};

struct Case {
    std::string name;
    std::size_t line = 0;  // Of its name.
    std::string policy;
    Settings settings;
    LinkType link = LinkType::Raw;
    bool live = false;  // Both ends are there.
    std::vector<Packet> packets_in;
    std::vector<Variation> variations;

    std::vector<Packet> packets_out;
    std::vector<std::string> prints;
    std::vector<std::string> logs;  // Each is part of a log line, in this order.
    std::vector<std::string> eve;   // The same of EVE lines.
    // How many EVE lines have the text.
    std::map<std::string, std::uint64_t, std::less<>> eve_counts;
    std::uint64_t recut = 0;  // So many fewer fragments leave than came.
    std::map<std::string, std::uint64_t, std::less<>> drops;  // By reason.
    std::map<std::string, std::uint64_t, std::less<>>
        events;                                               // By name, of what drops nothing too.
    std::map<std::string, std::uint64_t, std::less<>> ended;  // By reason; empty: not looked at.
};

struct CaseFile {
    std::vector<Case> cases;
    std::string error;  // Empty: all was read. Else `line N: what`.
};

[[nodiscard]] CaseFile read_cases(std::string_view text);

}  // namespace haka::test
