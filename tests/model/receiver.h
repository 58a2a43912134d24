// The receiving half of a model TCP end: puts segments in order, announces a window, remembers
// what to acknowledge how, and is read by an application at its own pace.
//
// Offsets count stream bytes, 0 is the first; the FIN stands behind the last and counts as one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace haka::model {

struct ReceiverOptions {
    std::uint32_t buffer = 65535;
    std::uint32_t read_size = 65535;   // The application reads so many bytes at a time,
    std::uint32_t read_pause_ms = 0;   // and pauses so long.
    std::uint32_t delayed_ack_ms = 0;  // 0: acknowledges each segment.
    std::uint32_t mss = 1460;
};

// [begin, end)
struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;
};
// Keeps `ranges` sorted and apart from each other.
void add_range(std::vector<Range>& ranges, Range range);

class Receiver {
public:
    explicit Receiver(const ReceiverOptions& options) : options_(options) {}

    // The window is no larger than its field, so scaled, can tell.
    void set_scale(std::uint8_t scale);
    // What came; empty, or what is wrong with it.
    [[nodiscard]] std::string take(std::int64_t begin, std::string_view payload, bool fin,
                                   Instant now);
    // The application reads what is due.
    void read(Instant now);

    [[nodiscard]] bool is_ack_due(Instant now) const { return ack_now_ || now >= ack_at_; }
    [[nodiscard]] Instant next() const { return read_at_ < ack_at_ ? read_at_ : ack_at_; }
    void ask_for_ack() { ack_now_ = true; }
    // An ACK leaves: its window field, scaled; notes what it announces.
    [[nodiscard]] std::uint16_t announce();
    // Blocks for that ACK, D-SACK first (RFC 2018, RFC 2883); at most `count`.
    [[nodiscard]] std::vector<Range> sacks(std::uint32_t count);

    [[nodiscard]] std::int64_t ack() const { return next_; }
    [[nodiscard]] std::int64_t acknowledged() const { return acknowledged_; }
    [[nodiscard]] bool is_complete() const { return fin_ >= 0 && next_ > fin_; }
    [[nodiscard]] bool is_read() const { return is_complete() && read_ == fin_; }
    // In order, read or not.
    [[nodiscard]] std::string_view bytes() const;

private:
    [[nodiscard]] std::string check(std::int64_t begin, std::string_view payload, bool fin);
    void store(std::int64_t begin, std::string_view payload);
    [[nodiscard]] std::int64_t possible_edge() const;

    ReceiverOptions options_;
    std::string data_;
    std::vector<Range> ahead_;  // Out of order.
    std::int64_t next_ = 0;     // All before it is there, the FIN too.
    std::int64_t read_ = 0;     // By the application.
    std::int64_t edge_ = 0;     // Announced: bytes before it may come.
    std::int64_t fin_ = -1;
    std::int64_t newest_ = -1;  // Where the last segment out of order began.
    std::int64_t acknowledged_ = 0;
    Range doubled_;                     // Came twice: for the next ACK.
    std::uint32_t unacknowledged_ = 0;  // Segments in order.
    std::uint8_t scale_ = 0;
    bool ack_now_ = false;
    Instant ack_at_{INT64_MAX};
    Instant read_at_{INT64_MAX};
};

}  // namespace haka::model
