#include "app/settings_file.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <optional>
#include <toml++/toml.h>

#include <system_error>

namespace haka::app {
namespace {

constexpr std::size_t kFileSizeMax = 1U << 20;

// What a setting can take of a TOML value; none for lists, tables and dates.
std::optional<SettingValue> plain_value(const toml::node& node) {
    if (const auto* flag = node.as_boolean()) {
        return flag->get();
    }
    if (const auto* number = node.as_integer()) {
        return number->get();
    }
    if (const auto* number = node.as_floating_point()) {
        return number->get();
    }
    if (const auto* text = node.as_string()) {
        return text->get();
    }
    return std::nullopt;
}

class Reader {
public:
    Reader(const std::string& path, const std::vector<Setting>& table)
        : path_(path), table_(table) {}

    void read(const toml::table& root) {
        for (const auto& [key, node] : root) {
            if (const toml::table* section = node.as_table(); section == nullptr) {
                read_key("", key, node);
            } else if (!knows_section(key.str())) {
                complain(key.source(), unknown_setting(table_, key.str(), ""));
            } else {
                for (const auto& [inner_key, inner_node] : *section) {
                    read_key(key.str(), inner_key, inner_node);
                }
            }
        }
    }

    // Lines in the order of the file; a TOML table keeps its keys sorted by name.
    [[nodiscard]] std::string complaints() {
        std::sort(complaints_.begin(), complaints_.end(),
                  [](const Complaint& a, const Complaint& b) { return a.at < b.at; });
        std::string text;
        for (const Complaint& complaint : complaints_) {
            text += text.empty() ? "" : "\n";
            text += fmt::format("{}:{}:{}: {}", path_, complaint.at.line, complaint.at.column,
                                complaint.what);
        }
        return text;
    }

private:
    struct Complaint {
        toml::source_position at;
        std::string what;
    };

    [[nodiscard]] bool knows_section(std::string_view name) const {
        return !name.empty() &&
               std::any_of(table_.begin(), table_.end(),
                           [&](const Setting& setting) { return setting.section() == name; });
    }

    void read_key(std::string_view section, const toml::key& key, const toml::node& node) {
        const auto setting = std::find_if(table_.begin(), table_.end(), [&](const Setting& known) {
            return known.section() == section && known.key() == key.str();
        });
        if (setting == table_.end()) {
            complain(key.source(), unknown_setting(table_, section, key.str()));
            return;
        }
        const std::optional<SettingValue> value = plain_value(node);
        const std::string error =
            value ? setting->set(*value) : "must be a number, a text, true or false";
        if (!error.empty()) {
            complain(node.source(), fmt::format("{} {}", setting->full_name(), error));
        }
    }

    void complain(const toml::source_region& where, std::string what) {
        complaints_.push_back({where.begin, std::move(what)});
    }

    const std::string& path_;
    const std::vector<Setting>& table_;
    std::vector<Complaint> complaints_;
};

}  // namespace

std::string read_settings(const std::string& path, const std::vector<Setting>& table) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    std::string text;
    text.resize(kFileSizeMax + 1);
    if (!file ||
        !(file.read(text.data(), static_cast<std::streamsize>(text.size())) || file.eof())) {
        return fmt::format("cannot read the settings file {}: {}", path,
                           std::generic_category().message(errno));
    }
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (text.size() > kFileSizeMax) {
        return fmt::format("{} is larger than {} bytes: is it a settings file?", path,
                           kFileSizeMax);
    }
    return read_settings_text(text, path, table);
}

std::string read_settings_text(std::string_view text, const std::string& path,
                               const std::vector<Setting>& table) {
    try {
        const toml::table root = toml::parse(text);
        Reader reader(path, table);
        reader.read(root);
        return reader.complaints();
    } catch (const toml::parse_error& error) {
        const toml::source_position at = error.source().begin;
        return fmt::format("{}:{}:{}: {}", path, at.line, at.column, error.description());
    }
}

}  // namespace haka::app
