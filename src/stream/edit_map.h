// Where the bytes of one direction stand in both spaces once a policy has edited them.
//
//   input   (as the sender counts)    ---- copied ----[ erased ]------ copied ------
//   output  (as the receiver counts)  ---- copied ----[   inserted   ]------ copied ------
//                                                     a patch
//
// Inside a patch the first bytes of both sides stand for each other, as far as the shorter side
// goes; what is longer belongs to the last of them. An insertion that erases nothing belongs to the
// input byte before which it stands.
//
// Invariants:
//   (1) patches are sorted, disjoint, and not empty on both sides;
//   (2) to_output() and both ways back are monotone;
//   (3) acked_input(to_output(x)) >= x: an end that has everything before x is told so.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace haka::stream {

class EditMap {
public:
    struct Patch {
        std::uint64_t input = 0;
        std::uint64_t output = 0;
        std::uint32_t erased = 0;
        std::uint32_t inserted = 0;

        [[nodiscard]] std::uint64_t input_end() const { return input + erased; }
        [[nodiscard]] std::uint64_t output_end() const { return output + inserted; }
    };

    // Replaces output bytes [at, at + erase) by `insert` new ones. Patches at or behind `floor`
    // that it touches become one with it; what lies before `floor` has left already and keeps its
    // own. Of more than `patches_max` the older ones are joined with what lies between them:
    // coarser, but right, for any map that is monotone and begins and ends as the bytes do serves
    // both ends. Precondition: floor <= at; sizes stay below 2^31.
    void edit(std::uint64_t floor, std::uint64_t at, std::uint32_t erase, std::uint32_t insert,
              std::size_t patches_max);

    // Where the output of everything before input offset `input` ends.
    [[nodiscard]] std::uint64_t to_output(std::uint64_t input) const;
    // The largest input offset whose output lies below `output`: what a receiver that has
    // everything below `output` acknowledges.
    [[nodiscard]] std::uint64_t acked_input(std::uint64_t output) const;
    // The smallest input offset whose output begins at or behind `output`: where a SACK block
    // begins.
    [[nodiscard]] std::uint64_t sacked_begin(std::uint64_t output) const;

    // Both ends know everything below `output`: patches that lie wholly below it become part of
    // the shift.
    void prune(std::uint64_t output);

    // Output offsets below it are translated by the shift of what lies behind them, not their own.
    [[nodiscard]] std::uint64_t exact_from() const { return exact_from_; }

    [[nodiscard]] bool empty() const { return pruned_ == patches_.size(); }
    [[nodiscard]] std::size_t size() const { return patches_.size() - pruned_; }
    // Valid until the next change.
    [[nodiscard]] std::span<const Patch> patches() const {
        return std::span(patches_).subspan(pruned_);
    }
    // Output minus input before the first patch; modulo 2^64.
    [[nodiscard]] std::uint64_t shift() const { return shift_; }

private:
    using Place = std::vector<Patch>::iterator;
    [[nodiscard]] Place first_place() {
        return patches_.begin() + static_cast<std::ptrdiff_t>(pruned_);
    }
    [[nodiscard]] const Patch* last_at_output(std::uint64_t output) const;
    void split(std::uint64_t floor);
    void join_oldest();
    [[nodiscard]] std::uint64_t before_patches(std::uint64_t output) const;

    // The first ones are pruned already: taken away when they are half of all, not with each ACK.
    std::vector<Patch> patches_;
    std::size_t pruned_ = 0;
    std::uint64_t shift_ = 0;
    std::uint64_t exact_from_ = 0;
};

}  // namespace haka::stream
