// What a mistyped name probably meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace haka::app {

// The name that the fewest insertions, deletions, replacements and swaps of neighbours make of
// `wrong`; empty when all are too far away to be meant. Of equals, the first.
[[nodiscard]] std::string_view nearest(std::string_view wrong,
                                       std::span<const std::string_view> names);

// `; did you mean NAME?`, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view wrong,
                                       std::span<const std::string_view> names);

}  // namespace haka::app
