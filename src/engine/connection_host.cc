// What Lua asks of connections and their streams while a rule runs, as worker_host.cc answers for
// packets.
// Tested by: worker_test.cc
#include <algorithm>

#include "engine/worker.h"
#include "wire/segment.h"

namespace haka::engine {

namespace {

void copy_words(std::uint32_t* to, const flow::Endpoint& end, bool is_ipv4) {
    if (is_ipv4) {
        to[0] = load_be32(&end.address[12]);
        return;
    }
    for (std::size_t i = 0; i < 4; ++i) {
        to[i] = load_be32(&end.address[i * 4]);
    }
}

}  // namespace

std::uint32_t Worker::connection_touch() {
    return connection_ == nullptr ? HAKA_NONE : touch(*connection_);
}

std::uint32_t Worker::touch(flow::Connection& connection) {
    if (connection.script != flow::kNoIndex) {
        return connection.script;
    }
    std::uint32_t slot = 0;
    if (free_script_connections_.empty()) {
        slot = static_cast<std::uint32_t>(script_connections_.size());
        script_connections_.push_back({});
        script_connections_.back().generation = 1;
        for (const auto& policy : policies_) {
            policy->context.connections = script_connections_.data();
        }
    } else {
        slot = free_script_connections_.back();
        free_script_connections_.pop_back();
    }
    connection.script = slot;
    haka_connection& shown = script_connections_[slot];
    const bool is_ipv4 = connection.key.low.is_ipv4() && connection.key.high.is_ipv4();
    shown.client_port = connection.client().port;
    shown.server_port = connection.server().port;
    shown.ip_version = is_ipv4 ? 4 : 6;
    copy_words(shown.client, connection.client(), is_ipv4);
    copy_words(shown.server, connection.server(), is_ipv4);
    shown.id = connection.id;
    shown.index = connection.index;
    shown.state = static_cast<std::uint8_t>(connection.state);
    return slot;
}

flow::Connection* Worker::script_connection(std::uint32_t slot) {
    if (slot >= script_connections_.size()) {
        return nullptr;
    }
    flow::Connection& connection = table_.at(script_connections_[slot].index);
    return connection.script == slot ? &connection : nullptr;
}

std::uint32_t Worker::connection_of(std::uint32_t slot, bool& from_client, bool& tombstone) {
    const FrameOf frame = frame_of(slot);
    if (!frame.headers.transport_ok || frame.headers.protocol != wire::kProtocolTcp) {
        return HAKA_NONE;
    }
    const flow::OrderedKey key = flow::make_flow_key(frame.headers, frame.bytes.data());
    flow::Connection* connection = table_.find(key.key, table_.hash(key.key));
    if (connection == nullptr) {
        return HAKA_NONE;
    }
    if (connection->ended) {
        tombstone = connection->state == flow::State::Dropped;
        return HAKA_NONE;
    }
    from_client = key.source_is_low == connection->client_is_low;
    return touch(*connection);
}

int Worker::connection_new(std::uint32_t slot, std::uint32_t& connection) {
    if (options_.settings.pass_through) {
        return HAKA_PASS_THROUGH;
    }
    if (slot != 0 || item_ == nullptr || !policy_->connections_on) {
        return HAKA_NOT_A_PACKET;
    }
    Item& item = *item_;
    reread(item);
    if (table_.find(item.key.key, item.hash) != nullptr) {
        return HAKA_EXISTS;
    }
    if (!stream::begins_connection(wire::read_segment(item.headers, item.frame.bytes()))) {
        return HAKA_NOT_SYN;
    }
    // No eviction here: an end would enter Lua while a rule runs.
    flow::Connection* made =
        table_.eviction_candidate() == nullptr ? make_connection(item) : nullptr;
    if (made == nullptr) {
        return HAKA_TABLE_FULL;
    }
    connection = touch(*made);
    return HAKA_OK;
}

void Worker::connection_refresh(std::uint32_t connection) {
    if (const flow::Connection* known = script_connection(connection); known != nullptr) {
        script_connections_[connection].state = static_cast<std::uint8_t>(known->state);
    }
}

int Worker::decide(DecisionKind kind, std::uint32_t slot) {
    const flow::Connection* connection = script_connection(slot);
    if (connection == nullptr) {
        return HAKA_NOT_A_PACKET;
    }
    if (kind == DecisionKind::Reset && options_.settings.pass_through) {
        return HAKA_PASS_THROUGH;
    }
    decisions_.push_back({.kind = kind,
                          .index = connection->index,
                          .id = connection->id,
                          .rule = context_->rule,
                          .reason = Event::Rule});
    if (connection == connection_ && context_->has_connection != 0) {
        context_->ended = 1;
    }
    return HAKA_OK;
}

int Worker::connection_drop(std::uint32_t connection) {
    return decide(DecisionKind::Drop, connection);
}

int Worker::connection_reset(std::uint32_t connection) {
    return decide(DecisionKind::Reset, connection);
}

int Worker::connection_close(std::uint32_t connection) {
    return decide(DecisionKind::Close, connection);
}

int Worker::stream_edit(std::uint32_t half, double at, std::uint32_t erase,
                        std::string_view insert) {
    if (options_.settings.pass_through) {
        return HAKA_PASS_THROUGH;
    }
    if (connection_ == nullptr || connection_->listener == flow::kNoIndex ||
        context_->streams == nullptr || half > 3) {
        return HAKA_NO_STREAM;
    }
    if (half > 1) {
        return http_.edit_body_bytes(half - 2, at, erase, insert);
    }
    flow::Connection& connection = *connection_;
    if (connection.half(true).signed_segments || connection.half(false).signed_segments) {
        if (!connection.reported_signed && item_ != nullptr) {
            connection.reported_signed = true;
            remark(Event::TcpEditRefused, *item_, &connection);
        }
        return HAKA_SIGNED;
    }
    Listener& listener = listeners_->at(connection.listener);
    const bool other = (half == 0) != from_client_;
    const stream::StreamBuffer& buffer = listener.buffers.at(half);
    const std::uint64_t left = listener.lanes.at(half) != nullptr
                                   ? buffer.begin()
                                   : std::max(buffer.begin(), listener.left.at(half));
    const bool fin_left =
        buffer.eof() && left == buffer.end() && (other || fin_before_ != UINT64_MAX);
    if (fin_left) {
        return HAKA_STREAM_ENDED;
    }
    Lane& lane = shaper_.lane_of(connection, listener, half == 0);
    const auto offset = static_cast<std::uint64_t>(at);
    if (offset < lane.outlet.decided() || offset + erase > lane.outlet.end()) {
        return HAKA_NO_STREAM;
    }
    const auto& tcp = options_.settings.tcp;
    if (lane.outlet.end() - lane.outlet.kept_begin() + insert.size() > tcp.edited_bytes_max) {
        return HAKA_EDIT_TOO_LARGE;
    }
    if (!lane.outlet.edit(offset, erase, as_bytes(insert), tcp.edits_max)) {
        return HAKA_NO_STREAM_MEMORY;
    }
    tie(connection, listener);
    listener.edited = true;
    other_edited_ = other_edited_ || other;
    listeners_->follow_edit(listener, half,
                            {.editor = context_->cursor,
                             .at = at,
                             .erased = static_cast<double>(erase),
                             .inserted = static_cast<double>(insert.size())});
    return HAKA_OK;
}

void Worker::choose_dissector(std::string_view name) {
    const auto known = std::ranges::find(dissectors_, name);
    const auto number = static_cast<std::size_t>(known - dissectors_.begin());
    if (connection_ == nullptr || number > UINT8_MAX) {
        return;
    }
    if (known == dissectors_.end()) {
        dissectors_.emplace_back(name);
    }
    connection_->dissector = static_cast<std::uint8_t>(number);
}

std::string_view Worker::next_dissector() const {
    return connection_ == nullptr ? std::string_view() : dissectors_[connection_->dissector];
}

}  // namespace haka::engine
