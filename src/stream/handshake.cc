// What SYNs say, and what comes before the other end's SYN.
#include <algorithm>

#include "stream/sight.h"

namespace haka::stream::detail {

namespace {

using flow::Connection;
using flow::Half;
using flow::State;
using wire::kAck;
using wire::kFin;
using wire::Segment;

constexpr std::uint8_t kMaxWindowScale = 14;  // RFC 7323, 2.3.

void learn_syn(const Sight& sight) {
    Half& from = sight.from;
    const Segment& segment = sight.segment;
    from.seen = true;
    from.isn = segment.seq;
    from.mss = segment.mss;
    from.scales_window = segment.window_scale >= 0;
    from.window_scale =
        from.scales_window
            ? std::min(static_cast<std::uint8_t>(segment.window_scale), kMaxWindowScale)
            : std::uint8_t{0};
    from.timestamps = segment.has_timestamp;
    from.timestamp_recent = segment.ts_value;
    from.sack_permitted = segment.sack_permitted;
    from.signed_segments = segment.signature;
    // In a file, data of the other end may have come first and acknowledged this SYN.
    const std::int64_t noted = from.has_noted_ack ? to_offset(from.noted_ack, from.isn, 0) : -1;
    if (noted >= 0 && noted <= slack(from, sight) + kMinReach) {
        from.syn_acked = true;
        from.acked = static_cast<std::uint64_t>(noted);
    }
    from.has_noted_ack = false;
}

// The payload of a SYN counts with fast open only (RFC 7413); else it is stripped, and comes again.
void take_syn_payload(const Sight& sight, bool repeated, Judgement& judgement) {
    const Segment& segment = sight.segment;
    Connection& connection = sight.connection;
    if (!sight.has(kAck) && segment.fast_open && connection.state == State::SynSent &&
        !sight.to.seen) {
        connection.fast_open = true;
    }
    const bool counts = connection.fast_open && (segment.fast_open || sight.has(kAck));
    std::uint64_t size = counts ? segment.payload_size : 0;
    if (sight.to.seen && (repeated || !sight.has(kAck))) {
        // A repeated SYN brings nothing new, and behind the handshake nobody takes its bytes.
        size = connection.is_open() ? 0 : std::min(size, sight.from.sent_end);
    }
    if (is_fin_seen(sight.from)) {
        size = std::min(size, sight.from.fin_offset);
    }
    judgement.size = static_cast<std::uint32_t>(size);
    judgement.trimmed = size != segment.payload_size;
    if (judgement.trimmed) {
        judgement.event = Event::TcpSynData;
    }
    remember_sent(sight.from, size, judgement.size);
}

// A SYN that doesn't repeat what is known: what does it mean to this connection?
void judge_strange_syn(const Sight& sight, Judgement& judgement) {
    const State state = sight.connection.state;
    if (sight.has(kAck)) {
        drop(judgement, state == State::Closed ? Event::TcpAfterReset : Event::TcpSynInConnection);
        return;
    }
    // Nobody answered yet, or all is over. Between the two FINs' ACKs a live end still needs the
    // old connection; a recorded one has shown by its SYN that it doesn't.
    const bool over = state == State::Closed || state == State::TimeWait ||
                      (state == State::LastAck && !sight.live());
    if (over || state == State::SynSent) {
        judgement.new_attempt = true;
    } else {
        drop(judgement, Event::TcpSynInConnection);
    }
}

}  // namespace

void judge_syn(const Sight& sight, Judgement& judgement) {
    Half& from = sight.from;
    const bool repeated = from.seen && sight.segment.seq == from.isn;
    if (sight.connection.state == State::Closed || (from.seen && !repeated)) {
        judge_strange_syn(sight, judgement);
        return;
    }
    if (!sight.to.seen && (!sight.from_client || sight.has(kAck))) {
        drop(judgement, Event::TcpBadAck);
        return;  // Only a client's SYN begins.
    }
    std::int64_t ack = 0;
    if (sight.has(kAck)) {
        ack = offset_of(sight.segment.ack, sight.to);
        const bool exact = ack >= 0 && ack <= static_cast<std::int64_t>(sight.to.sent_end);
        if (repeated ? !is_good_ack(sight, ack) : !exact) {
            drop(judgement, Event::TcpBadAck);
            return;
        }
    }
    const bool was_open = sight.connection.is_open();
    if (!repeated) {
        learn_syn(sight);
        judgement.ack_advanced = false;
    }
    take_syn_payload(sight, repeated, judgement);
    remember_window(sight);
    if (sight.has(kAck)) {
        take_ack(sight, ack, judgement);
    } else {
        sight.to.window_end = std::max<std::uint64_t>(sight.to.window_end, sight.segment.window);
    }
    advance(sight, was_open, judgement);
}

// A server that answers a SYN by an ACK: a challenge (RFC 5961, 4.2), or the first of the split
// handshake. It passes; a RST of the client that quotes it will pass, too.
void judge_before_syn(const Sight& sight, Judgement& judgement) {
    if (!sight.to.seen) {
        drop(judgement, Event::TcpNoConnection);
        return;
    }
    if (sight.segment.payload_size != 0 || sight.has(kFin)) {
        drop(judgement, Event::TcpOutOfWindow);
        return;
    }
    sight.to.noted_ack = sight.segment.ack;
    sight.to.has_noted_ack = true;
}

}  // namespace haka::stream::detail
