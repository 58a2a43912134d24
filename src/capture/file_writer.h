// Writes pcap (nanoseconds) or pcapng, chosen by the file's ending (.pcap, .pcapng; "-" is pcap on
// standard output). What it wrote is a valid prefix at any time that flush() returned.
// A pipe whose reader left is an error like any other only where SIGPIPE is ignored.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

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

    // What the input is made of, for the header of an output that no packet ever reaches (without
    // it: Ethernet). Counts until the header is written, by the first write() or flush().
    void describe(const std::vector<Interface>& interfaces);

    struct Record {
        const Interface* interface = nullptr;  // Never null. A pcap takes only one link type.
        std::uint32_t interface_index = 0;     // Index in the reader's list.
        Instant when;
        std::uint32_t original_size = 0;
        ByteView bytes;
        // pcapng: packet comment (verdict and reason), UTF-8, cut at 65535 bytes; pcap: not
        // written.
        std::string_view comment;
    };
    // Returns false on the first failure (disk full, two link types in a .pcap); from then on
    // nothing more is written and error() says why, and the remedy.
    bool write(const Record& record);
    bool flush();
    [[nodiscard]] const std::string& error() const;  // One line, with the file's name.

private:
    struct Impl;
    explicit FileWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace haka::capture
