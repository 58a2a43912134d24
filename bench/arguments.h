// The arguments of a bench tool: file names in order, and `--name number` pairs.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace haka::bench {

class Arguments {
public:
    Arguments(int argc, char** argv) {
        for (int i = 1; i < argc; ++i) {
            const std::string_view word = argv[i];
            if (word.starts_with("--") && i + 1 < argc) {
                numbers_[std::string(word.substr(2))] = std::strtoull(argv[++i], nullptr, 10);
            } else {
                files_.emplace_back(word);
            }
        }
    }

    [[nodiscard]] const std::vector<std::string>& files() const { return files_; }
    [[nodiscard]] std::uint64_t number(const std::string& name, std::uint64_t otherwise) const {
        const auto found = numbers_.find(name);
        return found == numbers_.end() ? otherwise : found->second;
    }

private:
    std::vector<std::string> files_;
    std::map<std::string, std::uint64_t> numbers_;
};

}  // namespace haka::bench
