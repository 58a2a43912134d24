// Where live traffic comes from, as the user names it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace haka::app {

enum class LiveKind : std::uint8_t { None, Queues, Passive, Pair };

struct LiveSource {
    LiveKind kind = LiveKind::None;
    std::uint16_t first_queue = 0;
    std::uint16_t last_queue = 0;
    std::vector<std::string> interfaces{};  // One, or two.
    bool af_xdp = false;                    // Two, by AF_XDP.
};

// `N`, `N:M`. Returns what is wrong, empty when nothing.
[[nodiscard]] std::string parse_queues(const std::string& text, LiveSource& source);
// `IF`, `IF1:IF2`.
[[nodiscard]] std::string parse_interfaces(const std::string& text, LiveSource& source);

}  // namespace haka::app
