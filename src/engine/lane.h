// One direction of a connection in grade *edit* once its packets can't simply pass: bytes are held
// back, edited, or shifted by an earlier edit.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/time.h"
#include "output/head.h"
#include "stream/outlet.h"
#include "stream/recovery.h"
#include "stream/resent.h"
#include "stream/retransmit_timer.h"

namespace haka::engine {

// A packet whose bytes have not left yet. They lie in the stream; this is what else it was.
struct Carrier {
    std::uint64_t begin = 0;  // Input offsets.
    std::uint64_t end = 0;
    bool fin = false;
    bool push = false;
    bool at_hand = false;     // It is the packet at hand: `head` is empty.
    bool sent_again = false;  // What of it had left before has done so again.
    output::Head head;
};

// Output bytes that leave as one, whatever packets brought them: full segments first. What isn't a
// full one may wait for the rest of the batch.
struct Bundle {
    std::uint64_t from = 0;  // Output offsets. Nothing: from == to and no FIN.
    std::uint64_t to = 0;
    bool fin = false;
    bool push = false;
    bool has_item = false;  // The packet at hand is among them.
    bool listed = false;    // Among those that leave at the end of the batch.
    output::Head head;

    [[nodiscard]] bool empty() const { return from == to && !fin; }
};

// What a kept Carrier counts against the stream memory: a segment's headers and their list.
constexpr std::uint64_t kCarrierCharge = 320;

constexpr Instant kNever{INT64_MAX};

struct Lane {
    // Everything before `left` has left as it came.
    Lane(stream::StreamMemory& memory, stream::StreamBuffer& buffer,
         stream::Outlet::Receiver receiver, std::uint64_t left)
        : outlet(memory, buffer, receiver, left),
          input(&buffer),
          carried(left),
          carried_out(left),
          recovery(outlet.acked()),
          memory_(&memory) {}
    ~Lane() {
        for (const Carrier& carrier : carriers) {
            memory_->discharge(carrier.at_hand ? 0 : kCarrierCharge);
        }
    }
    Lane(const Lane&) = delete;
    Lane& operator=(const Lane&) = delete;

    // Output: everything below has left, or leaves at the end of the batch.
    [[nodiscard]] std::uint64_t leaving() const { return std::max(bundle.to, outlet.sent()); }

    stream::Outlet outlet;
    stream::StreamBuffer* input;
    std::vector<Carrier> carriers;  // Ascending by where they begin.
    std::uint64_t carried;      // Input: everything below leaves below leaving(), or was erased.
    std::uint64_t carried_out;  // Output: leaving() when that was so.
    Bundle bundle;
    bool fin_sent = false;
    bool ends = false;           // Live: its sender's stream ends here, whatever still comes of it.
    bool own_fin = false;        // So a FIN has left that its sender doesn't know of ...
    bool own_fin_acked = false;  // ... and has arrived.
    bool answers_count_output = false;   // File: the recorded receiver has seen the edits.
    std::uint32_t newest_timestamp = 0;  // That left in this direction.
    bool has_timestamp = false;

    // Live, from here on.
    output::Head head;           // Of the newest packet of this direction.
    std::uint64_t promised = 0;  // Input: the sender was told that bytes below have come.
    stream::Recovery recovery;
    stream::Resent resent;
    stream::RetransmitTimer timer;
    Instant due = kNever;
    Instant queued_at = kNever;   // The earliest place in the queue of timers.
    std::uint64_t due_acked = 0;  // acked() when the timer was set.

private:
    stream::StreamMemory* memory_;
};

}  // namespace haka::engine
