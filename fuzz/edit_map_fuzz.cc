// Edits of one direction in any order and size, floors that rise and prunes: EditMap against a
// model that keeps one entry per byte; with few patches, against its promises.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "fuzz.h"
#include "stream/edit_map.h"
#include "stream/edit_model.h"

namespace haka::stream {
namespace {

using fuzz::require;

constexpr std::uint64_t kBytesMax = 200;
constexpr int kStepsMax = 128;  // Each is followed by a look at every byte.

class MapCase {
public:
    explicit MapCase(ByteView input) : input_(input) {}

    void run() {
        if (const std::uint8_t few = input_.byte(); few % 4 == 0) {
            patches_max_ = 1 + few / 4 % 8;
        }
        model_.append(std::vector<std::uint8_t>(input_.byte() % 64));
        for (int i = 0; i < kStepsMax && !input_.empty(); ++i) {
            step();
            check();
        }
    }

private:
    void step() {
        const std::uint8_t kind = input_.byte();
        const std::uint64_t end = model_.output_size();
        switch (kind % 8) {
            case 0:
                floor_ += input_.byte() % (end - floor_ + 1);
                return;
            case 1:
                pruned_ += input_.byte() % (floor_ - pruned_ + 1);
                map_.prune(pruned_);
                model_.prune(pruned_);
                return;
            case 2:
                if (end < kBytesMax) {
                    model_.append(std::vector<std::uint8_t>(input_.byte() % 16));
                }
                return;
            default: {
                const std::uint64_t at = floor_ + input_.byte() % (end - floor_ + 1);
                const auto erase = static_cast<std::uint32_t>(input_.byte() % (end - at + 1));
                const std::size_t size = end < kBytesMax ? input_.byte() % 16 : 0;
                const std::vector<std::uint8_t> insert(size);
                map_.edit(floor_, at, erase, static_cast<std::uint32_t>(size), patches_max_);
                require(model_.edit(floor_, at, erase, insert, SIZE_MAX));
            }
        }
    }

    void check_patches() const {
        const std::vector<EditMap::Patch> expected = model_.patches();
        require(map_.size() == expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            const EditMap::Patch& patch = map_.patches()[i];
            require(patch.input == expected[i].input && patch.output == expected[i].output);
            require(patch.erased == expected[i].erased && patch.inserted == expected[i].inserted);
            require(patch.erased != 0 || patch.inserted != 0);
            require(i == 0 || (map_.patches()[i - 1].input_end() <= patch.input &&
                               map_.patches()[i - 1].output_end() <= patch.output));
        }
    }

    // Where patches were joined the map is coarser than the model.
    void check_joined() const {
        require(map_.size() <= patches_max_);
        for (std::size_t i = 1; i < map_.size(); ++i) {
            const EditMap::Patch& before = map_.patches()[i - 1];
            require(before.input_end() <= map_.patches()[i].input);
            require(before.output_end() <= map_.patches()[i].output);
        }
        std::uint64_t last = 0;
        for (std::uint64_t input = map_.acked_input(pruned_); input <= model_.input_size() + 2;
             ++input) {
            const std::uint64_t output = map_.to_output(input);
            require(output >= last && map_.acked_input(output) >= input);
            last = output;
        }
        const std::uint64_t end = model_.output_size();
        require(map_.acked_input(end) == model_.acked_input(end));
        for (std::uint64_t output = pruned_; output <= end; ++output) {
            require(map_.acked_input(output) <= map_.acked_input(output + 1));
            require(map_.sacked_begin(output) <= map_.sacked_begin(output + 1));
        }
    }

    void check() const {
        if (patches_max_ != SIZE_MAX) {
            check_joined();
            return;
        }
        check_patches();
        const std::uint64_t known = map_.acked_input(pruned_);
        require(known == model_.acked_input(pruned_));
        std::uint64_t last = 0;
        for (std::uint64_t input = known; input <= model_.input_size() + 2; ++input) {
            // What an insertion before the first unknown byte holds may be pruned.
            const std::uint64_t output = map_.to_output(input);
            require(output >= model_.to_output(input) && output >= last);
            require(output <= (input == known ? pruned_ : model_.to_output(input)));
            require(map_.acked_input(output) >= input);
            last = output;
        }
        std::uint64_t last_acked = 0;
        std::uint64_t last_begin = 0;
        for (std::uint64_t output = pruned_; output <= model_.output_size() + 2; ++output) {
            const std::uint64_t acked = map_.acked_input(output);
            const std::uint64_t begin = map_.sacked_begin(output);
            require(acked == model_.acked_input(output) && acked >= last_acked);
            require(begin >= last_begin);
            require(output == pruned_ || begin == model_.sacked_begin(output));
            last_acked = acked;
            last_begin = begin;
        }
    }

    fuzz::Input input_;
    EditMap map_;
    test::EditModel model_;
    std::size_t patches_max_ = SIZE_MAX;
    std::uint64_t floor_ = 0;
    std::uint64_t pruned_ = 0;
};

}  // namespace
}  // namespace haka::stream

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    haka::stream::MapCase({data, size}).run();
    return 0;
}
