#include "stream/tracker.h"

#include <algorithm>
#include <cassert>

#include "stream/seq.h"
#include "wire/tcp.h"

namespace haka::stream {

namespace {

using flow::Connection;
using flow::EndReason;
using flow::Half;
using flow::State;
using wire::kAck;
using wire::kFin;
using wire::kPsh;
using wire::kRst;
using wire::kSyn;
using wire::kUrg;
using wire::Segment;

constexpr std::uint64_t kNoFin = UINT64_MAX;
constexpr std::uint8_t kMaxWindowScale = 14;  // RFC 7323, 2.3.
// Old duplicates are answered, not silently eaten: so far below the left edge they still pass.
constexpr std::int64_t kMinReach = 65'536;
// What a segment is taken to hold at least when packets are converted into bytes.
constexpr std::uint32_t kMinSegment = 1460;
// In a file neighbours may have changed places, so a time stamp counts as old only if it is this
// far behind (18 h of milliseconds); anything nearer is harmless because the first copy wins.
constexpr std::int32_t kFileTimestampSlack = 1 << 26;

// One segment and both ends as its sender sees them.
struct Sight {
    Connection& connection;
    Half& from;
    Half& to;
    const Segment& segment;
    bool from_client;
    Instant now;
    const TcpSettings& settings;
    Mode mode;

    [[nodiscard]] bool has(std::uint8_t flags) const { return (segment.flags & flags) != 0; }
    [[nodiscard]] bool live() const { return mode == Mode::Live; }
};

Judgement dropped(Event event) {
    Judgement judgement;
    judgement.event = event;
    judgement.drop = true;
    return judgement;
}

Judgement another_attempt() {
    Judgement judgement;
    judgement.new_attempt = true;
    return judgement;
}

void touch(Connection& connection, Instant now) {
    connection.last_seen = std::max(connection.last_seen, now);
}

bool is_fin_seen(const Half& half) {
    return half.fin_offset != kNoFin;
}

// How far a packet of `half` may lie beyond what was seen so far when the capture is out of order.
std::int64_t slack(const Half& half, const Sight& sight) {
    return std::int64_t{sight.settings.early_ack_packets} *
           std::max<std::uint32_t>(half.largest_payload, kMinSegment);
}

std::int64_t offset_of(std::uint32_t seq, const Half& half) {
    return to_offset(seq, half.isn, std::max(half.sent_end, half.acked));
}

bool has_timestamps(const Sight& sight) {
    return sight.from.timestamps && sight.to.timestamps && sight.segment.has_timestamp;
}

// RFC 7323, 5: PAWS.
bool is_old(const Sight& sight, std::int32_t tolerated) {
    return has_timestamps(sight) &&
           circle_distance(sight.segment.ts_value, sight.from.timestamp_recent) < -tolerated;
}

// RFC 7323, 4.3: only a segment at the left edge moves it.
void remember_timestamp(const Sight& sight, std::int64_t begin) {
    Half& from = sight.from;
    if (has_timestamps(sight) && begin <= static_cast<std::int64_t>(from.acked) &&
        circle_distance(sight.segment.ts_value, from.timestamp_recent) > 0) {
        from.timestamp_recent = sight.segment.ts_value;
    }
}

std::uint32_t window_of(const Sight& sight) {
    const bool scaled =
        !sight.has(kSyn) && sight.from.scales_window && (sight.to.scales_window || !sight.to.seen);
    return std::uint32_t{sight.segment.window} << (scaled ? sight.from.window_scale : 0);
}

State state_of(const Connection& connection) {
    const Half& client = connection.halves[0];
    const Half& server = connection.halves[1];
    if (!client.seen || !server.seen) {
        return State::SynSent;
    }
    const bool client_fin = is_fin_seen(client);
    const bool server_fin = is_fin_seen(server);
    if (client_fin && server_fin) {
        return client.fin_acked && server.fin_acked ? State::TimeWait : State::LastAck;
    }
    if (client_fin || server_fin) {
        return client.fin_acked || server.fin_acked ? State::CloseWait : State::FinWait;
    }
    return client.syn_acked && server.syn_acked ? State::Established : State::SynReceived;
}

void advance(const Sight& sight, bool was_open, Judgement& judgement) {
    Connection& connection = sight.connection;
    const State state = state_of(connection);
    judgement.handshake_completed =
        !was_open && connection.halves[0].syn_acked && connection.halves[1].syn_acked;
    judgement.closed = state == State::TimeWait && connection.state != State::TimeWait;
    connection.state = state;
    judgement.acknowledged = sight.to.acked;
    judgement.ack_ahead = sight.to.acked > sight.to.sent_end;
    touch(connection, sight.now);
}

bool is_open(const Connection& connection) {
    return connection.halves[0].syn_acked && connection.halves[1].syn_acked;
}

// Whether the ACK number `ack` (an offset of the other end's bytes) is one that its receiver can
// take seriously (RFC 5961, 5.2). In a file it may be ahead of what was captured.
bool is_good_ack(const Sight& sight, std::int64_t ack) {
    const Half& to = sight.to;
    const bool fin = is_fin_seen(to);
    const auto acked = static_cast<std::int64_t>(to.acked);
    const std::int64_t reach = std::max<std::int64_t>(sight.from.window_max, kMinReach);
    const std::int64_t sent_end = static_cast<std::int64_t>(to.sent_end) + (fin ? 1 : 0);
    if (sight.live()) {
        return ack >= 0 && ack <= sent_end && ack >= acked - reach;
    }
    const std::int64_t tolerated = reach + slack(to, sight);
    const std::int64_t last =
        fin ? sent_end
            : std::max({static_cast<std::int64_t>(to.window_end), sent_end, acked}) + tolerated;
    return ack >= 0 && ack <= last && ack >= acked - tolerated;
}

void take_ack(const Sight& sight, std::int64_t ack_offset, Judgement& judgement) {
    Half& to = sight.to;
    auto ack = static_cast<std::uint64_t>(ack_offset);
    to.syn_acked = true;
    if (is_fin_seen(to) && ack > to.fin_offset) {
        judgement.ack_advanced = !to.fin_acked;
        to.fin_acked = true;
        ack = to.fin_offset;
    }
    if (ack > to.acked) {
        judgement.ack_advanced = true;
        to.acked = ack;
    }
    to.window_end = std::max(to.window_end, ack + window_of(sight));
}

void remember_window(const Sight& sight) {
    sight.from.window_max = std::max(sight.from.window_max, window_of(sight));
}

void remember_sent(Half& from, std::uint64_t end, std::uint32_t payload_size) {
    from.sent_end = std::max(from.sent_end, end);
    from.largest_payload = static_cast<std::uint16_t>(std::min<std::uint32_t>(
        std::max<std::uint32_t>(from.largest_payload, payload_size), UINT16_MAX));
}

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
void take_syn_payload(const Sight& sight, Judgement& judgement) {
    const Segment& segment = sight.segment;
    Connection& connection = sight.connection;
    if (!sight.has(kAck) && segment.fast_open && connection.state == State::SynSent &&
        !sight.to.seen) {
        connection.fast_open = true;
    }
    const bool counts = connection.fast_open && (segment.fast_open || sight.has(kAck));
    std::uint64_t size = counts ? segment.payload_size : 0;
    if (sight.to.seen && !sight.has(kAck)) {
        size = std::min(size, sight.from.sent_end);  // A repeated SYN brings nothing new.
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
Judgement judge_strange_syn(const Sight& sight) {
    const State state = sight.connection.state;
    if (sight.has(kAck)) {
        return dropped(state == State::Closed ? Event::TcpAfterReset : Event::TcpSynInConnection);
    }
    // Nobody answered yet, or all is over. Between the two FINs' ACKs a live end still needs the
    // old connection; a recorded one has shown by its SYN that it doesn't.
    const bool over = state == State::Closed || state == State::TimeWait ||
                      (state == State::LastAck && !sight.live());
    return over || state == State::SynSent ? another_attempt() : dropped(Event::TcpSynInConnection);
}

Judgement judge_syn(const Sight& sight) {
    Half& from = sight.from;
    const bool repeated = from.seen && sight.segment.seq == from.isn;
    if (sight.connection.state == State::Closed || (from.seen && !repeated)) {
        return judge_strange_syn(sight);
    }
    if (!sight.to.seen && (!sight.from_client || sight.has(kAck))) {
        return dropped(Event::TcpBadAck);  // Only a client's SYN begins.
    }
    std::int64_t ack = 0;
    if (sight.has(kAck)) {
        ack = offset_of(sight.segment.ack, sight.to);
        const bool exact = ack >= 0 && ack <= static_cast<std::int64_t>(sight.to.sent_end);
        if (repeated ? !is_good_ack(sight, ack) : !exact) {
            return dropped(Event::TcpBadAck);
        }
    }
    Judgement judgement;
    const bool was_open = is_open(sight.connection);
    if (!repeated) {
        learn_syn(sight);
        judgement.ack_advanced = false;
    }
    take_syn_payload(sight, judgement);
    remember_window(sight);
    if (sight.has(kAck)) {
        take_ack(sight, ack, judgement);
    } else {
        sight.to.window_end = std::max<std::uint64_t>(sight.to.window_end, sight.segment.window);
    }
    advance(sight, was_open, judgement);
    return judgement;
}

Judgement believe_reset(const Sight& sight, EndReason reason) {
    Judgement judgement;
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
    return judgement;
}

// RFC 5961, 3.2: believed only where the receiver expects the next byte. That is the end of what
// was sent or, if something of it was lost on the way, what the receiver acknowledged.
bool is_exact_reset(const Half& from, std::int64_t begin) {
    const auto sent = static_cast<std::int64_t>(from.sent_end) + (is_fin_seen(from) ? 1 : 0);
    const auto acked = static_cast<std::int64_t>(from.acked) + (from.fin_acked ? 1 : 0);
    return begin == sent || begin == acked;
}

Judgement judge_reset(const Sight& sight) {
    Half& from = sight.from;
    const Segment& segment = sight.segment;
    if (!from.seen && !sight.to.seen) {
        return dropped(Event::TcpNoConnection);
    }
    if (!from.seen) {
        // The answer to a SYN must name it (RFC 9293, 3.10.7.3).
        if (!sight.has(kAck)) {
            return dropped(Event::TcpRstInexact);
        }
        const std::int64_t ack = offset_of(segment.ack, sight.to);
        return ack >= 0 && ack <= static_cast<std::int64_t>(sight.to.sent_end)
                   ? believe_reset(sight, EndReason::Refused)
                   : dropped(Event::TcpBadAck);
    }
    if (segment.signature != from.signed_segments) {
        return dropped(Event::TcpSignature);
    }
    if (is_old(sight, 0)) {
        return dropped(Event::TcpOldTimestamp);
    }
    if (!sight.to.seen && from.has_noted_ack && segment.seq == from.noted_ack) {
        // It answers a challenge ACK that the other end sent in place of a SYN/ACK.
        from.has_noted_ack = false;
        Judgement judgement;
        judgement.trimmed = segment.payload_size != 0;
        judgement.event = judgement.trimmed ? Event::TcpRstData : Event::None;
        return judgement;
    }
    if (sight.has(kAck) && sight.to.seen && !is_good_ack(sight, offset_of(segment.ack, sight.to))) {
        return dropped(Event::TcpBadAck);
    }
    const std::int64_t begin = offset_of(segment.seq, from);
    if (is_exact_reset(from, begin)) {
        return believe_reset(sight, EndReason::Reset);
    }
    if (sight.connection.state == State::Closed) {
        return dropped(Event::TcpAfterReset);
    }
    const bool inside = begin >= static_cast<std::int64_t>(from.acked) &&
                        begin <= static_cast<std::int64_t>(from.window_end);
    return dropped(inside ? Event::TcpRstInexact : Event::TcpRstOutOfWindow);
}

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
            judgement = dropped(Event::TcpDataAfterFin);
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
            judgement = dropped(Event::TcpDataAfterFin);
            return;
        }
        judgement.fin = true;
    }
    judgement.trimmed = judgement.size != payload;
}

// A server that answers a SYN by an ACK: a challenge (RFC 5961, 4.2), or the first of the split
// handshake. It passes; a RST of the client that quotes it will pass, too.
Judgement judge_before_syn(const Sight& sight) {
    if (!sight.to.seen) {
        return dropped(Event::TcpNoConnection);
    }
    if (sight.segment.payload_size != 0 || sight.has(kFin)) {
        return dropped(Event::TcpOutOfWindow);
    }
    sight.to.noted_ack = sight.segment.ack;
    sight.to.has_noted_ack = true;
    return {};
}

void note_early_ack(const Sight& sight) {
    Half& to = sight.to;
    if (!to.has_noted_ack || circle_distance(sight.segment.ack, to.noted_ack) > 0) {
        to.noted_ack = sight.segment.ack;
        to.has_noted_ack = true;
    }
}

Judgement judge_data(const Sight& sight) {
    Half& from = sight.from;
    const Segment& segment = sight.segment;
    if (sight.connection.state == State::Closed) {
        return dropped(Event::TcpAfterReset);
    }
    if (!from.seen) {
        return judge_before_syn(sight);
    }
    if (segment.signature != from.signed_segments) {
        return dropped(Event::TcpSignature);
    }
    if (is_old(sight, sight.live() ? 0 : kFileTimestampSlack)) {
        return dropped(Event::TcpOldTimestamp);
    }
    const std::int64_t begin = offset_of(segment.seq, from);
    const std::int64_t ack = sight.to.seen ? offset_of(segment.ack, sight.to) : 0;
    if (!sight.to.seen ? sight.live() : !is_good_ack(sight, ack)) {
        return dropped(Event::TcpBadAck);
    }
    if (!is_in_window(sight, begin)) {
        return dropped(Event::TcpOutOfWindow);
    }
    Judgement judgement;
    trim(sight, begin, judgement);
    if (judgement.drop) {
        return judgement;
    }
    const bool was_open = is_open(sight.connection);
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
    return judgement;
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

}  // namespace

Judgement judge(Connection& connection, bool from_client, const Segment& segment, Instant now,
                const TcpSettings& settings, Mode mode) {
    const Sight sight{connection,
                      connection.half(from_client),
                      connection.half(!from_client),
                      segment,
                      from_client,
                      now,
                      settings,
                      mode};
    Judgement judgement;
    if (judge_fast(sight, judgement)) [[likely]] {
        return judgement;
    }
    if (connection.state == State::Dropped) {
        const bool repeated = sight.from.seen && segment.seq == sight.from.isn;
        return begins_connection(segment) && !repeated ? another_attempt()
                                                       : dropped(Event::TcpTombstone);
    }
    if (segment.bad != Event::None) {
        return dropped(segment.bad);
    }
    if (const Event event = judge_flags(segment.flags); event != Event::None) {
        return dropped(event);
    }
    if (sight.has(kSyn)) {
        return judge_syn(sight);
    }
    return sight.has(kRst) ? judge_reset(sight) : judge_data(sight);
}

bool begins_connection(const Segment& segment) {
    return (segment.flags & (kSyn | kAck | kFin | kRst)) == kSyn && segment.bad == Event::None;
}

Event judge_flags(std::uint8_t flags) {
    const std::uint8_t kind = flags & (kSyn | kRst | kFin);
    const bool one_kind = (kind & (kind - 1)) == 0;
    const bool needs_ack = (flags & (kSyn | kRst)) == 0;
    return one_kind && (!needs_ack || (flags & kAck) != 0) ? Event::None : Event::TcpBadFlags;
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
