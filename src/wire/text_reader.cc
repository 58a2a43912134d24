#include "wire/text_reader.h"

#include <charconv>
#include <fmt/format.h>

#include <system_error>

namespace haka::wire::detail {
namespace {

constexpr int kNoDigit = -1;

int hex_digit(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : kNoDigit;
}

}  // namespace

bool TextReader::sees_mac() const {
    const std::string_view text = rest();
    return text.size() >= 17 && text[2] == ':' && text[5] == ':' &&
           hex_digit(text[0]) != kNoDigit && hex_digit(text[1]) != kNoDigit;
}

bool TextReader::accept(std::string_view text) {
    if (!sees(text)) {
        return false;
    }
    at_ += text.size();
    return true;
}

bool TextReader::expect(std::string_view text) {
    return accept(text) || fail(fmt::format("expected \"{}\"", text));
}

std::string_view TextReader::word() {
    const std::string_view text = rest().substr(0, rest().find(' '));
    at_ += text.size();
    return text;
}

bool TextReader::read_number(std::uint64_t& value, std::uint64_t most) {
    const char* const begin = line_.data() + at_;
    const auto [end, code] = std::from_chars(begin, line_.data() + line_.size(), value);
    if (end == begin) {
        return fail("expected a number");
    }
    if (code != std::errc() || value > most) {
        return fail(fmt::format("a number of at most {} is wanted", most));
    }
    at_ += static_cast<std::size_t>(end - begin);
    return true;
}

bool TextReader::number_in(std::string_view text, std::uint16_t& value) {
    const char* const end = text.data() + text.size();
    const auto result = std::from_chars(text.data(), end, value);
    return result.ec == std::errc() && result.ptr == end;
}

bool TextReader::hex_byte(std::uint8_t& byte) {
    const std::string_view text = rest();
    if (text.size() < 2 || hex_digit(text[0]) == kNoDigit || hex_digit(text[1]) == kNoDigit) {
        return fail("expected two hex digits");
    }
    byte = static_cast<std::uint8_t>(hex_digit(text[0]) * 16 + hex_digit(text[1]));
    at_ += 2;
    return true;
}

bool TextReader::hex(std::vector<std::uint8_t>& bytes) {
    if (!expect("0x")) {
        return false;
    }
    while (!at_end() && hex_digit(line_[at_]) != kNoDigit) {
        std::uint8_t byte = 0;
        if (!hex_byte(byte)) {
            return false;
        }
        bytes.push_back(byte);
    }
    return true;
}

bool TextReader::read_escape(std::uint8_t& byte) {
    constexpr std::string_view kLetters = "\"\\nrt";
    constexpr std::string_view kMeanings = "\"\\\n\r\t";
    if (accept("x")) {
        return hex_byte(byte);
    }
    const std::size_t index = at_end() ? std::string_view::npos : kLetters.find(line_[at_]);
    if (index == std::string_view::npos) {
        return fail("an escape is one of \\\" \\\\ \\n \\r \\t \\xNN");
    }
    byte = static_cast<std::uint8_t>(kMeanings[index]);
    ++at_;
    return true;
}

bool TextReader::quoted(std::vector<std::uint8_t>& bytes) {
    if (!expect("\"")) {
        return false;
    }
    while (!accept("\"")) {
        if (at_end()) {
            return fail("the text has no closing quote");
        }
        auto byte = static_cast<std::uint8_t>(line_[at_++]);
        if (byte == '\\' && !read_escape(byte)) {
            return false;
        }
        bytes.push_back(byte);
    }
    return true;
}

bool TextReader::fail_at(std::string_view part, std::string_view why) {
    return fail_from(static_cast<std::size_t>(part.data() - line_.data()), why);
}

bool TextReader::fail_from(std::size_t offset, std::string_view why) {
    if (error_.empty()) {
        error_ = why;
        error_column_ = offset + 1;
    }
    return false;
}

}  // namespace haka::wire::detail
