// EVE's record of an HTTP request and its response, in Suricata's field names.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "report/eve.h"

namespace haka::report {

struct HttpExchange {
    std::string_view request;  // The heads as they left; `answer` may be empty.
    std::string_view answer;
    std::uint64_t number = 0;  // tx_id
    std::uint64_t bytes = 0;   // Of the answer's body, without framing.
};

// Appends one line with its newline.
void append_http(std::string& out, const HttpExchange& exchange, const Where& where,
                 const EveOptions& options);

}  // namespace haka::report
