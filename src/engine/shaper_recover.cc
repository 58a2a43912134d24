// Bytes whose delivery is ours, because the sender was told that they have come: what of them is
// sent again, and when.
// Tested by: shaper_test.cc
#include <algorithm>

#include "engine/shaper.h"
#include "stream/seq.h"
#include "wire/tcp_options.h"

namespace haka::engine {

namespace {

// A burst for one ACK: as an initial window (RFC 6928).
constexpr int kSegmentsAtOnce = 10;

bool later(const Shaper::Due& a, const Shaper::Due& b) {
    return a.at > b.at;
}

}  // namespace

// What the receiver says it has beyond its ACK.
void Shaper::read_sacks(const Item& item, Lane& lane, std::uint32_t isn) {
    const stream::Outlet& outlet = lane.outlet;
    wire::TcpOptions options({item.frame.data + item.headers.transport + 20,
                              item.headers.payload - item.headers.transport - 20});
    wire::TcpOption option;
    while (options.next(option)) {
        if (option.kind != wire::kOptionSack || wire::has_impossible_size(option)) {
            continue;
        }
        for (std::uint32_t i = 0; i < option.value.size() / 8; ++i) {
            const wire::SackBlock block = wire::sack_block(option, i);
            const std::int64_t begin = stream::to_offset(block.begin, isn, outlet.sent());
            const std::int64_t end = stream::to_offset(block.end, isn, outlet.sent());
            if (begin >= 0 && begin < end && end <= static_cast<std::int64_t>(outlet.sent())) {
                lane.recovery.sacked({.begin = static_cast<std::uint64_t>(begin),
                                      .end = static_cast<std::uint64_t>(end)});
            }
        }
    }
}

// Sends again what of ours the receiver lacks.
bool Shaper::recover(Scene& scene, Lane& lane, bool of_client) {
    const stream::Outlet& outlet = lane.outlet;
    if (!outlet.owes()) {
        return true;
    }
    const output::Head head = head_for(scene, of_client);
    if (head.bytes.empty()) {
        return true;
    }
    const std::uint64_t ours = outlet.told_ack() >= lane.input->end()
                                   ? outlet.sent()
                                   : outlet.map().to_output(outlet.told_ack());
    const std::uint32_t size_max = piece_max(scene, of_client, head);
    for (int i = 0; i < kSegmentsAtOnce; ++i) {
        const stream::Recovery::Range lost =
            lane.recovery.next(ours, outlet.sent(), size_max, scene.now, lane.timer.round_trip());
        if (lost.empty() || lost.begin < outlet.kept_begin()) {
            break;
        }
        lane.timer.sent_again();
        const bool last = lost.end == outlet.sent();
        if (!send_pieces(
                scene, lane, of_client, head,
                {.from = lost.begin, .to = lost.end, .fin = lane.fin_sent && last, .push = last},
                false)) {
            return false;
        }
    }
    return true;
}

// The timer runs while bytes are under way, or wait for a window, that no end asks for again.
void Shaper::arm(const Scene& scene, Lane& lane, bool of_client) {
    const stream::Outlet& outlet = lane.outlet;
    const bool waits = outlet.sent() < outlet.decided() && outlet.told_ack() >= lane.input->end();
    const bool ends = lane.own_fin && !lane.own_fin_acked;
    if (!outlet.owes() && !waits && !ends) {
        lane.due = kNever;
        return;
    }
    const Instant due = scene.now + lane.timer.wait(lane.recovery.knows_holes());
    if (lane.due != kNever && (lane.due <= due || lane.due_acked != outlet.acked())) {
        return;  // It looks at what has been acknowledged when it runs out.
    }
    lane.due = due;
    lane.due_acked = outlet.acked();
    queue(lane, scene.connection, of_client);
}

// One place in the queue is enough: an early one is moved when it comes up.
void Shaper::queue(Lane& lane, const flow::Connection& connection, bool of_client) {
    if (lane.queued_at <= lane.due) {
        return;
    }
    lane.queued_at = lane.due;
    due_.push_back(
        {.at = lane.due, .id = connection.id, .index = connection.index, .of_client = of_client});
    std::ranges::push_heap(due_, later);
}

Shaper::Due Shaper::take_due() {
    std::ranges::pop_heap(due_, later);
    const Due due = due_.back();
    due_.pop_back();
    return due;
}

bool Shaper::retransmit(flow::Connection& connection, Listener& listener, const Due& due,
                        Instant now) {
    std::unique_ptr<Lane>& lane = place(listener, due.of_client);
    if (lane == nullptr || lane->queued_at != due.at) {
        return true;
    }
    lane->queued_at = kNever;
    if (lane->due > due.at) {
        if (lane->due != kNever) {
            queue(*lane, connection, due.of_client);
        }
        return true;
    }
    lane->due = kNever;
    Scene scene{.connection = connection,
                .listener = &listener,
                .item = nullptr,
                .from_client = due.of_client,
                .now = now};
    const stream::Outlet& outlet = lane->outlet;
    if (outlet.acked() == lane->due_acked) {
        if (!lane->timer.back_off()) {
            return true;  // The other end is gone; the connection's own timeout forgets it.
        }
        bool going = true;
        if (outlet.owes()) {
            lane->recovery.timed_out();
            going = recover(scene, *lane, due.of_client);
        } else if (outlet.sent() < outlet.decided()) {
            const output::Head head = head_for(scene, due.of_client);
            going = head.bytes.empty() || send_probe(scene, *lane, due.of_client, head, true);
        } else if (lane->own_fin && !lane->own_fin_acked) {
            going = send_own_fin(scene, *lane, due.of_client);
        }
        if (!going) {
            return false;
        }
    }
    arm(scene, *lane, due.of_client);
    return true;
}

}  // namespace haka::engine
