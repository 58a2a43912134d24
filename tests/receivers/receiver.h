// One direction of a TCP connection as the host that receives it delivers it. Hosts differ in which
// copy of a byte they keep, and in what they drop; a trustworthy engine leaves them no choice.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "wire/segment.h"

namespace haka::receivers {

// Whose copy of a byte that waits behind a hole counts (Novak and Sturges, Target-Based TCP Stream
// Reassembly, 2007, and Shankar and Paxson before them).
enum class Overlap : std::uint8_t { First, Last, Bsd, Linux, OldLinux, Windows, Solaris };
constexpr std::size_t kOverlapCount = 7;

struct Kind {
    Overlap overlap = Overlap::First;
    bool checks_time = true;    // PAWS.
    bool urgent_inline = true;  // Else the urgent byte isn't part of the stream.
    bool strict_reset = true;   // RFC 5961; else any RST in the window ends the connection.
    bool needs_ack = true;      // Else data without the ACK flag counts, too.
};

// Every combination; those that check time stamps first. `any_reset`: also those that believe any
// RST in the window.
[[nodiscard]] std::vector<Kind> all_kinds(bool any_reset);
[[nodiscard]] std::string to_text(const Kind& kind);

class Receiver {
public:
    explicit Receiver(const Kind& kind) : kind_(kind) {}

    // `time_agreed`: both SYNs had a time stamp.
    void take(const wire::Segment& segment, ByteView payload, bool time_agreed);

    [[nodiscard]] const std::string& delivered() const { return delivered_; }
    [[nodiscard]] bool began() const { return began_; }
    [[nodiscard]] bool got_fin() const { return got_fin_; }
    [[nodiscard]] bool is_reset() const { return is_reset_; }
    [[nodiscard]] bool has_hole() const { return !waiting_.empty(); }

private:
    struct Cell {
        std::uint8_t byte = 0;
        std::int64_t begin = 0;  // The segment that brought it.
        std::int64_t end = 0;
        bool is_urgent = false;
    };

    [[nodiscard]] bool new_one_wins(const Cell& old, std::int64_t begin, std::int64_t end) const;
    void add(const wire::Segment& segment, ByteView payload, std::int64_t begin);
    void deliver();

    Kind kind_;
    std::string delivered_;
    std::map<std::int64_t, Cell> waiting_;
    std::int64_t next_ = 0;  // The offset of the byte that it expects.
    std::int64_t fin_ = -1;  // Where the FIN stands, once it has come.
    std::uint32_t isn_ = 0;
    std::uint32_t newest_time_ = 0;
    bool began_ = false;
    bool got_fin_ = false;
    bool is_reset_ = false;
};

}  // namespace haka::receivers
