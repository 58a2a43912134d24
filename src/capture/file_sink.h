// A file being written: whole records are gathered and leave in large writes.
//
// Invariant: what reached the file ends where a record ended, also after a failed write (as far as
// the file can be cut back, i.e. not on a pipe).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace haka::capture {

class FileSink {
public:
    static constexpr std::size_t kBufferSize = 256 * 1024;

    struct Opened {
        std::unique_ptr<FileSink> sink;  // Null on failure.
        std::string error;               // Cause and remedy, without the file's name.
    };
    enum class Start : std::uint8_t { Empty, Append };
    // A path, created and emptied or written on, or "-" for standard output.
    [[nodiscard]] static Opened open(const std::string& path, Start start = Start::Empty);

    FileSink(const FileSink&) = delete;
    FileSink& operator=(const FileSink&) = delete;
    ~FileSink();

    // Room for one record of `size` bytes, to be filled before the next call of any kind; null
    // after a failure.
    [[nodiscard]] std::uint8_t* append(std::size_t size);
    bool flush();

    // Overwrites four bytes that were written before; a pipe can't, and nothing happens.
    void patch(std::uint64_t offset, std::uint32_t value);

    [[nodiscard]] std::uint64_t position() const { return flushed_ + buffer_.size(); }
    [[nodiscard]] bool has_failed() const { return !error_.empty(); }
    [[nodiscard]] const std::string& error() const { return error_; }  // As in Opened.

private:
    explicit FileSink(int fd);
    void fail(int error);

    int fd_;
    std::int64_t start_ = -1;  // Where in a seekable file we began; -1 when it isn't one.
    std::uint64_t flushed_ = 0;
    std::vector<std::uint8_t> buffer_;
    std::string error_;
};

}  // namespace haka::capture
