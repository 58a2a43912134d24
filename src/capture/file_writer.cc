#include "capture/file_writer.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>

#include "capture/byte_order.h"
#include "capture/file_sink.h"
#include "capture/link_names.h"

// Both formats are written little-endian.
namespace haka::capture {
namespace {

enum class Kind : std::uint8_t { Pcap, Pcapng };

constexpr std::uint32_t kPcapNanoMagic = 0xa1b23c4d;
constexpr std::size_t kPcapHeaderSize = 24;
constexpr std::size_t kPcapRecordSize = 16;
constexpr std::uint64_t kPcapSnaplenAt = 16;

constexpr std::uint32_t kSectionBlock = 0x0a0d0d0a;
constexpr std::uint32_t kInterfaceBlock = 1;
constexpr std::uint32_t kEnhancedPacketBlock = 6;
constexpr std::uint32_t kOrderMagic = 0x1a2b3c4d;
constexpr std::uint16_t kCommentOption = 1;
constexpr std::uint16_t kNameOption = 2;
constexpr std::uint16_t kResolutionOption = 9;
constexpr std::uint8_t kNanoseconds = 9;
constexpr std::size_t kOptionSizeMax = 65'535;

constexpr std::uint64_t kNsPerSecond = 1'000'000'000;
constexpr std::uint32_t kNotWritten = UINT32_MAX;

constexpr std::size_t padded(std::size_t size) {
    return (size + 3) / 4 * 4;
}

// An option takes nothing when it has no value.
constexpr std::size_t option_size(std::size_t value_size) {
    return value_size == 0 ? 0 : 4 + padded(value_size);
}

std::string_view cut_to_option(std::string_view text) {
    if (text.size() <= kOptionSizeMax) {
        return text;
    }
    std::size_t size = kOptionSizeMax;
    while (size > 0 && (static_cast<std::uint8_t>(text[size]) & 0xc0) == 0x80) {
        --size;  // Not inside a UTF-8 character.
    }
    return text.substr(0, size);
}

// Writes fields one behind the other.
class Cursor {
public:
    explicit Cursor(std::uint8_t* at) : at_(at) {}

    Cursor& u16(std::uint16_t value) { return put(value); }
    Cursor& u32(std::uint32_t value) { return put(value); }
    Cursor& bytes(ByteView value) {
        at_ = std::copy(value.begin(), value.end(), at_);
        return *this;
    }
    Cursor& padded_bytes(ByteView value) {
        bytes(value);
        at_ = std::fill_n(at_, padded(value.size()) - value.size(), std::uint8_t{0});
        return *this;
    }
    Cursor& option(std::uint16_t code, ByteView value) {
        if (!value.empty()) {
            u16(code).u16(static_cast<std::uint16_t>(value.size())).padded_bytes(value);
        }
        return *this;
    }

private:
    template <typename T>
    Cursor& put(T value) {
        store_native(at_, value);
        at_ += sizeof value;
        return *this;
    }

    std::uint8_t* at_;
};

// Neither format can say a time before 1970.
std::uint64_t unsigned_ns(Instant when) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(when.ns, 0));
}

std::uint32_t low(std::uint64_t value) {
    return static_cast<std::uint32_t>(value);
}

}  // namespace

struct FileWriter::Impl {
    Kind kind = Kind::Pcap;
    std::string name;
    std::unique_ptr<FileSink> sink;
    std::string error;

    bool has_header = false;
    std::vector<Interface> described;
    LinkType link = LinkType::Ethernet;      // pcap: of the whole file.
    std::uint32_t snaplen = 0;               // Least of those written, 0 when none is a limit.
    std::vector<std::uint64_t> snaplens_at;  // Where in the file they are.
    std::vector<std::uint32_t> ids;          // pcapng: reader's interface index -> ours.
    std::uint32_t next_id = 0;

    bool fail(std::string why) {
        error = name + ": " + std::move(why);
        return false;
    }
    bool check_sink() { return sink->has_failed() ? fail(sink->error()) : true; }

    bool write(const Record& record);
    bool write_pcap(const Record& record);
    bool write_pcapng(const Record& record);
    bool write_header(const Interface& interface);
    bool write_section();
    bool write_interface(const Interface& interface, std::uint32_t index);
    void note_snaplen(std::uint32_t value, std::uint64_t at);
    void raise_snaplens();
};

bool FileWriter::Impl::write(const Record& record) {
    assert(record.interface != nullptr);
    if (!error.empty()) {
        return false;
    }
    if (record.bytes.size() > kFrameSizeMax) {
        return fail(fmt::format("a packet of {} bytes is too large for a capture file; at most {}",
                                record.bytes.size(), kFrameSizeMax));
    }
    const bool is_written = kind == Kind::Pcap ? write_pcap(record) : write_pcapng(record);
    if (is_written && snaplen != 0 && record.bytes.size() > snaplen) {
        raise_snaplens();
    }
    return is_written && check_sink();
}

// A packet that grew beyond the input's snaplen: libpcap would cut or refuse it where the header
// goes on to say that nothing is so long.
void FileWriter::Impl::raise_snaplens() {
    for (const std::uint64_t at : snaplens_at) {
        sink->patch(at, kFrameSizeMax);
    }
    snaplen = kFrameSizeMax;
}

void FileWriter::Impl::note_snaplen(std::uint32_t value, std::uint64_t at) {
    snaplens_at.push_back(at);
    if (value != 0) {
        snaplen = snaplen == 0 ? value : std::min(snaplen, value);
    }
}

bool FileWriter::Impl::write_header(const Interface& interface) {
    has_header = true;
    if (kind == Kind::Pcapng) {
        return write_section();
    }
    link = interface.link;
    note_snaplen(interface.snaplen, sink->position() + kPcapSnaplenAt);
    std::uint8_t* room = sink->append(kPcapHeaderSize);
    if (room == nullptr) {
        return check_sink();
    }
    Cursor(room)
        .u32(kPcapNanoMagic)
        .u16(2)
        .u16(4)
        .u32(0)
        .u32(0)
        .u32(interface.snaplen)
        .u32(static_cast<std::uint32_t>(link));
    return true;
}

bool FileWriter::Impl::write_pcap(const Record& record) {
    if (!has_header && !write_header(*record.interface)) {
        return false;
    }
    const LinkType other = record.interface->link;
    if (other != link) {
        return fail(fmt::format(
            "a .pcap file holds one link type, and the packets have {} and {}; name the output "
            ".pcapng",
            link_name(static_cast<std::uint32_t>(link)),
            link_name(static_cast<std::uint32_t>(other))));
    }
    const auto size = static_cast<std::uint32_t>(record.bytes.size());
    std::uint8_t* room = sink->append(kPcapRecordSize + size);
    if (room == nullptr) {
        return check_sink();
    }
    const std::uint64_t ns = unsigned_ns(record.when);
    const std::uint64_t seconds = std::min<std::uint64_t>(ns / kNsPerSecond, UINT32_MAX);
    Cursor(room)
        .u32(low(seconds))
        .u32(low(ns % kNsPerSecond))
        .u32(size)
        .u32(std::max(size, record.original_size))
        .bytes(record.bytes);
    return true;
}

bool FileWriter::Impl::write_section() {
    constexpr std::uint32_t kSize = 28;
    std::uint8_t* room = sink->append(kSize);
    if (room == nullptr) {
        return check_sink();
    }
    constexpr std::uint32_t kUnknown = UINT32_MAX;  // Both halves of the section's length: -1.
    Cursor(room)
        .u32(kSectionBlock)
        .u32(kSize)
        .u32(kOrderMagic)
        .u16(1)
        .u16(0)
        .u32(kUnknown)
        .u32(kUnknown)
        .u32(kSize);
    return true;
}

bool FileWriter::Impl::write_interface(const Interface& interface, std::uint32_t index) {
    const std::string_view label = cut_to_option(interface.name);
    const std::size_t size = 16 + option_size(label.size()) + option_size(1) + 4 + 4;
    const std::uint64_t at = sink->position();
    std::uint8_t* room = sink->append(size);
    if (room == nullptr) {
        return check_sink();
    }
    Cursor(room)
        .u32(kInterfaceBlock)
        .u32(low(size))
        .u16(static_cast<std::uint16_t>(interface.link))
        .u16(0)
        .u32(interface.snaplen)
        .option(kNameOption, as_bytes(label))
        .option(kResolutionOption, ByteView(&kNanoseconds, 1))
        .u32(0)  // End of options.
        .u32(low(size));
    note_snaplen(interface.snaplen, at + 12);
    if (index >= ids.size()) {
        ids.resize(index + 1, kNotWritten);
    }
    ids[index] = next_id++;
    return true;
}

bool FileWriter::Impl::write_pcapng(const Record& record) {
    if (!has_header && !write_header(*record.interface)) {
        return false;
    }
    const std::uint32_t index = record.interface_index;
    if ((index >= ids.size() || ids[index] == kNotWritten) &&
        !write_interface(*record.interface, index)) {
        return false;
    }
    const auto packet_size = static_cast<std::uint32_t>(record.bytes.size());
    const std::string_view comment = cut_to_option(record.comment);
    const std::size_t options_size = comment.empty() ? 0 : option_size(comment.size()) + 4;
    const std::size_t size = 28 + padded(packet_size) + options_size + 4;
    std::uint8_t* room = sink->append(size);
    if (room == nullptr) {
        return check_sink();
    }
    const std::uint64_t ns = unsigned_ns(record.when);
    Cursor cursor(room);
    cursor.u32(kEnhancedPacketBlock)
        .u32(low(size))
        .u32(ids[index])
        .u32(low(ns >> 32))
        .u32(low(ns))
        .u32(packet_size)
        .u32(std::max(packet_size, record.original_size))
        .padded_bytes(record.bytes);
    if (options_size > 0) {
        cursor.option(kCommentOption, as_bytes(comment)).u32(0);
    }
    cursor.u32(low(size));
    return true;
}

FileWriter::Opened FileWriter::open(const std::string& path) {
    auto impl = std::make_unique<Impl>();
    const bool is_stdout = path == "-";
    impl->name = is_stdout ? "standard output" : path;
    const std::string_view text = path;
    if (text.ends_with(".pcapng")) {
        impl->kind = Kind::Pcapng;
    } else if (!is_stdout && !text.ends_with(".pcap")) {
        return {.writer = nullptr, .error = path + ": name the output .pcap or .pcapng"};
    }
    auto opened = FileSink::open(path);
    if (!opened.sink) {
        return {.writer = nullptr, .error = impl->name + ": " + opened.error};
    }
    impl->sink = std::move(opened.sink);
    return {.writer = std::unique_ptr<FileWriter>(new FileWriter(std::move(impl))), .error = {}};
}

FileWriter::FileWriter(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

FileWriter::~FileWriter() {
    flush();
}

void FileWriter::describe(const std::vector<Interface>& interfaces) {
    impl_->described = interfaces;
}

bool FileWriter::write(const Record& record) {
    return impl_->write(record);
}

bool FileWriter::flush() {
    if (!impl_->error.empty()) {
        return false;
    }
    if (!impl_->has_header) {
        if (impl_->described.empty()) {
            impl_->described.emplace_back();
        }
        bool is_written = impl_->write_header(impl_->described.front());
        for (std::uint32_t i = 0;
             is_written && impl_->kind == Kind::Pcapng && i < impl_->described.size(); ++i) {
            is_written = impl_->write_interface(impl_->described[i], i);
        }
        if (!is_written) {
            return false;
        }
    }
    impl_->sink->flush();
    return impl_->check_sink();
}

const std::string& FileWriter::error() const {
    return impl_->error;
}

}  // namespace haka::capture
