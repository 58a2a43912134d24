// Which policy is at work, how a newer one takes over, and how connections come to one that has
// not seen them begin.
// Tested by: worker_policy_test.cc
#include <algorithm>
#include <utility>

#include "engine/black_box.h"
#include "engine/worker.h"

namespace haka::engine {

using script::Hook;

Policy::Loaded Worker::prepare(std::uint32_t generation) const {
    return Policy::load(options_, slots_.data(), generation);
}

// Nullptr: it has been retired.
Policy* Worker::policy_of(const flow::Connection& connection) {
    for (const auto& policy : policies_) {
        if (policy->generation == connection.generation) {
            return policy.get();
        }
    }
    return nullptr;
}

void Worker::use(Policy& policy) {
    policy.context.now = wall_time(now_).ns;
    policy.context.packet_number = packet_at_work_.load(std::memory_order_relaxed);
    if (policy_ == &policy) {
        return;
    }
    policy_ = &policy;
    script_ = policy.script.get();
    context_ = &policy.context;
    lent_ = false;
    http_.set_up(policy.http, policy.context);
    watched_.store(&policy);
}

// The connection's own policy is at work from here on. Of one that has ended only a remnant is
// left, which no rule hears of.
void Worker::select(flow::Connection& connection) {
    if (connection.generation == policy_->generation || connection.ended) [[likely]] {
        return;
    }
    Policy* const own = policy_of(connection);
    if (own == nullptr) {
        move(connection);
    }
    use(own == nullptr ? newest() : *own);
}

// Rules on packets are those of the policy that has the packet's connection, else the newest.
void Worker::select_for(const Item& item) {
    flow::Connection* const connection =
        item.hash == 0 ? nullptr : table_.find(item.key.key, item.hash);
    if (connection == nullptr || connection->ended) {
        use(newest());
    } else {
        select(*connection);
    }
}

void Worker::count_out(const flow::Connection& connection) {
    if (Policy* const own = policy_of(connection); own != nullptr) {
        own->connections -= 1;
    }
}

void Worker::install(std::unique_ptr<Policy> policy) {
    policy->script->serve(*this);
    policy->loading_host.reset();
    policy->context.connections = script_connections_.data();
    generation_.store(policy->generation, std::memory_order_relaxed);
    policies_.push_back(std::move(policy));
    use(newest());
}

void Worker::reload(std::unique_ptr<Policy> policy, Instant now, Journal& journal) {
    journal_ = &journal;
    now_ = now;
    for (RecordReader record(policy->loading_journal); !record.done(); record.next()) {
        RecordHead head = record.head();
        head.order = order_;
        head.when = wall_time(now);
        journal.stage(head, record.first(), record.second());
    }
    policy->loading_journal.clear();
    newest().deadline = now + options_.settings.policy.generation_deadline;
    install(std::move(policy));
    let_go_of_policies();
    journal_->commit();
    journal_ = nullptr;
}

// Ends those that have no connection any more, and what is too old or too many.
void Worker::let_go_of_policies() {
    for (std::size_t i = 0; i + 1 < policies_.size();) {
        const bool too_many = i == 0 && policies_.size() > options_.settings.policy.generations_max;
        if (too_many || policies_[i]->connections == 0 || policies_[i]->deadline <= now_) {
            retire(i);
        } else {
            i += 1;
        }
    }
    use(newest());
}

void Worker::retire(std::size_t index) {
    Policy& policy = *policies_[index];
    use(policy);
    item_ = nullptr;
    connection_ = nullptr;
    begin_event(nullptr);
    (void)finish_event(script_->run_exit(), nullptr);
    use(newest());
    if (!to_send_.empty() || !resets_.empty()) {
        send_pending();
    }
    journal_->commit();
    add_counts(policy, summary_);
    std::unique_ptr<Policy> retired = std::move(policies_[index]);
    policies_.erase(policies_.begin() + static_cast<std::ptrdiff_t>(index));
    if (retired->connections != 0) {
        resume_moved(retired->generation);
    }
    const std::lock_guard lock(retired_mutex_);
    retired_.push_back(std::move(retired));
}

std::vector<std::unique_ptr<Policy>> Worker::take_retired() {
    const std::lock_guard lock(retired_mutex_);
    return std::exchange(retired_, {});
}

// Most connections move when they are next heard of. Where bytes wait for a rule that is gone, the
// newest policy's rules see them now: nobody might ever speak again until they have left.
void Worker::resume_moved(std::uint32_t generation) {
    std::vector<Undecided> waiting;
    for (; !undecided_.empty(); undecided_.pop()) {
        waiting.push_back(undecided_.top());
    }
    for (const Undecided& each : waiting) {
        undecided_.push(each);
    }
    for (const Undecided& each : waiting) {
        flow::Connection& connection = table_.at(each.index);
        if (connection.id != each.id || connection.generation != generation || connection.ended) {
            continue;
        }
        const bool going = resume(connection);
        const bool listened = going && is_listened(connection);
        if (going && !listened) {
            bypass(connection);
        }
        for (const bool of_client : {true, false}) {
            if (!going || connection.listener == flow::kNoIndex ||
                (listened && !show(nullptr, connection, of_client)) ||
                connection.listener == flow::kNoIndex ||
                !shaper_.push(nullptr, connection, listeners_->at(connection.listener), of_client,
                              of_client, now_)) {
                break;
            }
        }
        connection_ = nullptr;
        if (!to_send_.empty() || !resets_.empty()) {
            send_pending();
        }
        journal_->commit();
    }
}

// The policy that accepted it is gone: the newest one takes it as it stands, and is asked about it
// (tcp-connection-new) with its next packet. No dissector begins in the middle. In the middle of
// an HTTP message that a rule has rewritten so far, nobody can go on: such a connection is reset.
void Worker::move(flow::Connection& connection) {
    if (connection.state < flow::State::TimeWait) {  // What is left of one that is over is none.
        summary_.count_event(Event::PolicyMoved);
    }
    connection.generation = newest().generation;
    newest().connections += 1;
    connection.moved = true;
    connection.dissector = 0;
    if (connection.listener == flow::kNoIndex) {
        return;
    }
    Listener& listener = listeners_->at(connection.listener);
    if (listener.http != nullptr && listener.http->is_rewriting()) {
        decisions_.push_back({.kind = DecisionKind::Reset,
                              .index = connection.index,
                              .id = connection.id,
                              .rule = 0,
                              .reason = Event::PolicyMoved});
    }
    listener.http.reset();
    listener.streams[2] = {};
    listener.streams[3] = {};
    Listeners::restart(listener, newest().script->readonly_cursors());
}

// A timer wants to go on with it, in its own policy. False: it can't be gone on with.
bool Worker::resume(flow::Connection& connection) {
    select(connection);
    connection_ = &connection;
    connection_decided_ = false;
    settle_decisions(nullptr);
    return !connection_decided_;
}

// A connection becomes known to the policy at work: it is asked, and its streams are followed if
// anybody listens. False: refused.
bool Worker::meet(Item& item, flow::Connection& connection) {
    const bool began_before = connection.moved || connection.midstream;
    connection.moved = false;
    settle_decisions(&item);  // What move() decided.
    if (connection_decided_ || !announce(item, connection)) {
        return false;
    }
    if (!is_listened(connection)) {
        if (connection.listener != flow::kNoIndex) {
            bypass(connection);
        }
        return true;
    }
    if (connection.listener == flow::kNoIndex) {
        connection.listener = listeners_->add(script_->readonly_cursors());
        if (connection.dissector == kHttpDissector && policy_->http_on) {
            listeners_->at(connection.listener).http = std::make_unique<HttpState>(stream_memory_);
        }
        if (began_before) {
            begin_midway(connection);
        }
    }
    return true;
}

// Its streams are read from the packet at hand on.
void Worker::begin_midway(const flow::Connection& connection) {
    Listener& listener = listeners_->at(connection.listener);
    for (const bool of_client : {true, false}) {
        const flow::Half& half = connection.half(of_client);
        const bool mine = of_client == from_client_;
        const std::size_t place = of_client ? 0 : 1;
        listener.buffers.at(place).begin_at(mine ? sent_before_ : half.sent_end);
        listener.timestamps.at(place) = half.timestamp_recent;
        listener.in_order_timestamps.at(place) = half.timestamp_recent;
        if (const std::uint64_t fin = mine ? fin_before_ : half.fin_offset; fin != UINT64_MAX) {
            (void)listener.buffers.at(place).fin(fin);
        }
    }
}

// What a segment repeats of the time before its stream was followed leaves alone, as it is: the
// sender will repeat the rest.
stream::Judgement Worker::cut_at_start(Item& item, const flow::Connection& connection,
                                       const stream::Judgement& judgement) {
    const std::size_t mine = from_client_ ? 0 : 1;
    const Listener& listener = listeners_->at(connection.listener);
    const std::uint64_t start = listener.buffers.at(mine).start();
    if (judgement.offset >= start || judgement.offset + judgement.size <= start ||
        connection.half(from_client_).acked >= start || listener.lanes.at(mine) == nullptr) {
        return judgement;
    }
    stream::Judgement head = judgement;
    head.size = static_cast<std::uint32_t>(start - judgement.offset);
    head.fin = false;
    trim(item, head, Event::TcpResendEmptied);
    head.trimmed = true;
    return head;
}

// The first packet of the end that didn't speak when the connection was picked up: what it sent
// between the last acknowledged byte and this one passed before.
void Worker::hear_first(const flow::Connection& connection, const stream::Judgement& judgement) {
    const std::size_t mine = from_client_ ? 0 : 1;
    Listener& listener = listeners_->at(connection.listener);
    stream::StreamBuffer& buffer = listener.buffers.at(mine);
    if (connection.packets.at(mine) == 1 && listener.lanes.at(mine) == nullptr &&
        !buffer.owns_memory() && judgement.offset > buffer.end()) {
        buffer.begin_at(judgement.offset);
    }
}

// For the worker process that comes after this one, should this one fail.
void Worker::tie(const flow::Connection& connection, Listener& listener) {
    if (options_.black_box == nullptr || listener.tied ||
        connection.state >= flow::State::TimeWait) {
        return;
    }
    listener.tied = true;
    if (!options_.black_box->note_edited(connection.key)) {
        summary_.count_event(Event::TcpEditUnlisted);
    }
}

// It has ended: what its ends may still repeat, they need no answer to.
void Worker::untie(const flow::Connection& connection, Listener& listener) {
    if (listener.tied) {
        listener.tied = false;
        options_.black_box->forget_edited(connection.key);
    }
}

// The worker process that edited it has ended by a fault: nobody knows any more what its ends were
// told, so they can't go on.
bool Worker::was_edited(const flow::Connection& connection) const {
    if (options_.black_box == nullptr || !options_.black_box->is_edited(connection.key)) {
        return false;
    }
    options_.black_box->forget_edited(connection.key);
    return true;
}

bool Worker::takes_midstream() const {
    return options_.settings.tcp.midstream == Midstream::Accept ||
           (options_.restarted_at &&
            now_ - *options_.restarted_at < options_.settings.tcp.midstream_after_restart);
}

// A connection that was there before the engine: followed from this segment on. Who began it is
// not known; the lower port is taken to be the server's. Nullptr: there is no room.
flow::Connection* Worker::pick_up(Item& item, const wire::Segment& segment) {
    flow::Connection* const connection = make_connection(item);
    if (connection == nullptr) {
        return nullptr;
    }
    const wire::Headers& headers = item.headers;
    const std::uint16_t source = load_be16(item.frame.data + headers.transport);
    const std::uint16_t destination = load_be16(item.frame.data + headers.transport + 2);
    const bool from_client = source >= destination;
    connection->client_is_low = item.key.source_is_low == from_client;
    connection->client_on_second = ((item.frame.interface & 1U) != 0) == from_client;
    stream::pick_up(*connection, from_client, segment);
    remark(Event::TcpPickedUp, item, nullptr);
    return connection;
}

}  // namespace haka::engine
