// Edits of one direction in any order and size, floors that rise and prunes: EditMap against a
// model that keeps one entry per byte.
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

class MapCase {
public:
    explicit MapCase(ByteView input) : input_(input) {}

    void run() {
        model_.append(std::vector<std::uint8_t>(input_.byte() % 64));
        while (!input_.empty()) {
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
                map_.edit(floor_, at, erase, static_cast<std::uint32_t>(size), SIZE_MAX);
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

    void check() const {
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
