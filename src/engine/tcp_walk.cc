// The part of the walk that knows connections: whose segment is it, is it to be believed.
// Tested by: worker_test.cc
#include <algorithm>
#include <utility>

#include "engine/worker.h"
#include "output/forge.h"
#include "stream/seq.h"
#include "wire/icmp_quote.h"
#include "wire/segment.h"
#include "wire/tcp.h"

namespace haka::engine {

using script::Hook;
using script::RunStatus;

namespace {

// RFC 5961, 3.2 and 4.2: what may be a genuine end's, and would be repeated exactly.
bool deserves_challenge(Event event, const wire::Segment& segment) {
    return event == Event::TcpRstInexact || event == Event::TcpSynInConnection ||
           (event == Event::TcpOldTimestamp && (segment.flags & wire::kRst) != 0);
}

// One in half a second for each connection: a common count would tell others of it (RFC 5961, 10).
bool may_challenge(flow::Connection& connection, Instant now) {
    const auto tick = static_cast<std::uint32_t>(now.ns >> 29) | 1U << 31;
    return std::exchange(connection.challenged, tick) != tick;
}

// To the receiver of `item`, about which nothing is known but this: an ACK far outside its window,
// which it answers by one that says what it expects (RFC 9293, 3.10.7.4). That answer gets an exact
// RST.
output::Reset make_question(const Item& item, const wire::Segment& segment) {
    constexpr std::uint32_t kFarBefore = 1U << 30;
    const output::Head head = output::plain_head(output::head_of(item.frame, item.headers));
    output::Reset question;
    output::build_piece(
        head, {.seq = segment.seq - kFarBefore, .ack_seq = segment.ack, .flags = wire::kAck}, {},
        {}, question.bytes);
    question.interface = item.frame.interface;
    return question;
}

}  // namespace

void Worker::walk_tcp(Item& item) {
    if (script_->listens(Hook::TcpUp) && !run_packet_hook(Hook::TcpUp, item)) {
        depart(item, nullptr);
        return;
    }
    const bool is_tcp = item.headers.transport_ok && item.headers.protocol == wire::kProtocolTcp;
    if (!policy_->connections_on || !is_tcp) {
        depart(item, nullptr);
        return;
    }
    wire::Segment segment = wire::read_segment(item.headers, item.frame.bytes());
    flow::Connection* connection = table_.find(item.key.key, item.hash);
    if (connection == nullptr) {
        connection = open(item, segment);
        if (connection == nullptr) {
            depart(item, nullptr);
            return;
        }
    }
    select(*connection);
    follow(item, *connection, segment);
}

// An ICMP error that quotes a segment of an edited connection goes to the segment's sender, who
// knows its own numbers only.
void Worker::translate_quote(Item& item) {
    wire::IcmpQuote quote;
    if (options_.settings.pass_through ||
        !wire::find_icmp_quote(item.headers, item.frame.bytes(), quote)) {
        return;
    }
    std::uint8_t* const bytes = item.frame.data;
    wire::Headers quoted = item.headers;
    quoted.ip_version = quote.ip_version;
    quoted.protocol = wire::kProtocolTcp;
    quoted.net = quote.addresses - (quote.ip_version == 4 ? 12 : 8);
    quoted.transport = quote.tcp;
    const flow::OrderedKey ordered = flow::make_flow_key(quoted, bytes);
    const flow::Connection* const connection = table_.find(ordered.key, table_.hash(ordered.key));
    if (connection == nullptr || connection->listener == flow::kNoIndex) {
        return;
    }
    const bool of_client = ordered.source_is_low == connection->client_is_low;
    const Listener& listener = listeners_->at(connection->listener);
    const Lane* const lane = listener.lanes.at(of_client ? 0 : 1).get();
    if (lane == nullptr || !shaper_.counts_output(*lane)) {
        return;
    }
    const std::uint32_t isn = connection->half(of_client).isn;
    const std::uint32_t seq = load_be32(bytes + quote.tcp + 4);
    const std::int64_t output = stream::to_offset(seq, isn, lane->outlet.sent());
    if (output < 0) {
        return;
    }
    const std::uint32_t translated =
        stream::to_seq(isn, lane->outlet.map().acked_input(static_cast<std::uint64_t>(output)));
    if (translated != seq) {
        store_be32(bytes + quote.tcp + 4, translated);
        item.note_change(Event::TcpTranslated);
        item.to_fix |= HAKA_CHANGED_TRANSPORT;
        lent_ = false;
    }
}

// A segment of no connection: makes one of it, or decides the packet and returns nullptr.
flow::Connection* Worker::open(Item& item, const wire::Segment& segment) {
    const bool begins = stream::begins_connection(segment);
    if (begins || (takes_midstream() && stream::continues_connection(segment))) {
        flow::Connection* connection = begins ? make_connection(item) : pick_up(item, segment);
        if (connection != nullptr) {
            use(newest());
            return connection;
        }
        remark(Event::TcpTableFull, item, nullptr);
        switch (options_.settings.exceptions.table_full) {
            case Exception::Pass:
                break;
            case Exception::Bypass:
                bypass_until_ = now_ + options_.settings.tcp.established_timeout;
                break;
            case Exception::Reset:
                refuse_attempt(item, segment);
                [[fallthrough]];
            case Exception::Drop:
                drop(item, Event::TcpTableFull);
        }
        return nullptr;
    }
    if (options_.settings.tcp.midstream == Midstream::Ignore || now_ < bypass_until_) {
        summary_.count_event(Event::TcpMidstream);
        return nullptr;
    }
    drop(item, Event::TcpNoConnection);
    summary_.count_event(Event::TcpNoConnection);
    held_back_.clear();
    if (early_limiter_.admit(Event::TcpNoConnection, now_, held_back_)) {
        report::Alert alert;
        alert.rule = event_name(Event::TcpNoConnection);
        alert.description = event_sentence(Event::TcpNoConnection);
        alert.severity = report::Level::Low;
        alert.blocked = !options_.settings.pass_through;
        alert.reference = order_.packet << 16U | ++alerts_;
        stage_alert(alert, where_of(item, nullptr), Event::TcpNoConnection);
    } else {
        journal_->stage({.order = order_,
                         .when = now_,
                         .kind = RecordKind::Alert,
                         .event = Event::TcpNoConnection},
                        {});
    }
    return nullptr;
}

// Answers a SYN that there is no room for.
void Worker::refuse_attempt(const Item& item, const wire::Segment& segment) {
    if (options_.settings.pass_through) {
        return;
    }
    flow::Connection attempt;
    attempt.key = item.key.key;
    attempt.client_is_low = item.key.source_is_low;
    attempt.id = item.frame.number;
    attempt.half(true).isn = segment.seq;
    from_client_ = true;
    sent_before_ = 0;
    fin_before_ = UINT64_MAX;
    send_resets(attempt, &item);
}

flow::Connection* Worker::make_connection(Item& item) {
    if (flow::Connection* oldest = table_.eviction_candidate(); oldest != nullptr) {
        remark(Event::TcpHalfOpenLimit, item, nullptr);
        end(*oldest, flow::EndReason::Evicted, nullptr);
        forget(*oldest);
    }
    flow::Connection* connection = table_.create(item.key.key, item.hash, now_, item.frame.number);
    if (connection == nullptr) {
        return nullptr;
    }
    connection->client_is_low = item.key.source_is_low;
    connection->client_on_second = (item.frame.interface & 1U) != 0;
    if (options_.mode == stream::Mode::Live) {
        note_link(item, *connection);
    }
    connection->generation = newest().generation;
    newest().connections += 1;
    summary_.connections += 1;
    by_state_.at(static_cast<std::size_t>(connection->state)) += 1;
    summary_.connections_peak = std::max<std::uint64_t>(summary_.connections_peak, table_.size());
    return connection;
}

stream::Judgement Worker::judge(const Item& item, flow::Connection& connection,
                                wire::Segment& segment) {
    from_client_ = item.key.source_is_low == connection.client_is_low;
    const flow::Half& sender = connection.half(from_client_);
    sent_before_ = sender.sent_end;
    fin_before_ = sender.fin_offset;
    state_before_ = connection.state;
    if (connection.listener != flow::kNoIndex) {
        shaper_.read_answer(connection, listeners_->at(connection.listener), from_client_, segment);
    }
    stream::Judgement judgement =
        stream::judge(connection, from_client_, segment, now_,
                      {.settings = options_.settings.tcp, .mode = options_.mode});
    if (judgement.fin && connection.listener != flow::kNoIndex) {
        const Lane* const lane =
            listeners_->at(connection.listener).lanes.at(from_client_ ? 0 : 1).get();
        if (lane != nullptr && lane->own_fin_acked) {
            stream::acknowledge_fin(connection, from_client_, judgement);
        }
    }
    note_state(state_before_, connection.state);
    judgement.trimmed = judgement.trimmed && !options_.settings.pass_through;
    return judgement;
}

void Worker::follow(Item& item, flow::Connection& connection, wire::Segment& segment) {
    const stream::Judgement judgement = judge(item, connection, segment);
    if (!judgement.new_attempt) {
        carry_out(item, connection, segment, judgement);
        return;
    }
    const bool over =
        connection.state == flow::State::TimeWait || connection.state == flow::State::Closed;
    end(connection, over ? flow::EndReason::Closed : flow::EndReason::Reused, nullptr);
    forget(connection);
    flow::Connection* successor = open(item, segment);
    if (successor == nullptr) {
        depart(item, nullptr);
        return;
    }
    carry_out(item, *successor, segment, judge(item, *successor, segment));
}

// Cuts the payload to what lies in the receiver's window.
void Worker::trim(Item& item, const stream::Judgement& judgement, Event why) {
    const std::uint32_t there = item.headers.end - item.headers.payload;
    const std::uint32_t size = std::min(judgement.size, there - std::min(judgement.skip, there));
    item.frame.size =
        output::trim_payload(item.headers, item.frame.mutable_bytes(),
                             {.skip = judgement.skip, .size = size, .cut = judgement.size - size});
    item.frame.original_size = item.frame.size + item.headers.cut;
    item.note_change(why);
    lent_ = false;
}

void Worker::carry_out(Item& item, flow::Connection& connection, const wire::Segment& segment,
                       const stream::Judgement& judgement) {
    const bool fresh = connection.id == item.frame.number;
    connection_ = &connection;
    if (item.check == wire::ChecksumCheck::Wrong && !connection.reported_checksum) {
        connection.reported_checksum = true;
        remark(Event::TcpBadChecksum, item, &connection);
    }
    if (judgement.event != Event::None && judgement.event != Event::TcpTombstone) {
        remark(judgement.event, item, &connection);
    }
    if (judgement.drop) {
        turn_away(item, connection, segment, judgement.event);
        if (fresh && !connection.ended) {
            forget(connection);
        }
        return;
    }
    connection.packets.at(from_client_ ? 0 : 1) += 1;
    connection.bytes.at(from_client_ ? 0 : 1) += judgement.size;
    if (judgement.handshake_completed) {
        table_.leave_half_open(connection);
    }
    if (connection.midstream && connection.listener != flow::kNoIndex) {
        hear_first(connection, judgement);
    }
    if (fresh) {
        timers_.arm(connection, stream::deadline_of(connection, options_.settings.tcp));
    }
    if (fresh && connection.midstream && was_edited(connection)) {
        (void)refuse(&item, connection, Event::TcpEditLost, Exception::Reset);
        resets_.push_back(make_question(item, segment));
        depart(item, &connection);
        return;
    }
    if (fresh || connection.moved) {
        if (!meet(item, connection)) {
            depart(item, &connection);
            return;
        }
    } else if (connection.state != state_before_) {
        const Instant deadline = stream::deadline_of(connection, options_.settings.tcp);
        if (deadline < connection.deadline) {
            timers_.arm(connection, deadline);
        }
    }
    if (judgement.trimmed) {
        trim(item, judgement, judgement.event);
    }
    if (connection.listener != flow::kNoIndex) {
        normalise(item, connection, segment);
    }
    if (connection.listener == flow::kNoIndex) {
        depart(item, &connection);
    } else if (listeners_->at(connection.listener).buffers.at(from_client_ ? 0 : 1).start() == 0) {
        pass(item, connection, segment, judgement);
    } else {
        pass(item, connection, segment, cut_at_start(item, connection, judgement));
    }
    if (judgement.reset && !connection.ended) {
        end(connection, judgement.reason, nullptr);
    }
}

// A segment that isn't believed.
void Worker::turn_away(Item& item, flow::Connection& connection, const wire::Segment& segment,
                       Event event) {
    drop(item, event);
    depart(item, &connection);
    if (event == Event::TcpTombstone) {
        repeat_reset(item, connection, segment);
    }
    if (deserves_challenge(event, segment) && may_challenge(connection, now_)) {
        Listener* const listener =
            connection.listener == flow::kNoIndex ? nullptr : &listeners_->at(connection.listener);
        (void)shaper_.challenge(item, connection, listener, from_client_, now_);
    }
}

// A segment of a connection that somebody listens to.
void Worker::pass(Item& item, flow::Connection& connection, const wire::Segment& segment,
                  const stream::Judgement& judgement) {
    if (listen(item, connection, segment, judgement)) {
        leave(item, connection, segment, judgement);
    } else {
        depart(item, &connection);
    }
}

// Live: an end that goes on after reset() has not got the RST, or not believed it. This one it
// does.
void Worker::repeat_reset(const Item& item, flow::Connection& connection,
                          const wire::Segment& segment) {
    std::uint8_t& left = connection.resets_left.at(from_client_ ? 0 : 1);
    if (options_.mode != stream::Mode::Live || left == 0 || (segment.flags & wire::kRst) != 0) {
        return;
    }
    left -= 1;
    output::Head head = output::answer_to(output::head_of(item.frame, item.headers), {});
    output::Reset reset;
    const bool acks = (segment.flags & wire::kAck) != 0;
    const std::uint32_t size =
        segment.payload_size + ((segment.flags & (wire::kSyn | wire::kFin)) != 0 ? 1 : 0);
    output::build_piece(head,
                        {.seq = acks ? segment.ack : 0,
                         .ack_seq = acks ? 0 : segment.seq + size,
                         .flags = static_cast<std::uint8_t>(wire::kRst | (acks ? 0 : wire::kAck))},
                        {}, {}, reset.bytes);
    reset_link_ = head.link;
    reset.interface = head.interface;
    resets_.push_back(std::move(reset));
}

// tcp-connection-new; false: refused.
bool Worker::announce(Item& item, flow::Connection& connection) {
    if (script_->listens(Hook::TcpConnectionNew)) {
        begin_event(&item);
        show_connection(connection, from_client_);
        const RunStatus status = script_->run(Hook::TcpConnectionNew);
        if (!finish_connection_event(status, &item) || item.dropped) {
            return false;
        }
    }
    return true;
}

bool Worker::is_listened(const flow::Connection& connection) const {
    return script_->stream_rules() != 0 || connection.dissector > kHttpDissector ||
           (connection.dissector == kHttpDissector && policy_->http_on) ||
           options_.settings.tcp.normalise == Normalise::All;
}

// Puts the connection at hand before Lua.
void Worker::show_connection(const flow::Connection& connection, bool from_client) {
    context_->has_connection = 1;
    context_->connection = connection.script == flow::kNoIndex ? HAKA_NONE : connection.script;
    context_->direction = from_client ? 1 : 0;
}

// As finish_event(), for hooks whose failure concerns the connection. False: it was decided.
bool Worker::finish_connection_event(RunStatus status, Item* item) {
    if (status == RunStatus::Failed && options_.settings.lua.on_error == Exception::Drop &&
        connection_ != nullptr) {
        decisions_.push_back({.kind = DecisionKind::Drop,
                              .index = connection_->index,
                              .id = connection_->id,
                              .rule = script_->failed_rule(),
                              .reason = script_->failure()});
        status = RunStatus::Done;
    }
    (void)finish_event(status, item);
    context_->has_connection = 0;
    context_->connection = HAKA_NONE;
    return !connection_decided_ && !fatal_;
}

}  // namespace haka::engine
