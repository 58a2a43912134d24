// What Lua asks of the engine while a rule runs: each call checks, answers with a status, and never
// enters Lua.
// Tested by: worker_test.cc
#include <algorithm>

#include "engine/worker.h"
#include "wire/build.h"
#include "wire/segment.h"

namespace haka::engine {

namespace {

constexpr std::uint32_t kDatagramMax = 65535;

void copy_words(std::uint32_t* to, const flow::Endpoint& end, bool is_ipv4) {
    if (is_ipv4) {
        to[0] = load_be32(&end.address[12]);
        return;
    }
    for (std::size_t i = 0; i < 4; ++i) {
        to[i] = load_be32(&end.address[i * 4]);
    }
}

bool is_ipv4_mapped(const flow::Endpoint& end) {
    return std::all_of(end.address.begin(), end.address.begin() + 10,
                       [](std::uint8_t byte) { return byte == 0; }) &&
           end.address[10] == 0xff && end.address[11] == 0xff;
}

}  // namespace

bool Worker::has_room(std::size_t bytes) const {
    return journal_ != nullptr &&
           journal_->staged_bytes() + bytes <= options_.settings.lua.output_max;
}

bool Worker::log(report::LogLevel level, std::string_view module, std::string_view text) {
    if (!has_room(text.size())) {
        return false;
    }
    text_.clear();
    report::append_log(text_,
                       {.when = wall_time(now_), .level = level, .module = module, .text = text},
                       options_.log_style);
    journal_->stage({.order = order_, .when = wall_time(now_), .kind = RecordKind::Log}, text_);
    return true;
}

bool Worker::print(std::string_view line) {
    if (!has_room(line.size())) {
        return false;
    }
    text_.clear();
    report::append_print(text_, line, options_.out_style);
    journal_->stage({.order = order_, .when = wall_time(now_), .kind = RecordKind::Print}, text_);
    return true;
}

// The number comes from the packet (or the connection, for what timers do), so that any number of
// workers gives the same ones.
std::uint64_t Worker::alert(report::Alert& alert) {
    std::size_t size = alert.description.size() + alert.method_description.size();
    for (const auto* texts : {&alert.method_references, &alert.references}) {
        for (const std::string& text : *texts) {
            size += text.size();
        }
    }
    if (!has_room(size)) {
        return 0;
    }
    if (!alert.is_update) {
        const bool by_packet = order_.id == UINT64_MAX;
        alert.reference = by_packet ? order_.packet << 16U | (++alerts_ & 0x7fff)
                                    : order_.id << 16U | 0x8000U | (++alerts_ & 0x7fff);
    }
    const std::uint32_t rule = context_.rule < script_rules().size() ? context_.rule : 0;
    if (rule != 0) {
        alert.rule = script_rules()[rule].name;
        if (!alert.is_update) {
            summary_.alerts_by_rule[alert.rule] += 1;
        }
    }
    report::Where where;
    if (item_ != nullptr) {
        where = where_of(*item_, connection_);
        alert.blocked = item_->dropped && !options_.settings.pass_through;
    } else {
        where.when = wall_time(now_);
        if (connection_ != nullptr) {
            fill_where(where, *connection_);
        }
    }
    stage_alert(alert, where, Event::None);
    return alert.reference;
}

const std::vector<script::RuleInfo>& Worker::script_rules() const {
    static const std::vector<script::RuleInfo> kNone(1);
    return script_ == nullptr ? kNone : script_->rules();
}

// Where an alert without a packet was raised: on a connection that ends.
void Worker::fill_where(report::Where& where, const flow::Connection& connection) const {
    const bool is_ipv4 = is_ipv4_mapped(connection.client());
    const auto address = [is_ipv4](const flow::Endpoint& end) {
        return is_ipv4 ? Address::ipv4(load_be32(&end.address[12]))
                       : Address::ipv6(end.address.data());
    };
    where.ip_version = is_ipv4 ? 4 : 6;
    where.protocol = wire::kProtocolTcp;
    where.source = address(connection.client());
    where.destination = address(connection.server());
    where.source_port = connection.client().port;
    where.destination_port = connection.server().port;
    where.flow_id = report::make_flow_id(connection.start,
                                         report::flow_hash(connection.key, wire::kProtocolTcp));
}

int Worker::packet_new(std::uint32_t size, std::uint32_t& slot) {
    if (size > kDatagramMax) {
        return HAKA_TOO_LARGE;
    }
    if (!has_packet_memory(size)) {
        return HAKA_NO_MEMORY;
    }
    std::vector<std::uint8_t> link;
    if (item_ != nullptr && item_->headers.ip_version != 0) {
        const ByteView header = item_->frame.bytes().first(item_->headers.net);
        link.assign(header.begin(), header.end());
        last_link_ = item_->frame.link;
        last_interface_ = item_->frame.interface;
    } else {
        link = wire::default_link_header(last_link_, Family::Ipv4);
    }
    slot = slots_.create(std::move(link), size);
    return slot == 0 ? HAKA_NO_SLOT : HAKA_OK;
}

// Packets count against lua.memory_max beside what Lua itself holds.
bool Worker::has_packet_memory(std::uint64_t more) const {
    const std::uint64_t lua = script_ == nullptr ? 0 : script_->memory_used();
    return lua + slots_.bytes() + more <= options_.settings.lua.memory_max;
}

int Worker::packet_resize(std::uint32_t slot, std::uint32_t net_size) {
    if (net_size > kDatagramMax) {
        return HAKA_TOO_LARGE;
    }
    if (options_.settings.pass_through) {
        return HAKA_PASS_THROUGH;
    }
    if (slot != 0) {
        if (!has_packet_memory(net_size)) {
            return HAKA_NO_MEMORY;
        }
        const haka_packet before = slots_.at(slot);
        slots_.resize(slot, net_size);
        end_lost_layers(slot, before);
        return HAKA_OK;
    }
    Item& item = *item_;
    if (connections_on_ && item.headers.transport_ok &&
        item.headers.protocol == wire::kProtocolTcp) {
        const wire::Segment segment = wire::read_segment(item.headers, item.frame.bytes());
        if (stream::begins_connection(segment) || table_.find(item.key.key, item.hash) != nullptr) {
            return HAKA_HAS_CONNECTION;
        }
    }
    const std::uint32_t before = item.headers.end;
    const std::uint32_t size = item.headers.net + net_size;
    if (size > before) {
        std::vector<std::uint8_t> grown(size);
        std::copy_n(item.frame.data, std::min(before, size), grown.data());
        resized_.swap(grown);
        item.frame.data = resized_.data();
    }
    item.frame.size = size;
    item.frame.original_size = size;
    set_lengths(item.headers, item.frame.mutable_bytes(), size);
    slots_.at(0).changed |= HAKA_CHANGED_NET | HAKA_CHANGED_TRANSPORT | HAKA_CHANGED_BYTES;
    packet_parse(0);
    return HAKA_OK;
}

int Worker::packet_take(std::uint32_t slot, std::uint32_t& taken) {
    if (options_.settings.pass_through) {
        return HAKA_PASS_THROUGH;
    }
    if (slot != 0 || item_ == nullptr || item_->taken) {
        return HAKA_NOT_A_PACKET;
    }
    if (!has_packet_memory(item_->frame.size)) {
        return HAKA_NO_MEMORY;
    }
    taken = slots_.take(*item_);
    if (taken == 0) {
        return HAKA_NO_SLOT;
    }
    item_->taken = true;
    slots_.renew();
    context_.ended = 1;
    return HAKA_OK;
}

int Worker::packet_send(std::uint32_t slot) {
    if (options_.settings.pass_through) {
        return HAKA_PASS_THROUGH;
    }
    if (slot == 0) {
        return HAKA_CAPTURED;
    }
    if (sending_) {
        return HAKA_SENDING;
    }
    if (slots_.at(slot).ip_version == 0) {
        return HAKA_NOT_A_PACKET;
    }
    slots_.retire(slot);
    slots_.keep(slot, true);
    to_send_.push_back({.slot = slot, .rule = context_.rule});
    return HAKA_OK;
}

void Worker::packet_drop(std::uint32_t slot) {
    if (slot == 0) {
        if (item_ != nullptr) {
            drop(*item_, Event::Rule);
        }
        context_.ended = 1;
        slots_.renew();
        return;
    }
    if (slots_.is_taken(slot)) {
        summary_.packets_dropped += 1;
        summary_.count_drop(Event::Rule);
    }
    slots_.free(slot);
}

void Worker::packet_keep(std::uint32_t slot, bool keep) {
    slots_.keep(slot, keep);
}

// A packet that was neither sent nor kept when its hook returned.
void Worker::drop_loose_packets() {
    for (const std::uint32_t slot : slots_.take_loose()) {
        packet_drop(slot);
    }
}

// A handle reads at its layer's fixed offsets. When a change of lengths takes a layer away, the
// handles die: they would reach beyond the packet.
void Worker::end_lost_layers(std::uint32_t slot, const haka_packet& before) {
    const haka_packet& now = slots_.at(slot);
    const bool lost_ip = before.ip_version != 0 && now.ip_version != before.ip_version;
    const bool lost_transport =
        before.transport_ok != 0 && (now.transport_ok == 0 || now.protocol != before.protocol);
    if (lost_ip || lost_transport) {
        slots_.retire(slot);
    }
}

void Worker::packet_parse(std::uint32_t slot) {
    const haka_packet before = slots_.at(slot);
    if (slot != 0) {
        slots_.parse(slot);
        end_lost_layers(slot, before);
        return;
    }
    item_->headers = wire::find_headers(item_->frame.link, item_->frame.bytes());
    point_at(slots_.at(0), item_->headers, item_->frame.mutable_bytes());
    end_lost_layers(0, before);
}

Worker::FrameOf Worker::frame_of(std::uint32_t slot) {
    if (slot == 0) {
        return {item_->headers, item_->frame.mutable_bytes()};
    }
    Item item = slots_.item_of(slot);
    return {item.headers, item.frame.mutable_bytes()};
}

bool Worker::checksum_ok(std::uint32_t slot, bool transport) {
    const FrameOf frame = frame_of(slot);
    const wire::Headers& headers = frame.headers;
    if (transport) {
        if (slot == 0 && item_->frame.checksum != FrameChecksum::Unknown && !item_->changed) {
            return true;  // Its source says so, or it will be computed by whoever sends it.
        }
        const auto check = wire::verify_transport(headers, frame.bytes);
        return check == wire::ChecksumCheck::Right || check == wire::ChecksumCheck::Absent;
    }
    if (headers.ip_version != 4 || headers.transport <= headers.net) {
        return false;
    }
    const std::uint32_t size = std::uint32_t{frame.bytes[headers.net] & 15U} * 4;
    return headers.net + size <= frame.bytes.size() &&
           wire::verify_ipv4_header(frame.bytes.subspan(headers.net, size));
}

void Worker::checksum_set(std::uint32_t slot, bool transport) {
    const FrameOf frame = frame_of(slot);
    if (transport) {
        (void)wire::compute_transport(frame.headers, frame.bytes);
    } else if (frame.headers.ip_version == 4) {
        wire::compute_ipv4_header(frame.headers, frame.bytes);
    }
    haka_packet& shown = slots_.at(slot);
    const auto done =
        static_cast<std::uint32_t>(transport ? HAKA_CHANGED_TRANSPORT : HAKA_CHANGED_NET);
    shown.changed = (shown.changed & ~done) | HAKA_CHANGED_BYTES;
}

std::uint32_t Worker::packet_mark(std::uint32_t slot) {
    return slot == 0 && way_out_ != nullptr ? way_out_->mark(item_->frame).value_or(0) : 0;
}

int Worker::packet_set_mark(std::uint32_t slot, std::uint32_t mark) {
    return slot == 0 && way_out_ != nullptr && way_out_->set_mark(item_->frame, mark)
               ? HAKA_OK
               : HAKA_NO_MARKS;
}

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
        context_.connections = script_connections_.data();
    } else {
        slot = free_script_connections_.back();
        free_script_connections_.pop_back();
    }
    connection.script = slot;
    haka_connection& shown = script_connections_[slot];
    const bool is_ipv4 = is_ipv4_mapped(connection.key.low) && is_ipv4_mapped(connection.key.high);
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
    if (slot != 0 || item_ == nullptr || !connections_on_) {
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
                          .rule = context_.rule,
                          .reason = Event::Rule});
    if (connection == connection_ && context_.has_connection != 0) {
        context_.ended = 1;
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
        context_.streams == nullptr || half > 1) {
        return HAKA_NO_STREAM;
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
    listener.edited = true;
    other_edited_ = other_edited_ || other;
    listeners_->follow_edit(listener, half, context_.cursor, at, erase,
                            static_cast<double>(insert.size()));
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
    if (number == kHttpDissector) {
        text_.clear();
        report::append_log(text_,
                           {.when = wall_time(now_),
                            .level = report::LogLevel::Info,
                            .module = "http",
                            .text = "http is not dissected yet: its streams pass on unread"},
                           options_.log_style);
        journal_->stage(
            {.order = order_, .when = wall_time(now_), .kind = RecordKind::Log, .once = true},
            text_);
    }
}

std::string_view Worker::next_dissector() const {
    return connection_ == nullptr ? std::string_view() : dissectors_[connection_->dissector];
}

void Worker::rule_time(std::uint32_t rule, double seconds) {
    if (rule < rule_times_.size()) {
        rule_times_[rule].calls += 1;
        rule_times_[rule].total.ns += static_cast<std::int64_t>(seconds * 1e9);
    }
}

}  // namespace haka::engine
