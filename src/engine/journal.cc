#include "engine/journal.h"

#include <cstring>

namespace haka::engine {

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
