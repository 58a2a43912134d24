// Captures built byte by byte, and everything a reader makes of them: for the tests beside it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "capture/block_reader.h"

namespace haka::capture::test {

using Bytes = std::vector<std::uint8_t>;

// Appends integers in the order that a file was written in.
class Builder {
public:
    explicit Builder(bool is_big_endian = false) : is_big_endian_(is_big_endian) {}

    Builder& u8(std::uint8_t value) { return number(value); }
    Builder& u16(std::uint16_t value) { return number(value); }
    Builder& u32(std::uint32_t value) { return number(value); }
    Builder& u64(std::uint64_t value) { return number(value); }
    Builder& raw(ByteView value) {
        bytes.insert(bytes.end(), value.begin(), value.end());
        return *this;
    }
    Builder& text(std::string_view value) { return raw(as_bytes(value)); }
    Builder& pad() {
        bytes.resize((bytes.size() + 3) / 4 * 4);
        return *this;
    }

    Bytes bytes;

private:
    template <typename T>
    Builder& number(T value) {
        for (std::size_t i = 0; i < sizeof value; ++i) {
            const std::size_t shift = 8 * (is_big_endian_ ? sizeof value - 1 - i : i);
            bytes.push_back(static_cast<std::uint8_t>(value >> shift));
        }
        return *this;
    }

    bool is_big_endian_;
};

struct PcapTime {
    std::uint32_t seconds = 0;
    std::uint32_t fraction = 0;
};

// A pcap file.
class Pcap {
public:
    static constexpr std::uint32_t kMicro = 0xa1b2c3d4;
    static constexpr std::uint32_t kNano = 0xa1b23c4d;
    struct Options {
        bool is_big_endian = false;
        std::uint32_t magic = kMicro;
        std::uint16_t major = 2;
        std::uint32_t link = 1;
        std::uint32_t snaplen = 65535;
    };
    using Time = PcapTime;

    Pcap() : Pcap(Options{}) {}
    explicit Pcap(const Options& options) : file_(options.is_big_endian) {
        file_.u32(options.magic).u16(options.major).u16(4).u32(0).u32(0);
        file_.u32(options.snaplen).u32(options.link);
    }
    Pcap& packet(std::string_view data, Time time = {}, std::uint32_t original_size = 0) {
        const auto size = static_cast<std::uint32_t>(data.size());
        header(size, original_size == 0 ? size : original_size, time);
        file_.text(data);
        return *this;
    }
    // A record that promises bytes which whoever calls this adds, or not.
    Pcap& header(std::uint32_t size, std::uint32_t original_size, Time time = {}) {
        file_.u32(time.seconds).u32(time.fraction).u32(size).u32(original_size);
        return *this;
    }
    [[nodiscard]] const Bytes& bytes() const { return file_.bytes; }

private:
    Builder file_;
};

// A pcapng file, block by block; each section() may change the byte order.
class Pcapng {
public:
    struct Option {
        std::uint16_t code = 0;
        Bytes value;
    };
    struct Packet {
        std::uint32_t interface = 0;
        std::uint64_t ticks = 0;
        std::string_view data;
        std::uint32_t original_size = 0;  // 0: as captured.
    };

    Pcapng& section(bool is_big_endian = false, std::uint16_t major = 1) {
        is_big_endian_ = is_big_endian;
        return block(0x0a0d0d0a, body().u32(0x1a2b3c4d).u16(major).u16(0).u64(UINT64_MAX));
    }
    Pcapng& interface(std::uint16_t link, std::uint32_t snaplen = 0,
                      const std::vector<Option>& options = {}) {
        Builder fields = body();
        fields.u16(link).u16(0).u32(snaplen);
        for (const Option& option : options) {
            const auto size = static_cast<std::uint16_t>(option.value.size());
            fields.u16(option.code).u16(size).raw(option.value).pad();
        }
        return block(1, fields);
    }
    Pcapng& packet(const Packet& packet) {
        Builder fields = body();
        fields.u32(packet.interface);
        return block(6, rest_of(packet, fields));
    }
    Pcapng& obsolete_packet(const Packet& packet) {
        Builder fields = body();
        fields.u16(static_cast<std::uint16_t>(packet.interface)).u16(7);
        return block(2, rest_of(packet, fields));
    }
    Pcapng& simple_packet(std::string_view data, std::uint32_t original_size) {
        return block(3, body().u32(original_size).text(data));
    }
    Pcapng& block(std::uint32_t type, Builder fields) {
        fields.pad();
        const auto length = static_cast<std::uint32_t>(fields.bytes.size() + 12);
        Builder whole = body();
        whole.u32(type).u32(length).raw(fields.bytes).u32(length);
        bytes_.insert(bytes_.end(), whole.bytes.begin(), whole.bytes.end());
        return *this;
    }
    [[nodiscard]] Builder body() const { return Builder(is_big_endian_); }
    [[nodiscard]] const Bytes& bytes() const { return bytes_; }

private:
    static Builder& rest_of(const Packet& packet, Builder& fields) {
        const auto size = static_cast<std::uint32_t>(packet.data.size());
        fields.u32(static_cast<std::uint32_t>(packet.ticks >> 32));
        fields.u32(static_cast<std::uint32_t>(packet.ticks));
        fields.u32(size).u32(packet.original_size == 0 ? size : packet.original_size);
        return fields.text(packet.data);
    }

    bool is_big_endian_ = false;
    Bytes bytes_;
};

// A frame as it was when its block was read.
struct Seen {
    std::string data;
    std::uint32_t original_size = 0;
    std::int64_t ns = 0;
    std::uint64_t number = 0;
    std::uint32_t interface = 0;
    LinkType link = LinkType::Ethernet;

    friend bool operator==(const Seen&, const Seen&) = default;
};

struct ReadAll {
    std::string error;  // Of open().
    std::vector<Seen> frames;
    std::vector<Interface> interfaces;
    std::string damage;  // Empty when there was none.
};

// `Reader` is a BlockReader or a FileReader.
template <typename Reader>
[[nodiscard]] ReadAll read_all(Reader& reader) {
    ReadAll all;
    Block block;
    while (reader.read(block)) {
        for (const Frame& frame : block.frames) {
            all.frames.push_back({.data = std::string(as_text(frame.bytes())),
                                  .original_size = frame.original_size,
                                  .ns = frame.when.ns,
                                  .number = frame.number,
                                  .interface = frame.interface,
                                  .link = frame.link});
        }
    }
    all.interfaces = reader.interfaces();
    all.damage = reader.damage().value_or("");
    return all;
}

struct Pace {
    std::size_t block_size = kBlockSize;
    std::size_t step = SIZE_MAX;  // As much as the source gives at a time.
};
[[nodiscard]] inline ReadAll read_bytes(ByteView bytes, Pace pace = {}) {
    auto opened = BlockReader::open(memory_source(bytes, pace.step), "x", pace.block_size);
    if (!opened.reader) {
        ReadAll failed;
        failed.error = std::move(opened.error);
        return failed;
    }
    return read_all(*opened.reader);
}

}  // namespace haka::capture::test
