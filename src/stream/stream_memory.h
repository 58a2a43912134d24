// The bytes that all streams of a worker hold, in recycled blocks of a few sizes, with one cap.
// One thread; nothing is allocated once the working set has been seen.
//
// Invariants: (1) used() <= stream_memory_max; (2) at most kCachedMax bytes lie idle in the lists.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/settings.h"

namespace haka::stream {

class StreamMemory {
public:
    // Owned by whoever took it, until give(). Not initialised.
    struct Block {
        std::uint8_t* data = nullptr;
        std::uint32_t size = 0;  // A power of two >= what was asked for.
    };

    static constexpr std::uint32_t kBlockMin = 256;
    static constexpr std::uint32_t kBlockMax = 1U << 30;
    static constexpr std::uint64_t kCachedMax = 8U << 20;
    static constexpr std::uint32_t kNodeSize = 80;  // Room that a held piece's tree node takes.

    // Of the settings: stream_memory_max, and for HeldPieces held_bytes_max, held_segments_max.
    explicit StreamMemory(const TcpSettings& settings)
        : memory_max_(settings.stream_memory_max),
          held_bytes_max_(settings.held_bytes_max),
          held_segments_max_(settings.held_segments_max) {}
    ~StreamMemory();
    StreamMemory(const StreamMemory&) = delete;
    StreamMemory& operator=(const StreamMemory&) = delete;

    // A block of at least `size` bytes; data is null when the cap (or the machine) has no more.
    [[nodiscard]] Block take(std::uint64_t size);
    void give(Block block);

    // Counts bytes that lie elsewhere; false, and nothing counted, when the cap has no more.
    [[nodiscard]] bool charge(std::uint64_t size) {
        const bool fit = fits(size);
        used_ += fit ? size : 0;
        return fit;
    }
    void discharge(std::uint64_t size) { used_ -= size; }

    // The size that take(size) would count. Precondition: size <= kBlockMax.
    [[nodiscard]] static std::uint32_t block_size(std::uint64_t size);

    // Whether blocks of `size` bytes in all fit under the cap.
    [[nodiscard]] bool fits(std::uint64_t size) const { return size <= memory_max_ - used_; }

    // The same for what is held out of order. An eighth is left to bytes that come in order: who
    // fills the memory with holes must not stop the others.
    [[nodiscard]] bool fits_held(std::uint64_t size) const {
        const std::uint64_t held_max = memory_max_ - memory_max_ / 8;
        return used_ <= held_max && size <= held_max - used_;
    }

    // Where the next tree node is to be built (HeldPieces).
    void place_node(void* place) { node_place_ = place; }
    [[nodiscard]] void* node_place() const { return node_place_; }

    [[nodiscard]] std::uint64_t used() const { return used_; }
    [[nodiscard]] std::uint64_t cached() const { return cached_; }
    [[nodiscard]] std::uint32_t held_bytes_max() const { return held_bytes_max_; }
    [[nodiscard]] std::uint32_t held_segments_max() const { return held_segments_max_; }

private:
    static constexpr std::size_t kClasses = 23;  // 2^8 .. 2^30

    static std::size_t class_of(std::uint32_t block_size);

    std::uint64_t memory_max_;
    std::uint32_t held_bytes_max_;
    std::uint32_t held_segments_max_;
    std::uint64_t used_ = 0;
    std::uint64_t cached_ = 0;
    void* node_place_ = nullptr;
    std::array<std::uint8_t*, kClasses> free_{};  // Each block's first bytes point to the next.
};

}  // namespace haka::stream
