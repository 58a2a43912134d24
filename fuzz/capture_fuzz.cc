// Feeds bytes as a capture file to the reader. Whatever they are: frames lie inside their block,
// say the truth about themselves, and don't depend on how the bytes were cut into blocks.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "capture/block_reader.h"
#include "capture/gzip_source.h"
#include "fuzz.h"

namespace haka::capture {
namespace {

using fuzz::require;

// Everything that may not depend on the cut, in one number.
struct Digest {
    std::uint64_t frames = 0;
    std::uint64_t hash = 14'695'981'039'346'656'037U;
    std::string message;

    void add(std::uint64_t value) { hash = (hash ^ value) * 1'099'511'628'211U; }
    friend bool operator==(const Digest&, const Digest&) = default;
};

void check(const Frame& frame, const Block& block, const BlockReader& reader, Digest& digest) {
    const std::uint8_t* begin = block.bytes.data();
    const std::uint8_t* end = begin + block.bytes.size();
    constexpr std::less_equal<> kNotAfter;  // Defined also for pointers into different objects.
    require(kNotAfter(begin, frame.data) && kNotAfter(frame.data, end), "frame in its block");
    require(frame.size <= static_cast<std::size_t>(end - frame.data), "frame ends in its block");
    require(frame.size <= kFrameSizeMax, "frame size bounded");
    require(frame.original_size >= frame.size, "original size at least the captured size");
    require(frame.number == ++digest.frames, "frames numbered from 1");
    require(frame.interface < reader.interfaces().size(), "interface known");
    require(reader.interfaces()[frame.interface].link == frame.link, "link type of its interface");
    digest.add(frame.size);
    digest.add(frame.original_size);
    digest.add(static_cast<std::uint64_t>(frame.when.ns));
    digest.add(frame.interface);
    for (std::uint8_t& byte : frame.mutable_bytes()) {
        digest.add(byte);
        byte = 0;  // Whoever reads may write, and later blocks must not notice.
    }
}

Digest read(ByteView bytes, std::size_t block_size, std::size_t step) {
    Digest digest;
    auto opened = BlockReader::open(memory_source(bytes, step), "file", block_size);
    require((opened.reader == nullptr) != opened.error.empty(), "a reader or an error");
    if (!opened.reader) {
        digest.message = std::move(opened.error);
        return digest;
    }
    const Interface* first = opened.reader->interfaces().data();
    Block block;
    while (opened.reader->read(block)) {
        require(!block.frames.empty(), "a block has frames");
        for (const Frame& frame : block.frames) {
            check(frame, block, *opened.reader, digest);
        }
    }
    require(opened.reader->interfaces().data() == first, "interfaces stay where they are");
    require(!opened.reader->read(block), "an end is an end");
    digest.message = opened.reader->damage().value_or("");
    require(digest.message.find('\n') == std::string::npos, "one line");
    return digest;
}

}  // namespace
}  // namespace haka::capture

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace haka::capture;
    if (size == 0) {
        return 0;
    }
    const haka::ByteView bytes(data + 1, size - 1);
    const std::size_t block_size = 1 + (data[0] & 0x7f);
    const std::size_t step = (data[0] & 0x80) != 0 ? 5 : SIZE_MAX;
    const Digest whole = read(bytes, 1U << 16, SIZE_MAX);
    const Digest cut = read(bytes, block_size, step);
    // How much a damaged gzip stream gives before its error is zlib's business.
    require(whole == cut || looks_like_gzip(bytes), "blocks don't matter");
    return 0;
}
