#include "policies.h"

#include <array>
#include <fmt/format.h>

#include "plan.h"

namespace haka::model {

namespace {

constexpr std::string_view kNothing = "-- Nobody listens.\n";

constexpr std::string_view kFindReadonly = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, readonly = true, eval = function(self, pkt)
    while pkt.stream:find('needle', true) do pkt.stream:advance(6) end
end }
)";

constexpr std::string_view kFindPlain = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, eval = function(self, pkt)
    while edited(pkt) and pkt.stream:find('needle', true) do pkt.stream:advance(6) end
end }
)";

// Calls line(stream, size) at the begin of each line; `size` counts the newline.
constexpr std::string_view kLines = R"(
local function each_line(stream, line)
    while stream:wait(1) >= 1 do
        local at = stream:find('\n')
        while not at do
            local had = stream:available()
            if stream:wait(had + 1) <= had then return end
            at = stream:find('\n')
        end
        line(stream, at + 1)
    end
end
)";

constexpr std::string_view kReadLinesReadonly = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, readonly = true,
    eval = function(self, pkt)
        each_line(pkt.stream, function(stream, size) stream:advance(size) end)
    end }
)";

constexpr std::string_view kReadLines = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, eval = function(self, pkt)
    if not edited(pkt) then return end
    each_line(pkt.stream, function(stream, size) stream:advance(size) end)
end }
)";

constexpr std::string_view kInsertLines = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, eval = function(self, pkt)
    if not edited(pkt) then return end
    each_line(pkt.stream, function(stream, size)
        stream:insert('line: ')
        stream:advance(size)
    end)
end }
)";

constexpr std::string_view kEraseLines = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, eval = function(self, pkt)
    if not edited(pkt) then return end
    local odd = false
    each_line(pkt.stream, function(stream, size)
        odd = not odd
        if odd then stream:advance(size) else stream:erase(size) end
    end)
end }
)";

constexpr std::string_view kReplace = R"(
local function replace_all(stream, word, text)
    while stream:wait(1) >= 1 do
        local at = stream:find(word)
        if at then
            stream:advance(at)
            stream:replace(#word, text)
        else
            local kept = math.min(stream:available(), #word - 1)
            stream:advance(stream:available() - kept)
            if stream:wait(kept + 1) <= kept then return end
        end
    end
end
local function replacing(text)
    haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, eval = function(self, pkt)
        if edited(pkt) then replace_all(pkt.stream, 'needle', text) end
    end }
end
)";
constexpr std::string_view kReplaceLonger = "replacing('a needle in a haystack')\n";
constexpr std::string_view kReplaceShorter = "replacing('pin')\n";
constexpr std::string_view kReplaceSame = "replacing('NEEDLE')\n";

constexpr std::string_view kReplacePlain = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, eval = function(self, pkt)
    if not edited(pkt) then return end
    local at = pkt.stream:find('needle', true)
    while at do
        pkt.stream:advance(at)
        pkt.stream:replace(6, 'two pins')
        at = pkt.stream:find('needle', true)
    end
end }
)";

constexpr std::string_view kInsertFirst = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, eval = function(self, pkt)
    if edited(pkt) and pkt.stream:wait(1) >= 1 then pkt.stream:insert('first ') end
end }
)";

constexpr std::string_view kAppend = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, eval = function(self, pkt)
    if not edited(pkt) then return end
    while pkt.stream:wait(1) >= 1 do pkt.stream:advance(pkt.stream:available()) end
    pkt.stream:insert('the end')
end }
)";

constexpr std::string_view kEraseAll = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, eval = function(self, pkt)
    if not edited(pkt) then return end
    while pkt.stream:wait(1) >= 1 do pkt.stream:erase(pkt.stream:available()) end
end }
)";

// More than a window may hold.
constexpr std::string_view kInsertMuch = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, streamed = true, eval = function(self, pkt)
    if not edited(pkt) or pkt.stream:wait(100) < 100 then return end
    pkt.stream:advance(100)
    pkt.stream:insert(('0123456789'):rep(900))
end }
)";

// A readonly rule on either side of one that edits; what the one behind has seen stays so.
constexpr std::string_view kKeepReadonly = R"(
haka.rule{ hooks = { 'tcp-connection-up' }, readonly = true, eval = function(self, pkt)
    pkt.stream:find('needle', true)
end }
replacing('a needle in a haystack')
haka.rule{ hooks = { 'tcp-connection-up' }, readonly = true, eval = function(self, pkt)
    local all, stream = pkt.connection.data or {}, pkt.stream
    pkt.connection.data = all
    local kept = all[pkt.direction]
    if kept then
        stream:seek(kept.mark, true)
        assert(stream:peek(#kept.text) == kept.text)
    end
    stream:advance(math.max(stream:available() - 400, 0))
    all[pkt.direction] = { mark = stream:mark(), text = stream:peek() }
end }
)";

std::string same(std::string_view input) {
    return std::string(input);
}

template <typename Line>
std::string by_line(std::string_view input, const Line& line) {
    std::string out;
    for (std::size_t number = 0;; ++number) {
        const std::size_t end = input.find('\n');
        if (end == std::string_view::npos) {
            out += input;
            return out;
        }
        line(out, input.substr(0, end + 1), number);
        input.remove_prefix(end + 1);
    }
}

std::string with_inserted(std::string_view input) {
    return by_line(input, [](std::string& out, std::string_view line, std::size_t) {
        out += "line: ";
        out += line;
    });
}

std::string with_erased(std::string_view input) {
    return by_line(input, [](std::string& out, std::string_view line, std::size_t number) {
        out += number % 2 == 0 ? line : std::string_view();
    });
}

std::string replaced(std::string_view input, std::string_view text) {
    constexpr std::string_view kWord = "needle";
    std::string out;
    for (std::size_t at = input.find(kWord); at != std::string_view::npos; at = input.find(kWord)) {
        out += input.substr(0, at);
        out += text;
        input.remove_prefix(at + kWord.size());
    }
    out += input;
    return out;
}

std::string with_longer(std::string_view input) {
    return replaced(input, "a needle in a haystack");
}
std::string with_shorter(std::string_view input) {
    return replaced(input, "pin");
}
std::string with_same(std::string_view input) {
    return replaced(input, "NEEDLE");
}
std::string with_plain(std::string_view input) {
    return replaced(input, "two pins");
}
std::string with_first(std::string_view input) {
    return input.empty() ? std::string() : "first " + std::string(input);
}
std::string with_end(std::string_view input) {
    return std::string(input) + "the end";
}
std::string none_of_it(std::string_view /*input*/) {
    return {};
}
std::string with_much(std::string_view input) {
    std::string out(input);
    if (out.size() >= 100) {
        std::string more;
        for (int i = 0; i < 900; ++i) {
            more += "0123456789";
        }
        out.insert(100, more);
    }
    return out;
}

constexpr std::array<Policy, kPolicyCount> kPolicies = {{
    {"no engine", "", same},
    {"no rule", kNothing, same},
    {"find, readonly", kFindReadonly, same},
    {"find", kFindPlain, same},
    {"read lines, readonly", kReadLinesReadonly, same},
    {"read lines", kReadLines, same},
    {"replace by as long a word", kReplaceSame, with_same},
    {"replace by a longer word", kReplaceLonger, with_longer},
    {"replace by a shorter word", kReplaceShorter, with_shorter},
    {"replace, not streamed", kReplacePlain, with_plain},
    {"insert before each line", kInsertLines, with_inserted},
    {"erase every second line", kEraseLines, with_erased},
    {"insert at the begin", kInsertFirst, with_first},
    {"append at the end", kAppend, with_end},
    {"erase everything", kEraseAll, none_of_it},
    {"insert much", kInsertMuch, with_much},
    {"replace, with readonly rules that keep bytes", kKeepReadonly, with_longer},
}};

}  // namespace

std::span<const Policy> policies() {
    return kPolicies;
}

std::string policy_text(const Policy& policy, unsigned direction) {
    constexpr std::array<std::string_view, 3> kConditions = {"true", "pkt.direction",
                                                             "not pkt.direction"};
    return fmt::format("local function edited(pkt) return {} end\n{}{}{}",
                       kConditions.at(direction), kLines, kReplace, policy.text);
}

}  // namespace haka::model
