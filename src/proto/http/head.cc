#include "proto/http/head.h"

#include <algorithm>
#include <array>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace haka::http {
namespace {

constexpr std::uint32_t kMethodMax = 32;
constexpr std::string_view kHttp = "HTTP/";

constexpr std::array<bool, 256> make_token_table() {
    std::array<bool, 256> table{};
    for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                         "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
        table.at(static_cast<std::uint8_t>(c)) = true;
    }
    return table;
}
constexpr std::array<bool, 256> kToken = make_token_table();

// Text that a line may have: no control character but the tab.
constexpr std::array<bool, 256> make_text_table() {
    std::array<bool, 256> table{};
    for (std::size_t c = 0; c < table.size(); ++c) {
        table.at(c) = (c >= 0x20 && c != 0x7f) || c == '\t';
    }
    return table;
}
constexpr std::array<bool, 256> kText = make_text_table();

constexpr char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
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
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        if (bytes[i] == ' ') {
            return i > 0;
        }
        if (!kToken[bytes[i]] || i >= kMethodMax) {
            return false;
        }
    }
    return true;
}

// The first byte at or behind `at` that isn't text, or the size.
std::uint32_t find_no_text(ByteView bytes, std::uint32_t at) {
    const auto size = static_cast<std::uint32_t>(bytes.size());
#ifdef __SSE2__
    while (size - at >= 16) {
        __m128i block;
        std::memcpy(&block, bytes.data() + at, sizeof block);
        // As signed numbers, bytes from 0x80 on are negative: they are text.
        const __m128i is_low = _mm_and_si128(_mm_cmplt_epi8(block, _mm_set1_epi8(0x20)),
                                             _mm_cmpgt_epi8(block, _mm_set1_epi8(-1)));
        const __m128i is_delete = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
        const __m128i is_tab = _mm_cmpeq_epi8(block, _mm_set1_epi8('\t'));
        const int found =
            _mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(is_tab, is_low), is_delete));
        if (found != 0) {
            return at + static_cast<std::uint32_t>(__builtin_ctz(static_cast<unsigned>(found)));
        }
        at += 16;
    }
#endif
    while (at < size && kText[bytes[at]]) {
        ++at;
    }
    return at;
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
        if (!kText[c]) {
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

// "http://" authority, in lower-case comparison; empty: not an absolute target.
std::string_view authority_of(std::string_view target) {
    const std::size_t colon = target.find("://");
    if (colon == std::string_view::npos || target.front() == '/') {
        return {};
    }
    const std::string_view rest = target.substr(colon + 3);
    return rest.substr(0, rest.find_first_of("/?#"));
}

// A host with or without a port (RFC 9110, 7.2), no more strictly than is needed to have one
// meaning.
bool is_host(std::string_view host) {
    return std::ranges::all_of(host, [](char c) {
        const auto byte = static_cast<std::uint8_t>(c);
        return byte > 0x20 && byte < 0x7f &&
               std::string_view("/?#@\\,\"<>^`{|}").find(c) == std::string_view::npos;
    });
}

std::string_view without_port(std::string_view host, std::string_view port) {
    return host.ends_with(port) ? host.substr(0, host.size() - port.size()) : host;
}

bool same_host(std::string_view a, std::string_view b, std::string_view target) {
    const bool tls = target.size() >= 6 && equals_ignoring_case(target.substr(0, 6), "https:");
    const std::string_view port = tls ? ":443" : ":80";
    return equals_ignoring_case(without_port(a, port), without_port(b, port));
}

// Reads a head's lines. Each function returns why the head is refused, or None.
class Parser {
public:
    Parser(ByteView bytes, Kind kind, const Limits& limits, Head& head)
        : bytes_(bytes), kind_(kind), limits_(&limits), head_(&head) {}

    Parsed run();

private:
    struct Line {
        std::uint32_t begin = 0;
        std::uint32_t end = 0;   // Without the line end.
        std::uint32_t next = 0;  // Behind it.
        bool is_text = true;
    };

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
    std::uint32_t end = find_no_text(bytes_, at_);
    if (end + 1 < size && bytes_[end] == '\r' && bytes_[end + 1] == '\n') {
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
    if (version == "HTTP/1.1" || version == "HTTP/1.0") {
        head_->minor = version.back() == '1' ? 1 : 0;
        return Event::None;
    }
    const bool looks_so = version.size() == 8 && version.starts_with(kHttp) &&
                          is_digit(version[5]) && version[6] == '.' && is_digit(version[7]);
    if (looks_so) {
        return Event::HttpBadVersion;
    }
    return kind_ == Kind::Request ? Event::HttpBadRequestLine : Event::HttpBadStatusLine;
}

Event Parser::request_line(const Line& line) {
    const std::string_view text = as_text(bytes_.subspan(line.begin, line.end - line.begin));
    const std::size_t first = text.find(' ');
    if (!can_begin(as_bytes(text), Kind::Request) || first == std::string_view::npos) {
        return Event::HttpNotHttp;
    }
    const std::size_t last = text.rfind(' ');
    if (first == last || last == first + 1) {
        return Event::HttpBadRequestLine;
    }
    const std::string_view target = text.substr(first + 1, last - first - 1);
    if (target.find_first_of(" \t") != std::string_view::npos) {
        return Event::HttpBadRequestLine;
    }
    head_->method = part(line.begin, line.begin + first);
    head_->target = part(line.begin + first + 1, line.begin + last);
    return version(part(line.begin + last + 1, line.end));
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
        constexpr std::size_t kDigitsMax = 18;
        const bool good = !element.empty() && std::ranges::all_of(element, is_digit);
        const std::string_view digits =
            element.substr(std::min(element.find_first_not_of('0'), element.size()));
        if (!good || digits.size() > kDigitsMax) {
            refused = refused == Event::None ? Event::HttpBadLength : refused;
            return;
        }
        std::uint64_t number = 0;
        for (const char c : digits) {
            number = number * 10 + static_cast<std::uint64_t>(c - '0');
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
    const char initial = lower(name.front());
    if (initial != 'h' && initial != 'u' && initial != 'c' && initial != 't') {
        return Event::None;
    }
    switch (name.size()) {
        case 4:
            return equals_ignoring_case(name, "Host") ? host(value) : Event::None;
        case 7:
            head_->upgrade = head_->upgrade || equals_ignoring_case(name, "Upgrade");
            return Event::None;
        case 10:
            if (equals_ignoring_case(name, "Connection")) {
                for_each_element(value, [this](std::string_view element) {
                    head_->close = head_->close || equals_ignoring_case(element, "close");
                    head_->keep_alive =
                        head_->keep_alive || equals_ignoring_case(element, "keep-alive");
                });
            }
            return Event::None;
        case 14:
            return equals_ignoring_case(name, "Content-Length") ? length(value) : Event::None;
        case 17:
            return equals_ignoring_case(name, "Transfer-Encoding") ? transfer_encoding(value)
                                                                   : Event::None;
        default:
            return Event::None;
    }
}

Event Parser::field(const Line& line) {
    const ByteView bytes = bytes_.subspan(line.begin, line.end - line.begin);
    if (!line.is_text) {
        return bad_byte(bytes);
    }
    if (is_space(bytes[0])) {
        return Event::HttpObsFold;
    }
    std::uint32_t colon = 0;
    while (colon + 4 <= bytes.size() && static_cast<int>(kToken[bytes[colon]]) +
                                                static_cast<int>(kToken[bytes[colon + 1]]) +
                                                static_cast<int>(kToken[bytes[colon + 2]]) +
                                                static_cast<int>(kToken[bytes[colon + 3]]) ==
                                            4) {
        colon += 4;
    }
    while (colon < bytes.size() && kToken[bytes[colon]]) {
        ++colon;
    }
    if (colon == 0 || colon == bytes.size()) {
        return Event::HttpBadHeader;
    }
    if (bytes[colon] != ':') {
        std::uint32_t behind = colon;
        while (behind < bytes.size() && is_space(bytes[behind])) {
            ++behind;
        }
        const bool is_colon = behind < bytes.size() && bytes[behind] == ':' && behind != colon;
        return is_colon ? Event::HttpSpaceBeforeColon : Event::HttpBadHeader;
    }
    std::uint32_t begin = line.begin + colon + 1;
    std::uint32_t end = line.end;
    while (begin < end && is_space(bytes_[begin])) {
        ++begin;
    }
    while (end > begin && is_space(bytes_[end - 1])) {
        --end;
    }
    if (head_->fields.size() >= limits_->headers_max) {
        return Event::HttpTooManyHeaders;
    }
    head_->fields.push_back({.name = part(line.begin, line.begin + colon),
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
        return Event::None;
    }
    if (!has_host_ && head_->minor == 1) {
        remark(Event::HttpNoHost);
    }
    const std::string_view target = text(head_->target);
    const std::string_view method = text(head_->method);
    if (method == "CONNECT") {
        if (target.find_first_of("/?#@") != std::string_view::npos ||
            target.find(':') == std::string_view::npos) {
            return Event::HttpBadTarget;
        }
        return Event::None;
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

Parsed Parser::run() {
    Line line;
    Event refused = next_line(line);
    if (refused == Event::None) {
        refused = start_line(line);
    }
    while (refused == Event::None && at_ < bytes_.size()) {
        refused = next_line(line);
        if (refused == Event::None && line.end == line.begin) {
            head_->fields_end = line.begin;
            head_->size = line.next;
            parsed_.size = line.next;
            break;
        }
        if (refused == Event::None) {
            refused = field(line);
        }
    }
    parsed_.refused = refused == Event::None ? whole() : refused;
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
    return !text.empty() &&
           std::ranges::all_of(text, [](char c) { return kToken[static_cast<std::uint8_t>(c)]; });
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
    return find_no_text(as_bytes(text), 0) == text.size();
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
