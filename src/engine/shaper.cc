// The packet at hand: what its end says about the other one's bytes, and how its own bytes leave.
// Tested by: shaper_test.cc
#include "engine/shaper.h"

#include <algorithm>
#include <cstring>

#include "output/translate.h"
#include "stream/seq.h"
#include "wire/tcp.h"

namespace haka::engine {

using flow::Half;
using stream::Judgement;
using stream::to_offset;
using stream::to_seq;
using wire::kAck;
using wire::kFin;
using wire::kRst;
using wire::kSyn;
using wire::Segment;

namespace {

bool is_plain_ack(const Item& item, const Segment& segment) {
    return (segment.flags & (kSyn | kFin | kRst)) == 0 && item.headers.end == item.headers.payload;
}

}  // namespace

Lane& Shaper::lane_of(const flow::Connection& connection, Listener& listener, bool of_client) {
    std::unique_ptr<Lane>& lane = place(listener, of_client);
    if (lane == nullptr) {
        const Half& half = connection.half(of_client);
        stream::StreamBuffer& buffer = listener.buffers.at(of_client ? 0 : 1);
        const std::uint64_t left = std::max(listener.left.at(of_client ? 0 : 1), buffer.begin());
        lane = std::make_unique<Lane>(
            *memory_, buffer,
            stream::Outlet::Receiver{.acked = std::max(half.acked, buffer.start()),
                                     .window_end = half.window_end},
            left);
    }
    return *lane;
}

void Shaper::read_answer(const flow::Connection& connection, Listener& listener, bool from_client,
                         Segment& segment) {
    Lane* const lane = place(listener, !from_client).get();
    if (lane == nullptr || (segment.flags & kAck) == 0) {
        return;
    }
    const Half& half = connection.half(!from_client);
    const stream::Outlet& outlet = lane->outlet;
    answered_ = to_offset(segment.ack, half.isn, outlet.sent());
    const auto sent = static_cast<std::int64_t>(outlet.sent()) + (lane->fin_sent ? 1 : 0);
    const auto unedited = static_cast<std::int64_t>(half.sent_end) + (lane->fin_sent ? 1 : 0);
    const bool has_more = answered_ > unedited && answered_ <= sent;
    const bool has_fin = lane->fin_sent && answered_ == sent && sent != unedited;
    lane->answers_count_output = lane->answers_count_output || has_more || has_fin;
    if (answered_ < 0 || !counts_output(*lane)) {
        return;
    }
    const auto output = static_cast<std::uint64_t>(answered_);
    std::uint64_t input = outlet.map().acked_input(output);
    if (output > outlet.sent()) {
        // The FIN's place, or one that was never sent: the state machine refuses it.
        const bool fin = lane->fin_sent && output == outlet.sent() + 1;
        input = fin ? half.fin_offset + 1 : half.sent_end + 2;
        if (fin && half.fin_offset == UINT64_MAX) {
            input = outlet.map().acked_input(outlet.sent());  // Ours.
        } else if (connection.midstream && half.fin_offset == UINT64_MAX) {
            input = output - outlet.map().shift();  // It may have passed before.
        }
    }
    segment.ack = to_seq(half.isn, input);
}

void Shaper::take_answer(const Item& item, flow::Connection& connection, Listener& listener,
                         bool from_client, const Segment& segment, const Judgement& judgement,
                         Instant now) {
    if ((segment.flags & kAck) == 0) {
        return;
    }
    const bool scaled = (segment.flags & kSyn) == 0;
    Lane& lane = *place(listener, !from_client);
    stream::Outlet& outlet = lane.outlet;
    std::uint64_t acked = 0;
    std::uint64_t window_end = 0;
    if (counts_output(lane)) {
        if (answered_ < 0) {
            return;
        }
        acked = std::min(static_cast<std::uint64_t>(answered_), outlet.sent());
        lane.own_fin_acked = lane.own_fin && static_cast<std::uint64_t>(answered_) > outlet.sent();
        window_end =
            acked +
            (std::uint64_t{segment.window}
             << (scaled ? connection.half(from_client).window_shift(connection.half(!from_client))
                        : 0));
        const bool repeats = acked == outlet.acked() && acked < outlet.sent() &&
                             segment.payload_size == 0 && window_end <= outlet.window_end();
        if (acked > outlet.acked()) {
            lane.timer.acknowledged(acked, now);
        }
        if (live()) {
            read_sacks(item, lane, connection.half(!from_client).isn);
        }
        lane.recovery.answered(acked, repeats);
    } else {
        // Recorded ends never saw an edit: they count input bytes.
        acked = std::min(outlet.map().to_output(judgement.acknowledged), outlet.sent());
    }
    outlet.acknowledge(acked, window_end);
}

// The window field that tells a sender its right edge behind `ack`. Rounded up, for an edge is
// never withdrawn: what was announced so is what the sender may use.
std::uint16_t Shaper::announce(stream::Outlet& outlet, Half& sender, std::uint64_t ack,
                               std::uint8_t scale) {
    const std::uint64_t room = outlet.told_edge() - std::min(ack, outlet.told_edge());
    const std::uint64_t rounded = (room + (std::uint64_t{1} << scale) - 1) >> scale;
    const std::uint64_t window = std::min<std::uint64_t>(rounded, UINT16_MAX);
    outlet.tell(outlet.told_ack(), ack + (window << scale));
    sender.window_end = std::max(sender.window_end, outlet.told_edge());
    return static_cast<std::uint16_t>(window);
}

// Writes what the packet says about the other end's bytes into that end's numbers. False: it says
// nothing that is of use to that end.
bool Shaper::translate_answer(const Scene& scene, Item& item, const Segment& segment) {
    Lane& lane = *place(*scene.listener, !scene.from_client);
    if (!counts_output(lane) || (segment.flags & kAck) == 0 || answered_ < 0) {
        return true;
    }
    stream::Outlet& outlet = lane.outlet;
    const Half& from = scene.connection.half(scene.from_client);
    Half& half = scene.connection.half(!scene.from_client);
    const auto output = static_cast<std::uint64_t>(answered_);
    std::uint64_t ack = std::max(outlet.told_ack(), outlet.acked_input());
    const bool fin = output > outlet.sent() && half.fin_offset != UINT64_MAX;
    if (output < outlet.acked() && output >= outlet.map().exact_from()) {
        ack = std::min(ack, outlet.map().acked_input(output));  // An old one stays old.
    }
    if (live() && (segment.flags & kSyn) == 0 && outlet.acked() == outlet.sent() &&
        outlet.sent() == outlet.decided() && outlet.decided() < outlet.end()) {
        // All that left has arrived, and the rest waits for a rule: from now on it is ours.
        ack = std::max(ack, lane.input->end());
    }
    if (live() && output >= outlet.acked()) {
        ack = joined(lane, ack);
    }
    const std::uint64_t edge = edge_for(lane);
    const bool news = ack > outlet.told_ack() || edge > outlet.told_edge() || fin;
    const bool ours = outlet.told_ack() > outlet.acked_input() && outlet.told_ack() < half.sent_end;
    output::Numbers numbers(item.headers, item.frame.data);
    numbers.set_ack(to_seq(half.isn, ack) + (fin ? 1 : 0));
    tell_sender(scene, lane, ack, edge);
    half.window_end = std::max(half.window_end, outlet.told_edge());
    const bool shifted_only = output >= outlet.acked() && outlet.map().empty() &&
                              outlet.sent() == outlet.end() &&
                              outlet.told_ack() <= outlet.acked_input();
    const std::uint8_t scale = from.window_shift(half);
    const std::uint64_t own_edge = ack + (std::uint64_t{segment.window} << scale);
    const bool withdraws = own_edge + (std::uint64_t{1} << scale) <= outlet.told_edge();
    if ((!shifted_only || withdraws) && (segment.flags & (kSyn | kRst)) == 0) {
        numbers.set_window(announce(outlet, half, ack, scale));
    }
    const bool tells_blocks = numbers.translate_sacks(
        outlet, half.isn,
        {.ack = ack, .sent_again = lane.recovery.sent_again(), .resent = &lane.resent});
    if (numbers.changed()) {
        item.note_change(Event::TcpTranslated);
    }
    return news || !ours || tells_blocks || !live() || !is_plain_ack(item, segment);
}

// What the receiver has next to what the sender is told: acknowledged, too. A sender that hears of
// it as a block right at its ACK must think that the receiver has thrown it away (RFC 2018, 8); and
// when only inserted bytes are missing, nobody but us can send them.
std::uint64_t Shaper::joined(const Lane& lane, std::uint64_t ack) {
    const stream::EditMap& map = lane.outlet.map();
    for (const stream::Recovery::Range& block : lane.recovery.blocks()) {
        if (map.sacked_begin(block.begin) > ack) {
            break;
        }
        ack = std::max(ack, map.acked_input(block.end));
    }
    return ack;
}

bool Shaper::shape(Item& item, flow::Connection& connection, Listener& listener, bool from_client,
                   const Segment& segment, const Judgement& judgement, Instant now) {
    Scene scene{.connection = connection,
                .listener = &listener,
                .item = &item,
                .from_client = from_client,
                .now = now,
                .timestamp = segment.ts_value,
                .has_timestamp = segment.has_timestamp};
    Lane* const theirs = place(listener, !from_client).get();
    const bool useful = theirs == nullptr || translate_answer(scene, item, segment);
    Lane* const mine = place(listener, from_client).get();
    bool going = true;
    if (mine == nullptr) {
        going = !useful || exit_->let_out(item, &connection);
    } else {
        if (live()) {
            mine->head = output::head_of(item.frame, item.headers);
        }
        if (judgement.size != 0 || (segment.flags & kFin) != 0) {
            going = carry(scene, item, *mine, segment, judgement, useful);
            if (going && live() && connection.takes_data()) {
                const bool news = judgement.ack_advanced && !scene.left;
                going = (!news || send_bare_ack(scene, *mine)) &&
                        answer_sender(scene, *mine, judgement);
            }
        } else {
            going = pass_bare(scene, item, *mine, segment, useful);
        }
    }
    if (going && theirs != nullptr) {
        going = push(&item, connection, listener, !from_client, from_client, now);
    }
    if (going) {
        drop_idle_lane(listener, true);
        drop_idle_lane(listener, false);
    }
    return going;
}

// A packet that brings no byte and no FIN.
bool Shaper::pass_bare(Scene& scene, Item& item, Lane& lane, const Segment& segment, bool useful) {
    const Half& half = scene.connection.half(scene.from_client);
    const std::int64_t input = to_offset(segment.seq, half.isn, half.sent_end);
    // A keep-alive or window probe: its receiver shall answer.
    const bool asks =
        live() && (segment.flags & kRst) == 0 && input < static_cast<std::int64_t>(half.sent_end);
    if (!useful && !asks) {
        return true;
    }
    if ((segment.flags & kRst) != 0 &&
        !send_bundle(scene, lane, scene.from_client, BundleEnd::Leaves)) {
        return false;
    }
    if ((segment.flags & kSyn) == 0 && input >= 0) {
        const auto offset = static_cast<std::uint64_t>(input);
        const stream::Outlet& outlet = lane.outlet;
        const std::uint64_t output = offset >= lane.carried
                                         ? outlet.sent()
                                         : std::min(outlet.map().to_output(offset), outlet.sent());
        const bool behind_fin =
            lane.fin_sent &&
            (half.fin_offset == UINT64_MAX ? offset >= lane.carried : offset > half.fin_offset);
        const std::uint32_t seq = asks && offset >= lane.carried
                                      ? to_seq(half.isn, outlet.acked()) - 1
                                      : to_seq(half.isn, output) + (behind_fin ? 1 : 0);
        output::Numbers numbers(item.headers, item.frame.data);
        numbers.set_seq(seq);
        if (numbers.changed()) {
            item.note_change(Event::TcpTranslated);
        }
    }
    note_timestamp(lane, segment.ts_value, segment.has_timestamp);
    return exit_->let_out(item, &scene.connection);
}

// The newest time stamp that left: what leaves later must not look older (RFC 7323, 5).
void Shaper::note_timestamp(Lane& lane, std::uint32_t value, bool has) {
    if (has && (!lane.has_timestamp || stream::circle_distance(value, lane.newest_timestamp) > 0)) {
        lane.newest_timestamp = value;
        lane.has_timestamp = true;
    }
}

void Shaper::drop_idle_lane(Listener& listener, bool of_client) {
    std::unique_ptr<Lane>& lane = place(listener, of_client);
    if (lane != nullptr && !lane->ends && lane->carriers.empty() && lane->outlet.is_plain() &&
        lane->carried == lane->input->end() &&
        lane->outlet.told_edge() <= lane->outlet.window_end()) {
        lane.reset();
    }
}

// What is acknowledged here before its receiver has it is ours to deliver.
void Shaper::tell_sender(const Scene& scene, Lane& lane, std::uint64_t ack,
                         std::uint64_t edge) const {
    lane.outlet.tell(ack, edge);
    if (live() && lane.outlet.told_ack() > lane.outlet.acked_input()) {
        exit_->tie(scene.connection, *scene.listener);
    }
}

}  // namespace haka::engine
