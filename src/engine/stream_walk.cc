// The part of the walk that knows streams: which bytes does a segment add, what becomes of them
// when they can't go on. Who sees them in between is in stream_show.cc.
// Tested by: worker_test.cc
#include <algorithm>

#include "engine/worker.h"
#include "stream/seq.h"
#include "wire/tcp.h"

namespace haka::engine {

namespace {

void note_newest(std::uint32_t& newest, std::uint32_t timestamp) {
    if (stream::circle_distance(timestamp, newest) > 0 || newest == 0) {
        newest = timestamp;
    }
}

}  // namespace

// Whether somebody may change its streams: what is out of order must wait then (grade edit). A
// connection whose segments are signed can't be edited (RFC 2385, 5925).
bool Worker::may_edit(const flow::Connection& connection) const {
    const bool by_http = connection.dissector == kHttpDissector && script_->edits_http();
    return (script_->edits_streams() || by_http || connection.dissector > kHttpDissector) &&
           !options_.settings.pass_through && !connection.half(true).signed_segments &&
           !connection.half(false).signed_segments;
}

// The packet's way into the streams and before the rules; false: it is decided, or nobody listens
// any more.
bool Worker::listen(Item& item, flow::Connection& connection, const wire::Segment& segment,
                    const stream::Judgement& judgement) {
    Listener& listener = listeners_->at(connection.listener);
    const std::size_t mine = from_client_ ? 0 : 1;
    const bool has_data = judgement.size != 0;
    const bool from_client = from_client_;
    if (segment.has_timestamp) {
        note_newest(listener.timestamps.at(mine), segment.ts_value);
        if (judgement.offset <= listener.buffers.at(mine).end()) {
            note_newest(listener.in_order_timestamps.at(mine), segment.ts_value);
        }
    }
    other_edited_ = false;
    if (has_data && !store(item, connection, listener, judgement)) {
        return false;
    }
    if ((segment.flags & wire::kFin) != 0 && listener.lanes.at(mine) == nullptr &&
        judgement.offset > listener.buffers.at(mine).end() && may_edit(connection)) {
        (void)shaper_.lane_of(connection, listener,
                              from_client);  // What it stands behind may grow.
    }
    if (judgement.fin) {
        (void)listener.buffers.at(mine).fin(connection.half(from_client).fin_offset);
    }
    if (listener.lanes.at(1 - mine) != nullptr) {
        shaper_.take_answer(item, connection, listener, from_client, segment, judgement, now_);
    }
    if (judgement.ack_advanced) {
        listener.buffers.at(1 - mine).acknowledged(judgement.acknowledged);
    }
    if (has_data || (segment.flags & wire::kFin) != 0) {
        if (!show(&item, connection, from_client)) {
            return false;
        }
    }
    for (const bool of_client : {true, false}) {  // Nearly always both are whole.
        const std::size_t half = of_client ? 0 : 1;
        const Listener& at_hand = listeners_->at(connection.listener);
        const bool is_whole =
            !at_hand.buffers.at(half).is_acknowledged_ahead() && at_hand.holes.at(half).since == 0;
        if (!is_whole && !close_lost_hole(&item, connection, of_client, HoleRule::WhenOld)) {
            return false;
        }
    }
    return true;
}

// The packet, or what takes its place, leaves.
void Worker::leave(Item& item, flow::Connection& connection, const wire::Segment& segment,
                   const stream::Judgement& judgement) {
    // What rules put into the other direction: those behind them see it, too.
    if (has_news(connection, !from_client_)) {
        if (!show(&item, connection, !from_client_)) {
            depart(item, &connection);
            return;
        }
        (void)settle(connection, listeners_->at(connection.listener), from_client_);
    }
    Listener& listener = listeners_->at(connection.listener);
    if (other_edited_) {
        (void)settle(connection, listener, !from_client_);
    }
    if (item.dropped || (listener.lanes[0] == nullptr && listener.lanes[1] == nullptr)) {
        depart(item, &connection);
    } else {
        const auto accounted = [this] {
            return summary_.packets_out - summary_.packets_injected + summary_.packets_dropped;
        };
        const std::uint64_t came = item.joined ? fragments_.originals().size() : 1;
        const std::uint64_t before = accounted();
        const bool going =
            shaper_.shape(item, connection, listener, from_client_, segment, judgement, now_);
        summary_.packets_absorbed += came - std::min(came, accounted() - before);
        if (!going) {
            return;
        }
    }
    if (connection_decided_ || connection.listener == flow::kNoIndex ||
        !pass_gaps(&item, connection)) {
        return;
    }
    if (listener.bypassed && listener.lanes[0] == nullptr && listener.lanes[1] == nullptr) {
        release_listener(connection);  // Nothing of it is edited or waits any more.
        return;
    }
    // Both streams were shown to their ends and acknowledged: nothing more can come of them, so a
    // connection in TIME_WAIT costs no more than one that nobody listened to.
    const bool complete = std::ranges::all_of(listener.buffers, [](const auto& buffer) {
        return buffer.eof() && buffer.begin() == buffer.end();
    });
    if (complete && connection.state == flow::State::TimeWait && !listener.edited &&
        listener.lanes[0] == nullptr && listener.lanes[1] == nullptr) {
        release_listener(connection);
    } else if (complete && connection.state == flow::State::TimeWait) {
        untie(connection, listener);
    }
}

// What receivers and routers may take differently becomes one thing, as the settings say.
void Worker::normalise(Item& item, const flow::Connection& connection,
                       const wire::Segment& segment) {
    const TcpSettings& settings = options_.settings.tcp;
    if (options_.settings.pass_through) {
        return;
    }
    std::uint8_t* const tcp = item.frame.data + item.headers.transport;
    if (settings.clear_urgent && ((segment.flags & wire::kUrg) != 0 || load_be16(tcp + 18) != 0)) {
        tcp[13] = static_cast<std::uint8_t>(tcp[13] & ~wire::kUrg);
        store_be16(tcp + 18, 0);
        note_normalised(item, connection, Event::TcpUrgent, HAKA_CHANGED_TRANSPORT);
    }
    constexpr std::uint8_t kEcn = wire::kEce | wire::kCwr;
    if (settings.clear_reserved && ((tcp[12] & 0x0f) != 0 || (segment.flags & kEcn) != 0)) {
        tcp[12] = static_cast<std::uint8_t>(tcp[12] & 0xf0);
        tcp[13] = static_cast<std::uint8_t>(tcp[13] & ~kEcn);
        note_normalised(item, connection, Event::TcpReserved, HAKA_CHANGED_TRANSPORT);
    }
    std::uint8_t& ttl = item.frame.data[item.headers.net + (item.headers.ip_version == 4 ? 8 : 7)];
    if (ttl < settings.ttl_min) {
        ttl = static_cast<std::uint8_t>(settings.ttl_min);
        note_normalised(item, connection, Event::IpLowTtl, HAKA_CHANGED_NET);
    }
}

void Worker::note_normalised(Item& item, const flow::Connection& connection, Event event,
                             std::uint32_t changed) {
    remark(event, item, &connection);
    item.note_change(event);
    item.to_fix |= changed;
    lent_ = false;
}

// Adds the accepted bytes to the stream; false: the connection was decided or is let go.
bool Worker::store(Item& item, flow::Connection& connection, Listener& listener,
                   const stream::Judgement& judgement) {
    stream::StreamBuffer& buffer = listener.buffers.at(from_client_ ? 0 : 1);
    // After a trim the accepted bytes are the whole payload.
    const std::uint32_t skip = judgement.trimmed ? 0 : judgement.skip;
    const std::uint32_t there = item.headers.end - item.headers.payload;
    const std::uint32_t size = std::min(judgement.size, there - std::min(skip, there));
    const MutableByteView bytes =
        item.frame.mutable_bytes().subspan(item.headers.payload + skip, size);
    const std::uint64_t old_end = buffer.end();
    stream::Added added = buffer.add(judgement.offset, bytes);
    if (added.refused == Event::None && size < judgement.size) {
        const auto gap = buffer.add_gap(judgement.offset + size, judgement.size - size);
        added.refused = gap.refused;
        summary_.stream_gaps += 1;
    }
    summary_.stream_bytes += added.available;
    std::unique_ptr<Lane>& lane = listener.lanes.at(from_client_ ? 0 : 1);
    if (added.refused == Event::None && lane != nullptr && !lane->outlet.follow(old_end)) {
        added.refused = Event::TcpStreamMemory;
    }
    if (added.refused != Event::None) {
        const auto& exceptions = options_.settings.exceptions;
        if (added.refused == Event::TcpHoldLimit && is_young_hole(listener)) {
            remark(added.refused, item, &connection);
            drop(item, added.refused);
            return false;
        }
        const Exception exception =
            added.refused == Event::TcpStreamMemory ? exceptions.memory : exceptions.hold;
        // While bytes are held back one that isn't known can't pass: its sender repeats it.
        const bool skips = exception == Exception::Pass || exception == Exception::Bypass;
        const bool held_back = lane != nullptr && skips;
        const bool going = refuse(&item, connection, added.refused, exception);
        if (held_back && going) {
            drop(item, added.refused);
            return false;
        }
        return going;
    }
    if (added.differs) {
        tell_difference(item, connection);
        if (!options_.settings.pass_through && buffer.rewrite(judgement.offset, bytes).changed) {
            item.note_change(Event::TcpOverlapDiffers);
            item.to_fix |= HAKA_CHANGED_TRANSPORT;
            lent_ = false;
        }
    }
    const bool before_us = buffer.kept_begin() == buffer.start();
    if (added.forgotten != 0 && !before_us && lane == nullptr && !options_.settings.pass_through) {
        empty_resend(item, connection, buffer, judgement, bytes);
    }
    if (lane == nullptr && judgement.offset > buffer.end() && may_edit(connection)) {
        (void)shaper_.lane_of(connection, listener, from_client_);
    }
    return true;
}

// Live: a segment beyond the limit is dropped like one that got lost, for its sender repeats it;
// only a hole that nobody fills for so long as rules may wait is more than a bad line.
bool Worker::is_young_hole(Listener& listener) const {
    const Exception hold = options_.settings.exceptions.hold;
    const bool ends = hold == Exception::Drop || hold == Exception::Reset;
    if (options_.mode != stream::Mode::Live || !ends) {
        return false;
    }
    const std::size_t half = from_client_ ? 0 : 1;
    Listener::Full& full = listener.full.at(half);
    const std::uint64_t at = listener.buffers.at(half).end();
    if (!full.is_set || full.at != at) {
        full = {.since = now_, .at = at, .is_set = true};
    }
    return now_ - full.since < options_.settings.tcp.undecided_time_max;
}

// Once a connection, counted always.
void Worker::tell_difference(const Item& item, flow::Connection& connection) {
    if (!connection.reported_overlap) {
        connection.reported_overlap = true;
        remark(Event::TcpOverlapDiffers, item, &connection);
    } else {
        summary_.count_event(Event::TcpOverlapDiffers);
    }
}

// A retransmission of bytes that the receiver acknowledged, so that nobody knows any more what they
// were: they don't leave, the rest does, and the receiver says again what it has. Of a keep-alive
// the byte is known.
void Worker::empty_resend(Item& item, flow::Connection& connection,
                          const stream::StreamBuffer& buffer, const stream::Judgement& judgement,
                          MutableByteView bytes) {
    const std::uint64_t before = buffer.kept_begin() - judgement.offset;
    const auto unknown = static_cast<std::uint32_t>(std::min<std::uint64_t>(before, bytes.size()));
    if (buffer.rewrite(judgement.offset, bytes).changed) {
        tell_difference(item, connection);
        item.note_change(Event::TcpOverlapDiffers);
        item.to_fix |= HAKA_CHANGED_TRANSPORT;
        lent_ = false;
    }
    if (before == 1 && bytes.size() == 1 && buffer.knows_last()) {
        return;
    }
    remark(Event::TcpResendEmptied, item, &connection);
    stream::Judgement rest = judgement;
    const bool is_syn = (item.frame.data[item.headers.transport + 13] & wire::kSyn) != 0;
    rest.skip = is_syn ? 0 : (judgement.trimmed ? 0 : judgement.skip) + unknown;
    rest.size = is_syn ? 0 : judgement.size - unknown;  // A SYN's number is its own, not a byte's.
    trim(item, rest, Event::TcpResendEmptied);
}

// The bound on what rules keep while they wait; false: the connection was decided.
bool Worker::check_undecided(Item* item, flow::Connection& connection, Listener& listener,
                             std::size_t half) {
    const stream::StreamBuffer& buffer = listener.buffers.at(half);
    const Lane* const lane = listener.lanes.at(half).get();
    std::uint64_t kept = lane != nullptr ? lane->outlet.end() - lane->outlet.shown_begin()
                                         : buffer.end() - buffer.begin();
    kept += listener.http != nullptr ? listener.http->sides.at(half).held() : 0;
    if (kept == 0) {
        listener.undecided.at(half) = false;
        return true;
    }
    if (!listener.undecided.at(half)) {
        listener.undecided.at(half) = true;
        listener.undecided_since.at(half) = now_;
        queue_undecided(connection, listener, half);
    }
    const auto& tcp = options_.settings.tcp;
    if (kept <= tcp.undecided_bytes_max &&
        now_ - listener.undecided_since.at(half) <= tcp.undecided_time_max) {
        return true;
    }
    return refuse(item, connection, Event::TcpHoldLimit, options_.settings.exceptions.hold);
}

void Worker::queue_undecided(const flow::Connection& connection, Listener& listener,
                             std::size_t half) {
    if (!std::exchange(listener.undecided_queued.at(half), true)) {
        undecided_.push(
            {.at = listener.undecided_since.at(half) + options_.settings.tcp.undecided_time_max,
             .id = connection.id,
             .index = connection.index,
             .of_client = half == 0});
    }
}

// What has waited for a rule for too long.
void Worker::expire_undecided(Instant now) {
    while (!undecided_.empty() && undecided_.top().at <= now) {
        const Undecided due = undecided_.top();
        undecided_.pop();
        flow::Connection& connection = table_.at(due.index);
        if (connection.id != due.id || connection.listener == flow::kNoIndex) {
            continue;
        }
        Listener& listener = listeners_->at(connection.listener);
        const std::size_t half = due.of_client ? 0 : 1;
        listener.undecided_queued.at(half) = false;
        if (!listener.undecided.at(half)) {
            continue;
        }
        if (now - listener.undecided_since.at(half) < options_.settings.tcp.undecided_time_max) {
            queue_undecided(connection, listener, half);
            continue;
        }
        const Order order = order_;
        order_ = {.packet = order.packet, .deadline = due.at.ns, .id = connection.id};
        const Exception hold = options_.settings.exceptions.hold;
        if (resume(connection) && refuse(nullptr, connection, Event::TcpHoldLimit, hold)) {
            push_both(connection);
        }
        connection_ = nullptr;
        if (!to_send_.empty() || !resets_.empty()) {
            send_pending();
        }
        journal_->commit();
        order_ = order;
    }
}

// What may leave, and no packet brings.
void Worker::push_both(flow::Connection& connection) {
    Listener& listener = listeners_->at(connection.listener);
    (void)(shaper_.push(nullptr, connection, listener, true, true, now_) &&
           shaper_.push(nullptr, connection, listener, false, true, now_));
}

// Nobody looks at the connection's streams any more. What was edited must stay so: its numbers go
// on being translated, without rules.
void Worker::bypass(flow::Connection& connection) {
    Listener& listener = listeners_->at(connection.listener);
    if (listener.lanes[0] == nullptr && listener.lanes[1] == nullptr) {
        release_listener(connection);
        return;
    }
    if (options_.mode == stream::Mode::File && !listener.translates()) {
        // A recorded sender repeats nothing: what is held leaves with its holes.
        if (shaper_.flush(connection, listener, true, now_) &&
            shaper_.flush(connection, listener, false, now_)) {
            release_listener(connection);
        }
        return;
    }
    listener.bypassed = true;
    for (const std::size_t half : {0U, 1U}) {
        (void)release(listener, half);
        listener.undecided.at(half) = false;
    }
}

// A limit was reached: what the setting says becomes of the connection; false: nobody listens to
// it any more.
bool Worker::refuse(Item* item, flow::Connection& connection, Event event, Exception exception) {
    if (item != nullptr) {
        remark(event, *item, &connection);
    } else {
        summary_.count_event(event);
    }
    if (options_.settings.pass_through) {
        exception = Exception::Bypass;
    } else if (exception == Exception::Bypass && connection.listener != flow::kNoIndex) {
        const Listener& listener = listeners_->at(connection.listener);
        if (listener.http != nullptr && listener.http->is_rewriting()) {
            exception = Exception::Reset;  // What is framed anew can't go on as it comes.
        }
    }
    switch (exception) {
        case Exception::Pass:
            return true;
        case Exception::Bypass:
            bypass(connection);
            return connection.listener != flow::kNoIndex;
        case Exception::Drop:
        case Exception::Reset:
            break;
    }
    const auto kind = exception == Exception::Drop ? DecisionKind::Drop : DecisionKind::Reset;
    decisions_.push_back(
        {.kind = kind, .index = connection.index, .id = connection.id, .rule = 0, .reason = event});
    settle_decisions(item);
    return false;
}

}  // namespace haka::engine
