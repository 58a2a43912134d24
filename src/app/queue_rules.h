// The firewall's rules that send packets to a queue, read from what its tools list.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace haka::app {

struct QueueRule {
    std::uint16_t first = 0;  // Queues, both included.
    std::uint16_t last = 0;
    bool ipv4 = false;
    bool ipv6 = false;
    bool bypass = false;  // Packets pass while nobody reads the queue.
    bool by_cpu = false;  // Spreads packets by CPU, not by their addresses.
    std::string chain;    // In capitals: FORWARD, INPUT, OUTPUT ...; of nft: its hook.
    std::string text;     // As listed.
};

// A rule that translates addresses, or one by which packets of ours are not tracked: both matter to
// packets that we send ourselves.
struct TranslationRule {
    bool ipv4 = false;
    bool ipv6 = false;
    std::string outside;  // The interface that it names; empty: none.
    std::string text;     // As listed.
};
struct TranslationRules {
    std::vector<TranslationRule> translating;
    std::vector<TranslationRule> untracking;  // Packets with our mark; `outside` is excepted.
};

// Of `iptables-save` and its kin; `ipv6` says whose listing it is.
void append_iptables_rules(std::vector<QueueRule>& rules, std::string_view listing, bool ipv6);
// Of `nft list ruleset`.
void append_nft_rules(std::vector<QueueRule>& rules, std::string_view listing);
// Of both; `mark`: what our own packets have.
void append_iptables_translations(TranslationRules& rules, std::string_view listing, bool ipv6,
                                  std::uint32_t mark);
void append_nft_translations(TranslationRules& rules, std::string_view listing);

}  // namespace haka::app
