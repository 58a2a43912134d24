#include "wire/icmp_quote.h"

namespace haka::wire {
namespace {

constexpr std::uint32_t kIcmpHeader = 8;
constexpr std::uint32_t kQuotedTcp = 8;  // RFC 792: at least so much is quoted.

bool is_error(std::uint8_t protocol, std::uint8_t type) {
    if (protocol == kProtocolIcmpv6) {
        return type >= 1 && type <= 4;  // RFC 4443, 2.1 and 3
    }
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

}  // namespace

bool find_icmp_quote(const Headers& headers, ByteView frame, IcmpQuote& quote) {
    const bool is_icmp = headers.protocol == kProtocolIcmp || headers.protocol == kProtocolIcmpv6;
    if (!headers.transport_ok || !is_icmp ||
        !is_error(headers.protocol, frame[headers.transport])) {
        return false;
    }
    const std::uint32_t ip = headers.transport + kIcmpHeader;
    const std::uint32_t left = headers.end > ip ? headers.end - ip : 0;
    if (left < 20) {
        return false;
    }
    const std::uint8_t* const bytes = frame.data() + ip;
    quote.ip_version = bytes[0] >> 4;
    std::uint32_t header_size = 0;
    if (quote.ip_version == 4) {
        header_size = std::uint32_t{bytes[0] & 15U} * 4;
        const bool first_fragment = (load_be16(bytes + 6) & 0x1fff) == 0;
        if (header_size < 20 || bytes[9] != kProtocolTcp || !first_fragment) {
            return false;
        }
        quote.addresses = ip + 12;
    } else if (quote.ip_version == 6) {
        header_size = 40;  // Extension headers are rare and then not translated.
        if (left < header_size || bytes[6] != kProtocolTcp) {
            return false;
        }
        quote.addresses = ip + 8;
    } else {
        return false;
    }
    quote.tcp = ip + header_size;
    return left >= header_size + kQuotedTcp;
}

}  // namespace haka::wire
