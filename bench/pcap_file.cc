#include "pcap_file.h"

#include <array>
#include <cstdlib>

namespace haka::bench {
namespace {

constexpr std::uint32_t kMagicMicroseconds = 0xa1b2c3d4;
constexpr std::uint32_t kEthernet = 1;
constexpr std::uint32_t kSnapLength = 262144;
constexpr std::size_t kFileHeaderSize = 24;
constexpr std::size_t kRecordHeaderSize = 16;
constexpr std::size_t kBufferSize = 1U << 20U;
constexpr std::uint64_t kSecond = 1'000'000;

File open_file(const std::string& path, const char* mode) {
    File file(std::fopen(path.c_str(), mode));
    if (!file) {
        fail(path + ": can't be opened");
    }
    std::setvbuf(file.get(), nullptr, _IOFBF, kBufferSize);
    return file;
}

}  // namespace

void fail(const std::string& message) {
    std::fprintf(stderr, "%s\n", message.c_str());
    std::exit(1);
}

PcapReader::PcapReader(const std::string& path) : path_(path), file_(open_file(path, "rb")) {
    std::array<std::uint8_t, kFileHeaderSize> header{};
    if (std::fread(header.data(), header.size(), 1, file_.get()) != 1 ||
        load_native<std::uint32_t>(header.data()) != kMagicMicroseconds ||
        load_native<std::uint32_t>(header.data() + 20) != kEthernet) {
        fail(path + ": not a pcap file of this machine, with microseconds and Ethernet");
    }
}

bool PcapReader::next(Record& record) {
    std::array<std::uint8_t, kRecordHeaderSize> header{};
    if (std::fread(header.data(), header.size(), 1, file_.get()) != 1) {
        return false;
    }
    record.time_us = load_native<std::uint32_t>(header.data()) * kSecond +
                     load_native<std::uint32_t>(header.data() + 4);
    const auto size = load_native<std::uint32_t>(header.data() + 8);
    if (size == 0 || size > kSnapLength) {
        fail(path_ + ": a record of impossible size");
    }
    record.frame.resize(size);
    if (std::fread(record.frame.data(), size, 1, file_.get()) != 1) {
        fail(path_ + ": truncated");
    }
    return true;
}

PcapWriter::PcapWriter(const std::string& path) : path_(path), file_(open_file(path, "wb")) {
    std::array<std::uint8_t, kFileHeaderSize> header{};
    store_native(header.data(), kMagicMicroseconds);
    store_native(header.data() + 4, std::uint16_t{2});
    store_native(header.data() + 6, std::uint16_t{4});
    store_native(header.data() + 16, kSnapLength);
    store_native(header.data() + 20, kEthernet);
    std::fwrite(header.data(), header.size(), 1, file_.get());
}

void PcapWriter::write(std::uint64_t time_us, ByteView frame) {
    std::array<std::uint8_t, kRecordHeaderSize> header{};
    const auto size = static_cast<std::uint32_t>(frame.size());
    store_native(header.data(), static_cast<std::uint32_t>(time_us / kSecond));
    store_native(header.data() + 4, static_cast<std::uint32_t>(time_us % kSecond));
    store_native(header.data() + 8, size);
    store_native(header.data() + 12, size);
    std::fwrite(header.data(), header.size(), 1, file_.get());
    std::fwrite(frame.data(), frame.size(), 1, file_.get());
    ++packets_;
    bytes_ += frame.size();
}

void PcapWriter::close() {
    if (std::fflush(file_.get()) != 0 || std::ferror(file_.get()) != 0) {
        fail(path_ + ": can't be written");
    }
    file_.reset();
}

}  // namespace haka::bench
