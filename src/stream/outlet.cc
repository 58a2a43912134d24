#include "stream/outlet.h"

#include <algorithm>
#include <cassert>

namespace haka::stream {

Outlet::Outlet(StreamMemory& memory, StreamBuffer& input, Receiver receiver, std::uint64_t left)
    : input_(&input),
      bytes_(memory),
      acked_(std::min(receiver.acked, left)),
      sent_(left),
      decided_(left),
      shown_(input.begin()),
      window_end_(receiver.window_end),
      told_ack_(acked_),
      told_edge_(receiver.window_end),
      gap_end_(input.gap_end()) {
    assert(input.begin() <= left && left <= input.end());
    pin();
}

Outlet::~Outlet() {
    input_->pin(UINT64_MAX);
    if (edited_) {
        input_->distrust_last();
    }
}

bool Outlet::edit(std::uint64_t at, std::uint32_t erase, ByteView insert, std::size_t patches_max) {
    assert(decided_ <= at && at + erase <= end());
    if (!bytes_.active()) {
        const std::uint64_t kept = input_->kept_begin();
        if (!bytes_.start(kept + map_.shift(), input_->kept(kept, input_->end()))) {
            return false;
        }
    }
    const auto inserted = static_cast<std::uint32_t>(insert.size());
    if (!bytes_.reserve(inserted)) {
        return false;
    }
    map_.edit(decided_, at, erase, inserted, patches_max);
    bytes_.edit(at, erase, insert);
    edited_ = true;
    return true;
}

bool Outlet::follow(std::uint64_t old_end) {
    if (input_->gap_end() != gap_end_) {
        // Everything before the gap was decided, and nothing of it is kept.
        gap_end_ = input_->gap_end();
        map_.prune(UINT64_MAX);
        bytes_.stop();
        acked_ = sent_ = decided_ = shown_ = gap_end_ + map_.shift();
        tell(gap_end_, gap_end_);
        pin();
    }
    return !bytes_.active() || bytes_.append(input_->kept(old_end, input_->end()));
}

std::uint64_t Outlet::decide(std::uint64_t offset, std::uint64_t shown) {
    decided_ = std::clamp(offset, decided_, end());
    shown_ = std::clamp(shown, shown_, decided_);
    pin();
    return input_->release(map_.acked_input(decided_));
}

// The input keeps what may be sent for the first time or, without bytes of our own, shown.
void Outlet::pin() {
    const std::uint64_t sent = map_.acked_input(sent_);
    input_->pin(bytes_.active() ? sent : std::min(sent, shown_ - map_.shift()));
}

ByteView Outlet::bytes(std::uint64_t from, std::uint64_t to) const {
    if (bytes_.active()) {
        return bytes_.view(from, to);
    }
    return input_->kept(from - map_.shift(), to - map_.shift());
}

void Outlet::note_sent(std::uint64_t offset) {
    sent_ = std::max(sent_, offset);
    pin();
}

void Outlet::acknowledge(std::uint64_t acked, std::uint64_t window_end) {
    window_end_ = std::max(window_end_, window_end);
    if (acked <= acked_) {
        return;
    }
    acked_ = std::min(acked, sent_);
    map_.prune(acked_);
    input_->acknowledged(map_.acked_input(acked_));
    if (bytes_.active()) {
        bytes_.drop_before(std::min(acked_, shown_));
        // Not while the input still has what was erased there, undecided, nor while it lacks what
        // is shown.
        if (map_.empty() && input_->kept_begin() >= acked_input() && shown_ >= acked_) {
            bytes_.stop();
            pin();  // What is shown is the input's from here on.
        }
    }
}

std::uint64_t Outlet::input_edge() const {
    const std::uint64_t end_now = end();
    return window_end_ >= end_now ? input_->end() + (window_end_ - end_now)
                                  : map_.acked_input(window_end_);
}

void Outlet::tell(std::uint64_t ack, std::uint64_t edge) {
    told_ack_ = std::max(told_ack_, ack);
    told_edge_ = std::max(told_edge_, edge);
}

}  // namespace haka::stream
