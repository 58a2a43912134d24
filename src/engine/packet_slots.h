// The packets that Lua sees: slot 0 is lent the packet at hand, the others own what a policy made
// or took over. The array never moves, so Lua may keep its address.
//
// Invariant: a slot's generation changes whenever a handle to it must die; 0 is never one.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/item.h"
#include "script/abi.h"

namespace haka::engine {

class PacketSlots {
public:
    explicit PacketSlots(std::uint32_t packets_max);

    [[nodiscard]] haka_packet* data() const { return slots_.get(); }
    [[nodiscard]] haka_packet& at(std::uint32_t slot) { return slots_[slot]; }

    // Points slot 0 at `item`'s bytes. What a rule changes there is read back from the slot.
    void lend(const Item& item);
    // Nothing is at hand: handles to slot 0 are errors.
    void lend_nothing() { slots_[0].generation = 0; }
    // A new event: handles of the last one die.
    void renew() { slots_[0].generation = next_generation(); }

    // A packet of a policy's own: `owned` holds link header and datagram. 0: none is left.
    [[nodiscard]] std::uint32_t create(std::vector<std::uint8_t> link, std::uint32_t net_size);
    // Takes a copy of `item`. 0: none is left.
    [[nodiscard]] std::uint32_t take(const Item& item);
    void free(std::uint32_t slot);
    // It was sent: its handles die, the engine still needs its bytes.
    void retire(std::uint32_t slot) { slots_[slot].generation = next_generation(); }

    // A kept packet lives until it is freed; the others are the loose ones, which their hook's end
    // frees. What is created is loose, what is taken is kept.
    void keep(std::uint32_t slot, bool keep);
    [[nodiscard]] bool has_loose() const { return !loose_.empty(); }
    [[nodiscard]] std::vector<std::uint32_t> take_loose() { return std::exchange(loose_, {}); }
    // Lets go of every kept packet; returns how many were captured ones.
    std::uint64_t free_kept();

    // Gives slot >= 1 another size, zero-filled, and follows it in the length fields.
    void resize(std::uint32_t slot, std::uint32_t net_size);
    // Finds the headers of slot >= 1 again.
    void parse(std::uint32_t slot);

    [[nodiscard]] bool is_taken(std::uint32_t slot) const { return owned_[slot].taken; }
    // A packet of slot >= 1 as one that can leave. Its bytes live as long as the slot.
    [[nodiscard]] Item item_of(std::uint32_t slot);
    [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

private:
    struct Owned {
        std::vector<std::uint8_t> bytes;  // Link header, then the datagram.
        Frame frame;                      // When, number, interface and link of what was taken.
        std::uint32_t link_size = 0;
        bool taken = false;
        bool kept = false;
    };

    [[nodiscard]] std::uint32_t allocate();
    [[nodiscard]] wire::Headers headers_of(const Owned& owned) const;
    [[nodiscard]] std::uint32_t next_generation() {
        generation_ = generation_ == UINT32_MAX ? 1 : generation_ + 1;
        return generation_;
    }

    std::uint32_t count_;
    std::uint32_t generation_ = 0;
    std::uint64_t bytes_ = 0;
    std::unique_ptr<haka_packet[]> slots_;
    std::vector<Owned> owned_;  // By slot; grows with what is used.
    std::vector<std::uint32_t> free_;
    std::vector<std::uint32_t> loose_;
};

// Points a slot at the layers of `frame`.
void point_at(haka_packet& slot, const wire::Headers& headers, MutableByteView frame);

// Writes the lengths of a datagram that was resized to end at `end` into its IP and UDP headers.
void set_lengths(const wire::Headers& headers, MutableByteView frame, std::uint32_t end);

}  // namespace haka::engine
