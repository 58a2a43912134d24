#include "proto/http/head.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "proto/http/scan.h"

namespace haka::http {
namespace {

constexpr std::uint32_t kMethodMax = 32;
constexpr std::string_view kHttp = "HTTP/";

constexpr char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

// `name` is text, `word` its spelling in small letters.
template <std::size_t kBytes>
bool is_name(std::string_view name, const char (&word)[kBytes]) {
    constexpr std::size_t kSize = kBytes - 1;
    if (name.size() != kSize) {
        return false;
    }
    using Piece = std::conditional_t<(kSize >= 8), std::uint64_t, std::uint32_t>;
    static_assert(kSize >= sizeof(Piece));
    // Of text this changes capital letters, and others to none that words have.
    constexpr auto kSmall = static_cast<Piece>(0x2020202020202020);
    Piece differs = 0;
    for (std::size_t at = 0; at < kSize; at += sizeof(Piece)) {
        const std::size_t from = std::min(at, kSize - sizeof(Piece));
        Piece mine;
        Piece other;
        std::memcpy(&mine, name.data() + from, sizeof mine);
        std::memcpy(&other, word + from, sizeof other);
        differs |= (mine | kSmall) ^ other;
    }
    return differs == 0;
}

bool is_space(std::uint8_t c) {
    return c == ' ' || c == '\t';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

// A start line that has begun: can it become one of HTTP?
bool can_begin(ByteView bytes, Kind kind) {
    if (kind == Kind::Response) {
        const std::size_t known = std::min(bytes.size(), kHttp.size());
        return as_text(bytes.first(known)) == kHttp.substr(0, known);
    }
    bytes = bytes.first(std::min<std::size_t>(bytes.size(), kMethodMax + 1));
    const std::uint32_t method = find_other<Token>(bytes, 0);
    return method <= kMethodMax && (method == bytes.size() || (bytes[method] == ' ' && method > 0));
}

// Why a line has a byte that isn't text.
Event bad_byte(ByteView line) {
    for (const std::uint8_t c : line) {
        if (c == 0) {
            return Event::HttpNul;
        }
        if (c == '\r') {
            return Event::HttpBareCr;
        }
        if (!Text::has(c)) {
            return Event::HttpBadHeader;
        }
    }
    return Event::None;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_space(static_cast<std::uint8_t>(text.front()))) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_space(static_cast<std::uint8_t>(text.back()))) {
        text.remove_suffix(1);
    }
    return text;
}

bool is_scheme(std::string_view text) {
    return !text.empty() && lower(text.front()) >= 'a' && lower(text.front()) <= 'z' &&
           std::ranges::all_of(text, [](char c) {
               return (lower(c) >= 'a' && lower(c) <= 'z') || is_digit(c) || c == '+' || c == '-' ||
                      c == '.';
           });
}

// Calls `visit` for each element of a comma-separated list.
template <typename Visit>
void for_each_element(std::string_view list, const Visit& visit) {
    while (true) {
        const std::size_t comma = list.find(',');
        visit(trimmed(list.substr(0, comma)));
        if (comma == std::string_view::npos) {
            return;
        }
        list.remove_prefix(comma + 1);
    }
}

// Of an absolute target; empty: it isn't one.
std::string_view authority_of(std::string_view target) {
    const std::size_t colon = target.find("://");
    if (colon == std::string_view::npos || !is_scheme(target.substr(0, colon))) {
        return {};
    }
    const std::string_view rest = target.substr(colon + 3);
    return rest.substr(0, rest.find_first_of("/?#"));
}

// Where the host ends, and ":port" or nothing begins.
std::size_t host_end(std::string_view host) {
    const std::size_t bracket = host.starts_with('[') ? host.find(']') : std::string_view::npos;
    return std::min(bracket == std::string_view::npos ? host.find(':') : bracket + 1, host.size());
}

// What a host's name or the inside of its brackets is made of, no more strictly than is needed to
// have one meaning.
struct HostText {
    static constexpr bool has(std::uint8_t c) {
        return c > 0x20 && c < 0x7f &&
               std::string_view("/?#@\\,\"<>^`{|}[]").find(static_cast<char>(c)) ==
                   std::string_view::npos;
    }
};

// With or without a port (RFC 9110, 7.2).
bool is_host(std::string_view host) {
    const std::size_t end = host_end(host);
    const bool bracketed = host.starts_with('[') && host[end - 1] == ']';
    const std::string_view name = bracketed ? host.substr(1, end - 2) : host.substr(0, end);
    const std::string_view port = host.substr(end);
    return std::ranges::all_of(as_bytes(name),
                               [](std::uint8_t c) { return kTableOf<HostText>[c]; }) &&
           (port.empty() || (port[0] == ':' && std::ranges::all_of(port.substr(1), is_digit)));
}

std::string_view without_port(std::string_view host, std::string_view port) {
    return host.ends_with(port) ? host.substr(0, host.size() - port.size()) : host;
}

bool same_host(std::string_view a, std::string_view b, std::string_view target) {
    const bool tls = target.size() >= 6 && equals_ignoring_case(target.substr(0, 6), "https:");
    const std::string_view port = tls ? ":443" : ":80";
    return equals_ignoring_case(without_port(a, port), without_port(b, port));
}

// Host and port (RFC 9112, 3.2.3).
bool is_tunnel_target(std::string_view target) {
    const std::size_t end = host_end(target);
    return is_host(target) && end != 0 && target.size() > end + 1;
}

// Reads a head's lines. Each function returns why the head is refused, or None.
class Parser {
public:
    Parser(ByteView bytes, Kind kind, const Limits& limits, Head& head)
        : bytes_(bytes), kind_(kind), limits_(&limits), head_(&head) {}

    Parsed run();
    // Only the first line.
    Event start();

private:
    struct Line {
        std::uint32_t begin = 0;
        std::uint32_t end = 0;   // Without the line end.
        std::uint32_t next = 0;  // Behind it.
        bool is_text = true;
    };

    Event lines();
    Event next_line(Line& line);
    Event start_line(const Line& line);
    Event request_line(const Line& line);
    Event status_line(const Line& line);
    Event version(Part part);
    Event field(const Line& line);
    Event note(const Field& field);
    Event length(std::string_view value);
    Event transfer_encoding(std::string_view value);
    Event host(std::string_view value);
    Event whole();
    void remark(Event event) { parsed_.remarks |= remark_bit(event); }
    [[nodiscard]] std::string_view text(Part part) const { return text_of(bytes_, part); }
    [[nodiscard]] Part part(std::size_t begin, std::size_t end) const {
        return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end - begin)};
    }

    ByteView bytes_;
    Kind kind_;
    const Limits* limits_;
    Head* head_;
    Parsed parsed_;
    std::uint32_t at_ = 0;
    std::string_view host_;
    bool has_host_ = false;
};

Event Parser::next_line(Line& line) {
    const auto size = static_cast<std::uint32_t>(bytes_.size());
    line.begin = at_;
    line.is_text = true;
    std::uint32_t end = find_other<Text>(bytes_, at_);
    if (end + 1 < size && std::memcmp(&bytes_[end], "\r\n", 2) == 0) [[likely]] {
        line.end = end;
        line.next = end + 2;
    } else {
        line.is_text = end < size && bytes_[end] == '\n';
        const void* found = end < size ? std::memchr(&bytes_[end], '\n', size - end) : nullptr;
        if (found == nullptr) {
            return Event::HttpNotHttp;  // It isn't complete.
        }
        end = static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(found) - bytes_.data());
        line.next = end + 1;
        if (end > line.begin && bytes_[end - 1] == '\r') {
            end -= 1;
        } else {
            remark(Event::HttpBareLf);
        }
        line.end = end;
    }
    at_ = line.next;
    return line.next - line.begin > limits_->line_bytes_max ? Event::HttpLineTooLong : Event::None;
}

Event Parser::version(Part part) {
    const std::string_view version = text(part);
    head_->version = part;
    const bool looks_so = version.size() == 8 && version.starts_with(kHttp) &&
                          is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
    if (looks_so) {
        head_->minor = static_cast<std::uint32_t>(version[7] - '0');
        return version[5] == '1' && head_->minor <= 1 ? Event::None : Event::HttpBadVersion;
    }
    return kind_ == Kind::Request ? Event::HttpBadRequestLine : Event::HttpBadStatusLine;
}

Event Parser::request_line(const Line& line) {
    // No line end is a token.
    const std::uint32_t method_end = find_other<Token>(bytes_, line.begin);
    const std::uint32_t method_size = method_end - line.begin;
    if (method_size == 0 || method_size > kMethodMax || bytes_[method_end] != ' ') {
        return Event::HttpNotHttp;
    }
    const std::uint32_t target = method_end + 1;
    const std::uint32_t target_end = find_other<NoBlank>(bytes_.first(line.end), target);
    if (target_end == target || target_end == line.end || bytes_[target_end] != ' ') {
        return Event::HttpBadRequestLine;
    }
    head_->method = part(line.begin, method_end);
    head_->target = part(target, target_end);
    return version(part(target_end + 1, line.end));
}

Event Parser::status_line(const Line& line) {
    const std::string_view text = as_text(bytes_.subspan(line.begin, line.end - line.begin));
    if (!text.starts_with(kHttp)) {
        return Event::HttpNotHttp;
    }
    const bool good = text.size() >= 12 && text[8] == ' ' && text[9] >= '1' && text[9] <= '9' &&
                      is_digit(text[10]) && is_digit(text[11]) &&
                      (text.size() == 12 || text[12] == ' ');
    if (!good) {
        return Event::HttpBadStatusLine;
    }
    head_->status = part(line.begin + 9, line.begin + 12);
    head_->code = static_cast<std::uint32_t>((text[9] - '0') * 100 + (text[10] - '0') * 10 +
                                             (text[11] - '0'));
    head_->reason = part(line.begin + std::min<std::size_t>(13, text.size()), line.end);
    return version(part(line.begin, line.begin + 8));
}

Event Parser::start_line(const Line& line) {
    const ByteView bytes = bytes_.subspan(line.begin, line.end - line.begin);
    const Event shape = kind_ == Kind::Request ? request_line(line) : status_line(line);
    if (shape != Event::HttpNotHttp && !line.is_text) {
        return bad_byte(bytes);
    }
    return shape;
}

Event Parser::length(std::string_view value) {
    Event refused = Event::None;
    for_each_element(value, [&](std::string_view element) {
        constexpr std::uint64_t kMax = 999'999'999'999'999'999;
        std::uint64_t number = 0;
        bool good = !element.empty();
        for (const char c : element) {
            good = good && is_digit(c);
            number = good ? number * 10 + static_cast<std::uint64_t>(c - '0') : number;
            good = good && number <= kMax;
        }
        if (!good) {
            refused = refused == Event::None ? Event::HttpBadLength : refused;
            return;
        }
        if (head_->has_length && head_->length != number) {
            refused = refused == Event::None ? Event::HttpDifferingLengths : refused;
        }
        head_->has_length = true;
        head_->length = number;
    });
    return refused;
}

// One "chunked" and nothing else: other codings would have to be read to find the end, and readers
// differ in how they take lists of them.
Event Parser::transfer_encoding(std::string_view value) {
    if (head_->chunked || !equals_ignoring_case(value, "chunked") || head_->minor == 0) {
        return Event::HttpBadTransferEncoding;
    }
    head_->chunked = true;
    return Event::None;
}

Event Parser::host(std::string_view value) {
    if (kind_ == Kind::Response) {
        return Event::None;
    }
    if (has_host_ || !is_host(value)) {
        return Event::HttpBadHost;
    }
    has_host_ = true;
    host_ = value;
    return Event::None;
}

// The headers that framing and routing depend on.
Event Parser::note(const Field& field) {
    const std::string_view name = text(field.name);
    const std::string_view value = text(field.value);
    if (is_name(name, "host")) {
        return host(value);
    }
    if (is_name(name, "connection")) {
        for_each_element(value, [this](std::string_view element) {
            head_->close = head_->close || is_name(element, "close");
            head_->keep_alive = head_->keep_alive || is_name(element, "keep-alive");
        });
    } else if (is_name(name, "content-length")) {
        return length(value);
    } else if (is_name(name, "transfer-encoding")) {
        return transfer_encoding(value);
    } else if (is_name(name, "upgrade")) {
        head_->upgrade = true;
    }
    return Event::None;
}

Event Parser::field(const Line& line) {
    if (!line.is_text) {
        return bad_byte(bytes_.subspan(line.begin, line.end - line.begin));
    }
    if (is_space(bytes_[line.begin])) {
        return Event::HttpObsFold;
    }
    std::uint32_t colon = find_other<Letter>(bytes_, line.begin);  // No line end is a token.
    if (bytes_[colon] != ':') {
        colon = find_other<Token>(bytes_, colon);
    }
    if (colon == line.begin || colon == line.end) {
        return Event::HttpBadHeader;
    }
    std::uint32_t begin = colon;
    if (bytes_[colon] != ':') {
        while (begin < line.end && is_space(bytes_[begin])) {
            ++begin;
        }
        const bool is_colon = begin < line.end && bytes_[begin] == ':';
        return is_colon ? Event::HttpSpaceBeforeColon : Event::HttpBadHeader;
    }
    begin += 1;
    std::uint32_t end = line.end;
    // Of what a text has, only blanks are as low.
    while (begin < end && bytes_[begin] <= ' ') {
        ++begin;
    }
    while (end > begin && bytes_[end - 1] <= ' ') {
        --end;
    }
    if (head_->fields.size() >= limits_->headers_max) {
        return Event::HttpTooManyHeaders;
    }
    head_->fields.push_back({.name = part(line.begin, colon),
                             .value = part(begin, end),
                             .line = part(line.begin, line.next)});
    return note(head_->fields.back());
}

// What only the whole head shows.
Event Parser::whole() {
    if (head_->chunked && head_->has_length) {
        return Event::HttpTwoFramings;
    }
    if (kind_ == Kind::Response) {
        const bool excludes_body = head_->code / 100 == 1 || head_->code == 204;
        return excludes_body && (head_->chunked || head_->length != 0) ? Event::HttpExcludedBody
                                                                       : Event::None;
    }
    if (!has_host_ && head_->minor == 1) {
        remark(Event::HttpNoHost);
    }
    const std::string_view target = text(head_->target);
    const std::string_view method = text(head_->method);
    if (method == "CONNECT") {
        if (!is_tunnel_target(target)) {
            return Event::HttpBadTarget;
        }
        // Many leave the port out of the header.
        const bool same = !has_host_ || equals_ignoring_case(target, host_) ||
                          equals_ignoring_case(target.substr(0, host_end(target)), host_);
        return same ? Event::None : Event::HttpHostMismatch;
    }
    if (target.find('#') != std::string_view::npos) {
        return Event::HttpBadTarget;  // Some would cut there.
    }
    if (target.front() == '/') {
        return Event::None;
    }
    if (target == "*") {
        return method == "OPTIONS" ? Event::None : Event::HttpBadTarget;
    }
    const std::string_view authority = authority_of(target);
    if (authority.empty() || !is_host(authority)) {
        return Event::HttpBadTarget;
    }
    return has_host_ && !same_host(authority, host_, target) ? Event::HttpHostMismatch
                                                             : Event::None;
}

Event Parser::start() {
    Line line;
    const Event refused = next_line(line);
    return refused == Event::None ? start_line(line) : refused;
}

Event Parser::lines() {
    for (bool is_first = true; at_ < bytes_.size(); is_first = false) {
        Line line;
        Event refused = next_line(line);
        if (refused != Event::None) {
            return refused;
        }
        if (line.end == line.begin && !is_first) {
            head_->fields_end = line.begin;
            head_->size = line.next;
            parsed_.size = line.next;
            return Event::None;
        }
        refused = is_first ? start_line(line) : field(line);
        if (refused != Event::None) {
            return refused;
        }
    }
    return Event::None;
}

Parsed Parser::run() {
    parsed_.refused = lines();
    if (parsed_.refused == Event::None) {
        parsed_.refused = whole();
    }
    return parsed_;
}

}  // namespace

// Most names are spelled as everybody spells them.
bool equals_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) {
        return false;
    }
    return std::memcmp(a.data(), b.data(), a.size()) == 0 ||
           std::equal(a.begin(), a.end(), b.begin(),
                      [](char x, char y) { return lower(x) == lower(y); });
}

bool is_token(std::string_view text) {
    return !text.empty() && find_other<Token>(as_bytes(text), 0) == text.size();
}

HeadEnd find_head_end(ByteView bytes, Kind kind, const Limits& limits, HeadScan& scan) {
    const auto size = static_cast<std::uint32_t>(
        std::min<std::size_t>(bytes.size(), std::size_t{limits.head_bytes_max} + 1));
    if (scan.line == 0 &&
        !can_begin(bytes.first(std::min<std::size_t>(size, kMethodMax + 1)), kind)) {
        return {.refused = Event::HttpNotHttp};
    }
    while (scan.searched < size) {
        const void* found = std::memchr(bytes.data() + scan.searched, '\n', size - scan.searched);
        if (found == nullptr) {
            scan.searched = size;
            break;
        }
        const auto end =
            static_cast<std::uint32_t>(static_cast<const std::uint8_t*>(found) - bytes.data());
        const bool is_empty =
            end == scan.line || (end == scan.line + 1 && bytes[scan.line] == '\r');
        scan.searched = end + 1;
        if (is_empty && scan.line != 0) {
            if (scan.searched > limits.head_bytes_max) {
                break;
            }
            return {.size = scan.searched};
        }
        if (scan.searched - scan.line > limits.line_bytes_max) {
            return {.refused = Event::HttpLineTooLong};
        }
        if (scan.line == 0) {
            Head head;
            const Event refused = Parser(bytes.first(scan.searched), kind, limits, head).start();
            if (refused != Event::None) {
                return {.refused = refused};
            }
        }
        scan.line = scan.searched;
    }
    if (size - scan.line > limits.line_bytes_max) {
        return {.refused = Event::HttpLineTooLong};
    }
    if (size > limits.head_bytes_max) {
        return {.refused = Event::HttpHeadTooLong};
    }
    return {};
}

Parsed parse_head(ByteView bytes, Kind kind, const Limits& limits, Head& head) {
    std::vector<Field> fields = std::move(head.fields);
    fields.clear();
    head = Head();
    head.kind = kind;
    head.size = static_cast<std::uint32_t>(bytes.size());
    head.fields_end = head.size;
    head.fields = std::move(fields);
    return Parser(bytes, kind, limits, head).run();
}

Asked asked_by(std::string_view method) {
    if (method == "HEAD") {
        return Asked::Head;
    }
    return method == "CONNECT" ? Asked::Connect : Asked::Other;
}

Framing request_framing(const Head& head) {
    if (head.chunked) {
        return Framing::Chunked;
    }
    return head.has_length && head.length != 0 ? Framing::Length : Framing::None;
}

Framing response_framing(const Head& head, Asked asked) {
    if (asked == Asked::Connect && head.code / 100 == 2) {
        return Framing::Tunnel;
    }
    if (head.code == 101) {
        return Framing::Tunnel;
    }
    if (asked == Asked::Head || head.code / 100 == 1 || head.code == 204 || head.code == 304) {
        return Framing::None;
    }
    if (head.chunked) {
        return Framing::Chunked;
    }
    if (head.has_length) {
        return head.length != 0 ? Framing::Length : Framing::None;
    }
    return Framing::UntilClose;
}

bool is_line_text(std::string_view text) {
    return find_other<Text>(as_bytes(text), 0) == text.size();
}

std::size_t find_field(const Head& head, ByteView bytes, std::string_view name, std::size_t from) {
    for (std::size_t i = from; i < head.fields.size(); ++i) {
        if (head.fields[i].name.size == name.size() &&
            equals_ignoring_case(text_of(bytes, head.fields[i].name), name)) {
            return i;
        }
    }
    return head.fields.size();
}

}  // namespace haka::http
