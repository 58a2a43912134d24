// What is said between us and the kernel's queue, in netlink messages (linux/netfilter/
// nfnetlink_queue.h): set-up, packets, verdicts.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "base/settings.h"

struct nlmsghdr;

namespace haka::capture {

// A packet as the queue tells it. `bytes` lie in the message.
struct QueuedPacket {
    std::uint32_t id = 0;
    std::uint32_t mark = 0;
    std::uint32_t size = 0;       // On its way; more than bytes.size() if copy_range cut it.
    std::uint32_t out_index = 0;  // Of the interface that it will leave by; 0: unknown.
    MutableByteView bytes;
    bool is_partial = false;     // Its checksum isn't computed yet,
    bool is_unverified = false;  // or nobody has looked at it.
    bool is_joined = false;      // Of several segments (GSO).
};

// Null when the message is no packet, or lacks what each must have.
[[nodiscard]] std::optional<QueuedPacket> read_packet(nlmsghdr* message);

// Messages for one queue, gathered in a buffer of a fixed size.
class QueueMessages {
public:
    explicit QueueMessages(std::uint16_t queue);

    // Each leaves the messages before it as they are; false: there is no room for it.
    [[nodiscard]] bool add_bind(const NfqueueSettings& settings);
    [[nodiscard]] bool add_copy_mode(std::uint32_t range);
    // Of all packets up to `id` that have none yet.
    [[nodiscard]] bool add_verdicts(std::uint32_t id, bool accept);
    // An attribute's size is a 16-bit number, its own header counted.
    static constexpr std::size_t kReplacementMax = 65'531;
    struct Verdict {
        std::uint32_t id = 0;
        bool accept = false;
        std::optional<std::uint32_t> mark{};
        ByteView replacement{};  // Empty: the packet's own bytes.
    };
    [[nodiscard]] bool add_verdict(const Verdict& verdict);

    [[nodiscard]] ByteView bytes() const { return {buffer_.data(), size_}; }
    void clear() { size_ = 0; }

private:
    [[nodiscard]] nlmsghdr* begin(std::uint16_t type, std::uint16_t flags, std::size_t room);
    void end(const nlmsghdr* message);

    std::uint16_t queue_;
    std::size_t size_ = 0;
    std::vector<std::uint8_t> buffer_;
};

}  // namespace haka::capture
