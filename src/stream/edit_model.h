// For tests and fuzzers: an edited stream as a list of its smallest parts, so simple that it can't
// be wrong. What EditMap and Outlet say is counted here byte by byte.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/bytes.h"
#include "stream/edit_map.h"

namespace haka::stream::test {

class EditModel {
public:
    // The input grows.
    void append(ByteView bytes) {
        for (const std::uint8_t byte : bytes) {
            parts_.push_back({.erased = 1, .inserted = {byte}, .patch = false});
        }
        count();
    }

    // As EditMap::edit(). Precondition: `floor` never falls, at + insert.size() is output.
    bool edit(std::uint64_t floor, std::uint64_t at, std::uint32_t erase, ByteView insert,
              std::size_t patches_max) {
        if (erase == 0 && insert.empty()) {
            return true;
        }
        std::vector<Part> left;
        std::vector<Part> cells;  // Behind the floor: one byte each.
        cut(floor, left, cells);
        change(cells, at - floor, erase, insert);
        join(cells, left);
        if (static_cast<std::size_t>(std::ranges::count_if(left, in_map)) > patches_max) {
            return false;
        }
        parts_ = std::move(left);
        count();
        return true;
    }

    void prune(std::uint64_t output) {
        std::uint64_t at = 0;
        for (Part& part : parts_) {
            at += part.inserted.size();
            part.pruned = part.pruned || (part.patch && at <= output);
        }
    }

    [[nodiscard]] std::uint64_t input_size() const { return input_size_; }
    [[nodiscard]] std::uint64_t output_size() const { return bytes_.size(); }
    [[nodiscard]] ByteView bytes(std::uint64_t from, std::uint64_t to) const {
        return ByteView(bytes_).subspan(from, to - from);
    }

    // How many output bytes stand for what lies before `input`.
    [[nodiscard]] std::uint64_t to_output(std::uint64_t input) const {
        if (input > input_size_) {
            return bytes_.size() + (input - input_size_);
        }
        return static_cast<std::uint64_t>(
            std::ranges::count_if(owners_, [input](std::uint64_t owner) { return owner < input; }));
    }
    // The one that the first output byte which isn't there belongs to.
    [[nodiscard]] std::uint64_t acked_input(std::uint64_t output) const {
        return output < owners_.size() ? owners_[output] : input_size_ + (output - owners_.size());
    }
    [[nodiscard]] std::uint64_t sacked_begin(std::uint64_t output) const {
        const auto input = static_cast<std::uint64_t>(
            std::ranges::count_if(begins_, [output](std::uint64_t at) { return at < output; }));
        if (input < input_size_ || output <= next_begin_) {
            return input;
        }
        return input + (output <= bytes_.size() ? 1 : output - bytes_.size());
    }
    [[nodiscard]] std::vector<EditMap::Patch> patches() const {
        std::vector<EditMap::Patch> patches;
        std::uint64_t input = 0;
        std::uint64_t output = 0;
        for (const Part& part : parts_) {
            const auto inserted = static_cast<std::uint32_t>(part.inserted.size());
            if (in_map(part)) {
                patches.push_back({input, output, part.erased, inserted});
            }
            input += part.erased;
            output += inserted;
        }
        return patches;
    }

private:
    // A patch, or one copied byte.
    struct Part {
        std::uint32_t erased = 0;
        std::vector<std::uint8_t> inserted{};
        bool patch = true;
        bool pruned = false;
    };

    static bool in_map(const Part& part) { return part.patch && !part.pruned; }

    // Splits the patch that spans the floor; takes apart all that begins behind it.
    void cut(std::uint64_t floor, std::vector<Part>& left, std::vector<Part>& cells) const {
        std::uint64_t at = 0;
        for (Part part : parts_) {
            const std::uint64_t begin = at;
            at += part.inserted.size();
            if (begin < floor && floor < at) {
                const auto size = static_cast<std::ptrdiff_t>(floor - begin);
                const auto erased = std::min(part.erased, static_cast<std::uint32_t>(size));
                left.push_back({.erased = erased,
                                .inserted = {part.inserted.begin(), part.inserted.begin() + size}});
                part.inserted.erase(part.inserted.begin(), part.inserted.begin() + size);
                part.erased -= erased;
            } else if (begin < floor || part.pruned) {
                left.push_back(part);
                continue;
            }
            if (!part.patch) {
                cells.push_back(part);
                continue;
            }
            for (const std::uint8_t byte : part.inserted) {
                cells.push_back({.erased = 0, .inserted = {byte}});
            }
            cells.insert(cells.end(), part.erased, Part{.erased = 1});
        }
    }

    static void change(std::vector<Part>& cells, std::uint64_t at, std::uint32_t erase,
                       ByteView insert) {
        std::size_t place = 0;
        for (; at != 0; ++place) {
            at -= cells[place].inserted.size();
        }
        for (std::size_t i = place; erase != 0; ++i) {
            if (!cells[i].inserted.empty()) {
                cells[i].inserted.clear();
                cells[i].patch = true;
                --erase;
            }
        }
        std::vector<Part> added;
        for (const std::uint8_t byte : insert) {
            added.push_back({.erased = 0, .inserted = {byte}});
        }
        cells.insert(cells.begin() + static_cast<std::ptrdiff_t>(place), added.begin(),
                     added.end());
    }

    // What was changed without a copied byte between is one patch.
    static void join(const std::vector<Part>& cells, std::vector<Part>& parts) {
        Part patch;
        const auto finish = [&] {
            if (patch.erased != 0 || !patch.inserted.empty()) {
                parts.push_back(patch);
            }
            patch = {};
        };
        for (const Part& cell : cells) {
            if (!cell.patch) {
                finish();
                parts.push_back(cell);
                continue;
            }
            patch.erased += cell.erased;
            patch.inserted.insert(patch.inserted.end(), cell.inserted.begin(), cell.inserted.end());
        }
        finish();
    }

    // For each output byte the input byte that it belongs to, and where each of those begins.
    void count() {
        bytes_.clear();
        owners_.clear();
        begins_.clear();
        next_begin_ = 0;
        for (const Part& part : parts_) {
            const std::uint64_t input = begins_.size();
            const std::uint64_t output = bytes_.size();
            const auto inserted = static_cast<std::uint32_t>(part.inserted.size());
            const std::uint32_t last_erased = part.erased == 0 ? 0 : part.erased - 1;
            const std::uint32_t last_inserted = inserted == 0 ? 0 : inserted - 1;
            for (std::uint32_t i = 0; i < inserted; ++i) {
                owners_.push_back(input + std::min(i, last_erased));
            }
            for (std::uint32_t i = 0; i < part.erased; ++i) {
                begins_.push_back(i == 0 ? next_begin_ : output + std::min(i, last_inserted));
            }
            bytes_.insert(bytes_.end(), part.inserted.begin(), part.inserted.end());
            next_begin_ = part.erased == 0 ? next_begin_ : bytes_.size();
        }
        input_size_ = begins_.size();
    }

    std::vector<Part> parts_;
    std::vector<std::uint8_t> bytes_;
    std::vector<std::uint64_t> owners_;
    std::vector<std::uint64_t> begins_;
    std::uint64_t next_begin_ = 0;  // Of the next input byte, an insertion before it included.
    std::uint64_t input_size_ = 0;
};

}  // namespace haka::stream::test
