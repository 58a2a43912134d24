#include "capture/byte_source.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>

#include <sys/stat.h>
#include <system_error>
#include <unistd.h>

namespace haka::capture {
namespace {

std::string cause(int error) {
    return std::generic_category().message(error);
}

class FileSource final : public ByteSource {
public:
    FileSource(int fd, const struct stat& status)
        : fd_(fd),
          is_regular_(S_ISREG(status.st_mode)),
          size_(is_regular_ ? static_cast<std::uint64_t>(status.st_size) : 0) {
        if (is_regular_) {
            // Advice only: a file system that can't take it reads on as before.
            (void)::posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
        }
    }
    ~FileSource() override {
        if (fd_ != STDIN_FILENO) {
            ::close(fd_);
        }
    }
    FileSource(const FileSource&) = delete;
    FileSource& operator=(const FileSource&) = delete;

    Got read(MutableByteView out, Wait wait) override {
        if (wait == Wait::No && !is_regular_ && !is_ready()) {
            return {.state = State::Later, .size = 0, .error = {}};
        }
        for (;;) {
            const ssize_t count = ::read(fd_, out.data(), out.size());
            if (count > 0) {
                position_ += static_cast<std::uint64_t>(count);
                return {.state = State::Data, .size = static_cast<std::size_t>(count), .error = {}};
            }
            if (count == 0) {
                return {};
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) {  // Somebody made the pipe non-blocking.
                if (wait == Wait::No) {
                    return {.state = State::Later, .size = 0, .error = {}};
                }
                pollfd watched{.fd = fd_, .events = POLLIN, .revents = 0};
                (void)::poll(&watched, 1, -1);
            } else if (errno != EINTR) {
                return {.state = State::Failed, .size = 0, .error = "read failed: " + cause(errno)};
            }
        }
    }

    std::uint64_t size() const override { return size_; }
    std::uint64_t position() const override { return position_; }

private:
    bool is_ready() const {
        pollfd watched{.fd = fd_, .events = POLLIN, .revents = 0};
        return ::poll(&watched, 1, 0) > 0;
    }

    int fd_;
    bool is_regular_;
    std::uint64_t size_;
    std::uint64_t position_ = 0;
};

class MemorySource final : public ByteSource {
public:
    MemorySource(ByteView bytes, std::size_t step) : bytes_(bytes), step_(step) {}

    Got read(MutableByteView out, Wait wait) override {
        if (wait == Wait::No && step_ != SIZE_MAX) {
            return {.state = State::Later, .size = 0, .error = {}};
        }
        const std::size_t count = std::min({out.size(), step_, bytes_.size() - position_});
        std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(position_), count, out.begin());
        position_ += count;
        return {.state = count > 0 ? State::Data : State::End, .size = count, .error = {}};
    }
    std::uint64_t size() const override { return bytes_.size(); }
    std::uint64_t position() const override { return position_; }

private:
    ByteView bytes_;
    std::size_t step_;
    std::size_t position_ = 0;
};

std::string open_error(int error) {
    switch (error) {
        case ENOENT:
            return "no such file; check the path";
        case EACCES:
        case EPERM:
            return "permission denied; run as a user who may read it";
        default:
            return cause(error);
    }
}

}  // namespace

OpenedSource open_source(const std::string& path) {
    const bool is_stdin = path == "-";
    if (is_stdin && ::isatty(STDIN_FILENO) == 1) {
        return {.source = nullptr, .error = "is a terminal; pipe a capture into it"};
    }
    const int fd = is_stdin ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return {.source = nullptr, .error = open_error(errno)};
    }
    struct stat status {};
    if (::fstat(fd, &status) != 0) {
        const int error = errno;
        if (!is_stdin) {
            ::close(fd);
        }
        return {.source = nullptr, .error = open_error(error)};
    }
    auto source = std::make_unique<FileSource>(fd, status);
    if (S_ISDIR(status.st_mode)) {
        return {.source = nullptr, .error = "is a directory; name one capture file in it"};
    }
    return {.source = std::move(source), .error = {}};
}

std::unique_ptr<ByteSource> memory_source(ByteView bytes, std::size_t step) {
    return std::make_unique<MemorySource>(bytes, step);
}

}  // namespace haka::capture
