// A folder that a test writes into and that is gone after it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/bytes.h"

namespace haka::capture::test {

class Folder {
public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "haka-XXXXXX").string();
        path_ = ::mkdtemp(name.data()) != nullptr ? name : std::string();
    }
    ~Folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    [[nodiscard]] std::string file(const std::string& name) const {
        return (path_ / name).string();
    }
    // The path of a new file with these bytes.
    [[nodiscard]] std::string write(const std::string& name, ByteView bytes) const {
        const std::string_view text = as_text(bytes);
        std::ofstream(file(name), std::ios::binary)
            .write(text.data(), static_cast<std::streamsize>(text.size()));
        return file(name);
    }
    [[nodiscard]] std::string content(const std::string& name) const {
        std::ifstream in(file(name), std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }

private:
    std::filesystem::path path_;
};

}  // namespace haka::capture::test
