#include "report/console.h"

#include "report/community_id.h"
#include "report/text.h"
#include "wire/headers.h"

namespace haka::report {

namespace {

constexpr std::string_view kReset = "\x1b[0m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::size_t kDetailColumn = 15;  // Under the alert's description.

std::string_view colour_of(Level level) {
    switch (level) {
        case Level::Low:
            return "\x1b[36m";
        case Level::Medium:
            return "\x1b[33m";
        case Level::High:
            return "\x1b[1;31m";
    }
    return "";
}

std::string_view colour_of(LogLevel level) {
    switch (level) {
        case LogLevel::Fatal:
            return "\x1b[1;31m";
        case LogLevel::Error:
            return "\x1b[31m";
        case LogLevel::Warning:
            return "\x1b[33m";
        case LogLevel::Info:
            return "";
        case LogLevel::Debug:
            return kDim;
    }
    return "";
}

void append_coloured(std::string& out, std::string_view text, std::string_view colour,
                     const ConsoleStyle& style) {
    if (!style.colour || colour.empty()) {
        out += text;
        return;
    }
    out += colour;
    out += text;
    out += kReset;
}

// `label value` pairs, as many in a line as fit. The value is appended by the caller between
// begin() and end(); end() moves the pair to the next line if it would stand out.
class Details {
public:
    Details(std::string& out, const ConsoleStyle& style) : out_(out), style_(style) {}

    std::string& begin(std::string_view label) {
        label_ = label;
        start_ = out_.size();
        return out_;
    }

    void end() {
        const std::size_t size = label_.size() + (label_.empty() ? 0 : 1) +
                                 columns(std::string_view(out_).substr(start_));
        std::string_view between = "  ";
        if (column_ == 0 || column_ + between.size() + size > width()) {
            between = column_ == 0 ? "               " : "\n               ";
            column_ = kDetailColumn;
        } else {
            column_ += between.size();
        }
        column_ += size;
        lead_.assign(between);
        if (!label_.empty()) {
            append_coloured(lead_, label_, kDim, style_);
            lead_ += ' ';
        }
        out_.insert(start_, lead_);
    }

    // Text from outside.
    void add(std::string_view label, std::string_view value) {
        append_printable(begin(label), value);
        end();
    }

    void finish() {
        if (column_ > 0) {
            out_ += '\n';
        }
    }

private:
    [[nodiscard]] std::size_t width() const {
        return style_.width > 0 ? static_cast<std::size_t>(style_.width) : SIZE_MAX;
    }

    std::string& out_;
    const ConsoleStyle& style_;
    std::string_view label_;
    std::string lead_;
    std::size_t start_ = 0;
    std::size_t column_ = 0;  // Of the line being filled; 0 before the first pair.
};

void append_list(std::string& out, const std::vector<std::string>& values,
                 std::string_view between) {
    bool first = true;
    for (const std::string& value : values) {
        if (!first) {
            out += between;
        }
        first = false;
        append_printable(out, value);
    }
}

void add_nodes(Details& details, std::string_view label, const std::vector<Node>& nodes) {
    for (const Node& node : nodes) {
        append_list(details.begin(label), node.values, " ");
        details.end();
    }
}

void append_end(std::string& out, const Address& address, std::optional<std::uint16_t> port) {
    const bool bracket = address.family == Family::Ipv6 && port;
    if (bracket) {
        out += '[';
    }
    append_address(out, address, Ipv6Form::Compressed);
    if (bracket) {
        out += ']';
    }
    if (port) {
        out += ':';
        append_number(out, *port);
    }
}

// `TCP 192.168.10.1:48922 > 192.168.20.1:80`
void append_ends(std::string& out, const Where& where) {
    const bool icmp =
        where.protocol == wire::kProtocolIcmp || where.protocol == wire::kProtocolIcmpv6;
    const bool ports = where.has_ports && community_id_uses_ports(where.protocol);
    std::optional<std::uint16_t> source_port;
    std::optional<std::uint16_t> destination_port;
    if (ports && !icmp) {
        source_port = where.source_port;
        destination_port = where.destination_port;
    }
    append_protocol(out, where.protocol);
    if (ports && icmp) {
        out += " type ";
        append_number(out, where.source_port);
        out += " code ";
        append_number(out, where.destination_port);
    }
    out += ' ';
    append_end(out, where.source, source_port);
    out += " > ";
    append_end(out, where.destination, destination_port);
}

void add_time(Details& details, std::string_view label, Instant when) {
    append_time(details.begin(label), when, TimeForm::Readable);
    details.end();
}

void add_judgement(Details& details, const Alert& alert) {
    if (alert.confidence_number) {
        append_real(details.begin("confidence"), *alert.confidence_number);
        details.end();
    } else if (alert.confidence) {
        details.add("confidence", to_string(*alert.confidence));
    }
    if (alert.completion) {
        details.add("completion", to_string(*alert.completion));
    }
    if (!alert.method_description.empty()) {
        details.add("method", alert.method_description);
    }
    if (!alert.method_references.empty()) {
        append_list(details.begin("method references"), alert.method_references, ", ");
        details.end();
    }
    if (!alert.references.empty()) {
        append_list(details.begin("references"), alert.references, ", ");
        details.end();
    }
}

void add_packet(Details& details, const Alert& alert, const Where& where) {
    if (where.ip_version == 0) {
        return;
    }
    if (alert.sources.empty() || alert.targets.empty()) {
        append_ends(details.begin(""), where);
        details.end();
    }
    if ((where.has_ports || !community_id_uses_ports(where.protocol)) &&
        where.source.family == where.destination.family) {
        append_community_id(details.begin("community_id"),
                            {.source = where.source,
                             .destination = where.destination,
                             .source_port = where.source_port,
                             .destination_port = where.destination_port,
                             .protocol = where.protocol});
        details.end();
    }
}

}  // namespace

std::string_view to_string(LogLevel level) {
    switch (level) {
        case LogLevel::Fatal:
            return "fatal";
        case LogLevel::Error:
            return "error";
        case LogLevel::Warning:
            return "warning";
        case LogLevel::Info:
            return "info";
        case LogLevel::Debug:
            return "debug";
    }
    return "";
}

std::string_view to_string(Level level) {
    switch (level) {
        case Level::Low:
            return "low";
        case Level::Medium:
            return "medium";
        case Level::High:
            return "high";
    }
    return "";
}

std::string_view to_string(Completion completion) {
    switch (completion) {
        case Completion::Failed:
            return "failed";
        case Completion::Successful:
            return "successful";
    }
    return "";
}

void append_alert(std::string& out, const Alert& alert, const Where& where,
                  const ConsoleStyle& style) {
    const std::string_view level = alert.severity ? to_string(*alert.severity) : "-";
    const std::string_view colour = alert.severity ? colour_of(*alert.severity) : "";
    append_coloured(out, alert.is_update ? "update" : "alert", colour, style);
    out += alert.is_update ? " " : "  ";
    append_coloured(out, level, colour, style);
    if (!alert.description.empty()) {
        out.append(8 - level.size(), ' ');
        append_printable(out, alert.description);
    }
    out += '\n';

    Details details(out, style);
    add_time(details, "time", where.when);
    if (where.packet != 0) {
        append_number(details.begin("packet"), where.packet);
        details.end();
    }
    append_number(details.begin("alert"), alert.reference);
    details.end();
    if (!alert.rule.empty()) {
        details.add("rule", alert.rule);
    }
    if (alert.blocked) {
        details.add("", "blocked");
    }
    add_nodes(details, "source", alert.sources);
    add_nodes(details, "target", alert.targets);
    add_judgement(details, alert);
    if (alert.start_time) {
        add_time(details, "start", *alert.start_time);
    }
    if (alert.end_time) {
        add_time(details, "end", *alert.end_time);
    }
    add_packet(details, alert, where);
    details.finish();
}

void append_log(std::string& out, const LogRecord& record, const ConsoleStyle& style) {
    append_time(out, record.when, TimeForm::Readable);
    out += ' ';
    append_coloured(out, to_string(record.level), colour_of(record.level), style);
    out += ' ';
    append_printable(out, record.module);
    out += ": ";
    std::string_view text = record.text;
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) {
        text.remove_suffix(1);
    }
    for (;;) {
        const std::size_t line_end = text.find('\n');
        append_printable(out, text.substr(0, line_end));
        out += '\n';
        if (line_end == std::string_view::npos) {
            return;
        }
        text.remove_prefix(line_end + 1);
        out += "    ";
    }
}

void append_print(std::string& out, std::string_view text, const ConsoleStyle& style) {
    if (!style.terminal) {
        out += text;
        out += '\n';
        return;
    }
    for (;;) {  // A tab is harmless, and policies print columns with it.
        const std::size_t tab = text.find('\t');
        append_printable(out, text.substr(0, tab));
        if (tab == std::string_view::npos) {
            break;
        }
        out += '\t';
        text.remove_prefix(tab + 1);
    }
    out += '\n';
}

}  // namespace haka::report
