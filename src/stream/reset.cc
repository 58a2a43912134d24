// Which RST is believed (RFC 5961, 3).
#include <algorithm>

#include "stream/sight.h"

namespace haka::stream::detail {

namespace {

using flow::Connection;
using flow::EndReason;
using flow::Half;
using flow::State;
using wire::kAck;
using wire::Segment;

void believe_reset(const Sight& sight, EndReason reason, Judgement& judgement) {
    Connection& connection = sight.connection;
    judgement.trimmed = sight.segment.payload_size != 0;
    judgement.event = judgement.trimmed ? Event::TcpRstData : Event::None;
    judgement.acknowledged = sight.to.acked;
    touch(connection, sight.now);
    if (connection.state != State::Closed && connection.state != State::TimeWait) {
        judgement.reset = true;
        judgement.reason = reason;
        connection.state = State::Closed;
    }
}

// RFC 5961, 3.2: believed only where the receiver expects the next byte. That is the end of what
// was sent or, if something of it was lost on the way, what the receiver acknowledged.
bool is_exact_reset(const Half& from, std::int64_t begin) {
    return begin == static_cast<std::int64_t>(from.next()) ||
           begin == static_cast<std::int64_t>(from.next_acked());
}

}  // namespace

void judge_reset(const Sight& sight, Judgement& judgement) {
    Half& from = sight.from;
    const Segment& segment = sight.segment;
    if (!from.seen && !sight.to.seen) {
        drop(judgement, Event::TcpNoConnection);
        return;
    }
    if (is_old_in_syn_sent(sight, 0)) {
        drop(judgement, Event::TcpOldTimestamp);
        return;
    }
    if (!from.seen) {
        // The answer to a SYN must name it (RFC 9293, 3.10.7.3).
        if (!sight.has(kAck)) {
            drop(judgement, Event::TcpRstInexact);
            return;
        }
        const std::int64_t ack = offset_of(segment.ack, sight.to);
        if (ack >= 0 && ack <= static_cast<std::int64_t>(sight.to.sent_end)) {
            believe_reset(sight, EndReason::Refused, judgement);
        } else {
            drop(judgement, Event::TcpBadAck);
        }
        return;
    }
    if (segment.signature != from.signed_segments) {
        drop(judgement, Event::TcpSignature);
        return;
    }
    if (is_old(sight, 0)) {
        drop(judgement, Event::TcpOldTimestamp);
        return;
    }
    if (!sight.to.seen && from.has_noted_ack && segment.seq == from.noted_ack) {
        // It answers a challenge ACK that the other end sent in place of a SYN/ACK.
        from.has_noted_ack = false;
        judgement.trimmed = segment.payload_size != 0;
        judgement.event = judgement.trimmed ? Event::TcpRstData : Event::None;
        return;
    }
    if (sight.has(kAck) && sight.to.seen && !is_good_ack(sight, offset_of(segment.ack, sight.to))) {
        drop(judgement, Event::TcpBadAck);
        return;
    }
    const std::int64_t begin = offset_of(segment.seq, from);
    if (is_exact_reset(from, begin)) {
        believe_reset(sight, EndReason::Reset, judgement);
        return;
    }
    if (sight.connection.state == State::Closed) {
        drop(judgement, Event::TcpAfterReset);
        return;
    }
    const bool inside = begin >= static_cast<std::int64_t>(from.acked) &&
                        begin <= static_cast<std::int64_t>(from.window_end);
    drop(judgement, inside ? Event::TcpRstInexact : Event::TcpRstOutOfWindow);
}

}  // namespace haka::stream::detail
