// The kinds of values that settings take: each makes the function that checks and keeps one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/setting.h"
#include "base/time.h"

namespace haka::app {

template <typename T>
struct Range {
    T min;
    T max;
};

// A whole number.
[[nodiscard]] Setting::Set count(std::uint32_t& at, Range<std::uint32_t> range);
[[nodiscard]] Setting::Set count(std::uint64_t& at, Range<std::uint64_t> range);
// Bytes: a whole number, or a text like "64KiB", "1MiB", "2GiB".
[[nodiscard]] Setting::Set size(std::uint32_t& at, Range<std::uint32_t> range);
[[nodiscard]] Setting::Set size(std::uint64_t& at, Range<std::uint64_t> range);
// A number of seconds, or a text like "500ms", "30s", "5m", "2h".
[[nodiscard]] Setting::Set time(Duration& at, Range<Duration> range);
[[nodiscard]] Setting::Set yes_or_no(bool& at);
// Any text of at most `size_max` bytes, without control characters.
[[nodiscard]] Setting::Set plain_text(std::string& at, std::size_t size_max);

using Names = std::vector<std::string_view>;

// The place of `value` among the names; or what is wrong with it.
struct Chosen {
    std::size_t index = 0;
    std::string error;
};
[[nodiscard]] Chosen choose(const SettingValue& value, const Names& names);

// One of some words.
template <typename E>
[[nodiscard]] Setting::Set one_of(E& at,
                                  std::initializer_list<std::pair<std::string_view, E>> words) {
    Names names;
    std::vector<E> values;
    for (const auto& [name, value] : words) {
        names.push_back(name);
        values.push_back(value);
    }
    return [&at, names = std::move(names), values = std::move(values)](const SettingValue& given) {
        Chosen chosen = choose(given, names);
        if (chosen.error.empty()) {
            at = values[chosen.index];
        }
        return std::move(chosen.error);
    };
}

}  // namespace haka::app
