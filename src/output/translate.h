// Rewrites the numbers of a TCP header for the end that it goes to; the checksum follows.
#pragma once

#include <cstdint>

#include "stream/outlet.h"
#include "stream/resent.h"
#include "wire/headers.h"

namespace haka::output {

// A TCP header in a frame that is about to leave.
class Numbers {
public:
    // Precondition: at least `header_size` bytes are there, and it is a whole TCP header.
    Numbers(std::uint8_t* tcp, std::uint32_t header_size) : tcp_(tcp), header_size_(header_size) {}
    Numbers(const wire::Headers& headers, std::uint8_t* frame)
        : Numbers(frame + headers.transport, headers.payload - headers.transport) {}

    void set_seq(std::uint32_t seq) { set32(4, seq); }
    void set_ack(std::uint32_t ack) { set32(8, ack); }
    void set_window(std::uint16_t window) { set16(14, window); }
    // Of the time stamp option (RFC 7323), where there is one and its value is older.
    void set_newer_timestamp(std::uint32_t value);
    void set_newer_echo(std::uint32_t echo);
    // SACK blocks name bytes of `outlet`'s direction, whose first has sequence number isn + 1: from
    // output to input. A block that names no whole input byte becomes NOPs (RFC 2018). True: one
    // names bytes beyond the ACK, or what the sender sent twice.
    struct Told {
        std::uint64_t ack = 0;         // Input: what the segment acknowledges as it leaves.
        std::uint64_t sent_again = 0;  // Output: a D-SACK of bytes below isn't the sender's affair,
        stream::Resent* resent = nullptr;  // unless they are among these.
    };
    bool translate_sacks(const stream::Outlet& outlet, std::uint32_t isn, Told told);

    [[nodiscard]] bool changed() const { return changed_; }

private:
    void set16(std::uint32_t at, std::uint16_t value);
    void set32(std::uint32_t at, std::uint32_t value);

    std::uint8_t* tcp_;
    std::uint32_t header_size_;
    bool changed_ = false;
};

}  // namespace haka::output
