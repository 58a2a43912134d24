#include "receiver.h"

#include <algorithm>
#include <cstring>
#include <fmt/format.h>

namespace haka::model {

namespace {

constexpr Instant kNever{INT64_MAX};
constexpr std::size_t kStreamMax = 16U << 20;  // No policy here makes more of 60 KB.

}  // namespace

void add_range(std::vector<Range>& ranges, Range range) {
    auto at = ranges.begin();
    while (at != ranges.end() && at->end < range.begin) {
        ++at;
    }
    while (at != ranges.end() && at->begin <= range.end) {
        range.begin = std::min(range.begin, at->begin);
        range.end = std::max(range.end, at->end);
        at = ranges.erase(at);
    }
    ranges.insert(at, range);
}

std::string_view Receiver::bytes() const {
    const std::int64_t end = is_complete() ? fin_ : next_;
    return std::string_view(data_).substr(0, static_cast<std::size_t>(end));
}

void Receiver::set_scale(std::uint8_t scale) {
    scale_ = scale;
    options_.buffer = std::min(options_.buffer, 65'535U << scale);
}

// A probe of a closed window may carry one byte beyond it (RFC 9293, 3.8.6.1).
std::string Receiver::check(std::int64_t begin, std::string_view payload, bool fin) {
    const auto size = static_cast<std::int64_t>(payload.size());
    const std::int64_t end = begin + size;
    const bool probe = size == 1 && begin == edge_;
    if (end > edge_ && !probe && (size != 0 || fin)) {
        return fmt::format("bytes {} to {} outside the window, which ends at {}", begin, end,
                           edge_);
    }
    if (fin && fin_ >= 0 && fin_ != end) {
        return fmt::format("a second FIN at {}, the first was at {}", end, fin_);
    }
    if (fin_ >= 0 && end > fin_ && size != 0) {
        return fmt::format("bytes up to {} behind the FIN at {}", end, fin_);
    }
    if (fin && fin_ < 0 && (next_ > end || (!ahead_.empty() && ahead_.back().end > end))) {
        return fmt::format("a FIN at {} before bytes that came", end);
    }
    if (end > static_cast<std::int64_t>(kStreamMax)) {
        return "too many bytes";
    }
    const auto differs = [&](const Range& had) {
        const std::int64_t from = std::max({had.begin, begin, std::int64_t{0}});
        const std::int64_t to = std::min(had.end, end);
        return from < to && std::memcmp(data_.data() + from, payload.data() + (from - begin),
                                        static_cast<std::size_t>(to - from)) != 0;
    };
    const auto size_now = static_cast<std::int64_t>(data_.size());
    if (differs({.begin = 0, .end = std::min(next_, size_now)}) ||
        std::ranges::any_of(ahead_, differs)) {
        return fmt::format("bytes {} to {} differ from those that came first", begin, end);
    }
    return {};
}

void Receiver::store(std::int64_t begin, std::string_view payload) {
    const std::int64_t end = begin + static_cast<std::int64_t>(payload.size());
    data_.resize(std::max(data_.size(), static_cast<std::size_t>(end)));
    std::memcpy(data_.data() + begin, payload.data(), payload.size());
    if (begin > next_) {
        newest_ = begin;
        add_range(ahead_, {.begin = begin, .end = end});
        return;
    }
    next_ = end;
    while (!ahead_.empty() && ahead_.front().begin <= next_) {
        next_ = std::max(next_, ahead_.front().end);
        ahead_.erase(ahead_.begin());
    }
}

std::string Receiver::take(std::int64_t begin, std::string_view payload, bool fin, Instant now) {
    std::string wrong = check(begin, payload, fin);
    if (!wrong.empty()) {
        return wrong;
    }
    const auto end = begin + static_cast<std::int64_t>(payload.size());
    if (payload.empty() && !fin) {
        ack_now_ = ack_now_ || begin < next_;  // A probe.
        return {};
    }
    const std::int64_t before = next_;
    const bool had_ahead = !ahead_.empty();
    const bool known = end <= next_ || std::ranges::any_of(ahead_, [&](const Range& range) {
                           return range.begin <= begin && range.end >= end;
                       });
    if (known && !payload.empty()) {
        doubled_ = {.begin = std::max<std::int64_t>(begin, 0), .end = end};
    }
    if (fin) {
        fin_ = end;
    }
    if (!known && !payload.empty() && end <= edge_) {
        const std::int64_t skip = std::clamp<std::int64_t>(next_ - begin, 0, end - begin);
        store(begin + skip, payload.substr(static_cast<std::size_t>(skip)));
    }
    if (fin_ >= 0 && next_ == fin_) {
        next_ = fin_ + 1;
    }
    const bool in_order = next_ > before && !had_ahead && !fin;
    unacknowledged_ += in_order ? 1 : 0;
    if (!in_order || options_.delayed_ack_ms == 0 || unacknowledged_ >= 2) {
        ack_now_ = true;
    } else if (ack_at_ == kNever) {
        ack_at_ = now + kMillisecond * options_.delayed_ack_ms;
    }
    if (read_at_ == kNever && read_ < next_) {
        read_at_ = now + kMillisecond * options_.read_pause_ms;
    }
    return {};
}

void Receiver::read(Instant now) {
    const std::int64_t there = is_complete() ? fin_ : next_;
    while (now >= read_at_) {
        read_ = std::min(there, read_ + options_.read_size);
        read_at_ = read_ < there ? read_at_ + kMillisecond * options_.read_pause_ms : kNever;
    }
    // Tells of a window that opened by something worth it (RFC 9293, 3.8.6.2.2).
    ack_now_ = ack_now_ || (possible_edge() - edge_ >= 2 * std::int64_t{options_.mss} ||
                            (possible_edge() > edge_ && edge_ - next_ == 0 &&
                             possible_edge() - edge_ >= options_.buffer / 2));
}

std::int64_t Receiver::possible_edge() const {
    const std::int64_t edge = read_ + options_.buffer;
    const std::int64_t step = std::min<std::int64_t>(options_.mss, options_.buffer / 2);
    return edge - edge_ >= step ? edge : edge_;
}

// A right edge is never withdrawn, so a scaled window is rounded up.
std::uint16_t Receiver::announce() {
    const std::int64_t window = std::max<std::int64_t>(possible_edge() - next_, 0);
    const std::int64_t unit = std::int64_t{1} << scale_;
    const std::int64_t field = std::min<std::int64_t>((window + unit - 1) / unit, 65535);
    edge_ = std::max(edge_, next_ + field * unit);
    acknowledged_ = next_;
    unacknowledged_ = 0;
    ack_now_ = false;
    ack_at_ = kNever;
    return static_cast<std::uint16_t>(field);
}

std::vector<Range> Receiver::sacks(std::uint32_t count) {
    std::vector<Range> blocks;
    if (doubled_.end > doubled_.begin) {
        blocks.push_back(doubled_);
        doubled_ = {};
    }
    const auto is_newest = [&](const Range& range) {
        return range.begin <= newest_ && newest_ < range.end;
    };
    std::ranges::copy_if(ahead_, std::back_inserter(blocks), is_newest);
    std::ranges::copy_if(ahead_, std::back_inserter(blocks),
                         [&](const Range& range) { return !is_newest(range); });
    blocks.resize(std::min<std::size_t>(blocks.size(), count));
    return blocks;
}

}  // namespace haka::model
