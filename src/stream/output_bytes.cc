#include "stream/output_bytes.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace haka::stream {

bool OutputBytes::start(std::uint64_t offset, ByteView bytes) {
    assert(!active_);
    base_ = begin_ = end_ = offset;
    active_ = append(bytes);
    return active_;
}

void OutputBytes::stop() {
    memory_->give(std::exchange(block_, {}));
    active_ = false;
}

// Linear in all that pass: a block is moved within itself only when at
// least half of it is free, else it doubles.
bool OutputBytes::reserve(std::uint64_t size) {
    if (end_ - base_ + size <= block_.size) {
        return true;
    }
    const std::uint64_t kept = end_ - begin_;
    const std::uint64_t need = kept + size;
    if (need > StreamMemory::kBlockMax / 2) {
        return false;
    }
    if (need > block_.size / 2) {
        StreamMemory::Block block = memory_->take(need * 2);
        if (block.data == nullptr) {
            block = memory_->take(need);
        }
        if (block.data == nullptr) {
            return false;
        }
        if (kept != 0) {
            std::memcpy(block.data, block_.data + (begin_ - base_), kept);
        }
        memory_->give(std::exchange(block_, block));
    } else if (kept != 0) {
        std::memmove(block_.data, block_.data + (begin_ - base_), kept);
    }
    base_ = begin_;
    return true;
}

bool OutputBytes::append(ByteView bytes) {
    if (!reserve(bytes.size())) {
        return false;
    }
    if (!bytes.empty()) {
        std::memcpy(block_.data + (end_ - base_), bytes.data(), bytes.size());
        end_ += bytes.size();
    }
    return true;
}

void OutputBytes::edit(std::uint64_t at, std::uint32_t erase, ByteView insert) {
    assert(active_ && begin_ <= at && at + erase <= end_);
    std::uint8_t* const place = block_.data + (at - base_);
    const std::uint64_t behind = end_ - at - erase;
    if (behind != 0 && insert.size() != erase) {
        std::memmove(place + insert.size(), place + erase, behind);
    }
    if (!insert.empty()) {
        std::memcpy(place, insert.data(), insert.size());
    }
    end_ = at + insert.size() + behind;
}

void OutputBytes::drop_before(std::uint64_t offset) {
    begin_ = std::clamp(offset, begin_, end_);
}

}  // namespace haka::stream
