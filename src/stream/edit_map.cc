#include "stream/edit_map.h"

#include <algorithm>
#include <cassert>

namespace haka::stream {

// The last patch that begins at or before `output`, or null.
const EditMap::Patch* EditMap::last_at_output(std::uint64_t output) const {
    const std::span<const Patch> all = patches();
    const auto behind = std::ranges::upper_bound(all, output, {}, &Patch::output);
    return behind == all.begin() ? nullptr : &*(behind - 1);
}

// A patch of which a part has left is two: what is still to leave may be edited again.
void EditMap::split(std::uint64_t floor) {
    const auto spans =
        std::partition_point(first_place(), patches_.end(),
                             [floor](const Patch& patch) { return patch.output_end() <= floor; });
    if (spans == patches_.end() || spans->output >= floor) {
        return;
    }
    const auto left = static_cast<std::uint32_t>(floor - spans->output);
    const std::uint32_t erased = std::min(spans->erased, left);
    const Patch rest{.input = spans->input + erased,
                     .output = floor,
                     .erased = spans->erased - erased,
                     .inserted = spans->inserted - left};
    spans->erased = erased;
    spans->inserted = left;
    patches_.insert(spans + 1, rest);
}

void EditMap::edit(std::uint64_t floor, std::uint64_t at, std::uint32_t erase, std::uint32_t insert,
                   std::size_t patches_max) {
    assert(floor <= at);
    if (erase == 0 && insert == 0) {
        return;
    }
    split(floor);
    const auto touches = [&](const Patch& patch) {
        return patch.output >= floor && patch.output <= at + erase && patch.output_end() >= at;
    };
    // Those that end before it can't touch it, and they are nearly all.
    auto first = std::partition_point(first_place(), patches_.end(),
                                      [at](const Patch& patch) { return patch.output_end() < at; });
    first = std::find_if(first, patches_.end(), touches);
    auto last = first;
    while (last != patches_.end() && touches(*last)) {
        ++last;
    }
    if (first == last) {
        first = last =
            std::ranges::upper_bound(first_place(), patches_.end(), at, {}, &Patch::output);
    }
    const std::uint64_t shift =
        first == first_place() ? shift_ : (first - 1)->output_end() - (first - 1)->input_end();
    Patch patch{.input = at - shift, .output = at, .erased = erase, .inserted = insert};
    if (first != last) {
        const Patch& before = *first;
        const Patch& behind = *(last - 1);
        patch.output = std::min(at, before.output);
        patch.input = patch.output == before.output ? before.input : at - shift;
        const std::uint64_t output_end = std::max(at + erase, behind.output_end());
        const std::uint64_t input_end = behind.input_end() + (output_end - behind.output_end());
        patch.erased = static_cast<std::uint32_t>(input_end - patch.input);
        patch.inserted = static_cast<std::uint32_t>(output_end - patch.output - erase + insert);
    }
    auto place = patches_.erase(first, last);
    if (patch.erased != 0 || patch.inserted != 0) {
        place = patches_.insert(place, patch) + 1;
    }
    for (; place != patches_.end(); ++place) {
        place->output += std::uint64_t{insert} - erase;
    }
    while (size() > patches_max) {  // An edit adds two when it splits one at the floor.
        join_oldest();
    }
}

// Of the older half, each two and the copied bytes between them become one: a pass for every
// quarter of the patches, not for every edit.
void EditMap::join_oldest() {
    assert(size() >= 2);
    const auto half = static_cast<std::ptrdiff_t>(std::max<std::size_t>(size() / 2, 2) / 2 * 2);
    const Place begin = first_place();
    Place kept = begin;
    for (Place patch = begin; patch != begin + half; patch += 2) {
        Patch joined = *patch;
        const Patch& next = *(patch + 1);
        joined.erased = static_cast<std::uint32_t>(next.input_end() - joined.input);
        joined.inserted = static_cast<std::uint32_t>(next.output_end() - joined.output);
        *kept++ = joined;
    }
    patches_.erase(kept, begin + half);
}

std::uint64_t EditMap::to_output(std::uint64_t input) const {
    // The first patch that doesn't end before it. One that erases nothing ends where it begins.
    const std::span<const Patch> all = patches();
    const auto patch = std::ranges::partition_point(all, [input](const Patch& candidate) {
        return candidate.input < input && candidate.input_end() <= input;
    });
    if (patch != all.end() && patch->input < input) {
        return patch->output + std::min<std::uint64_t>(input - patch->input, patch->inserted);
    }
    if (patch == all.begin()) {
        const std::uint64_t output = input + shift_;  // What was pruned may have shrunk by more.
        return static_cast<std::int64_t>(output) < 0 ? 0 : output;
    }
    const Patch& before = *(patch - 1);
    return before.output_end() + (input - before.input_end());
}

// What was pruned may have grown by more than lies before `output`.
std::uint64_t EditMap::before_patches(std::uint64_t output) const {
    const std::uint64_t input = output - shift_;
    return static_cast<std::int64_t>(input) < 0 ? 0 : input;
}

std::uint64_t EditMap::acked_input(std::uint64_t output) const {
    const Patch* const patch = last_at_output(output);
    if (patch == nullptr) {
        return before_patches(output);
    }
    if (output >= patch->output_end()) {
        return patch->input_end() + (output - patch->output_end());
    }
    // The last erased byte stands for all that was inserted behind it.
    const std::uint64_t inside = output - patch->output;
    return patch->input +
           std::min<std::uint64_t>(inside, patch->erased == 0 ? 0 : patch->erased - 1);
}

std::uint64_t EditMap::sacked_begin(std::uint64_t output) const {
    // Of patches that begin at one place, the first: `output` is where its input begins.
    const std::span<const Patch> all = patches();
    const auto behind = std::ranges::lower_bound(all, output, {}, &Patch::output);
    const Patch* const before = behind == all.begin() ? nullptr : &*(behind - 1);
    std::uint64_t input = 0;
    if (behind != all.end() && behind->output == output) {
        input = behind->input;
    } else if (before == nullptr) {
        input = before_patches(output);
    } else if (output >= before->output_end()) {
        input = before->input_end() + (output - before->output_end());
    } else {
        input = before->input + std::min<std::uint64_t>(output - before->output, before->erased);
    }
    // An insertion right before that byte is part of it, and begins before `output`.
    const bool began = before != nullptr && before->erased == 0 && before->input == input;
    return input + (began ? 1 : 0);
}

void EditMap::prune(std::uint64_t output) {
    const Place kept =
        std::partition_point(first_place(), patches_.end(),
                             [output](const Patch& patch) { return patch.output_end() <= output; });
    if (kept == first_place()) {
        return;
    }
    shift_ = (kept - 1)->output_end() - (kept - 1)->input_end();
    exact_from_ = (kept - 1)->output_end();
    pruned_ = static_cast<std::size_t>(kept - patches_.begin());
    if (pruned_ >= patches_.size() - pruned_) {
        patches_.erase(patches_.begin(), kept);
        pruned_ = 0;
    }
}

}  // namespace haka::stream
