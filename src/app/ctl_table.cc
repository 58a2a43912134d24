// What an engine answered, for people.
// Tested by: ctl_test.cc
#include <algorithm>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/ctl.h"
#include "report/text.h"

namespace haka::app {
namespace {

using Json = nlohmann::ordered_json;

std::string cell(const Json& value) {
    switch (value.type()) {
        case Json::value_t::string: {
            const auto& text = value.get_ref<const std::string&>();
            std::string shown;
            report::append_printable(shown, text);
            return shown.empty() ? "-" : shown;
        }
        case Json::value_t::boolean:
            return value.get<bool>() ? "yes" : "no";
        case Json::value_t::number_float:
            return fmt::format("{:.3f}", value.get<double>());
        case Json::value_t::number_integer:
        case Json::value_t::number_unsigned:
            return value.dump();
        default:
            return value.empty() ? "-" : "...";
    }
}

std::string words_of(std::string key) {
    std::ranges::replace(key, '_', ' ');
    std::string shown;
    report::append_printable(shown, key);
    return shown;
}

// Columns as wide as they must be, numbers to the right.
void append_table(std::string& out, const Json& rows) {
    std::vector<std::vector<std::string>> cells(1);
    std::vector<std::size_t> widths;
    std::vector<bool> numeric;
    for (const auto& [key, value] : rows.front().items()) {
        cells[0].push_back(words_of(key));
        widths.push_back(cells[0].back().size());
        numeric.push_back(value.is_number());
    }
    for (const Json& row : rows) {
        auto& line = cells.emplace_back();
        for (const auto& [key, value] : rows.front().items()) {
            const auto found = row.find(key);
            line.push_back(found == row.end() ? "-" : cell(*found));
            widths[line.size() - 1] = std::max(widths[line.size() - 1], line.back().size());
        }
    }
    for (const auto& line : cells) {
        std::string text;
        for (std::size_t i = 0; i < line.size(); ++i) {
            text += i == 0 ? "" : "  ";
            text += numeric[i] ? fmt::format("{:>{}}", line[i], widths[i])
                               : fmt::format("{:<{}}", line[i], widths[i]);
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out += text;
        out += '\n';
    }
}

bool is_table(const Json& value) {
    return value.is_array() && !value.empty() &&
           std::ranges::all_of(value, [](const Json& row) { return row.is_object(); });
}

void append_members(std::string& out, const Json& object, std::string_view indent) {
    std::size_t width = 0;
    for (const auto& [key, value] : object.items()) {
        width = std::max(width, words_of(key).size());
    }
    for (const auto& [key, value] : object.items()) {
        if (!value.is_structured()) {
            out += fmt::format("{}{:<{}}  {}\n", indent, words_of(key), width, cell(value));
        }
    }
}

void append_object(std::string& out, const Json& object) {
    append_members(out, object, "");
    for (const auto& [key, value] : object.items()) {
        if (!value.is_structured()) {
            continue;
        }
        if (object.size() > 1) {
            out += fmt::format("{}{}\n", words_of(key), value.empty() ? ": none" : "");
        } else if (value.empty()) {
            out += fmt::format("no {}\n", words_of(key));
        }
        if (is_table(value)) {
            append_table(out, value);
        } else if (value.is_object()) {
            append_members(out, value, "  ");
        }
    }
}

}  // namespace

ShownAnswer show_answer(std::string_view answer) {
    Json json = Json::parse(answer.begin(), answer.end(), nullptr, false);
    if (!json.is_object() || !json.contains("message")) {
        return {false, "the engine's answer is none; is it of another version?"};
    }
    ShownAnswer shown;
    shown.done = json.value("return", Json()) == "OK";
    Json& message = json["message"];
    if (!message.is_object()) {
        shown.text = cell(message) + (shown.done ? "\n" : "");
        return shown;
    }
    const bool is_cut = message.value("cut", Json()) == true;
    message.erase("cut");
    append_object(shown.text, message);
    if (is_cut) {
        shown.text +=
            "... there are more (control.rows_max); select some, as in "
            "`haka ctl connections port=443`\n";
    }
    return shown;
}

}  // namespace haka::app
