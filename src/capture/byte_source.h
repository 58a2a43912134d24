// Where a capture's bytes come from: a file, standard input, memory. One read() for all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace haka::capture {

// Whether read() may sleep until a slow writer (a pipe) gives more.
enum class Wait : std::uint8_t { No, Yes };

class ByteSource {
public:
    enum class State : std::uint8_t {
        Data,   // `size` bytes came, at least one.
        Later,  // Only for Wait::No: there may be more, but not now.
        End,
        Failed  // `error` says why, e.g. "gzip stream damaged". Nothing comes after it.
    };
    struct Got {
        State state = State::End;
        std::size_t size = 0;
        std::string error;
    };

    ByteSource() = default;
    ByteSource(const ByteSource&) = delete;
    ByteSource& operator=(const ByteSource&) = delete;
    virtual ~ByteSource() = default;

    // Fills the front of `out`, which is not empty.
    [[nodiscard]] virtual Got read(MutableByteView out, Wait wait) = 0;
    [[nodiscard]] virtual std::uint64_t size() const = 0;      // 0 when unknown.
    [[nodiscard]] virtual std::uint64_t position() const = 0;  // Bytes of the file consumed.
};

struct OpenedSource {
    std::unique_ptr<ByteSource> source;  // Null on failure.
    std::string error;                   // Cause and remedy, without the file's name.
};
// A path, or "-" for standard input.
[[nodiscard]] OpenedSource open_source(const std::string& path);

// The bytes must outlive the source. With a `step` it is like a slow pipe:
// so many bytes at a time, and only to those who wait.
[[nodiscard]] std::unique_ptr<ByteSource> memory_source(ByteView bytes,
                                                        std::size_t step = SIZE_MAX);

}  // namespace haka::capture
