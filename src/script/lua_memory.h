// Where a Lua state's memory comes from: counted, bounded, and fast for the small objects (views,
// strings, table nodes) that rules make by the million.
//
// LuaJIT 2.1 (until 2023) does not survive a refused request in compiled code, and nobody can tell
// it that it isn't there. So a request beyond the bound is granted, up to kGrace times the bound,
// and the error "not enough memory" is raised at the next instruction that is interpreted: compiled
// code is left at the latest when a collection comes to its atomic phase. A request beyond the
// grace is refused; where compiled code may have made it the thread stops for good (see
// is_stuck()), and the process must end.
//
// Blocks of up to kSmallMax bytes come from free lists by size, carved out of slabs; larger ones
// from the C library. Slabs stay until the state is closed, so what small objects once took at most
// is what they keep.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

struct lua_State;

namespace haka::script {

class LuaMemory {
public:
    static constexpr std::uint64_t kGrace = 4;

    explicit LuaMemory(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
    LuaMemory(const LuaMemory&) = delete;
    LuaMemory& operator=(const LuaMemory&) = delete;
    ~LuaMemory() = default;

    // As lua_Alloc: gives, resizes or takes back a block; nullptr when that would pass the bound.
    static void* allocate(void* memory, void* old, std::size_t old_size, std::size_t new_size);

    // The state that lives here, where the error is raised, and where the number of the rule at
    // work stands. Both must outlive their use.
    void serve(lua_State* lua, const std::uint32_t* rule) {
        lua_ = lua;
        rule_ = rule;
    }
    // The bound was passed since the last reset().
    [[nodiscard]] bool has_overrun() const { return overrun_; }
    [[nodiscard]] std::uint32_t overrun_rule() const { return overrun_rule_; }
    // More than the bound is in use, though nothing runs.
    [[nodiscard]] bool is_over() const { return used_ > bytes_max_; }
    // For the library's own clean-up, which must not fail: everything is granted.
    void set_lenient(bool lenient) { lenient_ = lenient; }
    // Takes the pending error back: it was raised, or the code came to its end first.
    void reset();
    // For the watchdog, from another thread.
    [[nodiscard]] bool is_stuck() const { return stuck_.load(std::memory_order_relaxed); }

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

    [[nodiscard]] bool may_pass_bound(std::uint64_t more);
    static std::size_t class_of(std::size_t size) { return (size + kStep - 1) / kStep; }
    [[nodiscard]] void* take(std::size_t size);
    void give(void* block, std::size_t size);
    [[nodiscard]] Free* carve(std::size_t size_class);

    std::uint64_t bytes_max_;
    std::uint64_t used_ = 0;
    lua_State* lua_ = nullptr;
    const std::uint32_t* rule_ = nullptr;
    std::uint32_t overrun_rule_ = 0;
    bool overrun_ = false;
    bool forced_ = false;
    bool lenient_ = false;
    std::atomic<bool> stuck_{false};
    std::array<Free*, kSmallMax / kStep + 1> free_{};
    std::vector<std::unique_ptr<std::byte[]>> slabs_;
};

}  // namespace haka::script
