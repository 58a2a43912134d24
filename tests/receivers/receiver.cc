#include "receiver.h"

#include <array>
#include <fmt/format.h>

#include "stream/seq.h"
#include "wire/tcp.h"

namespace haka::receivers {
namespace {

constexpr std::int64_t kWindow = 1 << 20;
constexpr std::array<std::string_view, kOverlapCount> kNames{
    "first", "last", "bsd", "linux", "old-linux", "windows", "solaris"};

}  // namespace

std::vector<Kind> all_kinds(bool any_reset) {
    std::vector<Kind> kinds;
    for (const bool checks_time : {true, false}) {
        for (std::size_t overlap = 0; overlap < kOverlapCount; ++overlap) {
            for (unsigned i = 0; i < (any_reset ? 8U : 4U); ++i) {
                kinds.push_back({.overlap = static_cast<Overlap>(overlap),
                                 .checks_time = checks_time,
                                 .urgent_inline = (i & 1U) == 0,
                                 .strict_reset = (i & 4U) == 0,
                                 .needs_ack = (i & 2U) == 0});
            }
        }
    }
    return kinds;
}

std::string to_text(const Kind& kind) {
    return fmt::format("{}{}{}{}{}", kNames.at(static_cast<std::size_t>(kind.overlap)),
                       kind.checks_time ? ", PAWS" : "", kind.urgent_inline ? "" : ", urgent apart",
                       kind.strict_reset ? "" : ", any RST in the window",
                       kind.needs_ack ? "" : ", data without ACK");
}

bool Receiver::new_one_wins(const Cell& old, std::int64_t begin, std::int64_t end) const {
    switch (kind_.overlap) {
        case Overlap::First:
            return false;
        case Overlap::Last:
            return true;
        case Overlap::Bsd:
            return begin < old.begin;
        case Overlap::Linux:
            return begin <= old.begin;
        case Overlap::OldLinux:
            return begin < old.begin || (begin == old.begin && end > old.end);
        case Overlap::Windows:
            return begin < old.begin && end >= old.end;
        case Overlap::Solaris:
            return begin < old.begin || end > old.end;
    }
    return false;
}

void Receiver::take(const wire::Segment& segment, ByteView payload, bool time_agreed) {
    const auto has = [&](std::uint8_t flags) { return (segment.flags & flags) != 0; };
    if (is_reset_ || (!began_ && (!has(wire::kSyn) || has(wire::kRst)))) {
        return;
    }
    if (has(wire::kSyn)) {
        if (!began_) {
            began_ = true;
            isn_ = segment.seq;
            newest_time_ = segment.ts_value;
        }
        if (segment.seq == isn_) {
            add(segment, payload, 0);
        }
        return;
    }
    const std::uint32_t expected = isn_ + 1 + static_cast<std::uint32_t>(next_);
    const std::int64_t begin = next_ + stream::circle_distance(segment.seq, expected);
    if (has(wire::kRst)) {
        is_reset_ =
            kind_.strict_reset ? begin == next_ : begin >= next_ && begin < next_ + UINT16_MAX;
        return;
    }
    if (!has(wire::kAck) && kind_.needs_ack) {
        return;
    }
    if (time_agreed && segment.has_timestamp) {
        const std::int32_t newer = stream::circle_distance(segment.ts_value, newest_time_);
        if (newer < 0 && kind_.checks_time) {
            return;
        }
        if (newer > 0 && begin <= next_) {
            newest_time_ = segment.ts_value;
        }
    }
    add(segment, payload, begin);
}

void Receiver::add(const wire::Segment& segment, ByteView payload, std::int64_t begin) {
    const std::int64_t end = begin + static_cast<std::int64_t>(payload.size());
    const bool urgent = (segment.flags & wire::kUrg) != 0 && !kind_.urgent_inline;
    for (std::int64_t at = begin; at < end; ++at) {
        if (at < next_ || at >= next_ + kWindow || (fin_ >= 0 && at >= fin_)) {
            continue;
        }
        const auto place = static_cast<std::size_t>(at - begin);
        const Cell cell{.byte = payload[place],
                        .begin = begin,
                        .end = end,
                        .is_urgent = urgent && place + 1 == segment.urgent};
        const auto [there, is_new] = waiting_.try_emplace(at, cell);
        if (!is_new && new_one_wins(there->second, begin, end)) {
            there->second = cell;
        }
    }
    if ((segment.flags & wire::kFin) != 0 && end >= next_ && !got_fin_ &&
        (fin_ < 0 || kind_.overlap == Overlap::Last)) {
        fin_ = end;
    }
    deliver();
}

void Receiver::deliver() {
    while (!waiting_.empty() && waiting_.begin()->first <= next_ && (fin_ < 0 || next_ < fin_)) {
        const Cell& cell = waiting_.begin()->second;
        if (waiting_.begin()->first == next_) {
            if (!cell.is_urgent) {
                delivered_.push_back(static_cast<char>(cell.byte));
            }
            next_ += 1;
        }
        waiting_.erase(waiting_.begin());
    }
    if (fin_ == next_ && !got_fin_) {
        got_fin_ = true;
        next_ += 1;
    }
}

}  // namespace haka::receivers
