// Every connection that is followed: found by key in one or two cache misses, at a fixed place in
// memory from create() to remove().
//
//   hash -> index:  [ index tag | index tag | ... ]      8 bytes a slot, linear probing
//                       |
//   slab:           [ Connection x 8192 ] [ Connection x 8192 ] ...   chunks never move
//
// Invariants: (1) a Connection* or index is good until remove(); (2) size() <= connections_max;
// (3) half_open() <= half_open_max() <= connections_max; (4) a free place has id 0.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/settings.h"
#include "flow/connection.h"
#include "flow/flow_key.h"
#include "flow/huge_memory.h"

namespace haka::flow {

class ConnectionTable {
public:
    // Takes connections_max and half_open_percent of the settings; at least one half-open
    // connection is always allowed. Whoever knows `seed` can build colliding tuples.
    ConnectionTable(const TcpSettings& settings, std::uint64_t seed);

    [[nodiscard]] std::uint64_t hash(const FlowKey& key) const { return hash_flow(key, secret_); }

    // For a batch of packets, in two rounds: all prefetch(), then all prefetch_connection(), then
    // find(). Hints only: no call is needed for a right answer.
    void prefetch(std::uint64_t hash) const { __builtin_prefetch(&slots_[home(tag_of(hash))]); }
    void prefetch_connection(std::uint64_t hash) const;

    // nullptr if unknown. `hash` is hash(key).
    [[nodiscard]] Connection* find(const FlowKey& key, std::uint64_t hash);

    // What must end (and be removed) before the next create(): the oldest half-open connection,
    // when half-open ones are at their limit or the table is full. nullptr: there is room, or
    // nothing that may go.
    [[nodiscard]] Connection* eviction_candidate();

    // A new half-open connection with key, id, start and last_seen set; nullptr, and nothing is
    // changed, when there is no room (see eviction_candidate()).
    // Precondition: find(key, hash) is nullptr; id is not 0 and was never used before.
    [[nodiscard]] Connection* create(const FlowKey& key, std::uint64_t hash, Instant now,
                                     std::uint64_t id);

    // The handshake is complete, or it never was one: no longer counted, no longer evicted.
    // Does nothing if it already isn't half-open.
    void leave_half_open(Connection& connection);

    // Precondition: its timer is cancelled (or was reported by expire()).
    void remove(Connection& connection);

    // Precondition for at(): a place that create() has once given out.
    [[nodiscard]] Connection& at(std::uint32_t index) {
        return chunks_[index / kChunkCount][index % kChunkCount];
    }
    [[nodiscard]] const Connection& at(std::uint32_t index) const {
        return chunks_[index / kChunkCount][index % kChunkCount];
    }
    [[nodiscard]] static std::uint32_t index_of(const Connection& connection) {
        return connection.index;
    }

    [[nodiscard]] std::uint32_t size() const { return size_; }
    [[nodiscard]] std::uint32_t half_open() const { return half_open_; }
    [[nodiscard]] std::uint32_t connections_max() const { return connections_max_; }
    [[nodiscard]] std::uint32_t half_open_max() const { return half_open_max_; }
    // All memory of the table.
    [[nodiscard]] std::size_t memory_bytes() const;
    // Calls visit(connection) for every connection, in the order of their places.
    template <typename Visit>
    void for_each(Visit visit) const {
        for (std::uint32_t index = 0; index < places_used_; ++index) {
            if (at(index).id != 0) {
                visit(at(index));
            }
        }
    }
    // The same for the `count` places from `first` on, so that a long look can be taken in turns;
    // places() bounds them. A connection never changes its place.
    template <typename Visit>
    void for_each_from(std::uint32_t first, std::uint32_t count, Visit visit) const {
        const std::uint32_t end = first + std::min(count, places_used_ - first);
        for (std::uint32_t index = first; index < end; ++index) {
            if (at(index).id != 0) {
                visit(at(index));
            }
        }
    }
    [[nodiscard]] std::uint32_t places() const { return places_used_; }
    // Indices of all connections, ascending by id: the order in which they end with the input.
    [[nodiscard]] std::vector<std::uint32_t> indices_by_id() const;

private:
    // Whole cache lines, so that a connection never shares one with its neighbour.
    struct alignas(64) Place : Connection {};
    static_assert(sizeof(Place) <= 256, "an idle connection may cost 320 bytes all in");

    // `tag` alone says where a slot's home is, so growing and removing touch no connection.
    struct Slot {
        std::uint32_t index = kNoIndex;
        std::uint32_t tag = 0;
    };

    static constexpr std::uint32_t kChunkCount = 8192;
    static constexpr std::size_t kChunkSize = std::size_t{kChunkCount} * sizeof(Place);

    [[nodiscard]] static std::uint32_t tag_of(std::uint64_t hash) {
        return static_cast<std::uint32_t>(hash >> 32);
    }
    [[nodiscard]] std::size_t home(std::uint32_t tag) const { return tag >> shift_; }
    [[nodiscard]] std::size_t mask() const { return slot_count_ - 1; }
    void make_slots(std::size_t count);
    void insert(Slot slot);
    void erase(const Connection& connection);
    void grow();
    [[nodiscard]] std::uint32_t take_place();
    void push_half_open(Connection& connection);

    HashKey secret_;
    std::uint32_t connections_max_;
    std::uint32_t half_open_max_;
    std::uint32_t size_ = 0;
    std::uint32_t half_open_ = 0;
    std::uint32_t half_open_oldest_ = kNoIndex;
    std::uint32_t half_open_newest_ = kNoIndex;
    std::uint32_t free_ = kNoIndex;  // Last freed first, linked by timer_next.
    std::uint32_t places_used_ = 0;  // Places at and above it were never given out.
    std::uint32_t shift_;            // 32 - log2(slots): the home is the tag's upper bits.
    std::size_t slot_count_ = 0;
    HugeMemory slot_memory_;
    Slot* slots_ = nullptr;
    std::vector<HugeMemory> chunk_memory_;
    std::vector<Place*> chunks_;  // Places of the chunks; create() makes them.
};

}  // namespace haka::flow
