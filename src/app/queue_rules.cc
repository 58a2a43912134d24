#include "app/queue_rules.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <initializer_list>
#include <optional>

namespace haka::app {
namespace {

using Words = std::vector<std::string_view>;

Words words_of(std::string_view line) {
    Words words;
    while (true) {
        const std::size_t begin = line.find_first_not_of(" \t;,{}");
        if (begin == std::string_view::npos) {
            return words;
        }
        line.remove_prefix(begin);
        const std::size_t size = std::min(line.find_first_of(" \t;,{}"), line.size());
        words.push_back(line.substr(0, size));
        line.remove_prefix(size);
    }
}

template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        visit(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
}

std::optional<std::uint16_t> number(std::string_view text) {
    std::uint16_t value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    return error == std::errc() && rest == end ? std::optional(value) : std::nullopt;
}

// `3`, or `0:3` and `0-3`.
bool read_range(std::string_view text, QueueRule& rule) {
    const std::size_t middle = text.find_first_of(":-");
    const auto first = number(text.substr(0, middle));
    const auto last = middle == std::string_view::npos ? first : number(text.substr(middle + 1));
    if (!first || !last) {
        return false;
    }
    rule.first = *first;
    rule.last = *last;
    return true;
}

bool has(const Words& words, std::string_view word) {
    return std::ranges::find(words, word) != words.end();
}

std::string_view behind(const Words& words, std::string_view word) {
    const auto found = std::ranges::find(words, word);
    return found == words.end() || found + 1 == words.end() ? std::string_view() : *(found + 1);
}

std::string capitals(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    }
    return result;
}

std::string trimmed(std::string_view line) {
    return std::string(line.substr(std::min(line.find_first_not_of(" \t"), line.size())));
}

// `queue flags bypass to 0-3`, `queue num 5 bypass`, `queue` alone for queue 0.
bool read_nft_statement(const Words& words, QueueRule& rule) {
    const auto queue = std::ranges::find(words, "queue");
    if (queue == words.end() || words[0] == "type") {
        return false;
    }
    const Words rest(queue + 1, words.end());
    rule.bypass = has(rest, "bypass");
    rule.by_cpu = has(rest, "fanout");
    for (const char* word : {"to", "num"}) {
        if (const std::string_view range = behind(rest, word); !range.empty()) {
            return read_range(range, rule);
        }
    }
    return true;
}

// `ip`, `ip6`, `inet` or `bridge`, as long as lines of that table come.
class NftFamily {
public:
    void note(const Words& words) {
        if (words[0] == "table") {
            family_ = words.size() > 2 ? words[1] : "ip";
        }
    }
    [[nodiscard]] bool has_ipv4() const { return family_ != "ip6"; }
    [[nodiscard]] bool has_ipv6() const { return family_ != "ip"; }

private:
    std::string_view family_ = "ip";
};

bool translates(const Words& words, std::initializer_list<std::string_view> how) {
    return std::ranges::any_of(how, [&](std::string_view word) { return has(words, word); });
}

std::string without_quotes(std::string_view text) {
    std::string plain(text);
    std::erase(plain, '"');
    return plain;
}

}  // namespace

void append_iptables_rules(std::vector<QueueRule>& rules, std::string_view listing, bool ipv6) {
    for_each_line(listing, [&](std::string_view line) {
        const Words words = words_of(line);
        if (words.size() < 2 || words[0] != "-A" || behind(words, "-j") != "NFQUEUE") {
            return;
        }
        QueueRule rule;
        rule.ipv4 = !ipv6;
        rule.ipv6 = ipv6;
        rule.chain = words[1];
        rule.text = trimmed(line);
        rule.bypass = has(words, "--queue-bypass");
        rule.by_cpu = has(words, "--queue-cpu-fanout");
        const std::string_view balance = behind(words, "--queue-balance");
        const std::string_view one = behind(words, "--queue-num");
        const bool is_queue_0 = balance.empty() && one.empty();
        if (is_queue_0 || read_range(balance.empty() ? one : balance, rule)) {
            rules.push_back(rule);
        }
    });
}

void append_nft_rules(std::vector<QueueRule>& rules, std::string_view listing) {
    NftFamily family;
    std::string hook;
    for_each_line(listing, [&](std::string_view line) {
        const Words words = words_of(line);
        if (words.empty()) {
            return;
        }
        family.note(words);
        if (words[0] == "table" || words[0] == "chain") {
            hook.clear();
        } else if (words[0] == "type" && has(words, "hook")) {
            hook = capitals(behind(words, "hook"));
        }
        QueueRule rule;
        if (!read_nft_statement(words, rule)) {
            return;
        }
        rule.ipv4 = family.has_ipv4();
        rule.ipv6 = family.has_ipv6();
        rule.chain = hook;
        rule.text = trimmed(line);
        rules.push_back(rule);
    });
}

void append_iptables_translations(TranslationRules& rules, std::string_view listing, bool ipv6,
                                  std::uint32_t mark) {
    for_each_line(listing, [&](std::string_view line) {
        const Words words = words_of(line);
        if (words.size() < 2 || words[0] != "-A") {
            return;
        }
        const std::string_view out = behind(words, "-o");
        const TranslationRule rule{.ipv4 = !ipv6,
                                   .ipv6 = ipv6,
                                   .outside = std::string(out.empty() ? behind(words, "-i") : out),
                                   .text = trimmed(line)};
        if (translates(words, {"MASQUERADE", "SNAT", "DNAT", "NETMAP"})) {
            rules.translating.push_back(rule);
        } else if (words[1] == "OUTPUT" && has(words, "--notrack") &&
                   behind(words, "--mark") == fmt::format("{:#x}", mark)) {
            rules.untracking.push_back(rule);
        }
    });
}

void append_nft_translations(TranslationRules& rules, std::string_view listing) {
    NftFamily family;
    for_each_line(listing, [&](std::string_view line) {
        const Words words = words_of(line);
        if (words.empty()) {
            return;
        }
        family.note(words);
        if (!translates(words, {"masquerade", "snat", "dnat"}) || words[0] == "chain") {
            return;
        }
        const std::string_view out = behind(words, "oifname");
        rules.translating.push_back(
            {.ipv4 = family.has_ipv4(),
             .ipv6 = family.has_ipv6(),
             .outside = without_quotes(out.empty() ? behind(words, "iifname") : out),
             .text = trimmed(line)});
    });
}

}  // namespace haka::app
