// What a policy (or the engine) wants people to know, and the packet at which it was said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.h"
#include "base/event.h"
#include "base/time.h"

namespace haka::report {

enum class Level : std::uint8_t { Low, Medium, High };
enum class Completion : std::uint8_t { Failed, Successful };

// An endpoint or a service of an alert, as haka.alert.address(...) / haka.alert.service(...) made
// it.
struct Node {
    enum class Kind : std::uint8_t { Address, Service } kind = Kind::Address;
    std::vector<std::string>
        values;  // As given, e.g. {"192.168.10.1", "48922"} or {"tcp/22", "ssh"}.
    std::optional<Address> address;     // The first value that is an address.
    std::optional<std::uint16_t> port;  // The first value that is a number after it.
};

// Where an alert or event was raised. Lives as long as the packet at hand.
struct Where {
    Instant when;                  // Packet time.
    std::uint64_t packet = 0;      // Its number in the input, 0 when there is none.
    std::uint32_t generation = 1;  // Of the policy at work.
    std::uint8_t ip_version = 0;   // 0: not IP; then only `when` and `packet` count.
    std::uint8_t protocol = 0;
    Address source;  // Of this packet.
    Address destination;
    std::uint16_t source_port = 0;       // ICMP: type.
    std::uint16_t destination_port = 0;  // ICMP: code.
    bool has_ports = true;               // Both were read (Headers::transport_ok).
    std::uint16_t vlan = 0;
    std::uint8_t vlan_count = 0;
    std::optional<std::uint64_t> flow_id;  // make_flow_id() of its connection.
    std::optional<bool> to_server;         // Direction in its connection.
};

struct Alert {
    std::uint64_t reference = 0;  // Shown as the alert's number; updates repeat it.
    bool is_update = false;
    std::string rule;      // Rule that raised it; an engine event's name otherwise.
    bool blocked = false;  // The packet was already dropped when the alert was raised.
    std::string description;
    std::optional<Instant> start_time;
    std::optional<Instant> end_time;
    std::optional<Level> severity;
    std::optional<Level> confidence;
    std::optional<double> confidence_number;
    std::optional<Completion> completion;
    std::string method_description;
    std::vector<std::string> method_references;
    std::vector<Node> sources;
    std::vector<Node> targets;
    std::vector<std::string> references;
};

}  // namespace haka::report
