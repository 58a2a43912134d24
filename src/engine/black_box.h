// What outlives a worker process that ends by a fault: memory that it shares with the process that
// supervises it. The worker process notes what it does, the supervisor reads it afterwards.
//
//   for each worker   the last packets that it walked, the newest last
//   for all           connections that are being edited; who hangs; which rules are off
//
// Nothing here is a pointer or allocates: one piece of memory, all zero in the beginning.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "flow/flow_key.h"
#include "packet/packet.h"

namespace haka::engine {

class BlackBox {
public:
    static constexpr std::uint32_t kBytesMax = 2016;     // Of a packet that are kept.
    static constexpr std::size_t kEditedMax = 1U << 14;  // Connections known to be edited.
    static constexpr std::size_t kDisabledMax = 16;      // Rules that are off.
    static constexpr std::size_t kTextMax = 512;

    // Throws std::bad_alloc when there is no memory; before the first packet. `seed`: of the hash
    // by which connections are remembered.
    BlackBox(std::uint32_t workers, std::uint32_t packets, std::uint64_t seed = 1);
    ~BlackBox();
    BlackBox(const BlackBox&) = delete;
    BlackBox& operator=(const BlackBox&) = delete;

    // A worker's thread, before each packet.
    void note_packet(std::uint32_t worker, const Frame& frame);
    // A worker's thread: the ends of that connection can't go on without this process, for it
    // changes their bytes, or has acknowledged some in the receiver's name; or it has ended.
    // False: there is no room. Some connections are then taken for edited ones that aren't, for
    // as long as the supervisor runs.
    bool note_edited(const flow::FlowKey& key);
    void forget_edited(const flow::FlowKey& key);
    // From any thread. True of all that were noted and not forgotten.
    [[nodiscard]] bool is_edited(const flow::FlowKey& key) const;

    // The process ends because of a rule (its name), or by a signal at it: once, from any thread,
    // also from a signal's handler. `what` is for people.
    struct Fault {
        std::uint32_t worker = 0;
        std::string_view rule;
        std::string_view what;
    };
    void note_fault(const Fault& fault);
    void note_open() { shared_->open.store(1, std::memory_order_release); }
    // The policy's generation: no two policies of one supervisor have the same.
    void note_generation(std::uint32_t generation) { shared_->generation.store(generation); }
    [[nodiscard]] std::uint32_t generation() const { return shared_->generation.load(); }

    // The supervisor, while no worker process runs.
    void begin();  // The next one is about to start.
    struct Seen {
        bool has_fault = false;
        std::uint32_t worker = 0;
        std::string rule;
        std::string what;
    };
    [[nodiscard]] Seen fault() const;
    void disable(std::string_view rule);
    // At any time: the worker process takes packets.
    [[nodiscard]] bool is_open() const {
        return shared_->open.load(std::memory_order_acquire) != 0;
    }
    [[nodiscard]] std::vector<std::string> disabled() const;
    [[nodiscard]] std::uint32_t workers() const { return workers_; }

    struct Packet {
        Instant when;
        std::uint64_t number = 0;
        std::uint32_t size = 0;  // That are kept.
        std::uint32_t original_size = 0;
        std::uint32_t interface = 0;
        LinkType link = LinkType::Ethernet;
        std::uint8_t bytes[kBytesMax];  // NOLINT: plain memory.
    };
    // The last packets of `worker`, oldest first. Valid until begin().
    [[nodiscard]] std::vector<const Packet*> last_packets(std::uint32_t worker) const;

private:
    struct Shared {
        std::atomic<std::uint32_t> open;
        std::atomic<std::uint32_t> generation;
        std::atomic<std::uint32_t> has_fault;  // 1: being written, 2: it stands.
        std::uint32_t fault_worker;
        std::uint32_t rule_size;
        std::uint32_t what_size;
        std::uint32_t disabled_count;
        char rule[kTextMax];                            // NOLINT: plain memory.
        char what[kTextMax];                            // NOLINT
        char disabled[kDisabledMax][kTextMax];          // NOLINT
        std::atomic<std::uint64_t> edited[kEditedMax];  // NOLINT: hashes; 0: free.
        // A bit for each place of `edited`: one that should be there or behind found no room.
        std::atomic<std::uint64_t> crowded[kEditedMax / 64];  // NOLINT
    };
    struct Ring {
        std::atomic<std::uint64_t> count;  // Packets noted so far.
    };

    [[nodiscard]] Ring& ring(std::uint32_t worker) const;
    [[nodiscard]] Packet& packet(std::uint32_t worker, std::uint64_t number) const;
    [[nodiscard]] std::uint64_t hash(const flow::FlowKey& key) const;

    std::uint32_t workers_;
    std::uint32_t packets_;
    flow::HashKey secret_;
    std::size_t size_ = 0;
    Shared* shared_ = nullptr;
    std::span<Ring> rings_;
    std::span<Packet> all_packets_;
};

}  // namespace haka::engine
