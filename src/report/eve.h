// Alerts and events for machines: one JSON object a line, keys and their order as in Suricata's
// EVE format, so that what reads eve.json reads ours. What has no place there is in `haka{}`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/event.h"
#include "report/alert.h"
#include "report/text.h"

namespace haka::report {

struct EveOptions {
    Ipv6Form ipv6 = Ipv6Form::Expanded;
    std::uint16_t community_id_seed = 0;
    std::string_view packet_source = "wire/pcap";  // EVE's pkt_src.
};

// Each appends one line with its newline. Any bytes in any text give valid JSON.
void append_alert(std::string& out, const Alert& alert, const Where& where,
                  const EveOptions& options);
void append_anomaly(std::string& out, Event event, const Where& where, const EveOptions& options);

// EVE's anomaly.type: "decode" for what a single packet's headers show, "stream" for what only its
// connection shows, "applayer" for the rest.
[[nodiscard]] std::string_view anomaly_type(Event event);

// The number of a rule in alert.signature_id: 1 to 2^31-1, the same for the same name for ever.
[[nodiscard]] std::uint32_t signature_id(std::string_view rule);

}  // namespace haka::report
