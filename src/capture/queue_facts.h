// What the system tells about packet queues and interfaces beside the packets themselves.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

namespace haka::capture {

struct QueueFacts {
    std::uint64_t waiting = 0;
    std::uint64_t lost = 0;  // The queue, or the socket of its reader, was full.
};
// None when nobody reads the queue.
[[nodiscard]] std::optional<QueueFacts> read_queue_facts(std::uint16_t queue);

// The longest packets that interfaces take, looked up once until forget().
class InterfaceSizes {
public:
    // `interface` 0 is an unknown one.
    [[nodiscard]] std::uint32_t mtu_of(std::uint32_t interface);
    void forget() { known_.clear(); }

private:
    std::map<std::uint32_t, std::uint32_t> known_;
};

}  // namespace haka::capture
