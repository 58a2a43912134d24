// How the bytes of packets leave that can't simply pass: as they are, cut anew, later, or again.
// Tested by: shaper_test.cc
#include <algorithm>
#include <cstring>

#include "engine/shaper.h"
#include "output/translate.h"
#include "stream/seq.h"
#include "wire/tcp.h"

namespace haka::engine {

using flow::Half;
using stream::Judgement;
using stream::to_seq;
using wire::kFin;
using wire::kPsh;
using wire::kSyn;
using wire::Segment;

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
    output::Numbers numbers(item.headers, item.frame.data);
    numbers.set_seq(to_seq(half.isn, from));
    if (numbers.changed()) {
        item.note_change(Event::TcpTranslated);
    }
    note_timestamp(lane, scene.timestamp, scene.has_timestamp);
    scene.left = true;
    return exit_->let_out(item, &scene.connection);
}

// A packet with bytes or a FIN.
bool Shaper::carry(Scene& scene, Item& item, Lane& lane, const Segment& segment,
                   const Judgement& judgement, bool useful) {
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
    if (end <= lane.input->start() && half.acked < end && !fin) {
        return let_out_as_is(scene, item, lane, begin);  // From before it was picked up.
    }
    if (fin && lane.own_fin_acked) {
        return take_late_fin(scene, lane, useful);
    }
    if ((segment.flags & kSyn) != 0) {
        return let_out_syn(scene, item, lane);
    }
    if (end <= lane.carried && (!fin || lane.fin_sent)) {
        return send_again(scene, item, lane, segment, begin, end);
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
// Nor does one that is sent again once the handshake is over bring anything.
bool Shaper::let_out_syn(Scene& scene, Item& item, Lane& lane) {
    const stream::Outlet& outlet = lane.outlet;
    const output::Head head = output::head_of(item.frame, item.headers);
    const std::uint8_t* const tcp = item.frame.data + item.headers.transport;
    const bool whole = !scene.connection.is_open() && outlet.decided() == outlet.end() &&
                       outlet.acked() == 0 &&
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
    scene.left = true;
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
        lane.resent.note({.begin = begin, .end = end}, {.begin = from, .end = to});
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
    // Its receiver has it all, and shall say so again. A block that says so must name the bytes as
    // they were sent here (RFC 2883), and one byte asks for more than that: whether anybody is
    // there.
    const bool ours = outlet.told_ack() > outlet.acked_input() && end <= outlet.told_ack();
    const bool known_to_have = end <= std::max(outlet.told_ack(), outlet.acked_input());
    if (live() && known_to_have && end - begin > 1 && half.sack_permitted &&
        scene.connection.half(!scene.from_client).sack_permitted) {
        scene.twice = {.begin = begin, .end = end};
        return true;
    }
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
    if (item.shape != nullptr) {
        mine->head.shape = *item.shape;
    }
    if (live()) {
        mine->head = output::waiting_head(mine->head);  // Its SACK blocks will be old.
    }
    lane.head = mine->head;
    lane.head.shape = {};
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
    const bool has_left = live() || first.sent_again;
    const output::Head head = at_hand ? output::head_of(item->frame, item->headers) : first.head;
    pop_carrier(lane);
    return has_left || stretch.from >= stretch.to ||
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
        if (!scene.connection.takes_data()) {
            break;  // Data before the handshake's end would be refused.
        }
        const std::uint64_t leaving = lane.leaving();
        const std::uint64_t sendable =
            live() ? std::min(outlet.decided(), std::max(outlet.window_end(), leaving))
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
                (first.end == lane.carried && leaving == outlet.end() &&
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
        const std::uint64_t to = std::max(std::min(full, sendable), leaving);
        const bool whole = to >= full;
        std::uint64_t from = leaving;
        if (carrier.at_hand && !carrier.sent_again) {
            from = carrier.begin >= lane.carried ? lane.carried_out
                                                 : outlet.map().to_output(carrier.begin);
            from = std::clamp(from, std::max(outlet.kept_begin(), outlet.acked()), leaving);
        }
        const bool fin = carrier.fin && whole && carrier.end == half.fin_offset;
        if (to == from && !fin) {
            if (!whole || (!next && carrier.end <= lane.carried)) {
                break;
            }
            lane.carried = carrier.end;
            lane.carried_out = leaving;
            if (next) {
                pop_carrier(lane);
            }
            continue;
        }
        const Stretch stretch{.from = from, .to = to, .fin = fin, .push = carrier.push && whole};
        output::Head head;
        bool as_is = false;
        const bool is_item = carrier.at_hand && !(carrier.sent_again && scene.left);
        if (carrier.at_hand) {
            const bool has_fin = (item->frame.data[item->headers.transport + 13] & kFin) != 0;
            as_is = is_item && whole && fin == has_fin && fits_as_is(lane, *item, from, to);
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
            going = send_bundle(scene, lane, of_client, BundleEnd::Leaves);
            if (going) {
                note_sent(scene, lane, to, fin);
                going = let_out_as_is(scene, *item, lane, from);
            }
        } else {
            going = add_to_bundle(scene, lane, of_client, std::move(head), stretch, is_item);
        }
        if (!going) {
            return false;
        }
        if (!whole) {
            break;
        }
    }
    if (!send_bundle(scene, lane, of_client, more_comes_ ? BundleEnd::Waits : BundleEnd::Leaves)) {
        return false;
    }
    if (item != nullptr) {
        keep_carrier(lane, *item);
    }
    const bool ends = lane.ends && !lane.fin_sent && half.fin_offset == UINT64_MAX;
    return !ends || outlet.sent() != outlet.end() || !scene.connection.takes_data() ||
           send_own_fin(scene, lane, of_client);
}

bool Shaper::flush(flow::Connection& connection, Listener& listener, bool of_client, Instant now) {
    std::unique_ptr<Lane>& lane = place(listener, of_client);
    if (lane == nullptr) {
        return true;
    }
    Scene scene{.connection = connection,
                .listener = &listener,
                .item = nullptr,
                .from_client = of_client,
                .now = now};
    const std::uint32_t isn = connection.half(of_client).isn;
    const std::vector<Carrier> carriers = std::move(lane->carriers);
    lane->carriers.clear();
    memory_->discharge(carriers.size() * kCarrierCharge);
    std::vector<std::uint8_t> bytes;
    for (const Carrier& carrier : carriers) {
        bytes.assign(carrier.end - carrier.begin, 0);
        (void)lane->input->rewrite(carrier.begin, bytes);
        const std::uint8_t* const tcp = carrier.head.bytes.data() + carrier.head.headers.transport;
        output::build_piece(carrier.head,
                            {.seq = to_seq(isn, carrier.begin),
                             .ack_seq = load_be32(tcp + 8),
                             .window = load_be16(tcp + 14),
                             .flags = tcp[13]},
                            {}, bytes, piece_);
        if (!leave(scene, carrier.head, true, &connection)) {
            return false;  // The listener is gone, and the lane with it.
        }
    }
    lane.reset();
    return true;
}

}  // namespace haka::engine
