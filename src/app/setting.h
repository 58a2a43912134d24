// The settings by the names that users write (`tcp.midstream`, `lua.memory_max`), each with the
// values that it takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/settings.h"

namespace haka::app {

inline constexpr std::uint32_t kWorkersMax = 64;

// What a file or a command line gives for a setting.
using SettingValue = std::variant<bool, std::int64_t, double, std::string>;

// The value of `--set key=TEXT`: true, false, a number, else the text itself (quotes around it are
// taken off).
[[nodiscard]] SettingValue value_of(std::string_view text);

class Setting {
public:
    // Takes the value over, or says what it must be instead: `must be drop or ignore, not "dorp"`.
    using Set = std::function<std::string(const SettingValue&)>;

    Setting(std::string_view section, std::string_view key, Set set)
        : section_(section), key_(key), set_(std::move(set)) {}

    [[nodiscard]] std::string_view section() const { return section_; }  // Empty: top level.
    [[nodiscard]] std::string_view key() const { return key_; }
    [[nodiscard]] std::string full_name() const;
    // Empty when `value` is taken over; what was set before stays otherwise.
    [[nodiscard]] std::string set(const SettingValue& value) const { return set_(value); }

private:
    std::string_view section_;
    std::string_view key_;
    Set set_;
};

// All of them; they write into `settings`, which must outlive them.
[[nodiscard]] std::vector<Setting> settings_table(Settings& settings);

// Sets one from `section.key=value`. Returns what is wrong with it, empty when nothing.
[[nodiscard]] std::string set_from_text(const std::vector<Setting>& table, std::string_view text);

// `unknown setting tcp.midsteam; did you mean tcp.midstream?`, or what is wrong with the section.
[[nodiscard]] std::string unknown_setting(const std::vector<Setting>& table,
                                          std::string_view section, std::string_view key);

}  // namespace haka::app
