// What the engine makes itself: segments cut anew, ACKs in an end's name, retransmissions of bytes
// that nobody else would send again.
// Tested by: shaper_test.cc
#include <algorithm>
#include <array>
#include <span>

#include "engine/shaper.h"
#include "output/translate.h"
#include "stream/seq.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace haka::engine {

using flow::Half;
using stream::circle_distance;
using stream::to_seq;
using wire::kAck;
using wire::kFin;
using wire::kPsh;

namespace {

constexpr std::uint16_t kDefaultMss = 536;  // RFC 9293, 3.7.1.
constexpr std::uint16_t kLeastMss = 48;     // A smaller one is an attack: as Linux.
constexpr std::uint8_t kEcnFlags = wire::kEce | wire::kCwr;
constexpr std::uint64_t kSomething = 1460;  // A segment.
constexpr std::size_t kSackBlocksMax = 3;   // Beside time stamps.

std::uint8_t flags_of(const output::Head& head) {
    return head.bytes[head.headers.transport + 13];
}

std::uint32_t ack_of(const output::Head& head) {
    return load_be32(&head.bytes[head.headers.transport + 8]);
}

std::uint16_t window_of(const output::Head& head) {
    return load_be16(&head.bytes[head.headers.transport + 14]);
}

}  // namespace

bool Shaper::leave(Scene& scene, const output::Head& head, bool injected,
                   flow::Connection* connection) {
    Item item;
    item.frame = {.data = piece_.data(),
                  .size = static_cast<std::uint32_t>(piece_.size()),
                  .original_size = static_cast<std::uint32_t>(piece_.size()),
                  .when = scene.now,
                  .number = scene.item != nullptr ? scene.item->frame.number : 0,
                  .interface = head.interface,
                  .link = head.link};
    wire::find_headers(head.link, piece_, item.headers);
    item.change = injected ? Event::None : Event::TcpEdited;
    item.injected = injected;
    if (scene.item != nullptr && !injected) {
        item.joined = scene.item->joined;
        item.shape = scene.item->shape;
    } else if (connection != nullptr && head.shape.size_max != 0) {
        item.shape = &head.shape;
    }
    return exit_->let_out(item, connection);
}

void Shaper::note_sent(const Scene& scene, Lane& lane, std::uint64_t to, bool fin) {
    if (to > lane.outlet.sent()) {
        lane.timer.sent(to, scene.now);
    }
    lane.outlet.note_sent(to);
    lane.fin_sent = lane.fin_sent || fin;
}

// The largest payload that the receiver takes behind this head (RFC 9293, 3.7.1; RFC 6691).
std::uint32_t Shaper::piece_max(const Scene& scene, bool of_client, const output::Head& head) {
    const std::uint16_t announced = scene.connection.half(!of_client).mss;
    const std::uint16_t seen = scene.connection.half(of_client).largest_payload;
    const std::uint32_t mss =
        std::max(announced != 0 ? announced : std::max(kDefaultMss, seen), kLeastMss);
    const std::uint32_t options = head.headers.payload - head.headers.transport - 20;
    return mss - std::min<std::uint32_t>(options, mss - 8);
}

// The ACK and window that an end would send now.
Shaper::Answer Shaper::answer_of(const Scene& scene, bool of_client) {
    const Half& own = scene.connection.half(of_client);
    const Half& other = scene.connection.half(!of_client);
    const Lane* const lane = lane_at(scene.listener, !of_client);
    const std::uint64_t acked = lane != nullptr ? lane->outlet.told_ack() : other.acked;
    const std::uint64_t edge = lane != nullptr ? lane->outlet.told_edge() : other.window_end;
    const std::uint64_t window = (edge - std::min(acked, edge)) >> own.window_shift(other);
    return {.ack_seq = to_seq(other.isn, acked) + (other.fin_acked ? 1 : 0),
            .window = static_cast<std::uint16_t>(std::min<std::uint64_t>(window, UINT16_MAX))};
}

// The time stamp of the other end that this one would echo now. An older one would tell the other
// end that its round trips take seconds, and that nothing was lost (RFC 3522).
std::uint32_t Shaper::echo_of(const Scene& scene, bool of_client) {
    const std::uint32_t known = scene.connection.half(!of_client).timestamp_recent;
    if (scene.listener == nullptr) {
        return known;
    }
    const std::uint32_t in_order = scene.listener->in_order_timestamps.at(of_client ? 1 : 0);
    return in_order != 0 && circle_distance(in_order, known) > 0 ? in_order : known;
}

// The sequence number that an end sends next, as the other one counts.
std::uint32_t Shaper::next_seq(const Scene& scene, bool of_client) {
    const Half& half = scene.connection.half(of_client);
    const Lane* const lane = lane_at(scene.listener, of_client);
    const std::uint64_t next =
        lane != nullptr ? lane->outlet.sent() + (lane->fin_sent ? 1 : 0) : half.next();
    return to_seq(half.isn, next);
}

// What the sender of this direction has said last of the other one's bytes; `head` may be older.
Shaper::Answer Shaper::newest_answer(const Scene& scene, bool of_client, const output::Head& head) {
    const Answer kept{.ack_seq = ack_of(head), .window = window_of(head)};
    if (!live() || !scene.connection.half(!of_client).seen) {
        return kept;
    }
    const Answer newest = answer_of(scene, of_client);
    const bool has_one = (flags_of(head) & kAck) != 0;
    return !has_one || circle_distance(newest.ack_seq, kept.ack_seq) > 0 ? newest : kept;
}

// What was kept, or is made in an end's name, must not look older than what left before (RFC 7323,
// 5).
void Shaper::freshen(const Scene& scene, const Lane& lane, bool of_client,
                     const output::Head& head) {
    output::Numbers numbers(piece_.data() + head.headers.transport,
                            head.headers.payload - head.headers.transport);
    if (live()) {
        numbers.set_newer_timestamp(scene.listener->timestamps.at(of_client ? 0 : 1));
        numbers.set_newer_echo(echo_of(scene, of_client));
    } else if (lane.has_timestamp) {
        numbers.set_newer_timestamp(lane.newest_timestamp);
    }
}

// Output bytes as segments that the receiver takes, behind the headers of `head`.
bool Shaper::send_pieces(Scene& scene, Lane& lane, bool of_client, const output::Head& head,
                         Stretch stretch, bool first_is_item) {
    const Half& half = scene.connection.half(of_client);
    const std::uint32_t size_max = piece_max(scene, of_client, head);
    const Answer answer = newest_answer(scene, of_client, head);
    std::uint64_t at = stretch.from;
    std::uint16_t step = 0;
    bool first = true;
    do {
        const std::uint64_t stop = std::min(stretch.to, at + size_max);
        const bool last = stop == stretch.to;
        std::uint8_t flags = kAck | (flags_of(head) & kEcnFlags);
        flags = static_cast<std::uint8_t>(flags | (last && stretch.push ? kPsh : 0) |
                                          (last && stretch.fin ? kFin : 0));
        output::build_piece(head,
                            {.seq = to_seq(half.isn, at),
                             .ack_seq = answer.ack_seq,
                             .window = answer.window,
                             .flags = flags,
                             .id_step = step},
                            {}, lane.outlet.bytes(at, stop), piece_);
        freshen(scene, lane, of_client, head);
        const bool is_item = first_is_item && first;
        if (is_item) {
            note_timestamp(lane, scene.timestamp, scene.has_timestamp);
        }
        note_sent(scene, lane, stop, last && stretch.fin);
        if (!leave(scene, head, !is_item, first ? &scene.connection : nullptr)) {
            return false;
        }
        at = stop;
        first = false;
        ++step;
    } while (at < stretch.to);
    return true;
}

// Asks the receiver what it has and accepts: no byte, right before what it expects.
bool Shaper::send_probe(Scene& scene, Lane& lane, bool of_client, const output::Head& head,
                        bool injected) {
    const Half& half = scene.connection.half(of_client);
    const Answer answer = newest_answer(scene, of_client, head);
    output::build_piece(head,
                        {.seq = to_seq(half.isn, lane.outlet.acked()) - 1,
                         .ack_seq = answer.ack_seq,
                         .window = answer.window,
                         .flags = kAck},
                        {}, {}, piece_);
    freshen(scene, lane, of_client, head);
    return leave(scene, head, injected, nullptr);
}

// The end of a stream whose sender has not ended it.
bool Shaper::send_own_fin(Scene& scene, Lane& lane, bool of_client) {
    const output::Head head = head_for(scene, of_client);
    const std::uint64_t at = lane.outlet.sent();
    lane.own_fin = !head.bytes.empty();
    return !lane.own_fin ||
           send_pieces(scene, lane, of_client, head, {.from = at, .to = at, .fin = true}, false);
}

// The sender's own FIN behind ours, which has arrived: nobody else will acknowledge it.
bool Shaper::take_late_fin(Scene& scene, Lane& lane, bool useful) {
    lane.carried = lane.input->end();
    lane.carried_out = lane.outlet.sent();
    tell(scene, lane, lane.input->end());
    scene.left = true;
    return (!useful || send_bare_ack(scene, lane)) &&
           send_ack(scene, lane, !scene.from_client, lane.input->end());
}

// Headers for a segment that the engine sends in the name of an end.
output::Head Shaper::head_for(const Scene& scene, bool of_client) const {
    if (scene.item != nullptr && scene.from_client != of_client) {
        return answer_head(scene, of_client,
                           output::head_of(scene.item->frame, scene.item->headers));
    }
    const Lane* const lane = lane_at(scene.listener, of_client);
    if (lane != nullptr && !lane->head.bytes.empty()) {
        return output::plain_head(lane->head);
    }
    if (scene.item != nullptr) {
        return output::plain_head(output::head_of(scene.item->frame, scene.item->headers));
    }
    const Lane* const other = lane_at(scene.listener, !of_client);
    return other != nullptr && !other->head.bytes.empty()
               ? answer_head(scene, of_client, other->head)
               : output::Head{};
}

// As the end would answer this packet of the other one: with its newest ACK and window.
output::Head Shaper::answer_head(const Scene& scene, bool of_client, const output::Head& came) {
    const Half& own = scene.connection.half(of_client);
    const Half& other = scene.connection.half(!of_client);
    output::Timestamps timestamps{.used = own.timestamps && other.timestamps,
                                  .value = own.timestamp_recent,
                                  .echo = echo_of(scene, of_client)};
    if (scene.listener != nullptr) {
        timestamps.value = scene.listener->timestamps.at(of_client ? 0 : 1);
    }
    output::Head head = output::answer_to(came, timestamps);
    const Answer answer = answer_of(scene, of_client);
    std::uint8_t* const tcp = head.bytes.data() + head.headers.transport;
    store_be32(tcp + 8, answer.ack_seq);
    store_be16(tcp + 14, answer.window);
    return head;
}

// Up to where the sender may be told to send (input). What waits here for a rule takes its share;
// but what the rule waits for may be more than the receiver's window, so something may always come.
std::uint64_t Shaper::edge_for(const Lane& lane) const {
    const stream::Outlet& outlet = lane.outlet;
    std::uint64_t edge = outlet.input_edge();
    if (outlet.told_ack() > outlet.acked_input()) {
        const std::uint64_t waits = outlet.end() - outlet.sent();
        const std::uint64_t end = lane.input->end();
        // Rules that keep little let go of it as it comes: then what may be missing is the limit.
        const bool keeps_much =
            outlet.end() - outlet.decided() > settings_->undecided_bytes_max / 4;
        const std::uint64_t most =
            keeps_much ? settings_->undecided_bytes_max : settings_->held_bytes_max;
        const std::uint64_t room = most - std::min(most, waits);
        edge = std::min(edge, end + room);
        if (outlet.decided() < outlet.end()) {
            edge = std::max(edge, end + std::min<std::uint64_t>(room, kSomething));
        }
    }
    return std::max(edge, outlet.told_edge());
}

// The packet's bytes don't leave, but what it says of the other end's is news.
bool Shaper::send_bare_ack(Scene& scene, const Lane& lane) {
    const output::Head head =
        output::plain_head(output::head_of(scene.item->frame, scene.item->headers));
    output::build_piece(head,
                        {.seq = next_seq(scene, scene.from_client),
                         .ack_seq = ack_of(head),
                         .window = window_of(head),
                         .flags = kAck},
                        {}, {}, piece_);
    freshen(scene, lane, scene.from_client, head);
    return leave(scene, head, true, nullptr);
}

// The sender of the packet at hand is going to hear that everything below `ack` has come.
void Shaper::tell(const Scene& scene, Lane& lane, std::uint64_t ack) const {
    tell_sender(scene, lane, ack, lane.outlet.told_edge());
    lane.outlet.tell(ack, edge_for(lane));
    Half& half = scene.connection.half(scene.from_client);
    half.window_end = std::max(half.window_end, lane.outlet.told_edge());
}

// What the receiver can't say, because it hasn't seen the packet: that bytes have come.
bool Shaper::answer_sender(Scene& scene, Lane& lane, const stream::Judgement& judgement) {
    stream::Outlet& outlet = lane.outlet;
    const std::uint64_t in_order = lane.input->end();
    if (judgement.size != 0 && judgement.offset > in_order) {
        // A hole before it. Who hears of what lies behind it takes what is under way before it for
        // lost: from now on its delivery is ours.
        tell(scene, lane, in_order);
        if (!send_ack(scene, lane, !scene.from_client, judgement.offset)) {
            return false;
        }
        arm(scene, lane, scene.from_client);
        return true;
    }
    if (scene.twice.begin != scene.twice.end) {
        tell(scene, lane, outlet.acked_input());
        if (!send_ack(scene, lane, !scene.from_client, judgement.offset, scene.twice)) {
            return false;
        }
        arm(scene, lane, scene.from_client);
        return true;
    }
    const bool silent = !scene.left && judgement.size != 0;
    const bool told = judgement.offset + judgement.size <= outlet.told_ack();
    if (silent && !told && outlet.sent() < outlet.decided()) {
        // It waits for the window. Its sender must hear of the window from the receiver.
        const output::Head head = output::head_of(scene.item->frame, scene.item->headers);
        if (outlet.acked() == outlet.sent() &&
            !send_probe(scene, lane, scene.from_client, head, true)) {
            return false;
        }
        arm(scene, lane, scene.from_client);
        return true;
    }
    std::uint64_t ack = outlet.told_ack();
    if ((silent || scene.again) && outlet.decided() < outlet.end()) {
        ack = in_order;  // From now on their delivery is ours.
    } else if (outlet.acked() == outlet.sent()) {
        ack = std::max(ack, outlet.acked_input());  // Erased: nobody will acknowledge them.
    }
    ack = std::max(ack, std::min(lane.promised, in_order));
    const bool again = silent && judgement.offset + judgement.size <= ack;
    if (ack > outlet.told_ack() || again) {
        tell(scene, lane, ack);
        if (!send_ack(scene, lane, !scene.from_client, judgement.offset)) {
            return false;
        }
    }
    arm(scene, lane, scene.from_client);
    return true;
}

// An ACK in the name of one end (of_client) for what the other has sent: `lane`'s bytes.
bool Shaper::send_ack(Scene& scene, Lane& lane, bool of_client, std::uint64_t newest,
                      stream::HeldPieces::Range twice) {
    const output::Head head = head_for(scene, of_client);
    const Half& from = scene.connection.half(of_client);
    Half& to = scene.connection.half(!of_client);
    if (head.bytes.empty() || !from.seen) {
        return true;
    }
    stream::Outlet& outlet = lane.outlet;
    std::array<std::uint8_t, 4 + kSackBlocksMax * 8> options{wire::kOptionNop, wire::kOptionNop,
                                                             wire::kOptionSack};
    std::array<stream::HeldPieces::Range, kSackBlocksMax> ranges{};
    std::size_t count = 0;
    if (from.sack_permitted && to.sack_permitted) {
        ranges[0] = twice;  // A D-SACK is the first block (RFC 2883).
        count = twice.begin != twice.end ? 1 : 0;
        count += lane.input->held_ranges(newest, std::span(ranges).subspan(count));
    }
    options[3] = static_cast<std::uint8_t>(2 + count * 8);
    for (std::size_t i = 0; i < count; ++i) {
        store_be32(&options.at(4 + i * 8), to_seq(to.isn, ranges.at(i).begin));
        store_be32(&options.at(8 + i * 8), to_seq(to.isn, ranges.at(i).end));
        lane.promised = std::max(lane.promised, ranges.at(i).end);
    }
    output::build_piece(head,
                        {.seq = next_seq(scene, of_client),
                         .ack_seq = to_seq(to.isn, outlet.told_ack()) + (to.fin_acked ? 1 : 0),
                         .window = announce(outlet, to, outlet.told_ack(), from.window_shift(to)),
                         .flags = kAck},
                        ByteView(options).first(count == 0 ? 0 : 4 + count * 8), {}, piece_);
    return leave(scene, head, true, nullptr);
}

// Answers a segment that isn't believed as its receiver would (RFC 5961): where it stands. A sender
// that meant it repeats it exactly.
bool Shaper::challenge(const Item& item, flow::Connection& connection, Listener* listener,
                       bool from_client, Instant now) {
    const Half& from = connection.half(!from_client);
    if (!live() || !from.seen || !connection.half(from_client).seen) {
        return true;
    }
    Scene scene{.connection = connection,
                .listener = listener,
                .item = &item,
                .from_client = from_client,
                .now = now};
    const output::Head head =
        answer_head(scene, !from_client, output::head_of(item.frame, item.headers));
    output::build_piece(head,
                        {.seq = next_seq(scene, !from_client),
                         .ack_seq = ack_of(head),
                         .window = window_of(head),
                         .flags = kAck},
                        {}, {}, piece_);
    return leave(scene, head, true, nullptr);
}

bool Shaper::push(const Item* item, flow::Connection& connection, Listener& listener,
                  bool of_client, bool from_client, Instant now) {
    std::unique_ptr<Lane>& lane = place(listener, of_client);
    if (lane == nullptr) {
        return true;
    }
    Scene scene{.connection = connection,
                .listener = &listener,
                .item = item,
                .from_client = from_client,
                .now = now};
    if (lane->head.bytes.empty()) {
        lane->head = head_for(scene, of_client);
    }
    if (!send_carriers(scene, *lane, nullptr)) {
        return false;
    }
    if (!live()) {
        return true;
    }
    if (!recover(scene, *lane, of_client)) {
        return false;
    }
    arm(scene, *lane, of_client);
    return true;
}

}  // namespace haka::engine
