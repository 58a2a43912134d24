// Reads the settings file (`-c FILE`, TOML): one table for each section, see base/settings.h.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/setting.h"

namespace haka::app {

// Sets what the file names. Returns what is wrong with it, one line for each finding, as
// `FILE:LINE:COLUMN: what`; empty when nothing is.
[[nodiscard]] std::string read_settings(const std::string& path, const std::vector<Setting>& table);

// The same for text at hand; `path` is what messages call it.
[[nodiscard]] std::string read_settings_text(std::string_view text, const std::string& path,
                                             const std::vector<Setting>& table);

}  // namespace haka::app
