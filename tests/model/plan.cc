#include "plan.h"

#include <charconv>
#include <fmt/format.h>

namespace haka::model {

namespace {

constexpr std::array<std::string_view, kFieldCount> kNames = {
#define HAKA_MODEL_NAME(name, count) #name,
    HAKA_MODEL_FIELDS(HAKA_MODEL_NAME)
#undef HAKA_MODEL_NAME
};

bool read_field(std::string_view word, Plan& plan) {
    for (std::size_t i = 0; i < kFieldCount; ++i) {
        const std::string_view name = kNames.at(i);
        if (word.size() > name.size() && word.starts_with(name) && word[name.size()] == '=') {
            const char* const end = word.data() + word.size();
            std::uint32_t& value = plan.values.at(i);
            const auto read = std::from_chars(word.data() + name.size() + 1, end, value);
            return read.ptr == end && value < kFieldCounts.at(i);
        }
    }
    return false;
}

}  // namespace

std::string to_text(const Plan& plan) {
    std::string text;
    for (std::size_t i = 0; i < kFieldCount; ++i) {
        if (plan.values.at(i) != 0) {
            text +=
                fmt::format("{}{}={}", text.empty() ? "" : " ", kNames.at(i), plan.values.at(i));
        }
    }
    return text;
}

bool change(std::string_view text, Plan& plan) {
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(' '), text.size());
        if (end != 0 && !read_field(text.substr(0, end), plan)) {
            return false;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return true;
}

}  // namespace haka::model
