#include "app/setting_kind.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fmt/format.h>
#include <limits>
#include <optional>
#include <span>

#include "app/nearest.h"

namespace haka::app {
namespace {

// How a message shows what was given.
std::string shown(const SettingValue& value) {
    if (const auto* flag = std::get_if<bool>(&value)) {
        return *flag ? "true" : "false";
    }
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return fmt::format("{}", *number);
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return fmt::format("{}", *number);
    }
    return fmt::format("\"{}\"", *std::get_if<std::string>(&value));
}

struct Unit {
    std::string_view name;
    double factor;
};

constexpr std::array kSizeUnits = {Unit{"B", 1}, Unit{"KiB", 1024}, Unit{"MiB", 1024.0 * 1024},
                                   Unit{"GiB", 1024.0 * 1024 * 1024}};
constexpr std::array kTimeUnits = {Unit{"ms", 0.001}, Unit{"s", 1}, Unit{"m", 60}, Unit{"min", 60},
                                   Unit{"h", 3600}};

// A number followed by one of the units.
std::optional<double> with_unit(std::string_view text, std::span<const Unit> units) {
    double number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || !std::isfinite(number)) {
        return std::nullopt;
    }
    std::string_view unit(rest, static_cast<std::size_t>(end - rest));
    while (unit.starts_with(' ')) {
        unit.remove_prefix(1);
    }
    for (const Unit& known : units) {
        if (unit == known.name) {
            return number * known.factor;
        }
    }
    return std::nullopt;
}

// The value as a whole number within the range.
template <typename T>
std::optional<T> whole(const SettingValue& value, Range<T> range) {
    const auto* number = std::get_if<std::int64_t>(&value);
    if (number == nullptr || *number < 0) {
        return std::nullopt;
    }
    const auto positive = static_cast<std::uint64_t>(*number);
    if (positive < range.min || positive > range.max) {
        return std::nullopt;
    }
    return static_cast<T>(positive);
}

template <typename T>
std::optional<T> bytes(const SettingValue& value, Range<T> range) {
    const auto* text = std::get_if<std::string>(&value);
    if (text == nullptr) {
        return whole(value, range);
    }
    const std::optional<double> number = with_unit(*text, kSizeUnits);
    // Beyond 2^53 a double no longer counts single bytes.
    if (!number || *number < 0 || *number > 9e15) {
        return std::nullopt;
    }
    return whole(SettingValue(static_cast<std::int64_t>(*number)), range);
}

template <typename T>
Setting::Set count_of(T& at, Range<T> range) {
    return [&at, range](const SettingValue& value) {
        const std::optional<T> number = whole(value, range);
        if (!number) {
            return fmt::format("must be a whole number from {} to {}, not {}", range.min, range.max,
                               shown(value));
        }
        at = *number;
        return std::string();
    };
}

template <typename T>
Setting::Set size_of(T& at, Range<T> range) {
    return [&at, range](const SettingValue& value) {
        const std::optional<T> number = bytes(value, range);
        if (!number) {
            return fmt::format(
                "must be from {} to {} bytes, as a number or like \"64KiB\", \"1MiB\", \"2GiB\", "
                "not {}",
                range.min, range.max, shown(value));
        }
        at = *number;
        return std::string();
    };
}

// Seconds, or nothing when the value isn't a time.
std::optional<double> seconds_of(const SettingValue& value) {
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
        return static_cast<double>(*number);
    }
    if (const auto* number = std::get_if<double>(&value)) {
        return *number;
    }
    if (const auto* text = std::get_if<std::string>(&value)) {
        return with_unit(*text, kTimeUnits);
    }
    return std::nullopt;
}

}  // namespace

Setting::Set count(std::uint32_t& at, Range<std::uint32_t> range) {
    return count_of(at, range);
}
Setting::Set count(std::uint64_t& at, Range<std::uint64_t> range) {
    return count_of(at, range);
}
Setting::Set size(std::uint32_t& at, Range<std::uint32_t> range) {
    return size_of(at, range);
}
Setting::Set size(std::uint64_t& at, Range<std::uint64_t> range) {
    return size_of(at, range);
}

Setting::Set time(Duration& at, Range<Duration> range) {
    return [&at, range](const SettingValue& value) {
        const std::optional<double> seconds = seconds_of(value);
        constexpr double kNanoseconds = 1e9;
        const double min = static_cast<double>(range.min.ns) / kNanoseconds;
        const double max = static_cast<double>(range.max.ns) / kNanoseconds;
        if (!seconds || !(*seconds >= min && *seconds <= max)) {
            return fmt::format(
                "must be from {} to {} seconds, as a number or like \"500ms\", \"30s\", \"5m\", "
                "\"2h\", not {}",
                min, max, shown(value));
        }
        at = {std::llround(*seconds * kNanoseconds)};
        return std::string();
    };
}

Setting::Set yes_or_no(bool& at) {
    return [&at](const SettingValue& value) {
        const auto* flag = std::get_if<bool>(&value);
        if (flag == nullptr) {
            return fmt::format("must be true or false, not {}", shown(value));
        }
        at = *flag;
        return std::string();
    };
}

Setting::Set plain_text(std::string& at, std::size_t size_max) {
    return [&at, size_max](const SettingValue& value) {
        const auto* given = std::get_if<std::string>(&value);
        if (given == nullptr || given->size() > size_max ||
            std::any_of(given->begin(), given->end(),
                        [](char c) { return static_cast<unsigned char>(c) < ' '; })) {
            return fmt::format("must be a text of at most {} bytes, not {}", size_max,
                               shown(value));
        }
        at = *given;
        return std::string();
    };
}

Chosen choose(const SettingValue& value, const Names& names) {
    const auto* text = std::get_if<std::string>(&value);
    std::string list;
    for (std::size_t i = 0; i < names.size(); ++i) {
        if (text != nullptr && *text == names[i]) {
            return {.index = i, .error = {}};
        }
        list += i == 0 ? "" : (i + 1 == names.size() ? " or " : ", ");
        list += names[i];
    }
    return {.index = 0,
            .error = fmt::format("must be {}, not {}{}", list, shown(value),
                                 text != nullptr ? did_you_mean(*text, names) : "")};
}

}  // namespace haka::app
