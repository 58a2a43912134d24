#include "app/doctor.h"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <tuple>

#include "base/settings.h"
#include "capture/xdp_pair.h"

namespace haka::app {
namespace {

class Findings {
public:
    void ok(std::string what) { add(Verdict::Ok, std::move(what), {}); }
    void warn(std::string what, std::vector<std::string> remedy) {
        add(Verdict::Warn, std::move(what), std::move(remedy));
    }
    void fail(std::string what, std::vector<std::string> remedy) {
        add(Verdict::Fail, std::move(what), std::move(remedy));
    }
    std::vector<Finding> take() { return std::move(findings_); }

private:
    void add(Verdict verdict, std::string what, std::vector<std::string> remedy) {
        findings_.push_back({verdict, std::move(what), std::move(remedy)});
    }
    std::vector<Finding> findings_;
};

void examine_privileges(Findings& findings, const LiveSource& source, const SystemFacts& facts) {
    struct Need {
        const char* name;
        const char* file_name;  // As setcap takes it.
        bool is_needed;
        bool is_there;
    };
    std::vector<const char*> needed;
    std::vector<const char*> missing;
    std::vector<const char*> file_names;
    for (const Need& need :
         {Need{"CAP_NET_ADMIN", "cap_net_admin", source.kind != LiveKind::Passive, facts.net_admin},
          Need{"CAP_NET_RAW", "cap_net_raw", true, facts.net_raw},
          Need{"CAP_BPF", "cap_bpf", source.af_xdp, facts.bpf},
          Need{"CAP_IPC_LOCK", "cap_ipc_lock", source.af_xdp, facts.ipc_lock}}) {
        if (need.is_needed) {
            needed.push_back(need.name);
            file_names.push_back(need.file_name);
        }
        if (need.is_needed && !need.is_there) {
            missing.push_back(need.name);
        }
    }
    if (missing.empty()) {
        findings.ok(fmt::format("privileges: {}", fmt::join(needed, " and ")));
        return;
    }
    findings.fail(fmt::format("privileges: {} missing", fmt::join(missing, " and ")),
                  {"sudo haka ...", fmt::format("sudo setcap {}+ep $(command -v haka)",
                                                fmt::join(file_names, ","))});
}

void examine_kernel(Findings& findings, const LiveSource& source, const SystemFacts& facts) {
    const bool any = source.kind == LiveKind::None;
    if (any || source.kind == LiveKind::Queues) {
        if (facts.queues) {
            findings.ok("kernel: NFQUEUE");
        } else {
            findings.fail("kernel: it has no NFQUEUE (CONFIG_NETFILTER_NETLINK_QUEUE)",
                          {"modprobe nfnetlink_queue"});
        }
    }
    // Without the privilege it can't be known.
    if (source.kind != LiveKind::Queues && facts.net_raw) {
        if (facts.packet_sockets) {
            findings.ok("kernel: AF_PACKET with a ring");
        } else {
            findings.fail(
                "kernel: it has no AF_PACKET sockets with a ring (CONFIG_PACKET), or is older than "
                "Linux 4.20",
                {"modprobe af_packet"});
        }
    }
}

void examine_xdp(Findings& findings, const SystemFacts& facts) {
    const std::vector<std::string> without = {"haka run --set live.af_xdp=false ..."};
    if (!facts.built_with_xdp) {
        findings.fail("AF_XDP: this haka was built without it",
                      {"cmake -DHAKA_AF_XDP=ON ...", without.front()});
    } else if (facts.xdp_sockets) {
        findings.ok("kernel: AF_XDP");
    } else {
        findings.fail("kernel: it has no AF_XDP (CONFIG_XDP_SOCKETS)", without);
    }
}

// By AF_XDP frames come as the card has them.
void examine_xdp_interface(Findings& findings, const std::string& name,
                           const InterfaceFacts& facts) {
    if (facts.queues > 1) {
        findings.fail(
            fmt::format("{}: it receives by {} queues, and AF_XDP reads one", name, facts.queues),
            {fmt::format("ethtool -L {} combined 1", name),
             fmt::format("ethtool -L {} rx 1", name)});
    }
    if (facts.mtu > capture::kXdpMtuMax) {
        findings.fail(
            fmt::format("{}: AF_XDP takes an MTU of {} at most", name, capture::kXdpMtuMax),
            {fmt::format("ip link set {} mtu {}", name, capture::kXdpMtuMax)});
    }
    if (facts.takes_tags) {
        findings.warn(fmt::format("{}: the card may take VLAN tags out of frames, and AF_XDP would "
                                  "lose them",
                                  name),
                      {fmt::format("ethtool -K {} rxvlan off", name)});
    }
}

std::string queues_text(unsigned first, unsigned last) {
    return first == last ? fmt::format("queue {}", first)
                         : fmt::format("queues {} to {}", first, last);
}

std::string add_rule(const LiveSource& source, const char* tool) {
    return source.first_queue == source.last_queue
               ? fmt::format("{} -I FORWARD -j NFQUEUE --queue-num {} --queue-bypass", tool,
                             source.first_queue)
               : fmt::format("{} -I FORWARD -j NFQUEUE --queue-balance {}:{} --queue-bypass", tool,
                             source.first_queue, source.last_queue);
}

std::string add_nft_rule(const LiveSource& source) {
    const std::string queues = source.first_queue == source.last_queue
                                   ? fmt::format("{}", source.first_queue)
                                   : fmt::format("{}-{}", source.first_queue, source.last_queue);
    return fmt::format(
        "nft 'table inet haka {{ chain forward {{ type filter hook forward priority 0; "
        "queue flags bypass to {}; }}; }}'",
        queues);
}

void examine_rule(Findings& findings, const LiveSource& source, const QueueRule& rule) {
    if (rule.first < source.first_queue || rule.last > source.last_queue) {
        findings.warn(
            fmt::format("rules: \"{}\" sends packets to {}, read are {}", rule.text,
                        queues_text(rule.first, rule.last),
                        queues_text(source.first_queue, source.last_queue)),
            {fmt::format("haka run --nfqueue {}:{} ...", std::min(rule.first, source.first_queue),
                         std::max(rule.last, source.last_queue))});
    }
    if (rule.by_cpu) {
        findings.warn(fmt::format("rules: \"{}\" spreads packets by CPU: the two directions of a "
                                  "connection can reach different workers",
                                  rule.text),
                      {"leave --queue-cpu-fanout (nft: fanout) out of it"});
    }
    if (rule.chain == "INPUT" || rule.chain == "OUTPUT") {
        findings.warn(fmt::format("rules: \"{}\": only forwarded packets are supported; what is "
                                  "made for this machine's own connections can come back to the "
                                  "queue",
                                  rule.text),
                      {fmt::format("move it to the FORWARD chain")});
    }
    findings.ok(fmt::format("rules: {}: \"{}\"; while the engine is down its packets {}",
                            rule.ipv4 && rule.ipv6 ? "IPv4 and IPv6"
                            : rule.ipv6            ? "IPv6"
                                                   : "IPv4",
                            rule.text, rule.bypass ? "pass (bypass)" : "are dropped (no bypass)"));
}

void examine_rules(Findings& findings, const LiveSource& source, const SystemFacts& facts) {
    if (!facts.has_rule_tools) {
        findings.warn("rules: neither iptables nor nft is here, so they can't be listed",
                      {"apt-get install iptables nftables"});
        return;
    }
    if (!facts.rules_listed) {
        findings.warn("rules: they can't be listed without more privileges",
                      {"sudo haka doctor --nfqueue ..."});
        return;
    }
    bool ipv4 = false;
    bool ipv6 = false;
    // Two tools may list the same rule.
    std::set<std::tuple<std::string, unsigned, unsigned, bool>> seen;
    for (const QueueRule& rule : facts.queue_rules) {
        if (rule.last < source.first_queue || rule.first > source.last_queue) {
            continue;
        }
        ipv4 = ipv4 || rule.ipv4;
        ipv6 = ipv6 || rule.ipv6;
        if (seen.emplace(rule.chain, rule.first, rule.last, rule.ipv4).second) {
            examine_rule(findings, source, rule);
        }
    }
    const std::string queues = queues_text(source.first_queue, source.last_queue);
    if (!ipv4 && !ipv6) {
        findings.warn(fmt::format("rules: none sends packets to {}; nothing will come", queues),
                      {add_rule(source, "iptables-legacy"), add_rule(source, "ip6tables-legacy"),
                       "or, for both: " + add_nft_rule(source)});
    } else if (!ipv6 && facts.ipv6_forwarding) {
        findings.warn(fmt::format("rules: none sends IPv6 packets to {}; they pass unseen", queues),
                      {add_rule(source, "ip6tables-legacy")});
    } else if (!ipv4 && facts.ipv4_forwarding) {
        findings.warn(fmt::format("rules: none sends IPv4 packets to {}; they pass unseen", queues),
                      {add_rule(source, "iptables-legacy")});
    }
}

// Packets of ours begin in the OUTPUT chain, behind what has been translated back already. Where
// the tracker doesn't know them as the connection's, it would translate them once more.
void examine_translation(Findings& findings, const TranslationRule& rule,
                         const SystemFacts& facts) {
    std::vector<std::string> remedy;
    if (!facts.tracks_liberally) {
        remedy.emplace_back("sysctl -w net.netfilter.nf_conntrack_tcp_be_liberal=1");
    }
    const auto add_untracking = [&](bool ipv6, const char* tool) {
        const bool is_there = std::ranges::any_of(
            facts.translations.untracking, [&](const TranslationRule& untracking) {
                return (ipv6 ? untracking.ipv6 : untracking.ipv4) &&
                       untracking.outside == rule.outside;
            });
        if (!is_there) {
            remedy.push_back(fmt::format(
                "{} -t raw -I OUTPUT ! -o {} -m mark --mark {} -j CT "
                "--notrack",
                tool, rule.outside.empty() ? "OUTSIDE" : rule.outside, NfqueueSettings().mark));
        }
    };
    if (rule.ipv4) {
        add_untracking(false, "iptables-legacy");
    }
    if (rule.ipv6) {
        add_untracking(true, "ip6tables-legacy");
    }
    if (!remedy.empty()) {
        findings.warn(fmt::format("rules: \"{}\" translates addresses: resets, and connections "
                                  "that are edited, need more than the queue",
                                  rule.text),
                      std::move(remedy));
    }
}

void examine_queues(Findings& findings, const LiveSource& source, const SystemFacts& facts) {
    bool taken = false;
    for (const auto& [queue, owner] : facts.queue_owners) {
        if (queue >= source.first_queue && queue <= source.last_queue) {
            taken = true;
            findings.fail(
                fmt::format("queue {}: another program reads it (port id {})", queue, owner),
                {fmt::format("ps -p {}", owner),
                 "end that program, or choose another queue by --nfqueue N"});
        }
    }
    if (!taken) {
        findings.ok(fmt::format("{}: free", queues_text(source.first_queue, source.last_queue)));
    }
    examine_rules(findings, source, facts);
    for (const TranslationRule& rule : facts.translations.translating) {
        examine_translation(findings, rule, facts);
    }
    if (!facts.ipv4_forwarding && !facts.ipv6_forwarding) {
        findings.warn(
            "forwarding: this machine forwards no packets, so the FORWARD chain sees none",
            {"sysctl -w net.ipv4.ip_forward=1", "sysctl -w net.ipv6.conf.all.forwarding=1"});
    }
}

void examine_interface(Findings& findings, const std::string& name, const InterfaceFacts& facts,
                       LiveKind kind) {
    if (!facts.exists) {
        findings.fail(fmt::format("{}: there is no such interface", name), {"ip -brief link"});
        return;
    }
    if (!facts.ethernet) {
        findings.fail(fmt::format("{}: not an Ethernet interface", name), {"ip -brief link"});
        return;
    }
    if (facts.up) {
        findings.ok(fmt::format("{}: up, MTU {}", name, facts.mtu));
    } else {
        findings.fail(fmt::format("{}: down", name), {fmt::format("ip link set {} up", name)});
    }
    if (facts.up && !facts.carrier) {
        findings.warn(fmt::format("{}: no carrier; is the cable, or the other end, there?", name),
                      {fmt::format("ethtool {}", name)});
    }
    if (kind != LiveKind::Pair) {
        return;
    }
    if (facts.engine) {
        findings.fail(fmt::format("{}: another haka stands there; both would pass each frame on, "
                                  "also what one of them drops",
                                  name),
                      {*facts.engine != 0 ? fmt::format("kill {}", *facts.engine)
                                          : "end the other one, or choose other interfaces"});
    }
    if (!facts.master.empty()) {
        findings.fail(fmt::format("{}: it belongs to {}, which would forward each packet a second "
                                  "time",
                                  name, facts.master),
                      {fmt::format("ip link set {} nomaster", name)});
    }
    if (!facts.addresses.empty()) {
        findings.warn(fmt::format("{}: it has an address ({}); this machine answers there itself",
                                  name, fmt::join(facts.addresses, ", ")),
                      {fmt::format("ip address flush dev {}", name)});
    }
    if (facts.gro || facts.tso) {
        findings.ok(fmt::format("{}: {} on; joined packets pass as they are, changed ones are cut",
                                name,
                                facts.gro && facts.tso ? "GRO and TSO are"
                                : facts.gro            ? "GRO is"
                                                       : "TSO is"));
    }
    if (facts.lro) {
        findings.fail(fmt::format("{}: LRO joins packets in a way that can't be undone", name),
                      {fmt::format("ethtool -K {} lro off", name)});
    }
}

void examine_pair(Findings& findings, const LiveSource& source, const SystemFacts& facts) {
    const std::string& one = source.interfaces.front();
    const std::string& two = source.interfaces.back();
    const InterfaceFacts& first = facts.interfaces.at(one);
    const InterfaceFacts& second = facts.interfaces.at(two);
    if (first.exists && second.exists && first.mtu != second.mtu) {
        findings.fail(
            fmt::format("{} and {}: packets of MTU {} don't fit the other's MTU {}", one, two,
                        std::max(first.mtu, second.mtu), std::min(first.mtu, second.mtu)),
            {fmt::format("ip link set {} mtu {}", first.mtu > second.mtu ? one : two,
                         std::min(first.mtu, second.mtu))});
    }
    if ((facts.ipv4_forwarding && !first.addresses.empty() && !second.addresses.empty())) {
        findings.fail(fmt::format("{} and {}: both have addresses and this machine forwards: each "
                                  "packet would pass twice",
                                  one, two),
                      {fmt::format("ip address flush dev {}", one),
                       fmt::format("ip address flush dev {}", two)});
    }
}

}  // namespace

std::vector<Finding> examine(const LiveSource& source, const SystemFacts& facts) {
    Findings findings;
    examine_privileges(findings, source, facts);
    examine_kernel(findings, source, facts);
    if (source.kind == LiveKind::Queues) {
        examine_queues(findings, source, facts);
    }
    if (source.af_xdp) {
        examine_xdp(findings, facts);
    }
    for (const std::string& name : source.interfaces) {
        const InterfaceFacts& interface = facts.interfaces.at(name);
        examine_interface(findings, name, interface, source.kind);
        if (source.af_xdp && interface.exists) {
            examine_xdp_interface(findings, name, interface);
        }
    }
    if (source.kind == LiveKind::Pair) {
        examine_pair(findings, source, facts);
    }
    return findings.take();
}

}  // namespace haka::app
