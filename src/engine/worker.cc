#include "engine/worker.h"

#include <algorithm>
#include <pthread.h>

#include "engine/black_box.h"
#include "output/forge.h"
#include "wire/segment.h"

namespace haka::engine {

using script::Hook;
using script::RunStatus;

Worker::Worker(const WorkerOptions& options)
    : options_(options),
      table_(options.settings.tcp, options.settings.seed),
      timers_(table_),
      fragments_(options.settings.fragments, options.settings.seed),
      stream_memory_(options.settings.tcp),
      slots_(options.settings.lua.packets_max),
      shaper_(options_.settings.tcp, options.mode, stream_memory_, *this),
      http_(options_.settings, stream_memory_, *this) {
    if (options.black_box != nullptr && options.black_box->generation() != 0) {
        generation_.store(options.black_box->generation() - 1);
    }
    eve_options_.ipv6 = options.settings.eve_ipv6_compress ? report::Ipv6Form::Compressed
                                                           : report::Ipv6Form::Expanded;
}

Worker::~Worker() = default;

Worker::Made Worker::make(const WorkerOptions& options) {
    std::unique_ptr<Worker> worker(new Worker(options));
    Policy::Loaded loaded = worker->prepare(worker->generation() + 1);
    if (loaded.policy == nullptr) {
        return {nullptr, std::move(loaded.error), loaded.fatal};
    }
    worker->loading_journal_ = std::move(loaded.policy->loading_journal);
    worker->listeners_ = std::make_unique<Listeners>(worker->stream_memory_);
    worker->install(std::move(loaded.policy));
    return {std::move(worker), {}, false};
}

Worker::AtWork Worker::at_work() const {
    return {.rule = __atomic_load_n(&watched_.load()->context.rule, __ATOMIC_RELAXED),
            .packet = packet_at_work_.load(std::memory_order_relaxed)};
}

void Worker::note_thread() {
    clockid_t clock{};
    if (pthread_getcpuclockid(pthread_self(), &clock) == 0) {
        thread_clock_.store(clock, std::memory_order_relaxed);
    }
}

Instant Worker::thread_time() const {
    timespec time{};
    if (clock_gettime(thread_clock_.load(std::memory_order_relaxed), &time) != 0) {
        clock_gettime(CLOCK_MONOTONIC, &time);  // The thread has ended.
    }
    return {time.tv_sec * kSecond.ns + time.tv_nsec};
}

bool Worker::owns(const Item& item) const {
    return item.frame.worker == options_.index;
}

// The work that needs no state, done for a batch so that the table's slots are on their way while
// the next packets' headers are read.
void Worker::prepare(Item& item, const Frame& frame) {
    item.frame = frame;
    item.hash = 0;
    item.owned = owns(item);
    if (!item.owned) {  // Its bytes may be changing just now.
        return;
    }
    item.check = wire::ChecksumCheck::Unverifiable;
    item.fate() = {};
    wire::find_headers(frame.link, frame.bytes(), item.headers);
    const wire::Headers& headers = item.headers;
    if (options_.settings.checksums != ChecksumMode::None && headers.ip_version != 0) {
        item.bad_ipv4_checksum =
            headers.ip_version == 4 && !wire::verify_ipv4_header(headers, frame.data);
        item.check = frame.checksum == FrameChecksum::Unknown
                         ? wire::verify_transport(headers, frame.bytes())
                         : wire::ChecksumCheck::Right;
    }
    if (headers.transport_ok && headers.protocol == wire::kProtocolTcp) {
        flow::make_flow_key(headers, frame.data, item.key);
        item.hash = table_.hash(item.key.key);
        table_.prefetch(item.hash);
    }
}

void Worker::walk(std::span<Frame> frames, Journal& journal, const std::atomic<bool>& stop) {
    journal_ = &journal;
    if (policies_.size() > 1 && !frames.empty()) [[unlikely]] {
        let_go_of_policies();
    }
    shaper_.expect_more(options_.walks_batches && frames.size() > 1);
    while (!frames.empty() && !stop.load(std::memory_order_relaxed) && !fatal_) {
        const std::size_t count = std::min(frames.size(), kBatch);
        for (std::size_t i = 0; i < count; ++i) {
            prepare(batch_.at(i), frames[i]);
        }
        for (std::size_t i = 0; i < count; ++i) {
            if (batch_.at(i).hash != 0) {
                table_.prefetch_connection(batch_.at(i).hash);
            }
        }
        for (std::size_t i = 0; i < count && !fatal_; ++i) {
            tick(batch_.at(i).frame);
            if (batch_.at(i).owned) {
                if (options_.black_box != nullptr) {
                    options_.black_box->note_packet(options_.index, batch_.at(i).frame);
                }
                walk_item(batch_.at(i));
            }
            journal_->commit();
        }
        frames = frames.subspan(count);
    }
    shaper_.expect_more(false);
    if (shaper_.has_bundles()) {
        end_bundles();
    }
    journal_ = nullptr;
}

// Time is the packet's; every worker is told of every packet's, so timers run out for all alike.
void Worker::tick(const Frame& frame) {
    now_.ns = frame.when.ns - wall_offset_.ns;
    order_ = {.packet = frame.number};
    alerts_ = 0;
    context_->now = frame.when.ns;
    context_->packet_number = frame.number;
    packet_at_work_.store(frame.number, std::memory_order_relaxed);
    run_due();
}

void Worker::expire_fragments() {
    fragments_.expire(now_);
    for (const auto& dropped : fragments_.dropped()) {
        summary_.packets_dropped += 1;
        summary_.count_drop(dropped.event);
    }
}

void Worker::walk_item(Item& item) {
    const Frame& frame = item.frame;
    summary_.packets_in += 1;
    summary_.bytes_in += frame.size;
    if (!summary_.first_packet || frame.when < *summary_.first_packet) {
        summary_.first_packet = frame.when;
    }
    if (!summary_.last_packet || frame.when > *summary_.last_packet) {
        summary_.last_packet = frame.when;
    }
    item_ = &item;
    connection_ = nullptr;
    connection_decided_ = false;
    lent_ = false;
    if (policies_.size() > 1) [[unlikely]] {
        select_for(item);
    }
    if (item.headers.cut != 0) {
        remark(Event::FrameSnaplen, item, nullptr);
    }
    if (!script_->listens(Hook::RawUp) || run_packet_hook(Hook::RawUp, item)) {
        if (item.headers.malformed != Event::None) {
            summary_.malformed_frames += 1;
            remark(item.headers.malformed, item, nullptr);
            if (options_.settings.exceptions.malformed == Exception::Drop) {
                drop(item, item.headers.malformed);
            }
        }
        if (item.headers.ip_version != 0 && !item.dropped) {
            walk_ip(item);
        } else {
            depart(item, nullptr);
        }
    } else {
        depart(item, nullptr);
    }
    if (!to_send_.empty() || !resets_.empty()) {
        send_pending();
    }
    if (item.dropped && options_.writes_eve && !options_.settings.pass_through) {
        journal_->block_alerts();
    }
    item_ = nullptr;
    connection_ = nullptr;
}

void Worker::walk_ip(Item& item) {
    if (!(item.headers.ip_version == 4 ? policy_->ipv4_on : policy_->ipv6_on)) {
        item.headers.transport_ok = false;  // Nothing behind it is known.
        depart(item, nullptr);
        return;
    }
    const Hook up = item.headers.ip_version == 4 ? Hook::Ipv4Up : Hook::Ipv6Up;
    if (!check_checksums(item) || (script_->listens(up) && !run_packet_hook(up, item))) {
        depart(item, nullptr);
        return;
    }
    if (item.headers.fragment) {
        walk_fragment(item);
    } else {
        walk_transport(item);
    }
}

// Fragments are held; once the last one has come, the joined datagram is what goes on.
void Worker::walk_fragment(Item& item) {
    const auto outcome = fragments_.add(item.frame, item.headers, now_);
    for (const auto& dropped : fragments_.dropped()) {
        summary_.packets_dropped += 1;
        summary_.count_drop(dropped.event);
    }
    switch (outcome.kind) {
        case flow::FragmentOutcome::Held:
        case flow::FragmentOutcome::Duplicate:
            return;
        case flow::FragmentOutcome::Refused:
            remark(outcome.event, item, nullptr);
            drop(item, outcome.event);
            depart(item, nullptr);
            return;
        case flow::FragmentOutcome::Joined:
            break;
    }
    Item joined;
    joined.frame = fragments_.joined();
    joined.headers = wire::find_headers(joined.frame.link, joined.frame.bytes());
    joined.joined = true;
    joined.shape = &fragments_.shape();
    if (options_.settings.checksums != ChecksumMode::None) {
        joined.check = wire::verify_transport(joined.headers, joined.frame.bytes());
    }
    if (joined.headers.transport_ok && joined.headers.protocol == wire::kProtocolTcp) {
        joined.key = flow::make_flow_key(joined.headers, joined.frame.data);
        joined.hash = table_.hash(joined.key.key);
    }
    item_ = &joined;
    lent_ = false;
    if (policies_.size() > 1) [[unlikely]] {
        select_for(joined);
    }
    if (check_checksums(joined)) {
        walk_transport(joined);
    } else {
        depart(joined, nullptr);
    }
    item_ = &item;
}

void Worker::walk_transport(Item& item) {
    const wire::Headers& headers = item.headers;
    Hook up = Hook::TcpUp;
    switch (headers.protocol) {
        case wire::kProtocolTcp:
            if (headers.transport_ok && policy_->tcp_on) {
                walk_tcp(item);
                return;
            }
            depart(item, nullptr);
            return;
        case wire::kProtocolUdp:
            up = Hook::UdpUp;
            break;
        case wire::kProtocolIcmp:
        case wire::kProtocolIcmpv6:
            up = Hook::IcmpUp;
            if (listeners_->count() != 0) {
                translate_quote(item);
            }
            break;
        default:
            if (script_->has_protocol(headers.protocol)) {
                begin_event(&item);
                finish_event(script_->run_protocol(headers.ip_version, headers.protocol), &item);
            }
            depart(item, nullptr);
            return;
    }
    if (headers.transport_ok && script_->listens(up)) {
        run_packet_hook(up, item);
    }
    depart(item, nullptr);
}

// After a rule changed bytes: where its headers are now.
void Worker::reread(Item& item) {
    item.headers = wire::find_headers(item.frame.link, item.frame.bytes());
    if (item.headers.transport_ok && item.headers.protocol == wire::kProtocolTcp) {
        item.key = flow::make_flow_key(item.headers, item.frame.data);
        item.hash = table_.hash(item.key.key);
    }
}

// False: the packet is dropped for it. A wrong checksum in a capture is most often the capture's
// (the sender's card would have made it right), so by default it is counted and forgiven.
bool Worker::check_checksums(Item& item) {
    Event event = Event::None;
    if (item.bad_ipv4_checksum) {
        event = Event::Ipv4BadChecksum;
    } else if (item.check == wire::ChecksumCheck::Wrong) {
        event = wire::bad_checksum_event(item.headers.protocol);
    }
    if (event == Event::None) [[likely]] {
        return true;
    }
    summary_.checksum_errors += 1;
    if (options_.settings.checksums == ChecksumMode::All || options_.mode == stream::Mode::Live) {
        remark(event, item, nullptr);
        drop(item, event);
        return false;
    }
    if (event != Event::TcpBadChecksum) {  // TCP: once a connection, when it is known.
        remark(event, item, nullptr);
    }
    return true;
}

void Worker::begin_event(Item* item) {
    event_ = event_ == UINT32_MAX ? 1 : event_ + 1;
    context_->event = event_;
    context_->ended = 0;
    __atomic_store_n(&context_->rule, 0U, __ATOMIC_RELAXED);  // at_work() may look just now.
    context_->streams = nullptr;
    if (slots_.has_loose()) {
        drop_loose_packets();
    }
    if (item == nullptr) {
        slots_.lend_nothing();
        return;
    }
    if (!lent_) {
        slots_.lend(*item);
        lent_ = true;
    }
    slots_.renew();
}

// What a rule did to the packet at hand; false: it is dropped, or the engine ends.
bool Worker::finish_event(RunStatus status, Item* item) {
    if (status != RunStatus::Done) {
        if (status == RunStatus::Fatal) {
            fatal_ = true;
        } else if (item != nullptr && options_.settings.lua.on_error == Exception::Drop) {
            drop(*item, script_->failure());
            item->rule = script_->failed_rule();
        }
    }
    haka_packet& slot = slots_.at(0);
    if (item != nullptr && slot.changed != 0) {
        item->note_change(Event::Rule);
        item->to_fix |= slot.changed;
        slot.changed = 0;
        reread(*item);
        lent_ = false;
    }
    if (!decisions_.empty()) {
        settle_decisions(item);
    }
    if (item == nullptr) {
        return !fatal_;
    }
    return !item->dropped && !item->taken && !fatal_;
}

bool Worker::run_packet_hook(Hook hook, Item& item) {
    begin_event(&item);
    return finish_event(script_->run(hook), &item);
}

void Worker::drop(Item& item, Event reason) const {
    if (item.dropped) {
        return;
    }
    item.dropped = true;
    item.reason = reason;
    item.rule = context_->rule;
}

}  // namespace haka::engine
