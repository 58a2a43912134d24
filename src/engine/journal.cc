#include "engine/journal.h"

#include <algorithm>
#include <cstring>

namespace haka::engine {
namespace {

// A buffer is kept that is no larger than this, or than so many times what was last in one.
constexpr std::size_t kRoomKept = std::size_t{1} << 20;
constexpr std::size_t kRoomFactor = 8;

}  // namespace

void Journal::stage(RecordHead head, std::string_view first, std::string_view second) {
    head.size = static_cast<std::uint32_t>(first.size() + second.size());
    head.split = static_cast<std::uint32_t>(first.size());
    const std::size_t at = staged_.size();
    staged_.resize(at + sizeof head + head.size);
    std::uint8_t* to = staged_.data() + at;
    std::memcpy(to, &head, sizeof head);
    if (!first.empty()) {
        std::memcpy(to + sizeof head, first.data(), first.size());
    }
    if (!second.empty()) {
        std::memcpy(to + sizeof head + first.size(), second.data(), second.size());
    }
}

void Journal::block_alerts() {
    constexpr std::string_view kAllowed = "\"action\":\"allowed\"";
    constexpr std::string_view kBlocked = "\"action\":\"blocked\"";
    static_assert(kAllowed.size() == kBlocked.size());
    for (RecordReader record(staged_); !record.done(); record.next()) {
        const std::string_view line = record.second();
        // A quotation mark in the alert's own texts is escaped, so this is the field.
        const std::size_t at =
            record.head().kind == RecordKind::Alert && record.head().event == Event::None
                ? line.find(kAllowed)
                : std::string_view::npos;
        if (at != std::string_view::npos) {
            const std::size_t place =
                static_cast<std::size_t>(as_bytes(line).data() - staged_.data()) + at;
            std::memcpy(staged_.data() + place, kBlocked.data(), kBlocked.size());
        }
    }
}

void Journal::publish() {
    const std::lock_guard lock(mutex_);
    if (committed_.empty()) {
        committed_.swap(staged_);
    } else {
        committed_.insert(committed_.end(), staged_.begin(), staged_.end());
    }
    staged_.clear();
}

void Journal::take(std::vector<std::uint8_t>& out) {
    out.clear();
    const std::lock_guard lock(mutex_);
    out.swap(committed_);
    // One that was large once, when nobody wrote for a while, goes back to the system.
    if (committed_.capacity() > std::max(kRoomKept, out.size() * kRoomFactor)) {
        std::vector<std::uint8_t>().swap(committed_);
    }
}

std::size_t Journal::committed_bytes() {
    const std::lock_guard lock(mutex_);
    return committed_.size();
}

bool Journal::empty() {
    const std::lock_guard lock(mutex_);
    return committed_.empty();
}

void RecordReader::load() {
    if (!done()) {
        std::memcpy(&head_, bytes_.data() + at_, sizeof head_);
    }
}

void RecordReader::next() {
    at_ += sizeof(RecordHead) + head_.size;
    load();
}

}  // namespace haka::engine
