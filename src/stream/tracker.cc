#include "stream/tracker.h"

#include <algorithm>

#include "stream/seq.h"
#include "stream/sight.h"
#include "wire/tcp.h"

namespace haka::stream {

namespace {

using namespace detail;  // NOLINT(google-build-using-namespace): its own inside.
using flow::Connection;
using flow::Half;
using flow::State;
using wire::kAck;
using wire::kFin;
using wire::kRst;
using wire::kSyn;
using wire::kUrg;
using wire::Segment;

// In a file neighbours may have changed places, so a time stamp counts as old only if it is this
// far behind (18 h of milliseconds); anything nearer is harmless because the first copy wins.
constexpr std::int32_t kFileTimestampSlack = 1 << 26;

// RFC 9293, 3.10.7.4: does the segment touch the receiver's window, or repeat what it had?
bool is_in_window(const Sight& sight, std::int64_t begin) {
    const Half& from = sight.from;
    const std::int64_t size = sight.segment.payload_size;
    const std::int64_t end = begin + size + (sight.has(kFin) ? 1 : 0);
    const auto window_end = static_cast<std::int64_t>(from.window_end);
    const std::int64_t reach = std::max<std::int64_t>(sight.to.window_max, kMinReach);
    const auto acked = static_cast<std::int64_t>(from.acked);
    if (sight.live()) {
        return begin >= acked - reach && end <= window_end + 1;  // One more: a window probe, a FIN.
    }
    const std::int64_t tolerated = slack(from, sight) + size;
    return begin >= acked - reach - tolerated &&
           end <= std::max(window_end, static_cast<std::int64_t>(from.sent_end)) + tolerated;
}

// Cuts the payload at both ends of the stream. Sets `drop` when the segment contradicts the FIN.
void trim(const Sight& sight, std::int64_t begin, Judgement& judgement) {
    const Half& from = sight.from;
    const std::uint32_t payload = sight.segment.payload_size;
    const std::int64_t end = begin + payload;
    if (begin < 0) {
        judgement.skip = static_cast<std::uint32_t>(std::min<std::int64_t>(payload, -begin));
        judgement.event = judgement.skip != 0 ? Event::TcpOutOfWindow : Event::None;
    }
    judgement.offset = static_cast<std::uint64_t>(std::max<std::int64_t>(begin, 0));
    judgement.size = payload - judgement.skip;
    if (is_fin_seen(from)) {
        const auto fin = static_cast<std::int64_t>(from.fin_offset);
        if (begin > fin ? payload != 0 || sight.has(kFin) || begin != fin + 1
                        : sight.has(kFin) && end < fin) {
            drop(judgement, Event::TcpDataAfterFin);
            return;
        }
        if (end > fin) {
            const std::uint64_t left =
                from.fin_offset - std::min(judgement.offset, from.fin_offset);
            judgement.event = judgement.size > left ? Event::TcpDataAfterFin : judgement.event;
            judgement.size =
                static_cast<std::uint32_t>(std::min<std::uint64_t>(judgement.size, left));
        }
    } else if (sight.has(kFin)) {
        // Bytes behind it that were seen or acknowledged show that it can't be the end. (In a file
        // the ACK of the FIN itself may have come first.)
        const auto acked = static_cast<std::int64_t>(from.acked);
        const bool acked_early = !sight.live() && acked == end + 1;
        if (end < static_cast<std::int64_t>(from.sent_end) || (acked > end && !acked_early)) {
            drop(judgement, Event::TcpDataAfterFin);
            return;
        }
        judgement.fin = true;
    }
    judgement.trimmed = judgement.size != payload;
}

void note_early_ack(const Sight& sight) {
    Half& to = sight.to;
    if (!to.has_noted_ack || circle_distance(sight.segment.ack, to.noted_ack) > 0) {
        to.noted_ack = sight.segment.ack;
        to.has_noted_ack = true;
    }
}

void judge_data(const Sight& sight, Judgement& judgement) {
    Half& from = sight.from;
    const Segment& segment = sight.segment;
    if (sight.connection.state == State::Closed) {
        // The RST came too early for its receiver: a challenge ACK asks for another.
        if (sight.live() && segment.payload_size == 0 && !sight.has(kFin) && sight.to.seen &&
            is_good_ack(sight, offset_of(segment.ack, sight.to))) {
            return;
        }
        drop(judgement, Event::TcpAfterReset);
        return;
    }
    if (!from.seen) {
        judge_before_syn(sight, judgement);
        return;
    }
    if (segment.signature != from.signed_segments) {
        drop(judgement, Event::TcpSignature);
        return;
    }
    const std::int32_t tolerated = sight.live() ? 0 : kFileTimestampSlack;
    if (is_old(sight, tolerated) || is_old_in_syn_sent(sight, tolerated)) {
        drop(judgement, Event::TcpOldTimestamp);
        return;
    }
    const std::int64_t begin = offset_of(segment.seq, from);
    const std::int64_t ack = sight.to.seen ? offset_of(segment.ack, sight.to) : 0;
    if (!sight.to.seen ? sight.live() : !is_good_ack(sight, ack)) {
        drop(judgement, Event::TcpBadAck);
        return;
    }
    if (!is_in_window(sight, begin)) {
        drop(judgement, Event::TcpOutOfWindow);
        return;
    }
    trim(sight, begin, judgement);
    if (judgement.drop) {
        return;
    }
    const bool was_open = sight.connection.is_open();
    remember_timestamp(sight, begin);
    remember_window(sight);
    if (judgement.size != 0 || judgement.fin) {  // A bare ACK may stand behind a FIN not yet seen.
        remember_sent(from, judgement.offset + judgement.size, judgement.size);
    }
    if (judgement.fin) {
        from.fin_offset = judgement.offset + judgement.size;
        if (from.acked > from.fin_offset) {
            from.acked = from.fin_offset;
            from.fin_acked = true;
        }
    }
    if (sight.to.seen) {
        take_ack(sight, ack, judgement);
    } else {
        note_early_ack(sight);
    }
    advance(sight, was_open, judgement);
}

// The segment that nearly every packet is: established, exactly next, acknowledges what was sent.
// Returns false, and changes nothing, for any other.
bool judge_fast(const Sight& sight, Judgement& judgement) {
    Half& from = sight.from;
    Half& to = sight.to;
    const Segment& segment = sight.segment;
    const std::uint64_t begin = from.sent_end;
    const std::uint64_t end = begin + segment.payload_size;
    const std::uint32_t newly_acked = segment.ack - to_seq(to.isn, to.acked);
    const std::uint8_t plain = segment.flags & (kFin | kSyn | kRst | kUrg | kAck);
    if (sight.connection.state != State::Established || plain != kAck ||
        segment.bad != Event::None || segment.seq != to_seq(from.isn, begin) ||
        end > from.window_end || to.acked > to.sent_end || newly_acked > to.sent_end - to.acked ||
        segment.signature != from.signed_segments || is_old(sight, 0)) {
        return false;
    }
    remember_timestamp(sight, static_cast<std::int64_t>(begin));
    const std::uint32_t window = window_of(sight);
    from.sent_end = end;
    from.window_max = std::max(from.window_max, window);
    if (segment.payload_size > from.largest_payload) {
        remember_sent(from, end, segment.payload_size);
    }
    to.acked += newly_acked;
    to.window_end = std::max(to.window_end, to.acked + window);
    touch(sight.connection, sight.now);
    judgement.offset = begin;
    judgement.size = segment.payload_size;
    judgement.acknowledged = to.acked;
    judgement.ack_advanced = newly_acked != 0;
    return true;
}

void judge_any(const Sight& sight, Judgement& judgement) {
    const Segment& segment = sight.segment;
    if (sight.connection.state == State::Dropped) {
        const bool repeated = sight.from.seen && segment.seq == sight.from.isn;
        if (begins_connection(segment) && !repeated) {
            judgement.new_attempt = true;
        } else {
            drop(judgement, Event::TcpTombstone);
        }
    } else if (segment.bad != Event::None) {
        drop(judgement, segment.bad);
    } else if (const Event event = judge_flags(segment.flags); event != Event::None) {
        drop(judgement, event);
    } else if (sight.has(kSyn)) {
        judge_syn(sight, judgement);
    } else if (sight.has(kRst)) {
        judge_reset(sight, judgement);
    } else {
        judge_data(sight, judgement);
    }
}

}  // namespace

Judgement judge(Connection& connection, bool from_client, const Segment& segment, Instant now,
                const Conditions& conditions) {
    const Sight sight{connection,
                      connection.half(from_client),
                      connection.half(!from_client),
                      segment,
                      from_client,
                      now,
                      conditions.settings,
                      conditions.mode};
    Judgement judgement;
    if (!judge_fast(sight, judgement)) {
        judge_any(sight, judgement);
    }
    return judgement;
}

bool begins_connection(const Segment& segment) {
    return (segment.flags & (kSyn | kAck | kFin | kRst)) == kSyn && segment.bad == Event::None;
}

bool continues_connection(const Segment& segment) {
    return (segment.flags & (kSyn | kAck | kRst)) == kAck && segment.bad == Event::None;
}

void pick_up(Connection& connection, bool from_client, const Segment& segment) {
    constexpr auto kBefore = static_cast<std::uint32_t>(kMidstreamOffset) + 1;
    constexpr std::uint8_t kLargestScale = 14;
    Half& from = connection.half(from_client);
    Half& to = connection.half(!from_client);
    from.isn = segment.seq - kBefore;
    to.isn = segment.ack - kBefore;
    from.timestamp_recent = segment.ts_value;
    to.timestamp_recent = segment.ts_echo;
    for (Half* const half : {&from, &to}) {
        half->seen = true;
        half->sent_end = kMidstreamOffset;
        half->window_end = kMidstreamOffset + (std::uint64_t{UINT16_MAX} << kLargestScale);
        half->window_max = std::uint32_t{UINT16_MAX} << kLargestScale;
        half->scales_window = true;
        half->window_scale = kLargestScale;
        half->timestamps = segment.has_timestamp;
        half->signed_segments = segment.signature;
    }
    connection.midstream = true;
    connection.state = State::SynReceived;
}

Event judge_flags(std::uint8_t flags) {
    const std::uint8_t kind = flags & (kSyn | kRst | kFin);
    const bool one_kind = (kind & (kind - 1)) == 0;
    const bool needs_ack = (flags & (kSyn | kRst)) == 0;
    return one_kind && (!needs_ack || (flags & kAck) != 0) ? Event::None : Event::TcpBadFlags;
}

void acknowledge_fin(Connection& connection, bool of_client, Judgement& judgement) {
    connection.half(of_client).fin_acked = true;
    const State before = connection.state;
    connection.state = state_of(connection);
    judgement.closed = connection.state == State::TimeWait && before != State::TimeWait;
}

void entomb(Connection& connection, Instant now) {
    connection.state = State::Dropped;
    connection.last_seen = now;
}

Instant deadline_of(const Connection& connection, const TcpSettings& settings) {
    const auto timeout = [&] {
        switch (connection.state) {
            case State::SynSent:
                return settings.syn_timeout;
            case State::SynReceived:
                return settings.syn_ack_timeout;
            case State::Established:
                return settings.established_timeout;
            case State::FinWait:
            case State::CloseWait:
            case State::LastAck:
                return settings.half_closed_timeout;
            case State::TimeWait:
            case State::Closed:
                return settings.time_wait_timeout;
            case State::Dropped:
                return settings.dropped_timeout;
        }
        return Duration{};
    };
    return connection.last_seen + timeout();
}

}  // namespace haka::stream
