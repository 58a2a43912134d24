// Writes pcap (nanoseconds) or pcapng, chosen by the file's ending (.pcap, .pcapng; "-" is pcap on
// standard output). What it wrote is a valid prefix at any time that flush() returned.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "capture/block.h"

namespace haka::capture {

class FileWriter {
public:
    struct Opened {
        std::unique_ptr<FileWriter> writer;  // Null on failure.
        std::string error;
    };
    [[nodiscard]] static Opened open(const std::string& path);

    ~FileWriter();
    FileWriter(const FileWriter&) = delete;
    FileWriter& operator=(const FileWriter&) = delete;

    struct Record {
        const Interface* interface = nullptr;  // Its link type decides; a pcap takes only one.
        std::uint32_t interface_index = 0;     // Index in the reader's list.
        Instant when;
        std::uint32_t original_size = 0;
        ByteView bytes;
        std::string_view
            comment;  // pcapng: packet comment (verdict and reason); pcap: not written.
    };
    // Returns false on the first failure (disk full, two link types in a .pcap); from then on
    // nothing more is written and error() says why, and the remedy.
    bool write(const Record& record);
    bool flush();
    [[nodiscard]] const std::string& error() const;

private:
    class Impl;
    explicit FileWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace haka::capture
