#include "report/eve.h"

#include <array>

#include "report/community_id.h"
#include "report/console.h"
#include "report/eve_header.h"
#include "report/json.h"
#include "wire/headers.h"

namespace haka::report {

namespace {

constexpr std::uint32_t kMaxSignature = 0x7fffffff;

// Addresses and times hold nothing that JSON would escape.
void write_address(JsonWriter& json, std::string_view key, const Address& address, Ipv6Form form) {
    std::string& out = json.raw(key);
    out += '"';
    append_address(out, address, form);
    out += '"';
}

void write_time(JsonWriter& json, std::string_view key, Instant when) {
    std::string& out = json.raw(key);
    out += '"';
    append_time(out, when, TimeForm::Eve);
    out += '"';
}

bool is_icmp(std::uint8_t protocol) {
    return protocol == wire::kProtocolIcmp || protocol == wire::kProtocolIcmpv6;
}

bool has_ports(const Where& where) {
    return where.has_ports && community_id_uses_ports(where.protocol);
}

void write_ends(JsonWriter& json, const Where& where, const EveOptions& options) {
    const bool ports = has_ports(where) && !is_icmp(where.protocol);
    write_address(json, "src_ip", where.source, options.ipv6);
    if (ports) {
        json.number("src_port", where.source_port);
    }
    write_address(json, "dest_ip", where.destination, options.ipv6);
    if (ports) {
        json.number("dest_port", where.destination_port);
    }
    std::string& out = json.raw("proto");
    out += '"';
    append_protocol(out, where.protocol);
    out += '"';
    json.number("ip_v", where.ip_version);
    if (has_ports(where) && is_icmp(where.protocol)) {
        json.number("icmp_type", where.source_port);
        json.number("icmp_code", where.destination_port);
    }
}

void write_list(JsonWriter& json, std::string_view key, const std::vector<std::string>& values) {
    if (values.empty()) {
        return;
    }
    json.begin_array(key);
    for (const std::string& value : values) {
        json.element(value);
    }
    json.end_array();
}

// EVE has room for one source and one target: the first that has an address.
void write_first_address(JsonWriter& json, std::string_view key, const std::vector<Node>& nodes,
                         Ipv6Form form) {
    for (const Node& node : nodes) {
        if (node.address) {
            json.begin_object(key);
            write_address(json, "ip", *node.address, form);
            if (node.port) {
                json.number("port", *node.port);
            }
            json.end_object();
            return;
        }
    }
}

void write_nodes(JsonWriter& json, std::string_view key, const std::vector<Node>& nodes) {
    if (nodes.empty()) {
        return;
    }
    json.begin_array(key);
    for (const Node& node : nodes) {
        json.begin_object();
        json.text("kind", node.kind == Node::Kind::Address ? "address" : "service");
        json.begin_array("values");
        for (const std::string& value : node.values) {
            json.element(value);
        }
        json.end_array();
        json.end_object();
    }
    json.end_array();
}

// 1 is high. What has no severity counts as low.
unsigned eve_severity(const std::optional<Level>& severity) {
    return 3 - static_cast<unsigned>(severity.value_or(Level::Low));
}

void write_alert(JsonWriter& json, const Alert& alert, const EveOptions& options) {
    json.begin_object("alert");
    json.text("action", alert.blocked ? "blocked" : "allowed");
    json.number("gid", 1);
    json.number("signature_id", signature_id(alert.rule));
    json.number("rev", 1);
    json.text("signature", alert.description);
    json.text("category", "");
    json.number("severity", eve_severity(alert.severity));
    write_list(json, "references", alert.method_references);
    write_first_address(json, "source", alert.sources, options.ipv6);
    write_first_address(json, "target", alert.targets, options.ipv6);
    json.end_object();
}

void write_own_part(JsonWriter& json, const Alert& alert, const Where& where) {
    json.begin_object("haka");
    json.number("alert", alert.reference);
    if (alert.is_update) {
        json.boolean("update", true);
    }
    json.text("rule", alert.rule);
    json.number("generation", where.generation);
    if (alert.start_time) {
        write_time(json, "start_time", *alert.start_time);
    }
    if (alert.end_time) {
        write_time(json, "end_time", *alert.end_time);
    }
    if (alert.confidence_number) {
        json.real("confidence", *alert.confidence_number);
    } else if (alert.confidence) {
        json.text("confidence", to_string(*alert.confidence));
    }
    if (alert.completion) {
        json.text("completion", to_string(*alert.completion));
    }
    if (!alert.method_description.empty()) {
        json.text("method", alert.method_description);
    }
    write_nodes(json, "sources", alert.sources);
    write_nodes(json, "targets", alert.targets);
    write_list(json, "references", alert.references);
    json.end_object();
}

}  // namespace

void write_eve_header(JsonWriter& json, std::string_view event_type, const Where& where,
                      const EveOptions& options) {
    const bool is_ip = where.ip_version != 0;
    write_time(json, "timestamp", where.when);
    if (where.flow_id) {
        json.number("flow_id", *where.flow_id);
    }
    if (where.packet != 0) {
        json.number("pcap_cnt", where.packet);
    }
    json.text("event_type", event_type);
    if (where.vlan_count > 0) {
        json.begin_array("vlan");
        json.element(std::uint64_t{where.vlan});
        json.end_array();
    }
    if (is_ip) {
        write_ends(json, where, options);
    }
    json.text("pkt_src", options.packet_source);
    // Without its ports the id would be another flow's.
    if (is_ip && (where.has_ports || !community_id_uses_ports(where.protocol)) &&
        where.source.family == where.destination.family) {
        std::string& out = json.raw("community_id");
        out += '"';
        append_community_id(out,
                            {.source = where.source,
                             .destination = where.destination,
                             .source_port = where.source_port,
                             .destination_port = where.destination_port,
                             .protocol = where.protocol},
                            options.community_id_seed);
        out += '"';
    }
    if (where.to_server) {
        json.text("direction", *where.to_server ? "to_server" : "to_client");
    }
}

std::uint32_t signature_id(std::string_view rule) {
    std::uint32_t hash = 2166136261U;  // FNV-1a.
    for (const char c : rule) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }
    const std::uint32_t folded = (hash >> 31) ^ (hash & kMaxSignature);
    return folded == 0 ? 1 : folded;
}

std::string_view anomaly_type(Event event) {
    constexpr std::array<std::string_view, 10> kDecode = {"frame.",
                                                          "ipv4.",
                                                          "ipv6.",
                                                          "ip.",
                                                          "udp.",
                                                          "icmp.",
                                                          "tcp.bad-header",
                                                          "tcp.bad-option",
                                                          "tcp.bad-checksum",
                                                          "tcp.bad-flags"};
    const std::string_view name = event_name(event);
    for (const std::string_view prefix : kDecode) {
        if (name.starts_with(prefix)) {
            return "decode";
        }
    }
    return name.starts_with("tcp.") || name.starts_with("stream.") ? "stream" : "applayer";
}

void append_alert(std::string& out, const Alert& alert, const Where& where,
                  const EveOptions& options) {
    JsonWriter json(out);
    json.begin_object();
    write_eve_header(json, "alert", where, options);
    write_alert(json, alert, options);
    write_own_part(json, alert, where);
    json.end_object();
    out += '\n';
}

void append_anomaly(std::string& out, Event event, const Where& where, const EveOptions& options) {
    JsonWriter json(out);
    json.begin_object();
    write_eve_header(json, "anomaly", where, options);
    json.begin_object("anomaly");
    json.text("type", anomaly_type(event));
    json.text("event", event_name(event));
    json.end_object();
    json.begin_object("haka");
    json.number("generation", where.generation);
    json.end_object();
    json.end_object();
    out += '\n';
}

}  // namespace haka::report
