#include "case_shorthand.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <vector>

#include "wire/text.h"

namespace haka::test {
namespace {

constexpr std::string_view kClient = "10.0.0.1";
constexpr std::string_view kServer = "10.0.0.2.80";
constexpr int kPort = 40000;

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(' ');
    const auto end = text.find_last_not_of(' ');
    return begin == std::string_view::npos ? "" : text.substr(begin, end - begin + 1);
}

// At commas outside of brackets and quotes.
std::vector<std::string_view> fields_of(std::string_view line) {
    std::vector<std::string_view> fields;
    bool quoted = false;
    int depth = 0;
    std::size_t begin = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
        const char c = line[i];
        if (quoted) {
            i += c == '\\' ? 1 : 0;
            quoted = c != '"';
        } else if (c == '"') {
            quoted = true;
        } else if (c == '[' || c == ']') {
            depth += c == '[' ? 1 : -1;
        } else if (c == ',' && depth == 0) {
            fields.push_back(trimmed(line.substr(begin, i - begin)));
            begin = i + 1;
        }
    }
    fields.push_back(trimmed(line.substr(begin)));
    return fields;
}

std::vector<std::string_view> words_of(std::string_view text) {
    std::vector<std::string_view> words;
    while (!(text = trimmed(text)).empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        words.push_back(text.substr(0, end));
        text.remove_prefix(end);
    }
    return words;
}

bool is_data(std::string_view field) {
    return field.starts_with('"') || field.starts_with("0x") || field.starts_with("length");
}

bool is_head(std::string_view field) {
    return field.starts_with("win ") || field.starts_with("urg ") || field.starts_with("res ") ||
           field.starts_with("options ");
}

// The port number behind C or S; -1 when the word is no end's name.
int number_of(std::string_view end) {
    if (end.empty() || (end.front() != 'C' && end.front() != 'S')) {
        return -1;
    }
    int number = 0;
    const char* last = end.data() + end.size();
    if (end.size() > 1 && std::from_chars(end.data() + 1, last, number).ptr != last) {
        return -1;
    }
    return number;
}

std::string ends(char from, int number) {
    const std::string client = fmt::format("{}.{}", kClient, kPort + number);
    return from == 'C' ? fmt::format("IP {} > {}: ", client, kServer)
                       : fmt::format("IP {} > {}: ", kServer, client);
}

// `Flags [P.], seq 1, ack 2, win 65535, length 3 "GET", ttl 1` in the short form.
std::string short_body(std::string_view body) {
    std::string line;
    std::string rest;
    for (const std::string_view field : fields_of(body)) {
        if (field.starts_with("Flags [")) {
            line += fmt::format(" {}", field.substr(7, field.size() - 8));
        } else if (field.starts_with("seq ") || field.starts_with("ack ")) {
            line += fmt::format(" {}", field.substr(4));
        } else if (field.starts_with("length ")) {
            const std::size_t data = field.find(' ', 7);
            if (data != std::string_view::npos) {
                rest += fmt::format(", {}", field.substr(data + 1));
            }
        } else if (field != "win 65535") {
            rest += fmt::format(", {}", field);
        }
    }
    return line + rest;
}

}  // namespace

std::string expand(std::string_view line) {
    const auto fields = fields_of(line);
    const auto words = words_of(fields.front());
    const int number = words.size() < 3 ? -1 : number_of(words[0]);
    if (number < 0) {
        return std::string(line);
    }
    std::string head =
        fmt::format("{}Flags [{}], seq {}", ends(words[0].front(), number), words[1], words[2]);
    if (words.size() > 3) {
        head += fmt::format(", ack {}", words[3]);
    }
    std::string window = ", win 65535";
    std::string more;
    std::string data = ", length 0";
    std::string attributes;
    for (std::size_t i = 1; i < fields.size(); ++i) {
        const std::string_view field = fields[i];
        if (field.starts_with("win ")) {
            window = fmt::format(", {}", field);
        } else if (is_head(field)) {
            more += fmt::format(", {}", field);
        } else if (is_data(field)) {
            data = fmt::format(", {}{}", field.starts_with("length") ? "" : "length ", field);
        } else {
            attributes += fmt::format(", {}", field);
        }
    }
    return head + window + more + data + attributes;
}

std::string shorten(ByteView frame, LinkType link) {
    std::string text = wire::to_text(frame, link);
    const std::size_t colon = text.find(": ");
    for (const char from : {'C', 'S'}) {
        for (int number = 0; number < 100 && colon != std::string::npos; ++number) {
            const std::string prefix = ends(from, number);
            if (!text.starts_with(prefix)) {
                continue;
            }
            const std::string name =
                number == 0 ? std::string(1, from) : fmt::format("{}{}", from, number);
            std::string line = name + short_body(std::string_view(text).substr(prefix.size()));
            const wire::Parsed parsed = wire::parse_text(expand(line), link);
            if (parsed && std::ranges::equal(parsed.bytes, frame)) {
                return line;
            }
        }
    }
    return text;
}

}  // namespace haka::test
