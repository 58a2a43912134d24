#include "app/live_source.h"

#include <charconv>
#include <fmt/format.h>
#include <net/if.h>

#include "app/setting.h"

namespace haka::app {

std::string parse_queues(const std::string& text, LiveSource& source) {
    const auto number = [](std::string_view digits, std::uint16_t& at) {
        const char* end = digits.data() + digits.size();
        const auto [rest, error] = std::from_chars(digits.data(), end, at);
        return error == std::errc() && rest == end;
    };
    const std::size_t colon = text.find(':');
    const std::string_view whole = text;
    const bool right =
        number(whole.substr(0, colon), source.first_queue) &&
        number(colon == std::string::npos ? whole : whole.substr(colon + 1), source.last_queue) &&
        source.first_queue <= source.last_queue &&
        std::uint32_t{source.last_queue} - source.first_queue < kWorkersMax;
    if (!right) {
        return fmt::format(
            "--nfqueue takes a queue's number from 0 to 65535, or the first and last of {} at most "
            "as in 0:3, not \"{}\"",
            kWorkersMax, text);
    }
    source.kind = LiveKind::Queues;
    return {};
}

std::string parse_interfaces(const std::string& text, LiveSource& source) {
    const std::size_t colon = text.find(':');
    source.kind = colon == std::string::npos ? LiveKind::Passive : LiveKind::Pair;
    source.interfaces = {text.substr(0, colon)};
    if (source.kind == LiveKind::Pair) {
        source.interfaces.push_back(text.substr(colon + 1));
    }
    for (const std::string& name : source.interfaces) {
        if (name.empty() || name.find(':') != std::string::npos) {
            return fmt::format(
                "-i takes an interface to look at, or the two that are joined as in eth0:eth1, not "
                "\"{}\"",
                text);
        }
        if (name.size() >= IFNAMSIZ) {
            return fmt::format("-i {}: the name of an interface has {} characters at most", name,
                               IFNAMSIZ - 1);
        }
    }
    if (source.kind == LiveKind::Pair && source.interfaces[0] == source.interfaces[1]) {
        return fmt::format("-i {}: an interface can't be joined to itself", text);
    }
    return {};
}

}  // namespace haka::app
