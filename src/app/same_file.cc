#include "app/same_file.h"

#include <filesystem>
#include <fmt/format.h>
#include <string_view>
#include <vector>

#include <system_error>

namespace haka::app {
namespace {

struct Named {
    std::string_view option;
    const std::string* path;
    std::string_view what;  // It does, as a verb.
    bool is_written;
};

// Standard input may be a file, too. (The outputs' standard streams are the shell's business: it
// has opened, and emptied, what they are before we begin.)
std::string path_of(const std::string& named, bool is_written) {
    return named == "-" && !is_written ? "/dev/stdin" : named;
}

bool is_same(const std::string& a, const std::string& b) {
    namespace fs = std::filesystem;
    std::error_code error;
    const fs::file_status status = fs::status(a, error);
    if (fs::exists(status)) {
        // Devices and pipes may be named twice.
        return fs::is_regular_file(status) && fs::equivalent(a, b, error);
    }
    return fs::weakly_canonical(fs::absolute(a, error), error) ==
           fs::weakly_canonical(fs::absolute(b, error), error);
}

}  // namespace

std::string clashing_files(const Options& options) {
    const std::vector<Named> files = {
        {"-r", &options.input, "reads", false},
        {"-c", &options.settings_file, "reads", false},
        {"the policy", &options.policy, "is", false},
        {"-w", &options.output, "writes", true},
        {"--eve", &options.eve, "writes", true},
        {"--log", &options.log_file, "writes", true},
    };
    for (std::size_t i = 0; i < files.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
            const Named& late = files[i];
            const Named& early = files[j];
            if (!late.is_written || late.path->empty() || early.path->empty() ||
                *late.path == "-" || (early.is_written && *early.path == "-") ||
                !is_same(*late.path, path_of(*early.path, early.is_written))) {
                continue;
            }
            return fmt::format("{} {} would write over the file that {} {}; name another one",
                               late.option, *late.path, early.option, early.what);
        }
    }
    return {};
}

}  // namespace haka::app
