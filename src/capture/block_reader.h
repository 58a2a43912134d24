// Cuts a byte source into blocks of frames: the part of FileReader that knows no paths.
//
// A block is filled with one large read and scanned in place. The record that crosses its end is
// copied into `tail_` and begins the next block, so that blocks never refer to each other.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "capture/block.h"
#include "capture/byte_source.h"
#include "capture/format.h"

namespace haka::capture {

class BlockReader {
public:
    struct Opened {
        std::unique_ptr<BlockReader> reader;  // Null on failure.
        std::string error;
    };
    // `name` is how messages call the source. `block_size` is for tests; it must not be 0.
    [[nodiscard]] static Opened open(std::unique_ptr<ByteSource> source, std::string name,
                                     std::size_t block_size = kBlockSize);

    [[nodiscard]] bool read(Block& block);

    [[nodiscard]] const std::vector<Interface>& interfaces() const { return format_->interfaces(); }
    [[nodiscard]] const std::optional<std::string>& damage() const { return damage_; }
    [[nodiscard]] std::uint64_t size() const { return source_->size(); }
    [[nodiscard]] std::uint64_t position() const { return source_->position(); }

private:
    BlockReader(std::unique_ptr<ByteSource> source, std::string name, std::size_t block_size)
        : source_(std::move(source)), name_(std::move(name)), block_size_(block_size) {}

    // Each returns the error, empty when all is well.
    [[nodiscard]] std::string start();
    [[nodiscard]] std::string detect();
    [[nodiscard]] bool grow_tail(std::size_t size);

    bool fill(std::vector<std::uint8_t>& bytes, Wait wait);
    void make_room(std::vector<std::uint8_t>& bytes, std::size_t wants);
    void end(const Scan& scan, ByteView rest);
    [[nodiscard]] std::string end_text(ByteView rest) const;
    [[nodiscard]] std::string at_byte(std::uint64_t offset, ByteView rest) const;

    std::unique_ptr<ByteSource> source_;
    std::string name_;
    std::size_t block_size_;
    bool is_gzip_ = false;
    std::unique_ptr<Format> format_;

    std::vector<std::uint8_t> tail_;  // Read from the source, not scanned yet.
    std::uint64_t offset_ = 0;        // Bytes scanned so far, in the uncompressed data.
    std::size_t filled_ = 0;          // Of the block being read: [scanned | unread | free].
    std::size_t scanned_ = 0;

    bool is_drained_ = false;   // The source gives nothing more.
    std::string source_error_;  // Why, unless it was the ordinary end.
    bool is_over_ = false;      // read() has nothing more to give.
    std::optional<std::string> pending_damage_;
    std::optional<std::string> damage_;
};

}  // namespace haka::capture
