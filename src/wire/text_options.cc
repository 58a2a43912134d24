#include "wire/text_options.h"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <iterator>
#include <string_view>

#include "wire/tcp_options.h"
#include "wire/text_detail.h"

namespace haka::wire::detail {
namespace {

using Bytes = std::vector<std::uint8_t>;

constexpr std::size_t kOptionsMax = 40;

// Options written as NAME NUMBER.
struct NumberOption {
    std::string_view name;
    std::uint8_t kind;
    std::uint8_t value_size;
};
constexpr std::array kNumberOptions = {NumberOption{"mss ", kOptionMss, 2},
                                       NumberOption{"wscale ", kOptionWindowScale, 1}};
// Options written as NAME 0xHEX.
struct BytesOption {
    std::string_view name;
    std::uint8_t kind;
};
constexpr std::array kBytesOptions = {BytesOption{"md5 ", kOptionMd5},
                                      BytesOption{"ao ", kOptionAo},
                                      BytesOption{"tfo ", kOptionFastOpen}};

std::string option_text(const TcpOption& option) {
    const std::uint8_t* const value = option.value.data();
    const bool is_plain = !has_impossible_size(option);
    if (is_plain && option.kind == kOptionNop) {
        return "nop";
    }
    if (is_plain && option.kind == kOptionSackPermitted) {
        return "sackOK";
    }
    if (is_plain && option.kind == kOptionTimestamp) {
        return fmt::format("TS val {} ecr {}", load_be32(value), load_be32(value + 4));
    }
    if (is_plain && option.kind == kOptionSack) {
        std::string text = fmt::format("sack {} ", option.value.size() / 8);
        for (std::size_t i = 0; i < option.value.size() / 8; ++i) {
            const SackBlock block = sack_block(option, i);
            fmt::format_to(std::back_inserter(text), "{{{}:{}}}", block.begin, block.end);
        }
        return text;
    }
    for (const auto& number : kNumberOptions) {
        if (is_plain && option.kind == number.kind) {
            const std::uint32_t n = number.value_size == 1 ? *value : load_be16(value);
            return fmt::format("{}{}", number.name, n);
        }
    }
    for (const auto& bytes : kBytesOptions) {
        if (option.kind == bytes.kind) {
            return fmt::format("{}{}", bytes.name, hex(option.value));
        }
    }
    return fmt::format("opt {} {}", option.kind, hex(option.value));
}

void add_option(std::uint8_t kind, ByteView value, Bytes& options) {
    options.push_back(kind);
    options.push_back(static_cast<std::uint8_t>(value.size() + 2));
    options.insert(options.end(), value.begin(), value.end());
}

bool read_sack(TextReader& in, Bytes& options) {
    std::uint8_t count = 0;
    if (!in.number(count, 4) || !in.expect(" ")) {
        return false;
    }
    Bytes value(count * std::size_t{8});
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t begin = 0;
        std::uint32_t end = 0;
        if (!in.expect("{") || !in.number(begin) || !in.expect(":") || !in.number(end) ||
            !in.expect("}")) {
            return false;
        }
        store_be32(&value[i * 8], begin);
        store_be32(&value[i * 8 + 4], end);
    }
    add_option(kOptionSack, value, options);
    return true;
}

bool read_timestamp(TextReader& in, Bytes& options) {
    std::uint32_t value = 0;
    std::uint32_t echo = 0;
    if (!in.number(value) || !in.expect(" ecr ") || !in.number(echo)) {
        return false;
    }
    std::array<std::uint8_t, 8> bytes{};
    store_be32(&bytes[0], value);
    store_be32(&bytes[4], echo);
    add_option(kOptionTimestamp, bytes, options);
    return true;
}

bool read_number_value(TextReader& in, const NumberOption& option, Bytes& options) {
    std::uint16_t value = 0;
    if (!in.number(value, option.value_size == 1 ? 255 : 65535)) {
        return false;
    }
    std::array<std::uint8_t, 2> bytes{};
    store_be16(bytes.data(), value);
    add_option(option.kind, ByteView(bytes).last(option.value_size), options);
    return true;
}

bool read_bytes_value(TextReader& in, std::uint8_t kind, Bytes& options) {
    Bytes value;
    if (!in.hex(value)) {
        return false;
    }
    if (value.size() > 38) {
        return in.fail("options have 40 bytes at most");
    }
    add_option(kind, value, options);
    return true;
}

bool read_option(TextReader& in, Bytes& options) {
    if (in.accept("nop")) {
        options.push_back(kOptionNop);
        return true;
    }
    if (in.accept("eol")) {
        options.push_back(kOptionEnd);
        return true;
    }
    if (in.accept("sackOK")) {
        add_option(kOptionSackPermitted, {}, options);
        return true;
    }
    if (in.accept("sack ")) {
        return read_sack(in, options);
    }
    if (in.accept("TS val ")) {
        return read_timestamp(in, options);
    }
    for (const auto& option : kNumberOptions) {
        if (in.accept(option.name)) {
            return read_number_value(in, option, options);
        }
    }
    for (const auto& option : kBytesOptions) {
        if (in.accept(option.name)) {
            return read_bytes_value(in, option.kind, options);
        }
    }
    if (in.accept("opt ")) {
        std::uint8_t kind = 0;
        return in.number(kind) && in.expect(" ") && read_bytes_value(in, kind, options);
    }
    return in.fail("no such TCP option");
}

}  // namespace

std::string options_text(ByteView bytes) {
    constexpr std::size_t kEndAndPaddingMax = 4;
    std::string text;
    TcpOptions options(bytes);
    TcpOption option;
    while (options.next(option)) {
        text += text.empty() ? "" : ",";
        text += option_text(option);
    }
    const ByteView rest = options.rest();
    const bool is_zero = std::all_of(rest.begin(), rest.end(), [](auto byte) { return byte == 0; });
    if (!is_zero || rest.size() > kEndAndPaddingMax) {
        return "raw " + hex(bytes);
    }
    if (!rest.empty()) {
        text += text.empty() ? "eol" : ",eol";
    }
    return text;
}

bool read_options(TextReader& in, Bytes& options) {
    if (in.accept("raw ")) {
        if (!in.hex(options)) {
            return false;
        }
    } else {
        do {
            if (!read_option(in, options)) {
                return false;
            }
        } while (in.accept(","));
    }
    if (options.size() > kOptionsMax) {
        return in.fail("options have 40 bytes at most");
    }
    return true;
}

}  // namespace haka::wire::detail
