#include "sender.h"

#include <algorithm>
#include <fmt/format.h>

namespace haka::model {

namespace {

constexpr Instant kNever{INT64_MAX};
constexpr std::int64_t kRtoMin = 200;
constexpr std::int64_t kRtoMax = 8000;  // Real ends go up to 120 s; this is for losses of 50 %.

}  // namespace

void Sender::open(Instant now, std::uint32_t mss, std::int64_t edge) {
    open_ = true;
    mss_ = mss;
    edge_ = edge;
    window_max_ = edge;
    cwnd_ = std::int64_t{mss} * 10;
    write(now);
}

void Sender::write(Instant now) {
    while (now >= write_at_ && !closed_) {
        written_ = std::min(end(), written_ + options_.write_size);
        closed_ = written_ == end();
        write_at_ = closed_ ? kNever : write_at_ + kMillisecond * options_.write_pause_ms;
    }
}

void Sender::measure(std::uint32_t trip_ms) {
    const auto trip = static_cast<std::int64_t>(trip_ms);
    if (trip_ms_ < 0) {
        trip_ms_ = trip;
        trip_variation_ms_ = trip / 2;
    } else {
        trip_variation_ms_ += (std::abs(trip - trip_ms_) - trip_variation_ms_) / 4;
        trip_ms_ += (trip - trip_ms_) / 8;
    }
    rto_ms_ = std::clamp(trip_ms_ + 4 * trip_variation_ms_, kRtoMin, kRtoMax);
}

std::string Sender::take_sacks(const std::vector<Range>& sacks) {
    for (const Range& block : sacks) {
        if (block.begin >= block.end || block.begin < 0 || block.end > max_) {
            return fmt::format("SACK block {} to {}, sent are 0 to {}", block.begin, block.end,
                               max_);
        }
        if (block.begin >= una_) {
            add_range(sacked_, block);
        }
    }
    return {};
}

std::string Sender::take(const Ack& ack, Instant now) {
    if (ack.ack > max_) {
        return fmt::format("ACK of {}, sent are {}", ack.ack, max_);
    }
    const auto sacked_before = [&] {
        std::int64_t sum = 0;
        for (const Range& range : sacked_) {
            sum += range.end - range.begin;
        }
        return sum;
    };
    const std::int64_t before = sacked_before();
    std::string wrong = take_sacks(ack.sacks);
    if (!wrong.empty()) {
        return wrong;
    }
    const bool moved = ack.edge > edge_;
    edge_ = std::max(edge_, ack.edge);
    window_max_ = std::max(window_max_, ack.edge - ack.ack);
    if (moved) {
        probe_at_ = kNever;
    }
    if (ack.ack > una_) {
        take_new_ack(ack, now);
    } else if (ack.ack == una_ && ack.bare && max_ > una_ && !moved) {
        take_same_ack(ack, sacked_before() != before);
    }
    return {};
}

void Sender::take_new_ack(const Ack& ack, Instant now) {
    if (ack.trip_ms) {
        measure(*ack.trip_ms);
    } else if (timed_ >= 0 && ack.ack > timed_) {
        measure(static_cast<std::uint32_t>((now - timed_since_).ns / kMillisecond.ns));
    }
    if (timed_ >= 0 && ack.ack > timed_) {
        timed_ = -1;
    }
    const std::int64_t more = ack.ack - una_;
    una_ = ack.ack;
    next_ = std::max(next_, una_);
    same_acks_ = 0;
    std::erase_if(sacked_, [&](const Range& range) { return range.end <= una_; });
    if (recover_ >= 0 && una_ >= recover_) {
        recover_ = -1;
        resend_ = -1;
        cwnd_ = ssthresh_;
    } else if (recover_ >= 0) {
        resend_ = una_;
        cwnd_ = std::max<std::int64_t>(cwnd_ - more + mss_, mss_);
    } else {
        cwnd_ += cwnd_ < ssthresh_ ? std::min<std::int64_t>(more, mss_)
                                   : std::max<std::int64_t>(std::int64_t{mss_} * mss_ / cwnd_, 1);
    }
    if (trip_ms_ >= 0) {
        rto_ms_ = std::clamp(trip_ms_ + 4 * trip_variation_ms_, kRtoMin, kRtoMax);
    }
    resend_at_ = next_ > una_ ? now + kMillisecond * rto_ms_ : kNever;
    probe_at_ = kNever;
}

void Sender::take_same_ack(const Ack& ack, bool news) {
    if (!ack.sacks.empty() && !news && recover_ < 0) {
        return;  // Only a D-SACK: it says that nothing was lost.
    }
    same_acks_ += 1;
    if (recover_ >= 0) {
        cwnd_ += mss_;
        if (sacked_.empty()) {
            return;
        }
        // The next hole below what has arrived, not sent again yet.
        std::int64_t hole = std::max(una_, resent_);
        for (const Range& range : sacked_) {
            if (hole < range.begin) {
                resend_ = hole;
                return;
            }
            hole = std::max(hole, range.end);
        }
    } else if (same_acks_ == 3 && next_ == max_) {
        recover_ = max_;
        ssthresh_ = std::max<std::int64_t>((next_ - una_) / 2, 2 * std::int64_t{mss_});
        cwnd_ = ssthresh_ + 3 * std::int64_t{mss_};
        resend_ = una_;
        resent_ = una_;
    }
}

void Sender::run_timers(Instant now) {
    write(now);
    if (now >= resend_at_) {
        ssthresh_ = std::max<std::int64_t>((next_ - una_) / 2, 2 * std::int64_t{mss_});
        cwnd_ = mss_;
        next_ = una_;
        recover_ = -1;
        resend_ = -1;
        timed_ = -1;
        same_acks_ = 0;
        sacked_.clear();
        rto_ms_ = std::min(rto_ms_ * 2, kRtoMax);
        resend_at_ = kNever;
    }
    if (now >= probe_at_) {
        override_ = true;
        probe_at_ = kNever;
        rto_ms_ = std::min(rto_ms_ * 2, kRtoMax);
    }
}

// A piece of at most `size` bytes from `begin`, and the FIN if it comes to stand behind the last.
Piece Sender::cut(std::int64_t begin, std::int64_t size) {
    size = std::clamp<std::int64_t>(size, 0, std::min<std::int64_t>(mss_, written_ - begin));
    if (options_.ragged && size > 1 && random_.chance(30)) {
        size = 1 + static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(size)));
    }
    const std::int64_t stop = begin + size;
    // Nor does the FIN stand outside of the window.
    const bool fin = closed_ && stop == end() && stop < edge_;
    return {.begin = begin,
            .size = static_cast<std::uint32_t>(size),
            .fin = fin,
            .push = size != 0 && stop == written_};
}

std::optional<Piece> Sender::recovery_piece() {
    if (resend_ < 0 || resend_ >= max_) {
        return std::nullopt;
    }
    const std::int64_t begin = resend_;
    resend_ = -1;
    std::int64_t stop = std::min(begin + mss_, max_);
    for (const Range& range : sacked_) {
        if (range.begin > begin) {
            stop = std::min(stop, range.begin);
        }
    }
    const Piece piece = cut(begin, stop - begin);
    resent_ = begin + piece.size;
    return piece.size == 0 && !piece.fin ? std::nullopt : std::optional(piece);
}

std::optional<Piece> Sender::plain_piece() {
    std::int64_t arrived = 0;
    for (const Range& range : sacked_) {
        if (range.begin <= next_ && next_ < range.end) {
            next_ = range.end;
        }
        arrived += range.end - range.begin;
    }
    if (next_ > end()) {
        return std::nullopt;
    }
    const std::int64_t stop = std::min({edge_, una_ + cwnd_ + arrived, written_});
    const Piece piece = cut(next_, stop - next_);
    if (piece.size == 0) {
        return piece.fin ? std::optional(piece) : std::nullopt;
    }
    const bool idle = next_ == una_;
    const bool is_full = piece.size == mss_ || options_.ragged;
    const bool is_all = next_ + piece.size == written_;
    const bool is_new = next_ >= max_;
    const bool is_much = std::int64_t{piece.size} * 2 >= window_max_;
    const bool goes = is_full || is_much || !is_new || override_ ||
                      (is_all && (idle || !options_.nagle || piece.fin)) ||
                      (idle && next_ + piece.size < edge_);
    return goes ? std::optional(piece) : std::nullopt;
}

bool Sender::has_work() const {
    return next_ < written_ || (closed_ && next_ == end());
}

// Nothing is on its way that could bring an ACK, and the window lets nothing go.
std::optional<Piece> Sender::probe(Instant now) {
    if (next_ != una_ || !has_work()) {
        return std::nullopt;
    }
    if (!override_) {
        if (probe_at_ == kNever) {
            probe_at_ = now + kMillisecond * rto_ms_;
        }
        return std::nullopt;
    }
    override_ = false;
    probe_at_ = now + kMillisecond * rto_ms_;
    if (options_.old_probe || next_ == end() || next_ < edge_) {
        return Piece{.begin = una_ - 1};
    }
    max_ = std::max(max_, next_ + 1);
    return Piece{.begin = next_, .size = 1};
}

void Sender::sent(const Piece& piece, Instant now) {
    override_ = false;
    const std::int64_t stop = piece.begin + piece.size + (piece.fin ? 1 : 0);
    if (timed_ < 0 && piece.begin >= max_) {
        timed_ = piece.begin;
        timed_since_ = now;
    } else if (piece.begin < max_ && piece.begin <= timed_) {
        timed_ = -1;
    }
    max_ = std::max(max_, stop);
    if (resend_at_ == kNever) {
        resend_at_ = now + kMillisecond * rto_ms_;
    }
    probe_at_ = kNever;
}

std::optional<Piece> Sender::next_piece(Instant now) {
    run_timers(now);
    if (!open_) {
        return std::nullopt;
    }
    std::optional<Piece> piece = recovery_piece();
    if (piece) {
        sent(*piece, now);
        return piece;
    }
    piece = plain_piece();
    if (piece) {
        sent(*piece, now);
        next_ = piece->begin + piece->size + (piece->fin ? 1 : 0);
        return piece;
    }
    return probe(now);
}

Instant Sender::next() const {
    return std::min({write_at_, open_ ? resend_at_ : kNever, open_ ? probe_at_ : kNever});
}

}  // namespace haka::model
