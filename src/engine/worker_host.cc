// What Lua asks of the engine while a rule runs: each call checks, answers with a status, and never
// enters Lua.
// Tested by: worker_test.cc
#include <algorithm>

#include "engine/black_box.h"
#include "engine/worker.h"
#include "wire/build.h"
#include "wire/segment.h"

namespace haka::engine {

namespace {

constexpr std::uint32_t kDatagramMax = 65535;

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
    const std::uint32_t rule = context_->rule < script_->rules().size() ? context_->rule : 0;
    if (rule != 0) {
        alert.rule = script_->rules()[rule].name;
        if (!alert.is_update) {
            report::of_rule(summary_.alerts_by_rule, alert.rule) += 1;
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
    return script_->memory_used() + slots_.bytes() + more <= options_.settings.lua.memory_max;
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
    if (policy_->connections_on && item.headers.transport_ok &&
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
    context_->ended = 1;
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
    to_send_.push_back({.slot = slot, .rule = context_->rule});
    return HAKA_OK;
}

void Worker::packet_drop(std::uint32_t slot) {
    if (slot == 0) {
        if (item_ != nullptr) {
            drop(*item_, Event::Rule);
        }
        context_->ended = 1;
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
        if (slot == 0 && item_->frame.checksum != FrameChecksum::Unknown && !item_->changed()) {
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

void Worker::rule_time(std::uint32_t rule, double seconds) {
    if (rule < policy_->rule_times.size()) {
        policy_->rule_times[rule].add({static_cast<std::int64_t>(seconds * 1e9)});
    }
}

}  // namespace haka::engine
