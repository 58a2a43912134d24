// Capture files as the bench tools read and write them: pcap as this machine's tcpdump writes it
// (its byte order, microseconds, Ethernet). Any trouble with a file ends the tool with a message.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace haka::bench {

struct Record {
    std::uint64_t time_us = 0;
    std::vector<std::uint8_t> frame;
};

struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

class PcapReader {
public:
    explicit PcapReader(const std::string& path);
    // False at the end. The record's storage is used again.
    [[nodiscard]] bool next(Record& record);

private:
    std::string path_;
    File file_;
};

class PcapWriter {
public:
    explicit PcapWriter(const std::string& path);
    void write(std::uint64_t time_us, ByteView frame);
    // Flushes and checks that everything was written.
    void close();

    [[nodiscard]] std::uint64_t packets() const { return packets_; }
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
    std::string path_;
    File file_;
    std::uint64_t packets_ = 0;
    std::uint64_t bytes_ = 0;
};

[[noreturn]] void fail(const std::string& message);

}  // namespace haka::bench
