#include "app/text_output.h"

#include <cerrno>

#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace haka::app {

bool TextOutput::write(std::string_view text) {
    if (failed()) {
        return false;
    }
    if (!gather_) {
        return write_out(text);
    }
    gathered_ += text;
    return gathered_.size() < kGatherMax || flush();
}

bool TextOutput::flush() {
    const bool written = write_out(gathered_);
    gathered_.clear();
    return written;
}

std::string TextOutput::failure() const {
    return std::generic_category().message(failure_);
}

bool TextOutput::is_same_as(const TextOutput& other) const {
    struct stat mine {};
    struct stat theirs {};
    return fstat(fd_, &mine) == 0 && fstat(other.fd_, &theirs) == 0 &&
           mine.st_dev == theirs.st_dev && mine.st_ino == theirs.st_ino;
}

bool TextOutput::write_out(std::string_view text) {
    while (!failed() && !text.empty()) {
        const ssize_t written = ::write(fd_, text.data(), text.size());
        if (written >= 0) {
            text.remove_prefix(static_cast<std::size_t>(written));
        } else if (errno != EINTR) {
            failure_ = errno;
        }
    }
    return !failed();
}

}  // namespace haka::app
