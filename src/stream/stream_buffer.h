// One direction of a listened connection: segments in any order become bytes in order, and every
// byte has one true copy, the first that came, until the receiver has acknowledged it.
//
//     forgotten | kept for coherence | shown to rules  |  hole  | held | hole | held
//     ----------+--------------------+-----------------+--------+------+------+-------
//            kept_begin()          begin()            end()              (out of order)
//                                    |----- view() ----|
//
// Who calls what, for one segment: add() its bytes, rewrite() them when it says `differs`; while
// there is something to show: show view(), release() what rules need no more; acknowledged() when
// the other direction says so.
//
// Invariants:
//   (1) kept_begin() <= begin() <= end(); kept_begin() only passes what is released *and*
//       acknowledged, or lies before a gap;
//   (2) held pieces are sorted, disjoint, and lie behind end();
//   (3) a refused add() changes nothing;
//   (4) no block is owned while nothing is kept or held.
#pragma once

#include <cstdint>
#include <span>

#include "base/bytes.h"
#include "base/event.h"
#include "stream/held_pieces.h"
#include "stream/stream_memory.h"

namespace haka::stream {

// What add() did.
struct Added {
    std::uint64_t available = 0;  // Bytes that view() gained.
    Event refused = Event::None;  // TcpHoldLimit or TcpStreamMemory: nothing was changed.
    std::uint32_t forgotten = 0;  // Leading bytes below kept_begin(): can't be compared any more.
    bool differs = false;         // An overlap carries other bytes: rewrite() the segment.
};

struct Rewritten {
    bool changed = false;
    std::uint32_t forgotten = 0;  // As in Added: left as they are.
};

class StreamBuffer {
public:
    // `memory` must outlive the buffer.
    explicit StreamBuffer(StreamMemory& memory) : memory_(&memory), held_(memory) {}
    ~StreamBuffer();
    StreamBuffer(const StreamBuffer&) = delete;
    StreamBuffer& operator=(const StreamBuffer&) = delete;
    StreamBuffer(StreamBuffer&& other) noexcept;
    StreamBuffer& operator=(StreamBuffer&& other) = delete;

    // Of a stream that nobody has followed so far: what lies before `offset` is not known and never
    // will be. Before the first add() only.
    void begin_at(std::uint64_t offset) { base_ = kept_ = begin_ = end_ = start_ = offset; }
    [[nodiscard]] std::uint64_t start() const { return start_; }

    // The bytes of a segment, in any order. First copy wins, byte by byte.
    Added add(std::uint64_t offset, ByteView bytes);

    // Bytes that never come (cut by the snaplen, or acknowledged but not in the capture). What is
    // known of the range stays known. The hold limit never refuses a gap that is the first hole
    // alone.
    Added add_gap(std::uint64_t offset, std::uint64_t size);

    // Where the stream ends; the first call counts. Held bytes behind it are dropped. False and
    // nothing changed if bytes behind `offset` have been shown already.
    bool fin(std::uint64_t offset);

    // Puts the true copy over those bytes of a retransmission that are known: the last one that was
    // forgotten, too, for that is what a keep-alive repeats.
    Rewritten rewrite(std::uint64_t offset, MutableByteView bytes) const;

    // The bytes in order that are not released yet. Never spans a gap: when at_gap(), release all
    // of it to go on behind. Valid until the next call of a function that isn't const.
    [[nodiscard]] ByteView view() const {
        return {block_.data + (begin_ - base_), static_cast<std::size_t>(end_ - begin_)};
    }
    [[nodiscard]] std::uint64_t begin() const { return begin_; }
    [[nodiscard]] std::uint64_t end() const { return end_; }
    [[nodiscard]] std::uint64_t kept_begin() const { return kept_; }
    // True copies. Precondition: kept_begin() <= from <= to <= end().
    [[nodiscard]] ByteView kept(std::uint64_t from, std::uint64_t to) const {
        return {block_.data + (from - base_), static_cast<std::size_t>(to - from)};
    }
    // Where the last gap that was passed ends; 0: none was.
    [[nodiscard]] std::uint64_t gap_end() const { return gap_end_; }

    // Rules need nothing below `offset` (<= end()). Returns how many bytes view() gained: what
    // follows a gap.
    std::uint64_t release(std::uint64_t offset);

    // The receiver has everything below `offset`; may run ahead of the data.
    void acknowledged(std::uint64_t offset);

    // Bytes at and behind `offset` are kept, whatever is acknowledged; UINT64_MAX: no more.
    void pin(std::uint64_t offset) {
        pin_ = offset;
        forget();
    }

    // What left is not what came: the last forgotten byte isn't known.
    void distrust_last() { knows_last_forgotten_ = false; }
    [[nodiscard]] bool knows_last() const { return knows_last_forgotten_; }

    // Bytes lost right before begin(); told once.
    [[nodiscard]] std::uint64_t take_gap();
    // view() ends at a gap: nothing will be added to it.
    [[nodiscard]] bool at_gap() const { return held_.gap_at(end_); }
    // view() ends where the stream ends.
    [[nodiscard]] bool eof() const { return end_ == fin_; }

    // The first hole's size, 0 without held bytes behind it.
    [[nodiscard]] std::uint64_t pending_hole() const;
    // How many acknowledged bytes right behind end() are missing: in a capture, lost.
    [[nodiscard]] std::uint64_t acknowledged_hole() const;
    // Else there are none.
    [[nodiscard]] bool is_acknowledged_ahead() const { return acked_ > end_; }
    // Bytes behind the first hole: never delivered if it isn't filled.
    [[nodiscard]] std::uint64_t known_behind_hole() const { return held_.data_bytes(); }
    [[nodiscard]] std::uint32_t held_segments() const { return held_.count(); }
    [[nodiscard]] std::size_t held_ranges(std::uint64_t newest,
                                          std::span<HeldPieces::Range> ranges) const {
        return held_.ranges(newest, ranges);
    }
    [[nodiscard]] bool owns_memory() const { return block_.data != nullptr || held_.count() != 0; }

private:
    Added add_slow(std::uint64_t offset, ByteView bytes);
    [[nodiscard]] bool differs_from_kept(std::uint64_t offset, ByteView bytes) const;
    [[nodiscard]] Event hold_refusal(const HeldPieces::Cost& cost) const;
    [[nodiscard]] bool make_room(std::uint64_t size);
    void append(ByteView bytes);
    std::uint64_t extend(std::uint64_t reach, std::uint64_t offset, ByteView bytes);
    std::uint64_t pass_gaps();
    void forget();

    StreamMemory* memory_;
    StreamMemory::Block block_;  // Bytes [kept_, end_) lie at block_.data + (offset - base_).
    std::uint64_t base_ = 0;     // Offset of the block's first byte.
    std::uint64_t start_ = 0;
    std::uint64_t kept_ = 0;
    std::uint64_t begin_ = 0;  // Released by the rules up to here.
    std::uint64_t end_ = 0;    // In order up to here.
    std::uint64_t acked_ = 0;
    std::uint64_t pin_ = UINT64_MAX;
    std::uint8_t last_forgotten_ = 0;    // The byte before kept_, ...
    bool knows_last_forgotten_ = false;  // ... unless it lies in a gap.
    std::uint64_t fin_ = UINT64_MAX;
    std::uint64_t gap_ = 0;
    std::uint64_t gap_end_ = 0;
    HeldPieces held_;
};

}  // namespace haka::stream
