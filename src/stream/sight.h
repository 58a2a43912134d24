// Inside the tracker: one segment with both ends as its sender sees them, and what every judgement
// asks of them. Included by the tracker's own files only.
#pragma once

#include <algorithm>
#include <cstdint>

#include "stream/seq.h"
#include "stream/tracker.h"
#include "wire/tcp.h"

namespace haka::stream::detail {

constexpr std::uint64_t kNoFin = UINT64_MAX;
// Old duplicates are answered, not silently eaten: so far below the left edge they still pass.
constexpr std::int64_t kMinReach = 65'536;
// What a segment is taken to hold at least when packets are converted into bytes.
constexpr std::uint32_t kMinSegment = 1460;
// One segment and both ends as its sender sees them.
struct Sight {
    flow::Connection& connection;
    flow::Half& from;
    flow::Half& to;
    const wire::Segment& segment;
    bool from_client;
    Instant now;
    const TcpSettings& settings;
    Mode mode;

    [[nodiscard]] bool has(std::uint8_t flags) const { return (segment.flags & flags) != 0; }
    [[nodiscard]] bool live() const { return mode == Mode::Live; }
};

// Judgements are written in place: one that is copied right after it was written field by field
// waits for the stores.
inline void drop(Judgement& judgement, Event event) {
    judgement = {};
    judgement.event = event;
    judgement.drop = true;
}

inline void touch(flow::Connection& connection, Instant now) {
    connection.last_seen = std::max(connection.last_seen, now);
}

inline bool is_fin_seen(const flow::Half& half) {
    return half.fin_offset != kNoFin;
}

// How far a packet of `half` may lie beyond what was seen so far when the capture is out of order.
inline std::int64_t slack(const flow::Half& half, const Sight& sight) {
    return std::int64_t{sight.settings.early_ack_packets} *
           std::max<std::uint32_t>(half.largest_payload, kMinSegment);
}

inline std::int64_t offset_of(std::uint32_t seq, const flow::Half& half) {
    return to_offset(seq, half.isn, std::max(half.sent_end, half.acked));
}

inline bool has_timestamps(const Sight& sight) {
    return sight.from.timestamps && sight.to.timestamps && sight.segment.has_timestamp;
}

// RFC 7323, 5: PAWS.
inline bool is_old(const Sight& sight, std::int32_t tolerated) {
    return has_timestamps(sight) &&
           circle_distance(sight.segment.ts_value, sight.from.timestamp_recent) < -tolerated;
}

// Before the SYN is answered nothing is agreed; but its sender's clock is known, and an answer
// would echo it (RFC 7323, 3.2).
inline bool is_old_in_syn_sent(const Sight& sight, std::int32_t tolerated) {
    const wire::Segment& segment = sight.segment;
    if (!segment.has_timestamp || sight.from.seen == sight.to.seen) {
        return false;
    }
    if (sight.from.seen) {
        return sight.from.timestamps &&
               circle_distance(segment.ts_value, sight.from.timestamp_recent) < -tolerated;
    }
    return sight.to.timestamps && segment.ts_echo != 0 &&
           circle_distance(segment.ts_echo, sight.to.timestamp_recent) < 0;
}

// RFC 7323, 4.3: only a segment at the left edge moves it.
inline void remember_timestamp(const Sight& sight, std::int64_t begin) {
    flow::Half& from = sight.from;
    if (has_timestamps(sight) && begin <= static_cast<std::int64_t>(from.acked) &&
        circle_distance(sight.segment.ts_value, from.timestamp_recent) > 0) {
        from.timestamp_recent = sight.segment.ts_value;
    }
}

inline std::uint32_t window_of(const Sight& sight) {
    return std::uint32_t{sight.segment.window}
           << (sight.has(wire::kSyn) ? 0 : sight.from.window_shift(sight.to));
}

inline flow::State state_of(const flow::Connection& connection) {
    const flow::Half& client = connection.halves[0];
    const flow::Half& server = connection.halves[1];
    if (!client.seen || !server.seen) {
        return flow::State::SynSent;
    }
    const bool client_fin = is_fin_seen(client);
    const bool server_fin = is_fin_seen(server);
    if (client_fin && server_fin) {
        return client.fin_acked && server.fin_acked ? flow::State::TimeWait : flow::State::LastAck;
    }
    if (client_fin || server_fin) {
        return client.fin_acked || server.fin_acked ? flow::State::CloseWait : flow::State::FinWait;
    }
    return client.syn_acked && server.syn_acked ? flow::State::Established
                                                : flow::State::SynReceived;
}

inline void advance(const Sight& sight, bool was_open, Judgement& judgement) {
    flow::Connection& connection = sight.connection;
    const flow::State state = state_of(connection);
    judgement.handshake_completed =
        !was_open && connection.halves[0].syn_acked && connection.halves[1].syn_acked;
    judgement.closed = state == flow::State::TimeWait && connection.state != flow::State::TimeWait;
    connection.state = state;
    judgement.acknowledged = sight.to.acked;
    judgement.ack_ahead = sight.to.acked > sight.to.sent_end;
    touch(connection, sight.now);
}

// Whether the ACK number `ack` (an offset of the other end's bytes) is one that its receiver can
// take seriously (RFC 5961, 5.2). In a file it may be ahead of what was captured.
inline bool is_good_ack(const Sight& sight, std::int64_t ack) {
    const flow::Half& to = sight.to;
    const bool fin = is_fin_seen(to);
    const auto acked = static_cast<std::int64_t>(to.acked);
    const std::int64_t reach = std::max<std::int64_t>(sight.from.window_max, kMinReach);
    const auto sent_end = static_cast<std::int64_t>(to.next());
    if (sight.live()) {
        // What a connection had under way when it was picked up has not been seen.
        const bool unseen =
            sight.connection.midstream && !fin && sight.now - sight.connection.start < kUnseenTime;
        const auto last = unseen ? static_cast<std::int64_t>(to.window_end) : sent_end;
        return ack >= 0 && ack <= last && ack >= acked - reach;
    }
    const std::int64_t tolerated = reach + slack(to, sight);
    const std::int64_t last =
        fin ? sent_end
            : std::max({static_cast<std::int64_t>(to.window_end), sent_end, acked}) + tolerated;
    return ack >= 0 && ack <= last && ack >= acked - tolerated;
}

inline void take_ack(const Sight& sight, std::int64_t ack_offset, Judgement& judgement) {
    flow::Half& to = sight.to;
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
        if (sight.live()) {
            to.sent_end = std::max(to.sent_end, ack);
        }
    }
    to.window_end = std::max(to.window_end, ack + window_of(sight));
}

inline void remember_window(const Sight& sight) {
    sight.from.window_max = std::max(sight.from.window_max, window_of(sight));
}

inline void remember_sent(flow::Half& from, std::uint64_t end, std::uint32_t payload_size) {
    from.sent_end = std::max(from.sent_end, end);
    from.largest_payload = static_cast<std::uint16_t>(std::min<std::uint32_t>(
        std::max<std::uint32_t>(from.largest_payload, payload_size), UINT16_MAX));
}

// One for each kind of segment; the tracker has checked flags and options already.
void judge_syn(const Sight& sight, Judgement& judgement);
void judge_before_syn(const Sight& sight, Judgement& judgement);
void judge_reset(const Sight& sight, Judgement& judgement);

}  // namespace haka::stream::detail
