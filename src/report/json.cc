#include "report/json.h"

#include <cmath>

#include "report/text.h"

namespace haka::report {

namespace {

bool is_plain(unsigned char byte) {
    return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
}

void append_code(std::string& out, unsigned code) {
    constexpr char kHexDigits[] = "0123456789abcdef";
    const char escape[] = {'\\', 'u', '0', '0', kHexDigits[code >> 4 & 15], kHexDigits[code & 15]};
    out.append(escape, sizeof escape);
}

void append_escape(std::string& out, unsigned code) {
    switch (code) {
        case '"':
            out += "\\\"";
            return;
        case '\\':
            out += "\\\\";
            return;
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        default:
            append_code(out, code);
    }
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t run = at;
        while (at < text.size() && is_plain(static_cast<unsigned char>(text[at]))) {
            ++at;
        }
        out.append(text, run, at - run);
        if (at == text.size()) {
            break;
        }
        char32_t code = 0;
        const std::size_t size = utf8_size(text, at, code);
        if (size == 0) {
            append_code(out, static_cast<unsigned char>(text[at]));
            at += 1;
            continue;
        }
        if (code < 0xa0) {  // Controls, C1 too: a terminal that shows the file would obey them.
            append_escape(out, code);
        } else {
            out.append(text, at, size);
        }
        at += size;
    }
    out += '"';
}

void JsonWriter::text(std::string_view name, std::string_view value) {
    key(name);
    append_json_string(out_, value);
    comma_ = true;
}

void JsonWriter::number(std::string_view name, std::uint64_t value) {
    key(name);
    append_number(out_, value);
    comma_ = true;
}

void JsonWriter::real(std::string_view name, double value) {
    key(name);
    if (std::isfinite(value)) {
        append_real(out_, value);
    } else {
        out_ += "null";
    }
    comma_ = true;
}

void JsonWriter::boolean(std::string_view name, bool value) {
    key(name);
    out_ += value ? "true" : "false";
    comma_ = true;
}

void JsonWriter::element(std::string_view value) {
    separate();
    append_json_string(out_, value);
    comma_ = true;
}

void JsonWriter::element(std::uint64_t value) {
    separate();
    append_number(out_, value);
    comma_ = true;
}

}  // namespace haka::report
