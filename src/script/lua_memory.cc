#include "script/lua_memory.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace haka::script {

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

void* LuaMemory::take(std::size_t size) {
    if (size > kSmallMax) {
        return std::malloc(size);  // NOLINT(cppcoreguidelines-no-malloc): resized by realloc.
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
        std::free(block);  // NOLINT(cppcoreguidelines-no-malloc)
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
    if (new_size > old_size && self.used_ + (new_size - old_size) > self.bytes_max_) {
        return nullptr;
    }
    void* block = nullptr;
    if (new_size == 0) {
        if (old != nullptr) {
            self.give(old, old_size);
        }
    } else if (old_size > kSmallMax && new_size > kSmallMax) {
        block = std::realloc(old, new_size);  // NOLINT(cppcoreguidelines-no-malloc)
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

}  // namespace haka::script
