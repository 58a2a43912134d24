#include "stream/stream_buffer.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace haka::stream {

StreamBuffer::~StreamBuffer() {
    memory_->give(block_);
}

StreamBuffer::StreamBuffer(StreamBuffer&& other) noexcept
    : memory_(other.memory_),
      block_(std::exchange(other.block_, {})),
      base_(other.base_),
      kept_(other.kept_),
      begin_(other.begin_),
      end_(other.end_),
      acked_(other.acked_),
      pin_(other.pin_),
      last_forgotten_(other.last_forgotten_),
      knows_last_forgotten_(other.knows_last_forgotten_),
      fin_(other.fin_),
      gap_(other.gap_),
      gap_end_(other.gap_end_),
      held_(std::move(other.held_)) {
    other.base_ = other.kept_ = other.begin_ = other.end_;
}

Added StreamBuffer::add(std::uint64_t offset, ByteView bytes) {
    const bool next = offset == end_ && held_.empty() && bytes.size() <= fin_ - end_;
    if (!next) {
        return add_slow(offset, bytes);
    }
    if (!make_room(bytes.size())) {
        return {.refused = Event::TcpStreamMemory};
    }
    append(bytes);
    return {.available = bytes.size()};
}

Added StreamBuffer::add_slow(std::uint64_t offset, ByteView bytes) {
    Added added;
    if (offset >= fin_) {
        return added;
    }
    bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), fin_ - offset));
    if (offset < end_) {
        const std::uint64_t forgotten = kept_ - std::min(offset, kept_);
        added.forgotten =
            static_cast<std::uint32_t>(std::min<std::uint64_t>(forgotten, bytes.size()));
        added.differs = differs_from_kept(offset, bytes);
        const std::uint64_t known = std::min<std::uint64_t>(end_ - offset, bytes.size());
        offset += known;
        bytes = bytes.subspan(known);
    }
    const bool adjoins = offset <= end_ && !at_gap();
    const std::uint64_t last = offset + bytes.size();
    const std::uint64_t reach =
        at_gap() ? end_ : held_.reach(adjoins ? std::max(last, end_) : end_);

    // What lies behind a hole or a gap is held.
    const std::uint64_t held_begin = std::max(offset, reach);
    const ByteView to_hold = held_begin < last ? bytes.subspan(held_begin - offset) : ByteView{};
    if (!make_room(reach - end_)) {
        added.refused = Event::TcpStreamMemory;
    } else if (!to_hold.empty()) {
        added.refused = hold_refusal(held_.cost_of(held_begin, to_hold.size()));
        if (added.refused == Event::None && !held_.insert(held_begin, to_hold)) {
            added.refused = Event::TcpStreamMemory;
        }
    }
    if (added.refused != Event::None) {
        forget();  // The room that was made, if nothing else is kept.
        return added;
    }
    added.differs = held_.differs(offset, bytes) || added.differs;
    added.available = extend(reach, offset, bytes);
    added.available += pass_gaps();
    return added;
}

Added StreamBuffer::add_gap(std::uint64_t offset, std::uint64_t size) {
    Added added;
    const std::uint64_t last = std::min(fin_, offset + size);
    offset = std::max(offset, end_);
    if (offset >= last) {
        return added;
    }
    // The first hole's gap is what frees held bytes: only the memory cap stands in its way.
    const HeldPieces::Cost cost = held_.gap_cost_of(offset, last - offset);
    const bool first_hole = offset == end_ && !at_gap() && cost.pieces == 1;
    if (!first_hole) {
        added.refused = hold_refusal(cost);
    }
    if (added.refused != Event::None) {
        return added;
    }
    if (!held_.insert_gap(offset, last - offset)) {
        added.refused = Event::TcpStreamMemory;
        return added;
    }
    added.available = pass_gaps();
    return added;
}

bool StreamBuffer::fin(std::uint64_t offset) {
    if (fin_ != UINT64_MAX || offset < end_) {
        return offset == fin_;
    }
    fin_ = offset;
    held_.cut(offset);
    return true;
}

Rewritten StreamBuffer::rewrite(std::uint64_t offset, MutableByteView bytes) const {
    Rewritten rewritten;
    const std::uint64_t last = offset + bytes.size();
    if (offset < kept_) {
        rewritten.forgotten = static_cast<std::uint32_t>(std::min(kept_, last) - offset);
        if (knows_last_forgotten_ && last >= kept_ &&
            bytes[kept_ - 1 - offset] != last_forgotten_) {
            bytes[kept_ - 1 - offset] = last_forgotten_;
            rewritten.changed = true;
        }
    }
    const std::uint64_t from = std::max(offset, kept_);
    const std::uint64_t to = std::min(last, end_);
    if (from < to) {
        std::uint8_t* target = bytes.data() + (from - offset);
        const std::uint8_t* source = block_.data + (from - base_);
        if (std::memcmp(target, source, to - from) != 0) {
            std::memcpy(target, source, to - from);
            rewritten.changed = true;
        }
    }
    if (!held_.empty() && last > end_) {
        rewritten.changed = held_.overwrite(offset, bytes) || rewritten.changed;
    }
    return rewritten;
}

std::uint64_t StreamBuffer::release(std::uint64_t offset) {
    begin_ = std::clamp(offset, begin_, end_);
    const std::uint64_t gained = pass_gaps();
    forget();
    return gained;
}

void StreamBuffer::acknowledged(std::uint64_t offset) {
    if (offset > acked_) {
        acked_ = offset;
        forget();
    }
}

std::uint64_t StreamBuffer::take_gap() {
    return std::exchange(gap_, 0);
}

std::uint64_t StreamBuffer::pending_hole() const {
    return held_.empty() ? 0 : held_.first_begin() - end_;
}

std::uint64_t StreamBuffer::acknowledged_hole() const {
    if (!is_acknowledged_ahead()) {
        return 0;
    }
    const std::uint64_t known = std::min({acked_, held_.first_begin(), fin_});
    return known > end_ ? known - end_ : 0;
}

// Whether the part of `bytes` that was shown already, and is kept, differs from it.
bool StreamBuffer::differs_from_kept(std::uint64_t offset, ByteView bytes) const {
    const std::uint64_t from = std::max(offset, kept_);
    const std::uint64_t to = std::min(offset + bytes.size(), end_);
    return from < to && std::memcmp(block_.data + (from - base_), bytes.data() + (from - offset),
                                    to - from) != 0;
}

Event StreamBuffer::hold_refusal(const HeldPieces::Cost& cost) const {
    if (held_.charge() + cost.charge > memory_->held_bytes_max() ||
        held_.count() + cost.pieces > memory_->held_segments_max()) {
        return Event::TcpHoldLimit;
    }
    return memory_->fits_held(cost.memory) ? Event::None : Event::TcpStreamMemory;
}

// Makes the block hold `size` more bytes behind end_. Linear in the bytes that pass: a block is
// cleared by moving only when at least as many bytes were forgotten, else it doubles.
bool StreamBuffer::make_room(std::uint64_t size) {
    if (end_ - base_ + size <= block_.size) {
        return true;
    }
    const std::uint64_t kept = end_ - kept_;
    const std::uint64_t need = kept + size;
    if (need > StreamMemory::kBlockMax) {
        return false;
    }
    const std::uint32_t wanted =
        StreamMemory::block_size(std::min<std::uint64_t>(need * 2, StreamMemory::kBlockMax));
    const bool suits = need <= block_.size / 2 && block_.size / 4 <= wanted;
    StreamMemory::Block block = suits ? block_ : memory_->take(wanted);
    if (block.data == nullptr && need > block_.size) {
        block = memory_->take(need);
        if (block.data == nullptr) {
            return false;
        }
    } else if (block.data == nullptr) {
        block = block_;
    }
    if (kept != 0) {
        std::memmove(block.data, block_.data + (kept_ - base_), kept);
    }
    if (block.data != block_.data) {
        memory_->give(std::exchange(block_, block));
    }
    base_ = kept_;
    return true;
}

void StreamBuffer::append(ByteView bytes) {
    if (!bytes.empty()) {
        std::memcpy(block_.data + (end_ - base_), bytes.data(), bytes.size());
        end_ += bytes.size();
    }
}

// Moves the end to `reach` with held pieces and, between them, `bytes` (which lie at `offset`).
// Precondition: room for it, and one of both covers every byte. Returns how many bytes that was.
std::uint64_t StreamBuffer::extend(std::uint64_t reach, std::uint64_t offset, ByteView bytes) {
    const std::uint64_t old_end = end_;
    while (end_ < reach) {
        if (held_.first_begin() == end_) {
            append({held_.first().data(), held_.first().size});
            held_.pop_first();
        } else {
            const std::uint64_t stop = std::min(reach, held_.first_begin());
            append(bytes.subspan(end_ - offset, stop - end_));
        }
    }
    return end_ - old_end;
}

// When everything before a gap is released, goes on behind it.
std::uint64_t StreamBuffer::pass_gaps() {
    std::uint64_t gained = 0;
    while (held_.first_begin() == end_) {
        if (at_gap()) {
            if (begin_ != end_ || pin_ < end_) {
                break;  // Bytes before it are still wanted.
            }
            gap_ += held_.first().size;
            end_ += held_.first().size;
            held_.pop_first();
            begin_ = kept_ = gap_end_ = end_;
            knows_last_forgotten_ = false;
            forget();
            continue;
        }
        const std::uint64_t reach = held_.reach(end_);
        if (!make_room(reach - end_)) {
            break;  // The next call tries again.
        }
        gained += extend(reach, end_, {});
    }
    return gained;
}

// Forgets true copies that nobody needs any more, and the block with the last of them.
void StreamBuffer::forget() {
    const std::uint64_t kept = std::clamp(std::min(acked_, pin_), kept_, begin_);
    if (kept != kept_) {
        kept_ = kept;
        last_forgotten_ = block_.data[kept - 1 - base_];
        knows_last_forgotten_ = true;
    }
    if (kept_ == end_) {
        memory_->give(std::exchange(block_, {}));
        base_ = end_;
    }
}

}  // namespace haka::stream
