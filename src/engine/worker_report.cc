// What a worker has to say: events, alerts, its summary.
// Tested by: worker_test.cc
#include "engine/worker.h"

namespace haka::engine {

report::Where Worker::where_of(const Item& item, const flow::Connection* connection) const {
    report::Where where;
    where.when = item.frame.when;
    where.packet = item.frame.number;
    where.generation = policy_->generation;
    const wire::Headers& headers = item.headers;
    where.vlan = headers.vlan;
    where.vlan_count = headers.vlan_count;
    if (headers.ip_version == 0) {
        return where;
    }
    where.ip_version = headers.ip_version;
    where.protocol = headers.protocol;
    const std::uint8_t* net = item.frame.data + headers.net;
    if (headers.ip_version == 4) {
        where.source = Address::ipv4(load_be32(net + 12));
        where.destination = Address::ipv4(load_be32(net + 16));
    } else {
        where.source = Address::ipv6(net + 8);
        where.destination = Address::ipv6(net + 24);
    }
    if (headers.transport_ok) {
        const std::uint8_t* transport = item.frame.data + headers.transport;
        const bool has_ports =
            headers.protocol == wire::kProtocolTcp || headers.protocol == wire::kProtocolUdp;
        where.source_port = has_ports ? load_be16(transport) : transport[0];
        where.destination_port = has_ports ? load_be16(transport + 2) : transport[1];
    }
    if (connection != nullptr) {
        where.flow_id = report::make_flow_id(
            connection->start, report::flow_hash(connection->key, wire::kProtocolTcp));
        where.to_server = from_client_;
    }
    return where;
}

// Where an alert without a packet was raised: on a connection that ends.
void Worker::fill_where(report::Where& where, const flow::Connection& connection) const {
    where.generation = policy_->generation;
    where.ip_version = connection.client().is_ipv4() ? 4 : 6;
    where.protocol = wire::kProtocolTcp;
    where.source = connection.client().ip();
    where.destination = connection.server().ip();
    where.source_port = connection.client().port;
    where.destination_port = connection.server().port;
    where.flow_id = report::make_flow_id(connection.start,
                                         report::flow_hash(connection.key, wire::kProtocolTcp));
}

// Counts an engine event and tells it as an EVE anomaly.
void Worker::remark(Event event, const Item& item, const flow::Connection* connection) {
    summary_.count_event(event);
    if (!options_.writes_eve) {
        return;
    }
    eve_text_.clear();
    held_back_.clear();
    if (early_limiter_.admit(event, now_, held_back_)) {
        report::append_anomaly(eve_text_, event, where_of(item, connection), eve_options_);
    }
    journal_->stage(
        {.order = order_, .when = wall_time(now_), .kind = RecordKind::Alert, .event = event}, {},
        eve_text_);
}

void Worker::stage_alert(const report::Alert& alert, const report::Where& where, Event limit) {
    text_.clear();
    eve_text_.clear();
    if (options_.shows_alerts) {
        report::append_alert(text_, alert, where, options_.out_style);
    }
    if (options_.writes_eve) {
        report::append_alert(eve_text_, alert, where, eve_options_);
    }
    journal_->stage(
        {.order = order_, .when = wall_time(now_), .kind = RecordKind::Alert, .event = limit},
        text_, eve_text_);
}

report::Summary Worker::summary() const {
    report::Summary summary = summary_;
    summary.connections_open = summary.connections;
    for (const std::uint64_t ended : summary.connections_ended) {
        summary.connections_open -= ended;
    }
    for (const auto& policy : policies_) {
        add_counts(*policy, summary);
    }
    return summary;
}

}  // namespace haka::engine
