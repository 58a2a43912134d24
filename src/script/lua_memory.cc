#include "script/lua_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <new>
#include <sstream>
#include <string>
#include <utility>

#include <luajit-2.1/lua.hpp>
#include <unistd.h>

namespace haka::script {
namespace {

// Stretches of memory that hold code and belong to no file: what a JIT compiler writes.
std::vector<std::pair<std::uintptr_t, std::uintptr_t>> compiled_code() {
    std::vector<std::pair<std::uintptr_t, std::uintptr_t>> ranges;
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
        std::istringstream words(line);
        std::string range;
        std::string access;
        std::string offset;
        std::string device;
        std::string inode;
        words >> range >> access >> offset >> device >> inode;
        const std::size_t dash = range.find('-');
        if (access.find('x') != std::string::npos && inode == "0" && dash != std::string::npos) {
            ranges.emplace_back(std::stoull(range.substr(0, dash), nullptr, 16),
                                std::stoull(range.substr(dash + 1), nullptr, 16));
        }
    }
    return ranges;
}

// May compiled Lua code be among the callers? Its frames can't be unwound, so the nearest words of
// the stack are searched for an address in it; one that was left behind counts, too.
__attribute__((noinline, no_sanitize("address"))) bool may_be_called_from_trace() {
    constexpr std::size_t kWords = 160;
    const auto ranges = compiled_code();
    const auto* frame = static_cast<const std::uintptr_t*>(__builtin_frame_address(0));
    for (std::size_t i = 0; i < kWords; ++i) {
        for (const auto& [begin, end] : ranges) {
            if (frame[i] >= begin && frame[i] < end) {
                return true;
            }
        }
    }
    return false;
}

constexpr int kStepMultiplier = 200;  // LuaJIT's own.

// Stays set until the outermost call has failed, so that no pcall of a policy can swallow it.
void raise(lua_State* lua, lua_Debug* /*where*/) {
    lua_pushstring(lua, "not enough memory");
    lua_error(lua);
}

}  // namespace

void LuaMemory::reset() {
    if (overrun_) {
        overrun_ = false;
        forced_ = false;
        lua_sethook(lua_, nullptr, 0, 0);
        lua_gc(lua_, LUA_GCSETSTEPMUL, kStepMultiplier);
    }
}

// Rare, so it may look closely.
bool LuaMemory::may_pass_bound(std::uint64_t more) {
    if (lua_ == nullptr) {
        return false;
    }
    if (lenient_) {
        return true;
    }
    if (used_ + more > bytes_max_ * kGrace) {
        if (!may_be_called_from_trace()) {
            return false;
        }
        stuck_.store(true);
        while (true) {
            pause();
        }
    }
    if (!overrun_) {
        overrun_ = true;
        overrun_rule_ = *rule_;
        lua_sethook(lua_, raise, LUA_MASKCOUNT, 1);
    }
    if (!forced_ && used_ + more > bytes_max_ + bytes_max_ / 8) {
        forced_ = true;
        // The next check of compiled code starts a collection that runs to the atomic phase at
        // once. Not for less: most code is left soon, and the mark phase takes its time.
        lua_gc(lua_, LUA_GCRESTART, 0);
        lua_gc(lua_, LUA_GCSETSTEPMUL, 0);
    }
    return true;
}

// Cuts a slab into blocks of a class and links them all; nullptr when the machine has no more.
LuaMemory::Free* LuaMemory::carve(std::size_t size_class) {
    std::unique_ptr<std::byte[]> slab(new (std::nothrow) std::byte[kSlabSize]);
    if (slab == nullptr) {
        return nullptr;
    }
    const std::size_t size = size_class * kStep;
    Free* first = nullptr;
    for (std::size_t at = kSlabSize / size * size; at >= size; at -= size) {
        void* const place = slab.get() + at - size;
        auto* const block = static_cast<Free*>(place);
        block->next = first;
        first = block;
    }
    slabs_.push_back(std::move(slab));
    return first;
}

// Lua resizes its large objects: that is realloc's work, and Lua is their owner.
// NOLINTBEGIN(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)

void* LuaMemory::take(std::size_t size) {
    if (size > kSmallMax) {
        return std::malloc(size);
    }
    Free*& list = free_.at(class_of(size));
    if (list == nullptr) {
        list = carve(class_of(size));
        if (list == nullptr) {
            return nullptr;
        }
    }
    Free* const block = list;
    list = block->next;
    return block;
}

void LuaMemory::give(void* block, std::size_t size) {
    if (size > kSmallMax) {
        std::free(block);
        return;
    }
    auto* const free_block = static_cast<Free*>(block);
    Free*& list = free_.at(class_of(size));
    free_block->next = list;
    list = free_block;
}

void* LuaMemory::allocate(void* memory, void* old, std::size_t old_size, std::size_t new_size) {
    auto& self = *static_cast<LuaMemory*>(memory);
    if (old == nullptr) {
        old_size = 0;
    }
    if (new_size > old_size && self.used_ + (new_size - old_size) > self.bytes_max_ &&
        !self.may_pass_bound(new_size - old_size)) {
        return nullptr;
    }
    void* block = nullptr;
    if (new_size == 0) {
        if (old != nullptr) {
            self.give(old, old_size);
        }
    } else if (old_size > kSmallMax && new_size > kSmallMax) {
        block = std::realloc(old, new_size);
    } else if (old != nullptr && class_of(old_size) == class_of(new_size)) {
        block = old;
    } else {
        block = self.take(new_size);
        if (block != nullptr && old != nullptr) {
            std::memcpy(block, old, std::min(old_size, new_size));
            self.give(old, old_size);
        }
    }
    if (new_size != 0 && block == nullptr) {
        return nullptr;
    }
    self.used_ += new_size;
    self.used_ -= old_size;
    return block;
}

// NOLINTEND(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)

}  // namespace haka::script
