// The sending half of a model TCP end: an application that writes, congestion and loss recovery
// (RFC 5681, 6582, simple SACK recovery), the retransmission timer (RFC 6298), window probes.
//
// Offsets count stream bytes, 0 is the first; the FIN stands behind the last and counts as one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "random.h"
#include "receiver.h"

namespace haka::model {

struct SenderOptions {
    std::string text{};                // What the application writes, before it closes,
    std::uint32_t write_size = 65535;  // so much at a time,
    std::uint32_t write_pause_ms = 0;  // with pauses.
    bool nagle = false;
    bool ragged = false;     // Cuts segments shorter than it could, resends at other borders.
    bool old_probe = false;  // Probes a closed window with an old empty segment, as Linux does.
    std::uint64_t seed = 0;
};

struct Piece {
    std::int64_t begin = 0;
    std::uint32_t size = 0;
    bool fin = false;
    bool push = false;
};

class Sender {
public:
    explicit Sender(const SenderOptions& options) : options_(options), random_(options.seed) {}

    // The handshake is done; the application may write now, or when start_writing() says so.
    void open(Instant now, std::uint32_t mss, std::int64_t edge);
    void start_writing(Instant now) { write_at_ = now; }

    struct Ack {
        std::int64_t ack = 0;
        std::int64_t edge = 0;
        std::vector<Range> sacks{};
        bool bare = false;                       // Neither payload nor FIN.
        std::optional<std::uint32_t> trip_ms{};  // What the timestamps say.
    };
    // Empty, or what is wrong with it.
    [[nodiscard]] std::string take(const Ack& ack, Instant now);
    // Lets time pass, then: the next segment to send.
    [[nodiscard]] std::optional<Piece> next_piece(Instant now);

    [[nodiscard]] Instant next() const;
    [[nodiscard]] std::int64_t unacknowledged() const { return una_; }
    // Where an empty segment stands.
    [[nodiscard]] std::int64_t position() const { return max_; }
    [[nodiscard]] bool is_done() const { return una_ == end() + 1; }
    [[nodiscard]] std::string_view text() const { return options_.text; }

private:
    [[nodiscard]] std::int64_t end() const {
        return static_cast<std::int64_t>(options_.text.size());
    }
    void write(Instant now);
    void run_timers(Instant now);
    [[nodiscard]] std::string take_sacks(const std::vector<Range>& sacks);
    void take_new_ack(const Ack& ack, Instant now);
    void take_same_ack(const Ack& ack, bool news);
    void measure(std::uint32_t trip_ms);
    [[nodiscard]] std::optional<Piece> recovery_piece();
    [[nodiscard]] std::optional<Piece> plain_piece();
    [[nodiscard]] std::optional<Piece> probe(Instant now);
    [[nodiscard]] Piece cut(std::int64_t begin, std::int64_t size);
    [[nodiscard]] bool has_work() const;
    void sent(const Piece& piece, Instant now);

    SenderOptions options_;
    Random random_;
    bool open_ = false;
    std::uint32_t mss_ = 536;
    std::int64_t written_ = 0;
    bool closed_ = false;  // The application writes no more.
    std::int64_t una_ = 0;
    std::int64_t next_ = 0;  // To be sent next; goes back after a timeout.
    std::int64_t max_ = 0;   // Sent so far.
    std::int64_t edge_ = 0;  // Of the window.
    std::int64_t window_max_ = 0;
    std::int64_t cwnd_ = 0;
    std::int64_t ssthresh_ = INT64_MAX / 4;
    std::uint32_t same_acks_ = 0;
    std::int64_t recover_ = -1;  // In recovery until this is acknowledged; -1: not in recovery.
    std::int64_t resend_ = -1;   // In recovery: send again from here.
    std::int64_t resent_ = 0;    // In recovery: so far.
    std::vector<Range> sacked_;
    std::int64_t rto_ms_ = 1000;
    std::int64_t trip_ms_ = -1;  // Smoothed.
    std::int64_t trip_variation_ms_ = 0;
    std::int64_t timed_ = -1;  // The offset whose ACK is timed.
    Instant timed_since_;
    bool override_ = false;  // The probe timer has run out.
    Instant write_at_{INT64_MAX};
    Instant resend_at_{INT64_MAX};
    Instant probe_at_{INT64_MAX};
};

}  // namespace haka::model
