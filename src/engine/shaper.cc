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
using wire::kPsh;
using wire::kRst;
using wire::kSyn;
using wire::Segment;

namespace {

output::Numbers numbers_of(Item& item) {
    return {item.frame.data + item.headers.transport,
            item.headers.payload - item.headers.transport};
}

// Data before the handshake's end would be refused.
bool is_open(const flow::Connection& connection) {
    return connection.half(true).syn_acked && connection.half(false).syn_acked;
}

bool is_plain_ack(const Item& item, const Segment& segment) {
    return (segment.flags & (kSyn | kFin | kRst)) == 0 && item.headers.end == item.headers.payload;
}

// What the window field of this end counts in.
std::uint8_t window_scale(const Half& from, const Half& to) {
    return from.scales_window && to.scales_window ? from.window_scale : std::uint8_t{0};
}

}  // namespace

Lane& Shaper::lane_of(const flow::Connection& connection, Listener& listener, bool of_client) {
    std::unique_ptr<Lane>& lane = place(listener, of_client);
    if (lane == nullptr) {
        const Half& half = connection.half(of_client);
        lane = std::make_unique<Lane>(*memory_, listener.buffers.at(of_client ? 0 : 1), half.acked,
                                      half.window_end);
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
    }
    segment.ack = to_seq(half.isn, input);
}

void Shaper::take_answer(flow::Connection& connection, Listener& listener, bool from_client,
                         const Segment& segment, const Judgement& judgement, Instant now) {
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
        window_end =
            acked +
            (std::uint64_t{segment.window}
             << (scaled ? window_scale(connection.half(from_client), connection.half(!from_client))
                        : 0));
        const bool repeats = acked == outlet.acked() && acked < outlet.sent() &&
                             segment.payload_size == 0 && window_end <= outlet.window_end();
        lane.repeats_seen = repeats ? lane.repeats_seen + 1 : 0;
        if (acked > outlet.acked()) {
            lane.timer.acknowledged(acked, now);
        }
    } else {
        // Recorded ends never saw an edit: they count input bytes.
        acked = std::min(outlet.map().to_output(judgement.acknowledged), outlet.sent());
    }
    lane.advanced = acked > outlet.acked();
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
    const bool fin = output > outlet.sent();
    if (output < outlet.acked() && output >= outlet.map().exact_from()) {
        ack = std::min(ack, outlet.map().acked_input(output));  // An old one stays old.
    }
    if (live() && (segment.flags & kSyn) == 0 && outlet.acked() == outlet.sent() &&
        outlet.sent() == outlet.decided() && outlet.decided() < outlet.end()) {
        // All that left has arrived, and the rest waits for a rule: from now on it is ours.
        ack = std::max(ack, lane.input->end());
    }
    const std::uint64_t edge = edge_for(lane);
    const bool news = ack > outlet.told_ack() || edge > outlet.told_edge() || fin;
    const bool ours = outlet.told_ack() > outlet.acked_input() && outlet.told_ack() < half.sent_end;
    output::Numbers numbers = numbers_of(item);
    numbers.set_ack(to_seq(half.isn, ack) + (fin ? 1 : 0));
    outlet.tell(ack, edge);
    half.window_end = std::max(half.window_end, outlet.told_edge());
    const bool shifted_only = output >= outlet.acked() && outlet.map().empty() &&
                              outlet.sent() == outlet.end() &&
                              outlet.told_ack() <= outlet.acked_input();
    const std::uint8_t scale = window_scale(from, half);
    const std::uint64_t own_edge = ack + (std::uint64_t{segment.window} << scale);
    const bool withdraws = own_edge + (std::uint64_t{1} << scale) <= outlet.told_edge();
    if ((!shifted_only || withdraws) && (segment.flags & (kSyn | kRst)) == 0) {
        numbers.set_window(announce(outlet, half, ack, scale));
    }
    numbers.translate_sacks(outlet, half.isn);
    item.changed = item.changed || numbers.changed();
    return news || !ours || !live() || !is_plain_ack(item, segment);
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
            going = carry(scene, item, *mine, segment, judgement);
            if (going && live() && is_open(connection)) {
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
    const bool asks = live() && input < static_cast<std::int64_t>(half.sent_end);
    if (!useful && !asks) {
        return true;
    }
    if ((segment.flags & kSyn) == 0 && input >= 0) {
        const auto offset = static_cast<std::uint64_t>(input);
        const stream::Outlet& outlet = lane.outlet;
        const std::uint64_t output = offset >= lane.carried
                                         ? outlet.sent()
                                         : std::min(outlet.map().to_output(offset), outlet.sent());
        const bool behind_fin = lane.fin_sent && offset > half.fin_offset;
        const std::uint32_t seq = asks && offset >= lane.carried
                                      ? to_seq(half.isn, outlet.acked()) - 1
                                      : to_seq(half.isn, output) + (behind_fin ? 1 : 0);
        output::Numbers numbers = numbers_of(item);
        numbers.set_seq(seq);
        item.changed = item.changed || numbers.changed();
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

// Whether the packet's payload is what is to leave: output bytes [from, to).
bool Shaper::fits_as_is(const Lane& lane, const Item& item, std::uint64_t from, std::uint64_t to) {
    const std::uint32_t size = item.headers.end - item.headers.payload;
    if (size != to - from || item.headers.cut != 0) {
        return false;
    }
    const ByteView bytes = lane.outlet.bytes(from, to);
    return size == 0 ||
           std::memcmp(bytes.data(), item.frame.data + item.headers.payload, size) == 0;
}

bool Shaper::let_out_as_is(Scene& scene, Item& item, Lane& lane, std::uint64_t from) {
    const Half& half = scene.connection.half(scene.from_client);
    output::Numbers numbers = numbers_of(item);
    numbers.set_seq(to_seq(half.isn, from));
    item.changed = item.changed || numbers.changed();
    note_timestamp(lane, scene.timestamp, scene.has_timestamp);
    scene.left = true;
    return exit_->let_out(item, &scene.connection);
}

// A packet with bytes or a FIN.
bool Shaper::carry(Scene& scene, Item& item, Lane& lane, const Segment& segment,
                   const Judgement& judgement) {
    const Half& half = scene.connection.half(scene.from_client);
    const std::uint64_t begin = judgement.offset;
    const std::uint64_t end = begin + judgement.size;
    const stream::Outlet& outlet = lane.outlet;
    const bool fin = (segment.flags & kFin) != 0 && half.fin_offset == end;
    if (item.headers.cut != 0) {
        // A gap begins in it: what is there leaves as it is.
        const std::uint64_t from = std::min(lane.outlet.map().to_output(begin), lane.outlet.sent());
        lane.outlet.note_sent(lane.outlet.decided());
        lane.carried = std::max(lane.carried, std::min(end, lane.input->end()));
        lane.carried_out = lane.outlet.sent();
        return let_out_as_is(scene, item, lane, from);
    }
    if (end <= lane.carried && (!fin || lane.fin_sent)) {
        return send_again(scene, item, lane, segment, begin, end);
    }
    if ((segment.flags & kSyn) != 0) {
        return let_out_syn(scene, item, lane);
    }
    const bool waits = !lane.carriers.empty() && lane.carriers.front().begin <= lane.carried;
    if (waits && outlet.map().to_output(begin) < outlet.sent()) {
        // A part of it has left, the rest waits already.
        scene.again = true;
        if (!send_again(scene, item, lane, segment, begin, end)) {
            return false;
        }
    }
    add_carrier(lane, {.begin = begin,
                       .end = end,
                       .fin = fin,
                       .push = (segment.flags & kPsh) != 0,
                       .at_hand = true,
                       .sent_again = scene.again,
                       .head = {}});
    return send_carriers(scene, lane, &item);
}

// A SYN with data (RFC 7413) leaves with what the rules made of it, if that is decided and fits.
// Else it leaves without: its receiver then says that nothing came, and the client sends it again.
bool Shaper::let_out_syn(Scene& scene, Item& item, Lane& lane) {
    const stream::Outlet& outlet = lane.outlet;
    const output::Head head = output::head_of(item.frame, item.headers);
    const std::uint8_t* const tcp = item.frame.data + item.headers.transport;
    const bool whole = outlet.decided() == outlet.end() && outlet.acked() == 0 &&
                       outlet.end() <= piece_max(scene, scene.from_client, head);
    output::build_piece(head,
                        {.seq = load_be32(tcp + 4),
                         .ack_seq = load_be32(tcp + 8),
                         .window = load_be16(tcp + 14),
                         .flags = tcp[13]},
                        {}, whole ? outlet.bytes(0, outlet.end()) : ByteView(), piece_);
    if (whole) {
        lane.carried = lane.input->end();
        note_sent(scene, lane, outlet.end(), false);
        lane.carried_out = outlet.sent();
    }
    return leave(scene, head, false, &scene.connection);
}

// A retransmission: the true bytes of the same place, as far as they have left.
bool Shaper::send_again(Scene& scene, Item& item, Lane& lane, const Segment& segment,
                        std::uint64_t begin, std::uint64_t end) {
    const stream::Outlet& outlet = lane.outlet;
    const Half& half = scene.connection.half(scene.from_client);
    const std::uint64_t known = std::max(outlet.kept_begin(), outlet.acked());
    const std::uint64_t to =
        end >= lane.carried ? outlet.sent() : std::min(outlet.map().to_output(end), outlet.sent());
    const std::uint64_t from = std::min(std::max(outlet.map().to_output(begin), known), to);
    const bool has_fin = (segment.flags & kFin) != 0;
    const bool fin = has_fin && lane.fin_sent && end == half.fin_offset;
    lane.timer.sent_again();
    if (from < to || fin) {
        scene.left = true;
        if (fin == has_fin && end <= lane.carried && fits_as_is(lane, item, from, to)) {
            return let_out_as_is(scene, item, lane, from);
        }
        return send_pieces(scene, lane, scene.from_client,
                           output::head_of(item.frame, item.headers),
                           {.from = from,
                            .to = to,
                            .fin = fin,
                            .push = (segment.flags & kPsh) != 0 && end <= lane.carried},
                           true);
    }
    // Its receiver has it all, and shall say so again.
    const bool ours = outlet.told_ack() > outlet.acked_input() && end <= outlet.told_ack();
    if (outlet.acked() == 0 || ours) {
        return true;  // So shall we.
    }
    scene.left = true;
    return send_probe(scene, lane, scene.from_client, output::head_of(item.frame, item.headers),
                      false);
}

void Shaper::add_carrier(Lane& lane, Carrier carrier) {
    const auto place = std::ranges::upper_bound(lane.carriers, carrier.begin, {}, &Carrier::begin);
    lane.carriers.insert(place, std::move(carrier));
}

// The packet at hand must wait: its headers are kept, unless that would be too many.
void Shaper::keep_carrier(Lane& lane, Item& item) {
    const auto mine = std::ranges::find_if(lane.carriers, &Carrier::at_hand);
    if (mine == lane.carriers.end()) {
        return;
    }
    // Another one that waits brings the same bytes.
    const bool again = live() && std::ranges::any_of(lane.carriers, [&](const Carrier& other) {
                           return !other.at_hand && other.begin <= mine->begin &&
                                  mine->end <= other.end && (other.fin || !mine->fin);
                       });
    if (again || lane.carriers.size() > settings_->held_segments_max ||
        !memory_->charge(kCarrierCharge)) {
        lane.carriers.erase(mine);
        return;
    }
    mine->at_hand = false;
    mine->head = output::head_of(item.frame, item.headers);
    if (live()) {
        mine->head = output::plain_head(mine->head);  // Its SACK blocks will be old.
    }
    lane.head = mine->head;
}

void Shaper::pop_carrier(Lane& lane) {
    if (!lane.carriers.front().at_hand) {
        memory_->discharge(kCarrierCharge);
    }
    lane.carriers.erase(lane.carriers.begin());
}

// The first carrier's bytes have left with others. A recorded one leaves all the same; between live
// ends nobody needs it.
bool Shaper::send_covered(Scene& scene, Lane& lane, Item* item) {
    const stream::Outlet& outlet = lane.outlet;
    const bool of_client = &lane == place(*scene.listener, true).get();
    const Carrier& first = lane.carriers.front();
    Stretch stretch{.from = std::max(outlet.map().to_output(first.begin), outlet.kept_begin()),
                    .to = std::min(outlet.map().to_output(first.end), outlet.sent()),
                    .fin = first.fin && lane.fin_sent,
                    .push = first.push};
    const bool at_hand = first.at_hand;
    const output::Head head = at_hand ? output::head_of(item->frame, item->headers) : first.head;
    pop_carrier(lane);
    return live() || stretch.from >= stretch.to ||
           send_pieces(scene, lane, of_client, head, stretch, at_hand);
}

// Lets out what may leave, packet by packet, as their bytes are decided. `item` is the packet at
// hand if it is one of them.
bool Shaper::send_carriers(Scene& scene, Lane& lane, Item* item) {
    stream::Outlet& outlet = lane.outlet;
    const bool of_client = &lane == place(*scene.listener, true).get();
    const Half& half = scene.connection.half(of_client);
    if (lane.carried < lane.input->gap_end()) {
        lane.carried = lane.input->gap_end();
        lane.carried_out = outlet.sent();
    }
    while (true) {
        if (!is_open(scene.connection)) {
            break;
        }
        const std::uint64_t sendable =
            live() ? std::min(outlet.decided(), std::max(outlet.window_end(), outlet.sent()))
                   : outlet.decided();
        const bool next = !lane.carriers.empty() && lane.carriers.front().begin <= lane.carried;
        Carrier carrier;  // Without one: bytes whose packets are forgotten, or were never there.
        carrier.begin = lane.carried;
        carrier.end = lane.carriers.empty()
                          ? lane.input->end()
                          : std::min(lane.input->end(), lane.carriers.front().begin);
        if (next) {
            const Carrier& first = lane.carriers.front();
            if (first.end < lane.carried ||
                (first.end == lane.carried && outlet.sent() == outlet.end() &&
                 !(first.fin && !lane.fin_sent) && first.begin < first.end)) {
                if (!send_covered(scene, lane, item)) {
                    return false;
                }
                continue;
            }
            if (first.end > lane.input->end()) {
                break;  // A hole is in it.
            }
            carrier.end = std::max(first.end, lane.carried);
            carrier.fin = first.fin;
            carrier.push = first.push;
            carrier.at_hand = first.at_hand;
            carrier.sent_again = first.sent_again;
            carrier.begin = first.begin;
        }
        const std::uint64_t full =
            carrier.end == lane.input->end() ? outlet.end() : outlet.map().to_output(carrier.end);
        const std::uint64_t to = std::max(std::min(full, sendable), outlet.sent());
        const bool whole = to >= full;
        std::uint64_t from = outlet.sent();
        if (carrier.at_hand && !carrier.sent_again) {
            from = carrier.begin >= lane.carried ? lane.carried_out
                                                 : outlet.map().to_output(carrier.begin);
            from = std::clamp(from, std::max(outlet.kept_begin(), outlet.acked()), outlet.sent());
        }
        const bool fin = carrier.fin && whole && carrier.end == half.fin_offset;
        if (to == from && !fin) {
            if (!next || !whole) {
                break;
            }
            lane.carried = carrier.end;
            lane.carried_out = outlet.sent();
            pop_carrier(lane);
            continue;
        }
        const Stretch stretch{.from = from, .to = to, .fin = fin, .push = carrier.push && whole};
        output::Head head;
        bool as_is = false;
        if (carrier.at_hand) {
            const bool has_fin = (item->frame.data[item->headers.transport + 13] & kFin) != 0;
            as_is = whole && fin == has_fin && fits_as_is(lane, *item, from, to);
            if (!as_is) {
                head = output::head_of(item->frame, item->headers);
            }
            scene.left = true;
        } else {
            head = next ? lane.carriers.front().head : head_for(scene, of_client);
            if (head.bytes.empty()) {
                break;  // Nobody of this direction was ever seen.
            }
        }
        if (whole) {
            lane.carried = carrier.end;
            lane.carried_out = to;
            if (next) {
                pop_carrier(lane);
            }
        }
        bool going = true;
        if (as_is) {
            note_sent(scene, lane, to, fin);
            going = let_out_as_is(scene, *item, lane, from);
        } else {
            going = send_pieces(scene, lane, of_client, head, stretch, carrier.at_hand);
        }
        if (!going) {
            return false;
        }
        if (!whole) {
            break;
        }
    }
    if (item != nullptr) {
        keep_carrier(lane, *item);
    }
    return true;
}

void Shaper::drop_idle_lane(Listener& listener, bool of_client) {
    std::unique_ptr<Lane>& lane = place(listener, of_client);
    if (lane != nullptr && lane->carriers.empty() && lane->outlet.is_plain() &&
        lane->carried == lane->input->end() && lane->repeats_owed == 0 &&
        lane->outlet.told_edge() <= lane->outlet.window_end()) {
        lane.reset();
    }
}

}  // namespace haka::engine
