// What arrived out of order: disjoint pieces of a stream, sorted, each in its own block. A gap is a
// piece without bytes: it says that they will never come.
//
// Every search is O(log n); a piece's tree node lies in front of its bytes in the same block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>

#include "base/bytes.h"
#include "stream/stream_memory.h"

namespace haka::stream {

// Gives std::map the front of the block that is about to be inserted. Freeing a node frees nothing:
// whoever erases a piece gives its block back.
template <typename T>
struct NodeInBlock {
    using value_type = T;
    StreamMemory* memory;

    explicit NodeInBlock(StreamMemory& stream_memory) : memory(&stream_memory) {}
    template <typename U>
    NodeInBlock(const NodeInBlock<U>& other)  // NOLINT(google-explicit-constructor)
        : memory(other.memory) {}

    [[nodiscard]] T* allocate(std::size_t) {
        static_assert(sizeof(T) <= StreamMemory::kNodeSize);
        return static_cast<T*>(memory->node_place());
    }
    void deallocate(T*, std::size_t) {}
    template <typename U>
    friend bool operator==(const NodeInBlock& a, const NodeInBlock<U>& b) {
        return a.memory == b.memory;
    }
};

class HeldPieces {
public:
    struct Piece {
        StreamMemory::Block block;  // Node first, then the bytes.
        std::uint64_t size = 0;
        bool gap = false;

        [[nodiscard]] std::uint8_t* data() const { return block.data + StreamMemory::kNodeSize; }
    };

    // Adjacent pieces as one: what a SACK block names.
    struct Range {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
    };

    // What inserting a range would take: only the parts that no piece covers yet.
    struct Cost {
        std::uint64_t charge = 0;  // Against held_bytes_max.
        std::uint64_t memory = 0;
        std::uint32_t pieces = 0;
    };

    explicit HeldPieces(StreamMemory& memory)
        : memory_(&memory), pieces_(NodeInBlock<Value>(memory)) {}
    ~HeldPieces() { clear(); }
    HeldPieces(const HeldPieces&) = delete;
    HeldPieces& operator=(const HeldPieces&) = delete;
    HeldPieces(HeldPieces&& other) noexcept;
    HeldPieces& operator=(HeldPieces&& other) = delete;

    [[nodiscard]] bool empty() const { return pieces_.empty(); }
    [[nodiscard]] std::uint32_t count() const { return static_cast<std::uint32_t>(pieces_.size()); }
    [[nodiscard]] std::uint64_t charge() const { return charge_; }
    [[nodiscard]] std::uint64_t data_bytes() const { return data_bytes_; }
    // Where the first piece begins; UINT64_MAX if there is none.
    [[nodiscard]] std::uint64_t first_begin() const {
        return pieces_.empty() ? UINT64_MAX : pieces_.begin()->first;
    }
    [[nodiscard]] const Piece& first() const { return pieces_.begin()->second; }
    [[nodiscard]] bool gap_at(std::uint64_t offset) const {
        return !pieces_.empty() && pieces_.begin()->first == offset && pieces_.begin()->second.gap;
    }
    // How far the stream is known without interruption if it is known up to `offset`: to the first
    // hole or gap. Precondition: offset >= first_begin() or nothing is reached.
    [[nodiscard]] std::uint64_t reach(std::uint64_t offset) const;

    // Fills `ranges` with what is held: first the range around `newest`, then the lowest ones (RFC
    // 2018, 4). Returns how many there are.
    [[nodiscard]] std::size_t ranges(std::uint64_t newest, std::span<Range> ranges) const;

    // Precondition: size <= StreamMemory::kBlockMax / 2.
    [[nodiscard]] Cost cost_of(std::uint64_t offset, std::uint64_t size) const;
    [[nodiscard]] Cost gap_cost_of(std::uint64_t offset, std::uint64_t size) const;
    // Inserts the parts that no piece covers; false if the machine has no memory (a part may be
    // in).
    bool insert(std::uint64_t offset, ByteView bytes);
    bool insert_gap(std::uint64_t offset, std::uint64_t size);
    void pop_first();
    // Drops everything at and behind `offset`.
    void cut(std::uint64_t offset);
    void clear();

    // Whether known bytes of the range differ from `bytes`.
    [[nodiscard]] bool differs(std::uint64_t offset, ByteView bytes) const;
    // Puts the known bytes over `bytes`; true if that changed any.
    bool overwrite(std::uint64_t offset, MutableByteView bytes) const;

private:
    using Value = std::pair<const std::uint64_t, Piece>;
    using Map = std::map<std::uint64_t, Piece, std::less<>, NodeInBlock<Value>>;

    [[nodiscard]] static std::uint64_t charge_of(std::uint64_t size);
    [[nodiscard]] Map::const_iterator first_touching(std::uint64_t offset) const;
    void erase(Map::iterator piece);
    bool put(Map::const_iterator before, std::uint64_t offset, ByteView bytes,
             std::uint64_t gap_size);

    StreamMemory* memory_;
    Map pieces_;
    std::uint64_t charge_ = 0;
    std::uint64_t data_bytes_ = 0;
};

}  // namespace haka::stream
