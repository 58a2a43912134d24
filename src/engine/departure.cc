// The way out: down hooks, checksums of what was changed, and the packet leaves.
// Tested by: worker_test.cc
#include <algorithm>
#include <fmt/format.h>

#include "engine/worker.h"
#include "output/forge.h"
#include "wire/build.h"

namespace haka::engine {

using script::Hook;

namespace {

Hook transport_down(std::uint8_t protocol) {
    switch (protocol) {
        case wire::kProtocolTcp:
            return Hook::TcpDown;
        case wire::kProtocolUdp:
            return Hook::UdpDown;
        default:
            return Hook::IcmpDown;
    }
}

bool has_hooks(std::uint8_t protocol) {
    return protocol == wire::kProtocolTcp || protocol == wire::kProtocolUdp ||
           protocol == wire::kProtocolIcmp || protocol == wire::kProtocolIcmpv6;
}

// Writes the network protocol into a link header that was another packet's.
void set_network_protocol(MutableByteView link, LinkType type, std::uint8_t ip_version) {
    const std::uint16_t ether_type = ip_version == 6 ? 0x86dd : 0x0800;
    if ((type == LinkType::Ethernet || type == LinkType::LinuxSll) && link.size() >= 14) {
        store_be16(link.data() + link.size() - 2, ether_type);
    } else if (type == LinkType::LinuxSll2 && link.size() >= 2) {
        store_be16(link.data(), ether_type);
    }
}

// TCP payload behind the packet's header that both ends take in one segment.
std::uint16_t segment_size(const Item& item, const flow::Connection* connection) {
    if (connection == nullptr || !item.headers.transport_ok) {
        return 0;
    }
    std::uint32_t mss = 0;
    for (const flow::Half& half : connection->halves) {
        mss = half.mss != 0 && (mss == 0 || half.mss < mss) ? half.mss : mss;
    }
    const std::uint32_t options = item.headers.payload - item.headers.transport - 20;
    return static_cast<std::uint16_t>(mss > options ? mss - options : 0);
}

}  // namespace

void Worker::depart(Item& item, flow::Connection* connection) {
    if (item.taken) {
        return;
    }
    if (item.shape != nullptr) {
        depart_fragments(item, connection);
        return;
    }
    if (!item.dropped && policy_->has_down_hooks) {
        run_down_hooks(item, connection);
    }
    account(item);
    if (item.dropped && !options_.settings.pass_through) {
        return;
    }
    if (item.to_fix != 0) {
        output::fix_checksums(item.headers, item.frame.mutable_bytes(), item.to_fix);
    }
    write(item, connection);
}

// A packet of an edited connection leaves. False: a hook decided the connection.
bool Worker::let_out(Item& item, flow::Connection* connection) {
    Item* const at_hand = item_;
    if (item_ != &item) {
        item_ = &item;
        lent_ = false;
    }
    depart(item, connection);
    if (at_hand != &item) {
        item_ = at_hand;
        lent_ = false;
    }
    return !connection_decided_ && !fatal_;
}

// A joined datagram leaves as the fragments that it came in, cut anew only if it was changed. One
// that had to wait is cut anew: its frames are gone.
void Worker::depart_fragments(Item& joined, flow::Connection* connection) {
    const std::span<const Frame> originals =
        joined.joined ? fragments_.originals() : std::span<const Frame>(&joined.frame, 1);
    if (!joined.dropped && policy_->has_down_hooks) {
        run_transport_down_hooks(joined, connection);
    }
    flow::Recut cut;
    std::span<const Frame> leaving = originals;
    if ((joined.changed() || !joined.joined) && !joined.dropped) {
        output::fix_checksums(joined.headers, joined.frame.mutable_bytes(), joined.to_fix);
        if (flow::recut(joined.frame, *joined.shape, cut)) {
            leaving = cut.frames;
        }
    }
    const bool cut_anew = leaving.data() != originals.data();
    for (const Frame& frame : leaving) {
        Item fragment;
        fragment.frame = frame;
        fragment.headers = wire::find_headers(frame.link, frame.bytes());
        if (cut_anew && !joined.injected) {
            fragment.change = joined.changed() ? joined.change : Event::FragmentRecut;
        }
        fragment.injected = joined.injected;
        fragment.dropped = joined.dropped;
        fragment.reason = joined.reason;
        fragment.rule = joined.rule;
        if (!fragment.dropped && policy_->has_down_hooks) {
            lent_ = false;
            run_network_down_hooks(fragment);
        }
        account(fragment);
        if (!fragment.dropped || options_.settings.pass_through) {
            if (fragment.to_fix != 0) {
                output::fix_checksums(fragment.headers, fragment.frame.mutable_bytes(),
                                      fragment.to_fix);
            }
            write(fragment, nullptr);
        }
    }
    lent_ = false;
}

void Worker::run_transport_down_hooks(Item& item, flow::Connection* connection) {
    if (connection != nullptr && !connection->ended && script_->listens(Hook::TcpConnectionDown)) {
        begin_event(&item);
        connection_ = connection;
        show_connection(*connection, from_client_);
        if (!finish_connection_event(script_->run(Hook::TcpConnectionDown), &item)) {
            return;
        }
    }
    if (item.dropped || !item.headers.transport_ok || !has_hooks(item.headers.protocol)) {
        return;
    }
    const Hook down = transport_down(item.headers.protocol);
    if (script_->listens(down)) {
        (void)run_packet_hook(down, item);
    }
}

void Worker::run_network_down_hooks(Item& item) {
    if (!item.dropped && item.headers.ip_version != 0) {
        const Hook down = item.headers.ip_version == 4 ? Hook::Ipv4Down : Hook::Ipv6Down;
        if (script_->listens(down)) {
            (void)run_packet_hook(down, item);
        }
    }
    if (!item.dropped && script_->listens(Hook::RawDown)) {
        (void)run_packet_hook(Hook::RawDown, item);
    }
}

void Worker::run_down_hooks(Item& item, flow::Connection* connection) {
    run_transport_down_hooks(item, connection);
    run_network_down_hooks(item);
}

void Worker::account(const Item& item) {
    if (item.dropped) {
        summary_.packets_dropped += 1;
        summary_.count_drop(item.reason);
        const bool by_rule = item.reason == Event::Rule || item.reason == Event::RuleError ||
                             item.reason == Event::LuaMemory;
        if (by_rule && item.rule < policy_->drops_by_rule.size()) {
            policy_->drops_by_rule[item.rule] += 1;
        }
        if (!options_.settings.pass_through) {
            return;
        }
    }
    summary_.packets_out += 1;
    summary_.bytes_out += item.frame.size;
    if (item.changed()) {
        summary_.count_change(item.change);
    }
    summary_.packets_injected += item.injected ? 1 : 0;
}

std::string Worker::comment_of(const Item& item) const {
    const auto rule_name = [this](std::uint32_t rule) {
        return rule == 0 || rule >= script_->rules().size() ? std::string("the engine")
                                                            : script_->rules()[rule].name;
    };
    if (item.dropped) {
        return fmt::format("would drop: {}{}", event_name(item.reason),
                           item.reason == Event::Rule ? " " + rule_name(item.rule) : "");
    }
    if (item.injected) {
        return item.rule == 0 ? std::string("injected")
                              : fmt::format("injected by {}", rule_name(item.rule));
    }
    return item.changed() ? "accept, changed" : "accept";
}

void Worker::write(const Item& item, const flow::Connection* connection) {
    last_link_ = item.frame.link;
    last_interface_ = item.frame.interface;
    if (way_out_ != nullptr) {
        if (item.changed() || item.injected) {
            way_out_->send(item.frame, {.origin = item.injected ? capture::Origin::Ours
                                                                : capture::Origin::Packet,
                                        .segment_size = segment_size(item, connection)});
        } else {
            way_out_->pass(item.frame);
        }
    }
    if (!options_.writes_packets) {
        return;
    }
    const bool same_size = !item.changed() && !item.injected;
    journal_->stage({.order = order_,
                     .when = way_out_ == nullptr ? item.frame.when : wall_time(now_),
                     .interface = item.frame.interface,
                     .original_size = same_size ? item.frame.original_size : item.frame.size,
                     .kind = RecordKind::Packet},
                    comment_of(item), as_text(item.frame.bytes()));
}

// RSTs, then what the policy sent: they leave behind the packet at hand.
void Worker::send_pending() {
    Item* const at_hand = item_;
    for (output::Reset& reset : resets_) {
        Item item;
        item.frame = {.data = reset.bytes.data(),
                      .size = static_cast<std::uint32_t>(reset.bytes.size()),
                      .original_size = static_cast<std::uint32_t>(reset.bytes.size()),
                      .when = now_,
                      .number = order_.packet,
                      .interface = reset.interface,
                      .link = reset_link_};
        item.injected = true;
        account(item);
        write(item, nullptr);
    }
    resets_.clear();
    for (std::size_t i = 0; i < to_send_.size(); ++i) {
        const std::uint32_t slot = to_send_[i].slot;
        Item item = slots_.item_of(slot);
        item.to_fix = slots_.at(slot).changed;
        if (item.taken && item.to_fix != 0) {
            item.note_change(Event::Rule);
        }
        item.rule = to_send_[i].rule;
        if (!item.taken) {
            item.frame.when = now_;
            item.frame.number = order_.packet;
            item.frame.interface = last_interface_;
            item.frame.link = last_link_;
            set_network_protocol(item.frame.mutable_bytes().first(item.headers.net), last_link_,
                                 item.headers.ip_version);
        }
        item.taken = false;
        item_ = &item;
        lent_ = false;
        sending_ = true;
        depart(item, nullptr);
        sending_ = false;
        lent_ = false;
        slots_.free(slot);
    }
    to_send_.clear();
    item_ = at_hand;
}

}  // namespace haka::engine
