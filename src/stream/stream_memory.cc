#include "stream/stream_memory.h"

#include <bit>
#include <cassert>
#include <cstdlib>
#include <cstring>

namespace haka::stream {

namespace {

std::uint8_t* next_of(const std::uint8_t* block) {
    std::uint8_t* next = nullptr;
    std::memcpy(&next, block, sizeof next);
    return next;
}

}  // namespace

// This is the owner that others are spared to be: blocks in the lists own themselves.
// NOLINTBEGIN(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)

StreamMemory::~StreamMemory() {
    for (std::uint8_t* head : free_) {
        while (head != nullptr) {
            std::uint8_t* next = next_of(head);
            std::free(head);
            head = next;
        }
    }
}

std::uint32_t StreamMemory::block_size(std::uint64_t size) {
    assert(size <= kBlockMax);
    return size <= kBlockMin ? kBlockMin : static_cast<std::uint32_t>(std::bit_ceil(size));
}

std::size_t StreamMemory::class_of(std::uint32_t block_size) {
    return static_cast<std::size_t>(std::countr_zero(block_size / kBlockMin));
}

StreamMemory::Block StreamMemory::take(std::uint64_t size) {
    if (size > kBlockMax || !fits(block_size(size))) {
        return {};
    }
    const std::uint32_t rounded = block_size(size);
    std::uint8_t*& head = free_[class_of(rounded)];
    std::uint8_t* data = head;
    if (data != nullptr) {
        head = next_of(data);
        cached_ -= rounded;
    } else {
        data = static_cast<std::uint8_t*>(std::malloc(rounded));
        if (data == nullptr) {
            return {};
        }
    }
    used_ += rounded;
    return {data, rounded};
}

void StreamMemory::give(Block block) {
    if (block.data == nullptr) {
        return;
    }
    used_ -= block.size;
    if (cached_ + block.size > kCachedMax) {
        std::free(block.data);
        return;
    }
    std::uint8_t*& head = free_[class_of(block.size)];
    std::memcpy(block.data, &head, sizeof head);
    head = block.data;
    cached_ += block.size;
}

// NOLINTEND(cppcoreguidelines-no-malloc,cppcoreguidelines-owning-memory)

}  // namespace haka::stream
