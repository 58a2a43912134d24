#include "case_file.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fmt/format.h>

#include "app/setting.h"
#include "case_shorthand.h"
#include "wire/headers.h"
#include "wire/text.h"

namespace haka::test {
namespace {

constexpr std::int64_t kStart = 1'700'000'000;  // Seconds: when each case begins.
constexpr std::string_view kIndent = "    ";

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) {
        return false;
    }
    text.remove_prefix(prefix.size());
    return true;
}

// These count drops only; the events behind them are told once, elsewhere or not at all.
bool is_silent(std::string_view reason) {
    return reason == "rule" || reason == "rule-error" || reason == "lua.memory" ||
           reason == "tcp.dropped-connection";
}

class Reader {
public:
    CaseFile read(std::string_view text);

private:
    void line(std::string_view text);
    void top_line(std::string_view text);
    void dialogue_line(std::string_view text);
    void packet_line(char mark, std::string_view text);
    void note(std::string_view text);
    bool make_packet(std::string_view text, Packet& packet);
    std::string fragment(std::string_view text);
    void set(std::string_view text);
    void fail(std::string what);
    double number(std::string_view text);

    enum class Part { Top, Policy, Dialogue };

    CaseFile file_;
    Case common_;  // What stands before the first case holds for all.
    Case* case_ = &common_;
    Part part_ = Part::Top;
    Instant now_;
    std::size_t line_ = 0;
    bool in_order_block_ = false;
};

CaseFile Reader::read(std::string_view text) {
    file_.cases.reserve(static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1);
    common_.settings.seed = 1;
    while (!text.empty() && file_.error.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        line_ += 1;
        line(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return std::move(file_);
}

void Reader::fail(std::string what) {
    if (file_.error.empty()) {
        file_.error = fmt::format("line {}: {}", line_, what);
    }
}

void Reader::line(std::string_view text) {
    if (part_ == Part::Policy && (text.starts_with(kIndent) || text.empty())) {
        text.remove_prefix(std::min(text.size(), kIndent.size()));
        case_->policy += fmt::format("{}\n", text);
        return;
    }
    const std::size_t begin = text.find_first_not_of(' ');
    if (begin == std::string_view::npos || text[begin] == '#') {
        return;
    }
    if (part_ == Part::Dialogue && text.starts_with(kIndent)) {
        dialogue_line(text.substr(begin));
        return;
    }
    top_line(text);
}

void Reader::top_line(std::string_view text) {
    part_ = Part::Top;
    if (take(text, "case ")) {
        file_.cases.push_back(common_);
        case_ = &file_.cases.back();
        case_->name = text;
        case_->line = line_;
        now_ = {kStart * kSecond.ns};
    } else if (take(text, "set ")) {
        set(text);
    } else if (text == "live") {
        case_->live = true;
    } else if (text == "link ethernet") {
        case_->link = LinkType::Ethernet;
    } else if (text == "policy") {
        case_->policy.clear();
        part_ = Part::Policy;
    } else if (text == "packets") {
        part_ = Part::Dialogue;
    } else {
        fail(fmt::format("neither case, set, link, policy nor packets: {}", text));
    }
}

void Reader::set(std::string_view text) {
    const std::string error = app::set_from_text(app::settings_table(case_->settings), text);
    if (!error.empty()) {
        fail(error);
    }
}

double Reader::number(std::string_view text) {
    double value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ptr !=
        text.data() + text.size()) {
        fail(fmt::format("not a number: {}", text));
    }
    return value;
}

void Reader::dialogue_line(std::string_view text) {
    const char mark = text.size() > 1 && text[1] == ' ' ? text[0] : ' ';
    if (mark == '+' || mark == '-' || mark == '*' || mark == '<' || mark == '>') {
        packet_line(mark, text.substr(2));
    } else if (mark == ':') {
        case_->prints.emplace_back(text.substr(2));
    } else if (text == ":") {
        case_->prints.emplace_back();
    } else {
        note(text);
    }
}

void Reader::note(std::string_view text) {
    if (take(text, "! ")) {
        const std::size_t space = text.find(' ');
        case_->events[std::string(text.substr(0, space))] +=
            space == std::string_view::npos
                ? 1
                : static_cast<std::uint64_t>(number(text.substr(space + 1)));
    } else if (take(text, "log ")) {
        case_->logs.emplace_back(text);
    } else if (take(text, "recut ")) {
        case_->recut = static_cast<std::uint64_t>(number(text));
    } else if (take(text, "eve x")) {
        const std::size_t space = std::min(text.find(' '), text.size());
        case_->eve_counts[std::string(text.substr(std::min(space + 1, text.size())))] =
            static_cast<std::uint64_t>(number(text.substr(0, space)));
    } else if (take(text, "eve ")) {
        case_->eve.emplace_back(text);
    } else if (take(text, "ended ")) {
        const std::size_t space = text.rfind(' ');
        case_->ended[std::string(text.substr(0, space))] =
            static_cast<std::uint64_t>(number(text.substr(space + 1)));
    } else if (take(text, "wait ")) {
        now_ = now_ + Duration{static_cast<std::int64_t>(number(text) * 1e9)};
    } else if (take(text, "shake")) {
        const std::string_view end = text.empty() ? text : text.substr(1);
        packet_line('+', fmt::format("C{} S 1000", end));
        packet_line('+', fmt::format("S{} S. 5000 1001", end));
        packet_line('+', fmt::format("C{} . 1001 5001", end));
    } else if (text == "in any order" && !in_order_block_) {
        in_order_block_ = true;
        case_->variations.push_back({.begin = case_->packets_in.size(), .end = 0});
    } else if (text == "end" && in_order_block_) {
        in_order_block_ = false;
        case_->variations.back().end = case_->packets_in.size();
    } else if (take(text, "cut anywhere ")) {
        case_->variations.push_back({.begin = case_->packets_in.size(),
                                     .end = case_->packets_in.size() + 1,
                                     .is_cut = true});
        packet_line('+', text);
    } else {
        fail(fmt::format("what is this line of a dialogue? {}", text));
    }
}

void Reader::packet_line(char mark, std::string_view text) {
    std::uint64_t times = 1;
    if (text.starts_with('x')) {
        const std::size_t space = std::min(text.find(' '), text.size());
        times = static_cast<std::uint64_t>(number(text.substr(1, space - 1)));
        text.remove_prefix(std::min(space + 1, text.size()));
    }
    const bool is_dropped = mark == '-' || mark == '*';
    const std::size_t semicolon = is_dropped ? text.rfind(';') : std::string_view::npos;
    std::string reason;
    if (is_dropped) {
        if (semicolon == std::string_view::npos) {
            return fail("a dropped packet needs its reason: - PACKET ; REASON");
        }
        std::string_view words = text.substr(semicolon + 1);
        words.remove_prefix(std::min(words.find_first_not_of(' '), words.size()));
        const bool silent = words.ends_with(" too");
        words.remove_suffix(silent ? 4 : 0);
        reason = words;
        case_->drops[reason] += times;
        if (!silent && !is_silent(reason)) {
            case_->events[reason] += times;
        }
        text = text.substr(0, semicolon);
    }
    for (std::uint64_t i = 0; i < times; ++i) {
        Packet packet;
        if (mark != '>') {
            now_ = now_ + kMillisecond;
        }
        packet.when = now_;
        if (!make_packet(text, packet)) {
            return;
        }
        if (mark == '+' || mark == '*' || mark == '>') {
            case_->packets_out.push_back(packet);
        }
        if (mark != '>') {
            case_->packets_in.push_back(std::move(packet));
        }
    }
}

// `..., captured N` at the end: the capture kept no more of it.
bool Reader::make_packet(std::string_view text, Packet& packet) {
    constexpr std::string_view kCaptured = ", captured ";
    const std::size_t cut = text.rfind(kCaptured);
    std::size_t captured = SIZE_MAX;
    if (cut != std::string_view::npos) {
        std::string_view size = text.substr(cut + kCaptured.size());
        size = size.substr(0, size.find_last_not_of(' ') + 1);
        captured = static_cast<std::size_t>(number(size));
        text = text.substr(0, cut);
    }
    text = text.substr(0, text.find_last_not_of(' ') + 1);
    const std::string line = text.starts_with("frag ") ? fragment(text) : expand(text);
    wire::Parsed parsed = wire::parse_text(line, case_->link);
    if (!parsed) {
        fail(fmt::format("{} at column {} of: {}", parsed.error, parsed.column, line));
        return false;
    }
    packet.bytes = std::move(parsed.bytes);
    packet.original_size = static_cast<std::uint32_t>(packet.bytes.size());
    packet.bytes.resize(std::min(packet.bytes.size(), captured));
    return true;
}

// `frag ID BEGIN:[END] of PACKET`: these bytes behind the packet's IP header. Without an end it is
// the last fragment.
std::string Reader::fragment(std::string_view text) {
    const std::size_t of = std::min(text.find(" of "), text.size());
    unsigned id = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
    const std::string head(text.substr(0, of));
    const int read = std::sscanf(head.c_str(), "frag %u %zu:%zu", &id, &begin, &end);
    const std::string whole = of == text.size() ? "" : expand(text.substr(of + 4));
    const wire::Parsed parsed = wire::parse_text(whole, case_->link);
    if (read < 2 || !parsed) {
        fail(fmt::format("not `frag ID BEGIN:[END] of PACKET`: {} {}", text, parsed.error));
        return {};
    }
    const wire::Headers headers = wire::find_headers(case_->link, parsed.bytes);
    const std::size_t data = headers.transport;
    end = read == 2 ? headers.end - data : end;
    if (begin > end || data + end > parsed.bytes.size() || begin % 8 != 0) {
        fail(fmt::format("the packet has {} bytes behind its IP header", headers.end - data));
        return {};
    }
    // `IP 10.0.0.1.40000 > ...` without the ports.
    const std::size_t arrow = whole.find(" > ");
    const std::size_t colon = whole.find(": ", arrow);
    const auto host = [](std::string_view name) { return name.substr(0, name.rfind('.')); };
    std::string line =
        fmt::format("{} > {}: frag {}:{}{}, proto {}, length {} 0x",
                    host(std::string_view(whole).substr(0, arrow)),
                    host(std::string_view(whole).substr(arrow + 3, colon - arrow - 3)), id, begin,
                    read == 2 ? "" : "+", headers.protocol, end - begin);
    for (std::size_t i = begin; i < end; ++i) {
        line += fmt::format("{:02x}", parsed.bytes[data + i]);
    }
    return line;
}

}  // namespace

CaseFile read_cases(std::string_view text) {
    return Reader().read(text);
}

}  // namespace haka::test
