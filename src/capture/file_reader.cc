#include "capture/file_reader.h"

#include "capture/block_reader.h"

namespace haka::capture {

struct FileReader::Impl {
    std::unique_ptr<BlockReader> blocks;
};

FileReader::Opened FileReader::open(const std::string& path) {
    std::string name = path == "-" ? "standard input" : path;
    auto source = open_source(path);
    if (!source.source) {
        return {.reader = nullptr, .error = name + ": " + source.error};
    }
    auto blocks = BlockReader::open(std::move(source.source), std::move(name));
    if (!blocks.reader) {
        return {.reader = nullptr, .error = std::move(blocks.error)};
    }
    auto impl = std::make_unique<Impl>();
    impl->blocks = std::move(blocks.reader);
    return {.reader = std::unique_ptr<FileReader>(new FileReader(std::move(impl))), .error = {}};
}

FileReader::FileReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
FileReader::~FileReader() = default;

bool FileReader::read(Block& block) {
    return impl_->blocks->read(block);
}

const std::vector<Interface>& FileReader::interfaces() const {
    return impl_->blocks->interfaces();
}

const std::optional<std::string>& FileReader::damage() const {
    return impl_->blocks->damage();
}

std::uint64_t FileReader::size() const {
    return impl_->blocks->size();
}

std::uint64_t FileReader::position() const {
    return impl_->blocks->position();
}

}  // namespace haka::capture
