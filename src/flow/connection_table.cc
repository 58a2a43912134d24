#include "flow/connection_table.h"

#include <algorithm>
#include <cassert>
#include <memory>
#include <span>

namespace haka::flow {

namespace {

constexpr std::size_t kSlotsMin = 4096;
// Indices from 2^31 on are the timer wheel's markers.
constexpr std::uint32_t kConnectionsMax = 1U << 30;

// Three quarters full at most: a miss then looks at 8.5 slots on average, little over one line.
constexpr bool is_crowded(std::size_t used, std::size_t slots) {
    return used * 4 > slots * 3;
}

std::uint32_t half_open_limit(std::uint32_t connections_max, std::uint32_t percent) {
    const std::uint64_t limit = std::uint64_t{connections_max} * std::min(percent, 100U) / 100;
    return static_cast<std::uint32_t>(std::max<std::uint64_t>(limit, 1));
}

}  // namespace

ConnectionTable::ConnectionTable(const TcpSettings& settings, std::uint64_t seed)
    : secret_(HashKey::from_seed(seed)),
      connections_max_(std::min(settings.connections_max, kConnectionsMax)),
      half_open_max_(half_open_limit(connections_max_, settings.half_open_percent)),
      shift_(32 - static_cast<std::uint32_t>(std::countr_zero(kSlotsMin))) {
    make_slots(kSlotsMin);
}

void ConnectionTable::make_slots(std::size_t count) {
    slot_memory_ = allocate_huge(count * sizeof(Slot));
    slot_count_ = count;
    void* const memory = slot_memory_.get();
    slots_ = static_cast<Slot*>(memory);
    std::uninitialized_fill_n(slots_, count, Slot{});
}

void ConnectionTable::prefetch_connection(std::uint64_t hash) const {
    const std::uint32_t tag = tag_of(hash);
    for (std::size_t i = home(tag);; i = (i + 1) & mask()) {
        const Slot slot = slots_[i];
        if (slot.index == kNoIndex) {
            return;
        }
        if (slot.tag == tag) {
            // One address in each cache line.
            const Connection& connection = at(slot.index);
            __builtin_prefetch(&connection.key, 1);
            __builtin_prefetch(&connection.halves[0].acked, 1);
            __builtin_prefetch(&connection.halves[1].acked, 1);
            __builtin_prefetch(&connection.state, 1);
            return;
        }
    }
}

Connection* ConnectionTable::find(const FlowKey& key, std::uint64_t hash) {
    const std::uint32_t tag = tag_of(hash);
    for (std::size_t i = home(tag);; i = (i + 1) & mask()) {
        const Slot slot = slots_[i];
        if (slot.index == kNoIndex) {
            return nullptr;
        }
        if (slot.tag == tag) {
            Connection& connection = at(slot.index);
            if (connection.key == key) {
                return &connection;
            }
        }
    }
}

Connection* ConnectionTable::eviction_candidate() {
    const bool must_evict = half_open_ >= half_open_max_ || size_ >= connections_max_;
    return must_evict && half_open_oldest_ != kNoIndex ? &at(half_open_oldest_) : nullptr;
}

Connection* ConnectionTable::create(const FlowKey& key, std::uint64_t hash, Instant now,
                                    std::uint64_t id) {
    assert(id != 0);
    if (size_ >= connections_max_ || half_open_ >= half_open_max_) {
        return nullptr;
    }
    if (is_crowded(size_ + std::size_t{1}, slot_count_)) {
        grow();
    }
    const std::uint32_t index = take_place();
    Connection& connection = at(index);
    std::construct_at(&connection);
    connection.key = key;
    connection.id = id;
    connection.start = now;
    connection.last_seen = now;
    connection.index = index;
    connection.hash = tag_of(hash);
    insert({index, connection.hash});
    push_half_open(connection);
    ++size_;
    return &connection;
}

void ConnectionTable::push_half_open(Connection& connection) {
    connection.half_open = true;
    connection.half_open_previous = half_open_newest_;
    if (half_open_newest_ == kNoIndex) {
        half_open_oldest_ = connection.index;
    } else {
        at(half_open_newest_).half_open_next = connection.index;
    }
    half_open_newest_ = connection.index;
    ++half_open_;
}

void ConnectionTable::leave_half_open(Connection& connection) {
    if (!connection.half_open) {
        return;
    }
    const std::uint32_t previous = connection.half_open_previous;
    const std::uint32_t next = connection.half_open_next;
    (previous == kNoIndex ? half_open_oldest_ : at(previous).half_open_next) = next;
    (next == kNoIndex ? half_open_newest_ : at(next).half_open_previous) = previous;
    connection.half_open_previous = kNoIndex;
    connection.half_open_next = kNoIndex;
    connection.half_open = false;
    --half_open_;
}

void ConnectionTable::remove(Connection& connection) {
    assert(connection.id != 0);
    assert(connection.timer_previous == kNoIndex);
    leave_half_open(connection);
    erase(connection);
    connection.id = 0;
    connection.timer_next = free_;
    free_ = connection.index;
    --size_;
}

std::uint32_t ConnectionTable::take_place() {
    if (free_ != kNoIndex) {
        const std::uint32_t index = free_;
        free_ = at(index).timer_next;
        return index;
    }
    if (places_used_ == chunks_.size() * kChunkCount) {
        chunk_memory_.push_back(allocate_huge(kChunkSize));
        void* const memory = chunk_memory_.back().get();
        chunks_.push_back(static_cast<Place*>(memory));
    }
    return places_used_++;
}

void ConnectionTable::insert(Slot slot) {
    std::size_t i = home(slot.tag);
    while (slots_[i].index != kNoIndex) {
        i = (i + 1) & mask();
    }
    slots_[i] = slot;
}

// Closes the hole by moving back what stands behind it and may: no tombstones, so a table that was
// full once is as fast as a new one.
void ConnectionTable::erase(const Connection& connection) {
    std::size_t hole = home(connection.hash);
    while (slots_[hole].index != connection.index) {
        hole = (hole + 1) & mask();
    }
    for (std::size_t i = (hole + 1) & mask(); slots_[i].index != kNoIndex; i = (i + 1) & mask()) {
        const std::size_t from_home = (i - home(slots_[i].tag)) & mask();
        if (from_home >= ((i - hole) & mask())) {
            slots_[hole] = slots_[i];
            hole = i;
        }
    }
    slots_[hole] = Slot{};
}

// Homes are the upper bits of the tags, so both tables are walked in order.
void ConnectionTable::grow() {
    const HugeMemory old_memory = std::move(slot_memory_);
    const std::span<const Slot> old(slots_, slot_count_);
    make_slots(slot_count_ * 2);
    --shift_;
    for (const Slot& slot : old) {
        if (slot.index != kNoIndex) {
            insert(slot);
        }
    }
}

std::size_t ConnectionTable::memory_bytes() const {
    return sizeof *this + slot_count_ * sizeof(Slot) + chunks_.capacity() * sizeof(void*) +
           chunk_memory_.capacity() * sizeof(HugeMemory) + chunks_.size() * kChunkSize;
}

std::vector<std::uint32_t> ConnectionTable::indices_by_id() const {
    struct Entry {
        std::uint64_t id = 0;
        std::uint32_t index = 0;
    };
    std::vector<Entry> entries;  // With the ids: one look at each connection.
    entries.reserve(size_);
    bool sorted = true;
    for (std::uint32_t index = 0; index < places_used_; ++index) {
        if (const std::uint64_t id = at(index).id; id != 0) {
            sorted = sorted && (entries.empty() || entries.back().id < id);
            entries.push_back({id, index});
        }
    }
    if (!sorted) {  // It is, while no place was used twice.
        std::ranges::sort(entries, {}, &Entry::id);
    }
    std::vector<std::uint32_t> indices;
    indices.reserve(entries.size());
    for (const Entry& entry : entries) {
        indices.push_back(entry.index);
    }
    return indices;
}

}  // namespace haka::flow
