#include "path.h"

#include <algorithm>
#include <utility>

namespace haka::model {

bool Path::is_later(const Waiting& a, const Waiting& b) {
    return a.when != b.when ? a.when > b.when : a.number > b.number;
}

void Path::add(Instant when, Bytes frame) {
    waiting_.push_back({.when = when, .number = ++number_, .frame = std::move(frame)});
    std::push_heap(waiting_.begin(), waiting_.end(), is_later);
}

bool Path::send(Instant now, Bytes frame) {
    const Instant when = now + kMillisecond * options_.delay_ms;
    const auto late = [&] {
        return when + kMillisecond *
                          static_cast<std::int64_t>(random_.below(4ULL * options_.delay_ms + 20));
    };
    if (random_.chance(options_.duplicate)) {
        add(late(), frame);
    }
    if (random_.chance(options_.loss)) {
        return false;
    }
    add(random_.chance(options_.reorder) ? late() : when, std::move(frame));
    return true;
}

Instant Path::next() const {
    return waiting_.empty() ? Instant{INT64_MAX} : waiting_.front().when;
}

Bytes Path::take() {
    std::pop_heap(waiting_.begin(), waiting_.end(), is_later);
    Bytes frame = std::move(waiting_.back().frame);
    waiting_.pop_back();
    return frame;
}

}  // namespace haka::model
