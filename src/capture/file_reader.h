// Reads pcap and pcapng files, plain or gzip, from a path or standard input ("-").
//
// Damage (truncation, impossible lengths) ends the file: every frame before it is delivered first,
// then `damage()` says what and at which byte offset. Frame time stamps are nanoseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capture/block.h"

namespace haka::capture {

class FileReader {
public:
    // What can't be opened or isn't a capture: `error` is one line naming file, cause and remedy.
    struct Opened {
        std::unique_ptr<FileReader> reader;  // Null on failure.
        std::string error;
    };
    [[nodiscard]] static Opened open(const std::string& path);

    ~FileReader();
    FileReader(const FileReader&) = delete;
    FileReader& operator=(const FileReader&) = delete;

    // Fills `block` with the next frames (its old contents are replaced, its memory reused).
    // Returns false when there are none left.
    [[nodiscard]] bool read(Block& block);

    // All interfaces seen so far; grows while a pcapng file is read. Frame::interface indexes it.
    // Element references stay valid; call it from the thread that called read().
    [[nodiscard]] const std::vector<Interface>& interfaces() const;

    // Set once read() returned false because of damage or an unreadable link type met midway:
    // one line with the byte offset (of the uncompressed data for gzip).
    [[nodiscard]] const std::optional<std::string>& damage() const;

    [[nodiscard]] std::uint64_t size() const;      // File size in bytes, 0 when unknown (stdin).
    [[nodiscard]] std::uint64_t position() const;  // File bytes consumed, for the progress bar.

private:
    struct Impl;
    explicit FileReader(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace haka::capture
