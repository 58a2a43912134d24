// Sends IP packets with headers of their own, by the kernel's routes. Their mark lets rules of the
// packet filter tell them from others.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/bytes.h"

namespace haka::capture {

class RawSender {
public:
    RawSender() = default;
    ~RawSender();
    RawSender(const RawSender&) = delete;
    RawSender& operator=(const RawSender&) = delete;

    // Empty when it worked.
    [[nodiscard]] std::string open(std::uint32_t mark);
    // Sends an IPv4 or IPv6 packet at once. Returns why the kernel refused it, an errno; 0: it
    // didn't.
    [[nodiscard]] int send(ByteView packet) const;

private:
    int ipv4_ = -1;
    int ipv6_ = -1;  // -1: this system has no IPv6.
};

}  // namespace haka::capture
