#include "control/filter.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <optional>

namespace haka::control {
namespace {

template <typename T>
std::optional<T> number(std::string_view text) {
    T value = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    return error == std::errc() && rest == end ? std::optional<T>(value) : std::nullopt;
}

std::optional<engine::Network> network(std::string_view text) {
    const std::size_t slash = text.find('/');
    const auto address = Address::parse(text.substr(0, slash));
    if (!address) {
        return std::nullopt;
    }
    const unsigned mapped = address->family == Family::Ipv4 ? 96 : 0;  // Bits before the address.
    if (slash == std::string_view::npos) {
        return engine::Network{.address = *address, .bits = 128};
    }
    const auto bits = number<unsigned>(text.substr(slash + 1));
    if (!bits || *bits > 128 - mapped) {
        return std::nullopt;
    }
    return engine::Network{.address = *address, .bits = mapped + *bits};
}

bool same_word(std::string_view a, std::string_view b) {
    const auto plain = [](char c) {
        return c == '-' ? '_' : c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return plain(x) == plain(y); });
}

std::optional<flow::State> state(std::string_view text) {
    for (std::size_t i = 0; i < flow::kStateCount; ++i) {
        if (same_word(text, flow::to_string(static_cast<flow::State>(i)))) {
            return static_cast<flow::State>(i);
        }
    }
    return std::nullopt;
}

std::string state_names() {
    std::string names;
    for (std::size_t i = 0; i < flow::kStateCount; ++i) {
        names +=
            fmt::format("{}{}", i == 0 ? "" : ", ", flow::to_string(static_cast<flow::State>(i)));
    }
    return names;
}

// Takes one word over; returns what its value must be instead.
std::string take(std::string_view key, std::string_view value, engine::ConnectionFilter& filter) {
    const auto keep = [](auto& at, auto parsed, std::string_view expected) {
        at = parsed;
        return parsed ? std::string() : std::string(expected);
    };
    constexpr std::string_view kNetwork = "an address or a network such as 10.0.0.0/8";
    if (key == "client") {
        return keep(filter.client, network(value), kNetwork);
    }
    if (key == "server") {
        return keep(filter.server, network(value), kNetwork);
    }
    if (key == "address") {
        return keep(filter.either, network(value), kNetwork);
    }
    if (key == "port") {
        return keep(filter.port, number<std::uint16_t>(value), "a number from 0 to 65535");
    }
    if (key == "id") {
        return keep(filter.id, number<std::uint64_t>(value), "a number, a connection's flow_id");
    }
    return keep(filter.state, state(value), state_names());
}

}  // namespace

ParsedFilter parse_filter(std::string_view text) {
    ParsedFilter parsed;
    while (!text.empty()) {
        const std::size_t space = std::min(text.find(' '), text.size());
        const std::string_view word = text.substr(0, space);
        text.remove_prefix(std::min(space + 1, text.size()));
        if (word.empty()) {
            continue;
        }
        const std::size_t equals = word.find('=');
        const std::string_view key = word.substr(0, equals);
        const bool known = key == "client" || key == "server" || key == "address" ||
                           key == "port" || key == "id" || key == "state";
        if (equals == std::string_view::npos || !known) {
            parsed.error = fmt::format(
                "\"{}\" selects no connections; write client=, server=, address=, port=, state= "
                "or id=, such as: address=10.0.0.0/8 port=443",
                word);
            return parsed;
        }
        if (const std::string expected = take(key, word.substr(equals + 1), parsed.filter);
            !expected.empty()) {
            parsed.error =
                fmt::format("{}= takes {}, not \"{}\"", key, expected, word.substr(equals + 1));
            return parsed;
        }
    }
    return parsed;
}

}  // namespace haka::control
