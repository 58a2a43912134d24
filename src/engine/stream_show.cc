// What rules see of streams, what they let go of, and holes that never fill.
// Tested by: worker_test.cc
#include <algorithm>

#include "engine/worker.h"
#include "stream/seq.h"
#include "wire/build.h"
#include "wire/tcp.h"

namespace haka::engine {

using script::Hook;
using script::RunStatus;

namespace {

// What a host may send before it hears of the other (RFC 6928), and some more.
constexpr std::uint64_t kInitialWindow = 16 * 1024;

}  // namespace

// A hole whose bytes the receiver has acknowledged: the capture lost them. An ACK may run ahead of
// its data by some packets, so only an old hole is closed. False: the connection was decided.
bool Worker::close_lost_hole(Item* item, flow::Connection& connection, bool of_client,
                             HoleRule rule) {
    const bool live = options_.mode == stream::Mode::Live;
    if (live && !connection.midstream) {
        return true;  // Such an ACK was not believed.
    }
    Listener& listener = listeners_->at(connection.listener);
    const std::size_t half = of_client ? 0 : 1;
    stream::StreamBuffer& buffer = listener.buffers.at(half);
    const std::uint64_t hole = buffer.acknowledged_hole();
    Listener::Hole& seen = listener.holes.at(half);
    if (hole == 0) {
        seen = {};
        return true;
    }
    const std::uint64_t packets = std::uint64_t{connection.packets[0]} + connection.packets[1];
    if (seen.since == 0 || seen.at != buffer.end()) {
        seen = {.since = packets, .at = buffer.end()};
    }
    if (live && connection.packets.at(half) == 0 && listener.lanes.at(half) == nullptr &&
        !buffer.owns_memory()) {
        seen = {};
        buffer.begin_at(connection.half(of_client).acked);  // It has not spoken itself so far.
        return true;
    }
    // Live, these bytes passed before the connection was picked up.
    if (rule == HoleRule::WhenOld && !live &&
        packets - seen.since < options_.settings.tcp.early_ack_packets) {
        return true;
    }
    seen = {};
    const stream::Added added = buffer.add_gap(buffer.end(), hole);
    if (added.refused != Event::None) {
        return refuse(item, connection, added.refused, options_.settings.exceptions.memory);
    }
    summary_.stream_gaps += 1;
    summary_.stream_bytes += added.available;
    if (Lane* const lane = listener.lanes.at(half).get();
        lane != nullptr && !lane->outlet.follow(buffer.end() - added.available)) {
        return refuse(item, connection, Event::TcpStreamMemory,
                      options_.settings.exceptions.memory);
    }
    if (item != nullptr) {
        remark(Event::TcpGap, *item, &connection);
    } else {
        summary_.count_event(Event::TcpGap);
    }
    return show(item, connection, of_client);
}

// tcp-connection-up, then the connection's dissector in Lua, on what Listeners::present() showed.
// False: the connection was decided.
bool Worker::run_stream_hooks(Item* item, flow::Connection& connection, bool of_client) {
    if (!script_->listens(Hook::TcpConnectionUp) && connection.dissector <= kHttpDissector) {
        return true;
    }
    haka_stream* const streams = listeners_->at(connection.listener).streams.data();
    Item* const at_hand = item_;
    Item stand_in;
    if (item == nullptr) {
        make_stand_in(connection, of_client, stand_in);
        item_ = &stand_in;
        lent_ = false;
    }
    const auto run = [&](const auto& enter) {
        begin_event(item_);
        show_connection(connection, of_client);
        context_->streams = streams;
        const bool going = finish_connection_event(enter(), item);
        slots_.at(0).changed = item == nullptr ? 0 : slots_.at(0).changed;
        return going;
    };
    bool going = true;
    if (script_->listens(Hook::TcpConnectionUp)) {
        going = run([&] { return script_->run(Hook::TcpConnectionUp); });
    }
    if (going && connection.dissector > kHttpDissector) {
        going = run([&] { return script_->run_stream(dissectors_[connection.dissector]); });
    }
    if (item == nullptr) {
        item_ = at_hand;
        lent_ = false;
    }
    return going;
}

// Cursors of rules and of a dissector in Lua.
std::size_t Worker::lua_cursors(const flow::Connection& connection) const {
    return script_->stream_rules() + (connection.dissector > kHttpDissector ? 1U : 0U);
}

// Whether a rule keeps bytes that rules behind it, or the dissector in Lua, have not seen.
bool Worker::keeps_from_others(const flow::Connection& connection, std::size_t half) const {
    const Listener& listener = listeners_->at(connection.listener);
    return !listener.bypassed && Listeners::keeps(listener, half, lua_cursors(connection));
}

// Whether a rule has put bytes into the direction that isn't at hand, and others have not seen
// them.
bool Worker::has_news(const flow::Connection& connection, bool of_client) const {
    const Listener& listener = listeners_->at(connection.listener);
    return other_edited_ && !listener.bypassed &&
           Listeners::lags(listener, of_client ? 0 : 1, lua_cursors(connection));
}

// Where no packet is at hand, rules see one that brings nothing.
void Worker::make_stand_in(const flow::Connection& connection, bool of_client, Item& item) {
    const flow::Endpoint& from = of_client ? connection.client() : connection.server();
    const flow::Endpoint& to = of_client ? connection.server() : connection.client();
    const flow::Half& half = connection.half(of_client);
    const flow::Half& other = connection.half(!of_client);
    wire::build_tcp({}, {.src = from.ip(), .dst = to.ip()},
                    {.srcport = from.port,
                     .dstport = to.port,
                     .seq = stream::to_seq(half.isn, half.next()),
                     .ack_seq = stream::to_seq(other.isn, other.next_acked()),
                     .flags = wire::kAck},
                    {}, stand_in_);
    const auto size = static_cast<std::uint32_t>(stand_in_.size());
    item.frame = {.data = stand_in_.data(),
                  .size = size,
                  .original_size = size,
                  .when = wall_time(now_),
                  .number = order_.packet == UINT64_MAX ? 0 : order_.packet,
                  .link = LinkType::Raw};
    item.headers = wire::find_headers(LinkType::Raw, stand_in_);
    item.key = {.key = connection.key, .source_is_low = connection.client_is_low == of_client};
    item.hash = table_.hash(connection.key);
    item.taken = true;  // Nobody can take it over.
}

bool Worker::show(Item* item, flow::Connection& connection, bool of_client) {
    const std::uint32_t index = connection.listener;
    const std::size_t half = of_client ? 0 : 1;
    bool shows_kept = false;
    while (true) {
        Listener& listener = listeners_->at(index);
        if (listener.bypassed) {
            (void)release(listener, half);
            return true;
        }
        listeners_->present(listener, half);
        context_->shows_kept = shows_kept ? 1 : 0;
        const bool going = run_stream_hooks(item, connection, of_client);
        context_->shows_kept = 0;
        if (!going) {
            return false;
        }
        if (listener.http != nullptr && !walk_http(item, connection, of_client)) {
            return false;
        }
        context_->streams = nullptr;
        stream::StreamBuffer& buffer = listener.buffers.at(half);
        std::uint64_t gained = settle(connection, listener, of_client);
        if (!check_undecided(item, connection, listener, half)) {
            return false;
        }
        if (gained == 0 && buffer.at_gap()) {
            if (!shows_kept && keeps_from_others(connection, half)) {
                shows_kept = true;  // Before the gap it all leaves.
                continue;
            }
            gained = release(listener, half);
        }
        shows_kept = false;
        if (!connection.half(!of_client).seen) {
            // Nobody else will: a capture of one direction. A handshake's data stays known.
            buffer.acknowledged(buffer.end() - std::min(buffer.end(), kInitialWindow));
            if (Lane* const lane = listener.lanes.at(half).get(); lane != nullptr) {
                const std::uint64_t sent = lane->outlet.sent();
                lane->outlet.acknowledge(sent - std::min(sent, kInitialWindow), 0);
            }
        }
        if (gained == 0) {
            return true;
        }
        summary_.stream_bytes += gained;
    }
}

// Lets go of what no rule wants any more. Returns how much the view gained.
std::uint64_t Worker::settle(const flow::Connection& connection, Listener& listener,
                             bool of_client) {
    const std::size_t half = of_client ? 0 : 1;
    const Listeners::Wanted wanted = listeners_->settle(listener, half);
    const std::uint64_t end = listener.buffers.at(half).end();
    if (listener.lanes.at(half) == nullptr && wanted.held < end && may_edit(connection)) {
        (void)shaper_.lane_of(connection, listener, of_client);
    }
    listener.left.at(half) = end;
    return release(listener, half, wanted);
}

// Nothing below `wanted` (output) is wanted.
std::uint64_t Worker::release(Listener& listener, std::size_t half, Listeners::Wanted wanted) {
    stream::StreamBuffer& buffer = listener.buffers.at(half);
    Lane* const lane = listener.lanes.at(half).get();
    if (lane == nullptr) {
        return buffer.release(wanted.shown);
    }
    const std::uint64_t gained = lane->outlet.decide(wanted.held, wanted.shown);
    return gained != 0 && !lane->outlet.follow(buffer.end() - gained) ? 0 : gained;
}

// File: once the bytes before a gap have left, what lies behind it is shown and leaves, too. False:
// the connection was decided.
bool Worker::pass_gaps(Item* item, flow::Connection& connection) {
    const auto& lanes = listeners_->at(connection.listener).lanes;
    if (lanes[0] == nullptr && lanes[1] == nullptr) {
        return true;
    }
    for (const bool of_client : {true, false}) {
        const std::size_t half = of_client ? 0 : 1;
        Listener& listener = listeners_->at(connection.listener);
        stream::StreamBuffer& buffer = listener.buffers.at(half);
        while (listener.lanes.at(half) != nullptr && buffer.at_gap()) {
            const std::uint64_t gap_end = buffer.gap_end();
            const std::uint64_t gained = buffer.release(buffer.begin());
            if (buffer.gap_end() == gap_end) {
                break;
            }
            summary_.stream_bytes += gained;
            if (!listener.lanes.at(half)->outlet.follow(buffer.end() - gained)) {
                return refuse(item, connection, Event::TcpStreamMemory,
                              options_.settings.exceptions.memory);
            }
            if (!show(item, connection, of_client) ||
                !shaper_.push(item, connection, listener, of_client, from_client_, now_)) {
                return false;
            }
        }
    }
    return true;
}

}  // namespace haka::engine
