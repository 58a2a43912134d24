#include "capture/file_sink.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <poll.h>

#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace haka::capture {
namespace {

std::string explain(int error) {
    std::string cause = std::generic_category().message(error);
    switch (error) {
        case ENOENT:
            return "no such directory; create it first";
        case EACCES:
        case EPERM:
            return "permission denied; name a file that you may write";
        case EISDIR:
            return "is a directory; name a file in it";
        case EROFS:
            return "the file system is read-only; name a file elsewhere";
        case ENOSPC:
        case EDQUOT:
            return cause + "; free some, or name a file elsewhere";
        case EPIPE:
            return "nobody reads the other end of the pipe any more";
        default:
            return cause;
    }
}

}  // namespace

FileSink::Opened FileSink::open(const std::string& path, Start start) {
    if (path == "-") {
        if (::isatty(STDOUT_FILENO) == 1) {
            return {.sink = nullptr, .error = "is a terminal; send it to a file or a pipe"};
        }
        return {.sink = std::unique_ptr<FileSink>(new FileSink(STDOUT_FILENO)), .error = {}};
    }
    constexpr mode_t kMode = 0666;  // The user's umask has the last word.
    const int empties = start == Start::Empty ? O_TRUNC : 0;
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | empties, kMode);
    if (fd < 0) {
        return {.sink = nullptr, .error = explain(errno)};
    }
    (void)::lseek(fd, 0, SEEK_END);  // Not O_APPEND: a record that fits in part is cut off again.
    return {.sink = std::unique_ptr<FileSink>(new FileSink(fd)), .error = {}};
}

FileSink::FileSink(int fd) : fd_(fd) {
    struct stat status {};
    // What is behind `>>` isn't ours to cut back or to overwrite.
    const bool appends = (::fcntl(fd, F_GETFL) & O_APPEND) != 0;
    if (::fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && !appends) {
        start_ = ::lseek(fd, 0, SEEK_CUR);
    }
    buffer_.reserve(kBufferSize);
}

FileSink::~FileSink() {
    flush();
    if (fd_ != STDOUT_FILENO) {
        ::close(fd_);
    }
}

std::uint8_t* FileSink::append(std::size_t size) {
    if (!buffer_.empty() && buffer_.size() + size > kBufferSize) {
        flush();
    }
    if (has_failed()) {
        return nullptr;
    }
    const std::size_t at = buffer_.size();
    buffer_.resize(at + size);
    return buffer_.data() + at;
}

bool FileSink::flush() {
    std::size_t done = 0;
    while (done < buffer_.size() && !has_failed()) {
        const ssize_t count = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
        if (count >= 0) {
            done += static_cast<std::size_t>(count);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {  // A pipe made non-blocking.
            pollfd watched{.fd = fd_, .events = POLLOUT, .revents = 0};
            (void)::poll(&watched, 1, -1);
        } else if (errno != EINTR) {
            fail(errno);
        }
    }
    if (!has_failed()) {
        flushed_ += buffer_.size();
    }
    buffer_.clear();
    return !has_failed();
}

void FileSink::patch(std::uint64_t offset, std::uint32_t value) {
    if (start_ < 0 || !flush()) {
        return;
    }
    // Of no consequence when it fails: the record itself is written by other means.
    (void)!::pwrite(fd_, &value, sizeof value, start_ + static_cast<std::int64_t>(offset));
}

void FileSink::fail(int error) {
    error_ = explain(error);
    if (start_ >= 0) {
        // A part of a record may have reached the file.
        (void)!::ftruncate(fd_, start_ + static_cast<std::int64_t>(flushed_));
    }
}

}  // namespace haka::capture
