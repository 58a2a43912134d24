// The output bytes of one edited direction, from what the receiver has not acknowledged to what the
// rules have not decided: one block, so that a rule sees its part in one piece.
//
// Invariant: no block is owned while it isn't active().
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "stream/stream_memory.h"

namespace haka::stream {

class OutputBytes {
public:
    // `memory` must outlive it.
    explicit OutputBytes(StreamMemory& memory) : memory_(&memory) {}
    ~OutputBytes() { stop(); }
    OutputBytes(const OutputBytes&) = delete;
    OutputBytes& operator=(const OutputBytes&) = delete;

    [[nodiscard]] bool active() const { return active_; }
    // Begins with `bytes`, which stand at output offset `offset`. False, and not active: no memory.
    [[nodiscard]] bool start(std::uint64_t offset, ByteView bytes);
    void stop();

    // All of the following need active().
    [[nodiscard]] std::uint64_t begin() const { return begin_; }
    [[nodiscard]] std::uint64_t end() const { return end_; }
    // The bytes [from, to). Precondition: begin() <= from <= to <= end(). Valid until a change.
    [[nodiscard]] ByteView view(std::uint64_t from, std::uint64_t to) const {
        return {block_.data + (from - base_), static_cast<std::size_t>(to - from)};
    }
    // False, and nothing changed: no memory.
    [[nodiscard]] bool append(ByteView bytes);
    // Room for `size` more bytes. False, and nothing changed: no memory.
    [[nodiscard]] bool reserve(std::uint64_t size);
    // Puts `insert` in the place of [at, at + erase). Precondition: those bytes are there, `insert`
    // doesn't lie in them, and room for it was reserved.
    void edit(std::uint64_t at, std::uint32_t erase, ByteView insert);
    // Nobody needs what lies below `offset`.
    void drop_before(std::uint64_t offset);

private:
    StreamMemory* memory_;
    StreamMemory::Block block_;
    std::uint64_t base_ = 0;  // Offset of the block's first byte.
    std::uint64_t begin_ = 0;
    std::uint64_t end_ = 0;
    bool active_ = false;
};

}  // namespace haka::stream
