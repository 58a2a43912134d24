#include "stream/held_pieces.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <iterator>
#include <utility>

namespace haka::stream {

namespace {

// Calls gap(before, begin, end) for each part of [begin, end) that no piece covers, in order;
// `before` is the piece behind that part. Stops when it returns false.
template <typename Map, typename Iterator, typename Function>
bool for_each_hole(const Map& pieces, Iterator piece, std::uint64_t begin, std::uint64_t end,
                   Function hole) {
    while (begin < end) {
        const std::uint64_t stop = piece == pieces.end() ? end : std::min(end, piece->first);
        if (begin < stop && !hole(piece, begin, stop)) {
            return false;
        }
        if (piece == pieces.end()) {
            break;
        }
        begin = std::max(begin, piece->first + piece->second.size);
        ++piece;
    }
    return true;
}

}  // namespace

HeldPieces::HeldPieces(HeldPieces&& other) noexcept
    : memory_(other.memory_),
      pieces_(std::move(other.pieces_)),
      charge_(std::exchange(other.charge_, 0)),
      data_bytes_(std::exchange(other.data_bytes_, 0)) {
    other.pieces_.clear();
}

std::uint64_t HeldPieces::charge_of(std::uint64_t size) {
    return std::max<std::uint64_t>(size, StreamMemory::kBlockMin);
}

// The first piece that ends behind `offset`.
HeldPieces::Map::const_iterator HeldPieces::first_touching(std::uint64_t offset) const {
    auto piece = pieces_.upper_bound(offset);
    if (piece != pieces_.begin()) {
        const auto previous = std::prev(piece);
        if (previous->first + previous->second.size > offset) {
            return previous;
        }
    }
    return piece;
}

std::size_t HeldPieces::ranges(std::uint64_t newest, std::span<Range> ranges) const {
    std::size_t count = 0;
    Range around;
    Range range;
    const auto put = [&] {
        if (range.begin == range.end) {
            return;
        }
        if (range.begin <= newest && newest < range.end) {
            around = range;
        } else if (count < ranges.size()) {
            ranges[count++] = range;
        }
    };
    for (const auto& [begin, piece] : pieces_) {
        if (begin != range.end || piece.gap) {
            put();
            range = {.begin = begin, .end = begin};
        }
        range.end = piece.gap ? range.begin : begin + piece.size;
    }
    put();
    if (around.end != 0 && !ranges.empty()) {
        count = std::min(count + 1, ranges.size());
        std::shift_right(ranges.begin(), ranges.begin() + static_cast<std::ptrdiff_t>(count), 1);
        ranges[0] = around;
    }
    return count;
}

std::uint64_t HeldPieces::reach(std::uint64_t offset) const {
    for (const auto& [begin, piece] : pieces_) {
        if (begin > offset) {
            break;
        }
        if (piece.gap) {
            return begin;
        }
        offset = std::max(offset, begin + piece.size);
    }
    return offset;
}

HeldPieces::Cost HeldPieces::cost_of(std::uint64_t offset, std::uint64_t size) const {
    Cost cost;
    for_each_hole(pieces_, first_touching(offset), offset, offset + size,
                  [&cost](auto, std::uint64_t begin, std::uint64_t end) {
                      cost.charge += charge_of(end - begin);
                      cost.memory +=
                          StreamMemory::block_size(StreamMemory::kNodeSize + end - begin);
                      cost.pieces++;
                      return true;
                  });
    return cost;
}

HeldPieces::Cost HeldPieces::gap_cost_of(std::uint64_t offset, std::uint64_t size) const {
    Cost cost;
    for_each_hole(pieces_, first_touching(offset), offset, offset + size,
                  [&cost](auto, std::uint64_t, std::uint64_t) {
                      cost.charge += charge_of(0);
                      cost.memory += StreamMemory::kBlockMin;
                      cost.pieces++;
                      return true;
                  });
    return cost;
}

bool HeldPieces::put(Map::const_iterator before, std::uint64_t offset, ByteView bytes,
                     std::uint64_t gap_size) {
    const StreamMemory::Block block = memory_->take(StreamMemory::kNodeSize + bytes.size());
    if (block.data == nullptr) {
        return false;
    }
    const Piece piece{block, bytes.size() + gap_size, gap_size != 0};
    if (!bytes.empty()) {
        std::memcpy(piece.data(), bytes.data(), bytes.size());
    }
    memory_->place_node(block.data);
    pieces_.emplace_hint(before, offset, piece);
    charge_ += charge_of(bytes.size());
    data_bytes_ += bytes.size();
    return true;
}

bool HeldPieces::insert(std::uint64_t offset, ByteView bytes) {
    return for_each_hole(pieces_, first_touching(offset), offset, offset + bytes.size(),
                         [&](auto before, std::uint64_t begin, std::uint64_t end) {
                             return put(before, begin, bytes.subspan(begin - offset, end - begin),
                                        0);
                         });
}

bool HeldPieces::insert_gap(std::uint64_t offset, std::uint64_t size) {
    return for_each_hole(pieces_, first_touching(offset), offset, offset + size,
                         [&](auto before, std::uint64_t begin, std::uint64_t end) {
                             return put(before, begin, {}, end - begin);
                         });
}

void HeldPieces::erase(Map::iterator piece) {
    const Piece erased = piece->second;
    charge_ -= charge_of(erased.gap ? 0 : erased.size);
    data_bytes_ -= erased.gap ? 0 : erased.size;
    pieces_.erase(piece);
    memory_->give(erased.block);
}

void HeldPieces::pop_first() {
    assert(!pieces_.empty());
    erase(pieces_.begin());
}

void HeldPieces::cut(std::uint64_t offset) {
    while (!pieces_.empty()) {
        const auto last = std::prev(pieces_.end());
        Piece& piece = last->second;
        if (last->first + piece.size <= offset) {
            return;
        }
        if (last->first < offset) {
            const std::uint64_t size = offset - last->first;
            if (!piece.gap) {
                charge_ = charge_ - charge_of(piece.size) + charge_of(size);
                data_bytes_ -= piece.size - size;
            }
            piece.size = size;
            return;
        }
        erase(last);
    }
}

void HeldPieces::clear() {
    while (!pieces_.empty()) {
        erase(std::prev(pieces_.end()));
    }
}

bool HeldPieces::differs(std::uint64_t offset, ByteView bytes) const {
    const std::uint64_t end = offset + bytes.size();
    for (auto it = first_touching(offset); !bytes.empty() && it != pieces_.end() && it->first < end;
         ++it) {
        const auto& [begin, piece] = *it;
        const std::uint64_t from = std::max(begin, offset);
        const std::uint64_t size = std::min(begin + piece.size, end) - from;
        if (!piece.gap &&
            std::memcmp(piece.data() + (from - begin), bytes.data() + (from - offset), size) != 0) {
            return true;
        }
    }
    return false;
}

bool HeldPieces::overwrite(std::uint64_t offset, MutableByteView bytes) const {
    bool changed = false;
    const std::uint64_t end = offset + bytes.size();
    for (auto it = first_touching(offset); !bytes.empty() && it != pieces_.end() && it->first < end;
         ++it) {
        const auto& [begin, piece] = *it;
        const std::uint64_t from = std::max(begin, offset);
        const std::uint64_t size = std::min(begin + piece.size, end) - from;
        std::uint8_t* target = bytes.data() + (from - offset);
        if (!piece.gap && std::memcmp(target, piece.data() + (from - begin), size) != 0) {
            std::memcpy(target, piece.data() + (from - begin), size);
            changed = true;
        }
    }
    return changed;
}

}  // namespace haka::stream
