// One direction's way out once what leaves isn't simply what came: edited, held back, or shifted
// by an earlier edit. Counts in output offsets: what the receiver has, what has left, what the
// rules have decided.
//
//     acked()           sent()            decided()            end()
//   ----|-----------------|-----------------|--------------------|
//       |  may be asked   |  waits for the  |  rules may still   |
//       |  for again      |  window         |  change it         |
//                  shown_begin(): rules that change nothing may want to see more
//
// The bytes lie in the direction's StreamBuffer as long as nothing that is kept was edited, else in
// OutputBytes.
//
// Invariants:
//   (1) acked() <= sent() <= decided() <= end(); shown_begin() <= decided();
//   (2) patches are there only while OutputBytes is active;
//   (3) told_ack() and told_edge(), what the sender was told in input offsets, only grow.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "stream/edit_map.h"
#include "stream/output_bytes.h"
#include "stream/retransmit_timer.h"
#include "stream/stream_buffer.h"

namespace haka::stream {

class Outlet {
public:
    // What the receiver said so far.
    struct Receiver {
        std::uint64_t acked = 0;
        std::uint64_t window_end = 0;
    };
    // Everything before `left` has left as it came; what `input` shows of it goes on being shown.
    // Precondition: `input`.begin() <= left <= `input`.end().
    Outlet(StreamMemory& memory, StreamBuffer& input, Receiver receiver, std::uint64_t left);

    ~Outlet();
    Outlet(const Outlet&) = delete;
    Outlet& operator=(const Outlet&) = delete;

    // Replaces undecided output bytes [at, at + erase). False, and nothing changed: no memory.
    // Precondition: they are undecided, and `insert` lies elsewhere.
    [[nodiscard]] bool edit(std::uint64_t at, std::uint32_t erase, ByteView insert,
                            std::size_t patches_max);
    // The input has grown behind `old_end` (input), or passed a gap. False: no memory; the
    // connection can't go on.
    [[nodiscard]] bool follow(std::uint64_t old_end);

    // What rules may see. What they may change begins at decided().
    [[nodiscard]] ByteView shown() const { return bytes(shown_, end()); }
    [[nodiscard]] std::uint64_t shown_begin() const { return shown_; }
    [[nodiscard]] bool edited() const { return bytes_.active(); }
    // Nothing below `offset` is changed any more, and nobody wants to see what is below `shown`.
    // Returns how much the input's view gained.
    std::uint64_t decide(std::uint64_t offset, std::uint64_t shown = UINT64_MAX);

    [[nodiscard]] std::uint64_t acked() const { return acked_; }
    [[nodiscard]] std::uint64_t sent() const { return sent_; }
    [[nodiscard]] std::uint64_t decided() const { return decided_; }
    [[nodiscard]] std::uint64_t end() const {
        return bytes_.active() ? bytes_.end() : input_->end() + map_.shift();
    }
    // The receiver's right edge.
    [[nodiscard]] std::uint64_t window_end() const { return window_end_; }
    // From here on bytes() knows them: at or before acked(), but for acknowledgements in a file
    // that came before their bytes.
    [[nodiscard]] std::uint64_t kept_begin() const {
        return bytes_.active() ? bytes_.begin() : input_->kept_begin() + map_.shift();
    }
    // Precondition: kept_begin() <= from <= to <= end().
    [[nodiscard]] ByteView bytes(std::uint64_t from, std::uint64_t to) const;
    // Everything below `offset` has left.
    void note_sent(std::uint64_t offset);

    // The receiver has everything below `acked`, and accepts bytes below `window_end`.
    void acknowledge(std::uint64_t acked, std::uint64_t window_end);

    // What the sender may be told: input offsets.
    [[nodiscard]] std::uint64_t acked_input() const { return map_.acked_input(acked_); }
    [[nodiscard]] std::uint64_t input_edge() const;
    [[nodiscard]] std::uint64_t told_ack() const { return told_ack_; }
    [[nodiscard]] std::uint64_t told_edge() const { return told_edge_; }
    void tell(std::uint64_t ack, std::uint64_t edge);
    // The sender was told that bytes arrived which the receiver hasn't acknowledged: nobody but us
    // will send them again.
    [[nodiscard]] bool owes() const {
        return acked_ < sent_ && (told_ack_ > acked_input() || told_ack_ >= input_->end());
    }

    [[nodiscard]] const EditMap& map() const { return map_; }
    // Input and output are the same, and everything that came has left.
    [[nodiscard]] bool is_plain() const {
        return map_.empty() && map_.shift() == 0 && !bytes_.active() && sent_ == end() &&
               told_ack_ <= acked_input() && shown_ == decided_;
    }

private:
    void pin();

    StreamBuffer* input_;
    EditMap map_;
    OutputBytes bytes_;
    std::uint64_t acked_;
    std::uint64_t sent_;
    std::uint64_t decided_;
    std::uint64_t shown_;
    std::uint64_t window_end_;
    std::uint64_t told_ack_;
    std::uint64_t told_edge_;
    bool edited_ = false;    // Ever.
    std::uint64_t gap_end_;  // Of the last gap that was passed.
};

}  // namespace haka::stream
