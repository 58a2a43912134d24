// Where a Lua state's memory comes from: counted, bounded, and fast for the small objects (views,
// strings, table nodes) that rules make by the million.
//
// Blocks of up to kSmallMax bytes come from free lists by size, carved out of slabs; larger ones
// from the C library. Slabs stay until the state is closed, so what small objects once took at most
// is what they keep.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace haka::script {

class LuaMemory {
public:
    explicit LuaMemory(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
    LuaMemory(const LuaMemory&) = delete;
    LuaMemory& operator=(const LuaMemory&) = delete;
    ~LuaMemory() = default;

    // As lua_Alloc: gives, resizes or takes back a block; nullptr when that would pass the bound.
    static void* allocate(void* memory, void* old, std::size_t old_size, std::size_t new_size);

    [[nodiscard]] std::uint64_t used() const { return used_; }
    [[nodiscard]] std::uint64_t bytes_max() const { return bytes_max_; }

private:
    static constexpr std::size_t kStep = 16;
    static constexpr std::size_t kSmallMax = 256;
    static constexpr std::size_t kSlabSize = 64 * 1024;

    // The first bytes of a free block.
    struct Free {
        Free* next = nullptr;
    };

    static std::size_t class_of(std::size_t size) { return (size + kStep - 1) / kStep; }
    [[nodiscard]] void* take(std::size_t size);
    void give(void* block, std::size_t size);
    [[nodiscard]] Free* carve(std::size_t size_class);

    std::uint64_t bytes_max_;
    std::uint64_t used_ = 0;
    std::array<Free*, kSmallMax / kStep + 1> free_{};
    std::vector<std::unique_ptr<std::byte[]>> slabs_;
};

}  // namespace haka::script
