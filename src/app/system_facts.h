// What the system says about live traffic: privileges, kernel, interfaces, queues, rules. Only
// looked at here, judged in doctor.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "app/queue_rules.h"

namespace haka::app {

struct InterfaceFacts {
    bool exists = false;
    bool ethernet = false;
    bool up = false;
    bool carrier = false;
    unsigned mtu = 0;
    std::string master;                  // The bridge or bond that it belongs to.
    std::vector<std::string> addresses;  // IPv4, and IPv6 that isn't link-local.
    std::optional<pid_t> engine;         // Another haka stands there; 0: of an unknown process.
    bool lro = false;
    bool gro = false;
    bool tso = false;
    bool takes_tags = false;  // VLAN tags are taken out of received frames.
    unsigned queues = 1;      // That it receives by.
};

struct SystemFacts {
    bool net_admin = false;  // Capabilities in effect.
    bool net_raw = false;
    bool bpf = false;
    bool ipc_lock = false;
    bool packet_sockets = false;  // AF_PACKET as we need it.
    bool queues = false;          // NFQUEUE.
    bool xdp_sockets = false;     // AF_XDP.
    bool built_with_xdp = false;
    std::map<std::uint16_t, std::uint32_t> queue_owners;  // Queue -> port id of who reads it.
    bool ipv4_forwarding = false;
    bool ipv6_forwarding = false;
    std::map<std::string, InterfaceFacts> interfaces;
    std::vector<QueueRule> queue_rules;
    TranslationRules translations;
    bool tracks_liberally = false;  // Sequence numbers of connections don't matter to the tracker.
    bool has_rule_tools = false;    // One at least of those that list rules,
    bool rules_listed = false;      // and it had permission.
};

enum class Look : std::uint8_t {
    WithoutRules,
    WithRules  // Runs the firewall's tools.
};

[[nodiscard]] SystemFacts look_at_system(const std::vector<std::string>& interfaces, Look look);

}  // namespace haka::app
