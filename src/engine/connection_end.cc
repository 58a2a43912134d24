// How connections end: timers, decisions of rules, the end of the input.
// Tested by: worker_test.cc
#include <algorithm>
#include <utility>

#include "engine/worker.h"
#include "wire/build.h"

namespace haka::engine {

using flow::EndReason;
using flow::State;
using script::Hook;

namespace {

constexpr std::uint8_t kLaterResetsMax = 5;  // To each end that didn't get the first one.

EndReason reason_of_rest(State state, EndReason otherwise) {
    return state == State::TimeWait || state == State::Closed ? EndReason::Closed : otherwise;
}

}  // namespace

void Worker::expire(Instant now) {
    timers_.expire(now, expired_);
    const Order order = order_;
    for (const std::uint32_t index : expired_) {
        flow::Connection& connection = table_.at(index);
        if (connection.id == 0) {
            continue;  // A rule on an earlier one's end closed it.
        }
        const Instant deadline = stream::deadline_of(connection, options_.settings.tcp);
        if (deadline > now) {
            timers_.arm(connection, deadline);
            continue;
        }
        order_ = {.packet = order.packet, .deadline = connection.deadline.ns, .id = connection.id};
        alerts_ = 0;
        end(connection, reason_of_rest(connection.state, EndReason::Timeout), nullptr);
        if (connection.id != 0) {
            forget(connection);
        }
        if (!to_send_.empty() || !resets_.empty()) {
            send_pending();
        }
        journal_->commit();
    }
    order_ = order;
    alerts_ = 0;
}

// Everything that waited for a time which has come.
void Worker::run_due() {
    if (timers_.due(now_)) {
        expire(now_);
    }
    if (!undecided_.empty() && undecided_.top().at <= now_) {
        expire_undecided(now_);
    }
    if (shaper_.wakes_at() <= now_) {
        retransmit(now_);
    }
    if (fragments_.due(now_)) {
        expire_fragments();
    }
}

void Worker::pass_time(Instant now, Journal& journal) {
    journal_ = &journal;
    now_ = now;
    context_->now = wall_time(now).ns;
    item_ = nullptr;
    if (policies_.size() > 1) {
        let_go_of_policies();
    }
    run_due();
    journal_->commit();
    journal_ = nullptr;
}

Instant Worker::wakes_at() const {
    const Instant undecided = undecided_.empty() ? kNever : undecided_.top().at;
    Instant policy = kNever;
    for (std::size_t i = 0; i + 1 < policies_.size(); ++i) {
        policy = std::min(policy, policies_[i]->deadline);
    }
    return std::min(
        {timers_.wakes_at(), shaper_.wakes_at(), fragments_.wakes_at(), undecided, policy});
}

// What the engine owes an end and nobody acknowledged in time.
void Worker::retransmit(Instant now) {
    const Order order = order_;
    while (shaper_.wakes_at() <= now) {
        const Shaper::Due due = shaper_.take_due();
        flow::Connection& connection = table_.at(due.index);
        if (connection.id != due.id || connection.listener == flow::kNoIndex) {
            continue;
        }
        order_ = {.packet = order.packet, .deadline = due.at.ns, .id = connection.id};
        if (resume(connection)) {
            (void)shaper_.retransmit(connection, listeners_->at(connection.listener), due, now);
        }
        connection_ = nullptr;
        if (!to_send_.empty() || !resets_.empty()) {
            send_pending();
        }
        journal_->commit();
    }
    order_ = order;
}

// What waited for the rest of the batch.
void Worker::end_bundles() {
    for (const Shaper::Waiting& waiting : shaper_.take_bundles()) {
        flow::Connection& connection = table_.at(waiting.index);
        if (connection.id != waiting.id || connection.listener == flow::kNoIndex || fatal_) {
            continue;
        }
        if (resume(connection)) {
            (void)shaper_.end_bundle(connection, listeners_->at(connection.listener),
                                     waiting.of_client, now_);
        }
        connection_ = nullptr;
        if (!to_send_.empty() || !resets_.empty()) {
            send_pending();
        }
        journal_->commit();
    }
}

// Tells the connection's end once; a remnant (TIME_WAIT, tombstone) may stay in the table.
void Worker::end(flow::Connection& connection, EndReason reason, Item* item) {
    if (connection.ended) {
        return;
    }
    flow::Connection* const at_hand = connection_;
    Policy* const policy_at_hand = policy_;
    select(connection);
    connection_ = &connection;
    if (reason != EndReason::Dropped && connection.listener != flow::kNoIndex) {
        finish_streams(connection, item);
    }
    if (!connection.ended) {
        connection.ended = true;
        count_out(connection);
        table_.leave_half_open(connection);
        summary_.count_end(reason);
        if (script_->listens(Hook::TcpConnectionEnd)) {
            begin_event(nullptr);
            lent_ = false;
            show_connection(connection, true);
            haka_stream* const streams = std::exchange(context_->streams, nullptr);
            context_->end_reason = static_cast<std::uint32_t>(reason);
            (void)finish_event(script_->run(Hook::TcpConnectionEnd), nullptr);
            context_->streams = streams;
            context_->has_connection = 0;
            context_->connection = HAKA_NONE;
        }
        release_listener(connection);
        if (connection.script != flow::kNoIndex) {
            for (const auto& policy : policies_) {  // Any of them may have touched it.
                policy->script->forget(connection.script);
            }
            haka_connection& shown = script_connections_[connection.script];
            shown.generation = shown.generation == UINT32_MAX ? 1 : shown.generation + 1;
            free_script_connections_.push_back(connection.script);
            connection.script = flow::kNoIndex;
        }
    }
    connection_ = at_hand == &connection ? nullptr : at_hand;
    use(*policy_at_hand);
}

void Worker::forget(flow::Connection& connection) {
    if (!connection.ended) {
        count_out(connection);
    }
    timers_.cancel(connection);
    by_state_.at(static_cast<std::size_t>(connection.state)) -= 1;
    table_.remove(connection);
}

void Worker::note_state(State before, State now) {
    if (before != now) {
        by_state_.at(static_cast<std::size_t>(before)) -= 1;
        by_state_.at(static_cast<std::size_t>(now)) += 1;
    }
}

void Worker::release_listener(flow::Connection& connection) {
    if (connection.listener == flow::kNoIndex) {
        return;
    }
    untie(connection, listeners_->at(connection.listener));
    for (const stream::StreamBuffer& buffer : listeners_->at(connection.listener).buffers) {
        if (buffer.known_behind_hole() != 0) {
            summary_.count_event(Event::StreamUnread);
        }
    }
    listeners_->remove(connection.listener);
    connection.listener = flow::kNoIndex;
}

// Nothing more comes: holes that the receiver acknowledged are closed, rules that wait run once
// more, with eof, and what is there leaves.
void Worker::finish_streams(flow::Connection& connection, Item* item) {
    other_edited_ = false;
    const bool from_client = from_client_;
    const std::uint64_t sent_before = sent_before_;
    const std::uint64_t fin_before = fin_before_;
    if (look_last(item, connection, true) && look_last(item, connection, false) &&
        (!other_edited_ || look_last(item, connection, true)) &&
        connection.state != State::Closed) {  // Behind a RST nothing leaves.
        for (const bool of_client : {true, false}) {
            Listener& listener = listeners_->at(connection.listener);
            (void)release(listener, of_client ? 0 : 1);
            if (!shaper_.push(item, connection, listener, of_client, from_client, now_) ||
                !pass_gaps(item, connection)) {
                break;
            }
        }
    }
    from_client_ = from_client;
    sent_before_ = sent_before;
    fin_before_ = fin_before;
}

// The last look at one direction. False: the connection was decided, or nobody listens any more.
bool Worker::look_last(Item* item, flow::Connection& connection, bool of_client) {
    if (connection.listener == flow::kNoIndex ||
        !close_lost_hole(item, connection, of_client, HoleRule::AtOnce) ||
        connection.listener == flow::kNoIndex) {
        return false;
    }
    const flow::Half& half = connection.half(of_client);
    from_client_ = of_client;
    sent_before_ = half.sent_end;
    fin_before_ = half.fin_offset;
    return resume_waiting(connection, of_client) && end_http(item, connection, of_client) &&
           connection.listener != flow::kNoIndex;
}

// Rules that wait run once more, with eof, and so do all if one keeps what others have not seen.
// False: the connection was decided.
bool Worker::resume_waiting(flow::Connection& connection, bool of_client) {
    Listener& listener = listeners_->at(connection.listener);
    const std::size_t half = of_client ? 0 : 1;
    const bool waits = connection.script != flow::kNoIndex && script_->has_streamed_rules() &&
                       script_->waits(connection.script, of_client);
    listeners_->present(listener, half);
    const bool shows = keeps_from_others(connection, half) || has_news(connection, of_client);
    other_edited_ = false;
    if (!waits && (connection.state == State::Closed || !shows)) {
        return true;
    }
    listener.streams.at(half).eof = 1;
    context_->shows_kept = 1;
    const bool going = run_stream_hooks(nullptr, connection, of_client);
    context_->shows_kept = 0;
    context_->streams = nullptr;
    return going;
}

// Carries out what rules decided on connections. Ends may run rules that decide more: those wait
// for the loop, so the stack stays flat.
void Worker::settle_decisions(Item* item) {
    if (settling_) {
        return;
    }
    settling_ = true;
    for (std::size_t i = 0; i < decisions_.size(); ++i) {
        const Decision decision = decisions_[i];
        flow::Connection& connection = table_.at(decision.index);
        if (connection.id != decision.id || connection.ended) {
            continue;
        }
        DecisionKind kind = decision.kind;
        if (kind == DecisionKind::Close && connection.listener != flow::kNoIndex) {
            const Listener& listener = listeners_->at(connection.listener);
            if (listener.http != nullptr && listener.http->is_rewriting()) {
                kind = DecisionKind::Reset;  // What is framed anew can't go on as it comes.
            } else if (listener.translates()) {
                bypass(connection);  // Its ends need the numbers until it ends by itself.
                continue;
            }
        }
        const bool at_hand = &connection == connection_;
        if (at_hand && item != nullptr && kind != DecisionKind::Close) {
            drop(*item, decision.reason);
            item->rule = decision.rule;
        }
        if (options_.settings.pass_through && kind != DecisionKind::Close) {
            continue;
        }
        if (at_hand) {
            connection_decided_ = true;
        }
        switch (kind) {
            case DecisionKind::Reset:
                send_resets(connection, at_hand ? item : nullptr);
                connection.resets_left = {kLaterResetsMax, kLaterResetsMax};
                [[fallthrough]];
            case DecisionKind::Drop:
                note_state(connection.state, State::Dropped);
                stream::entomb(connection, now_);
                timers_.arm(connection, stream::deadline_of(connection, options_.settings.tcp));
                end(connection, EndReason::Dropped, nullptr);
                break;
            case DecisionKind::Close:
                end(connection, EndReason::Closed, nullptr);
                if (connection.id == decision.id && !at_hand) {
                    forget(connection);
                }
                break;
        }
    }
    decisions_.clear();
    settling_ = false;
}

// The packet at hand does not leave, so its bytes and FIN aren't counted as received; nor is what
// lies behind a hole, for its receiver still expects the hole's first byte.
output::Received Worker::received_so_far(const flow::Connection& connection, bool at_hand) const {
    output::Received received;
    for (const bool of_client : {true, false}) {
        const std::size_t place = of_client ? 0 : 1;
        const flow::Half& half = connection.half(of_client);
        const bool mine = at_hand && of_client == from_client_;
        const std::uint64_t fin = mine ? fin_before_ : half.fin_offset;
        std::uint64_t sent = mine ? sent_before_ : half.sent_end;
        sent += fin <= sent ? 1 : 0;
        std::uint64_t arrives = sent;
        if (connection.listener != flow::kNoIndex) {
            const Listener& listener = listeners_->at(connection.listener);
            const Lane* const lane = listener.lanes.at(place).get();
            if (lane != nullptr) {
                arrives = lane->outlet.sent() + (lane->fin_sent ? 1 : 0);
                sent = lane->outlet.map().acked_input(lane->outlet.sent()) +
                       (lane->fin_sent && half.fin_offset != UINT64_MAX ? 1 : 0);
            } else if (listener.buffers.at(place).known_behind_hole() != 0) {
                const std::uint64_t in_order =
                    std::max(listener.left.at(place), listener.buffers.at(place).begin());
                arrives = std::min(sent, std::max(in_order, half.next_acked()));
            }
        }
        (of_client ? received.sent_by_client : received.sent_by_server) = sent;
        (of_client ? received.by_server : received.by_client) = arrives;
    }
    return received;
}

void Worker::note_link(const Item& item, const flow::Connection& connection) {
    if (connection.index >= link_heads_.size()) {
        link_heads_.resize(connection.index + std::size_t{1});
    }
    LinkHead& head = link_heads_[connection.index];
    const ByteView header = item.frame.bytes().first(item.headers.net);
    head.link = item.frame.link;
    head.size = static_cast<std::uint8_t>(std::min(header.size(), head.bytes.size()));
    std::copy_n(header.begin(), head.size, head.bytes.begin());
}

void Worker::send_resets(flow::Connection& connection, const Item* item) {
    flow::Connection seen = connection;
    std::vector<std::uint8_t> link;
    reset_link_ = LinkType::Ethernet;
    reset_interface_ = 0;
    if (item != nullptr) {
        const ByteView header = item->frame.bytes().first(item->headers.net);
        link.assign(header.begin(), header.end());
        reset_link_ = item->frame.link;
        reset_interface_ = item->frame.interface;
        if (!from_client_ && reset_link_ == LinkType::Ethernet && link.size() >= 12) {
            std::swap_ranges(link.begin(), link.begin() + 6, link.begin() + 6);
        }
        if (connection.id == item->frame.number) {
            seen.half(true).seen = true;  // The SYN itself is what is refused.
        }
    } else if (connection.index < link_heads_.size()) {
        const LinkHead& head = link_heads_[connection.index];
        reset_link_ = head.link;
        link.assign(head.bytes.begin(), head.bytes.begin() + head.size);
    } else {
        const bool is_ipv4 = connection.key.low.is_ipv4();
        reset_link_ = last_link_;
        reset_interface_ = last_interface_;
        link = wire::default_link_header(reset_link_, is_ipv4 ? Family::Ipv4 : Family::Ipv6);
    }
    const std::size_t before = resets_.size();
    output::make_resets(seen, received_so_far(connection, item != nullptr), link, reset_link_,
                        resets_);
    for (std::size_t i = before; i < resets_.size(); ++i) {
        // Live, the one to the client comes from the server's side.
        const bool other_side = resets_[i].to_client != connection.client_on_second;
        resets_[i].interface =
            options_.mode == stream::Mode::Live ? (other_side ? 1 : 0) : reset_interface_;
    }
}

// The connections that the input leaves behind, by id. Nobody who would see it: they are counted.
void Worker::end_all() {
    if (!script_->listens(Hook::TcpConnectionEnd) && listeners_->count() == 0) {
        table_.for_each([this](const flow::Connection& connection) {
            if (!connection.ended) {
                summary_.count_end(reason_of_rest(connection.state, EndReason::EndOfInput));
            }
        });
        return;
    }
    for (const std::uint32_t index : table_.indices_by_id()) {
        flow::Connection& connection = table_.at(index);
        if (connection.id == 0 || connection.ended || fatal_) {
            continue;
        }
        order_ = {.packet = UINT64_MAX, .deadline = 0, .id = connection.id};
        alerts_ = 0;
        end(connection, reason_of_rest(connection.state, EndReason::EndOfInput), nullptr);
        if (!to_send_.empty() || !resets_.empty()) {
            send_pending();
        }
        journal_->commit();
    }
}

void Worker::finish(Journal& journal) {
    journal_ = &journal;
    item_ = nullptr;
    fragments_.finish();
    for (const auto& dropped : fragments_.dropped()) {
        summary_.packets_dropped += 1;
        summary_.count_drop(dropped.event);
    }
    end_all();
    order_ = {.packet = UINT64_MAX, .deadline = 1, .id = options_.index};
    alerts_ = 0;
    if (!fatal_) {
        for (const auto& policy : policies_) {
            use(*policy);
            begin_event(nullptr);
            (void)finish_event(script_->run_exit(), nullptr);
            if (!to_send_.empty()) {
                send_pending();
            }
        }
    }
    const std::uint64_t unsent = slots_.free_kept();  // Pushed into a stream and never popped.
    summary_.packets_dropped += unsent;
    for (std::uint64_t i = 0; i < unsent; ++i) {
        summary_.count_drop(Event::Rule);
    }
    journal_->commit();
    journal_ = nullptr;
}

}  // namespace haka::engine
