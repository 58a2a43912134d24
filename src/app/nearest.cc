#include "app/nearest.h"

#include <algorithm>
#include <cstddef>
#include <fmt/format.h>
#include <vector>

namespace haka::app {
namespace {

constexpr std::size_t kLongestWord = 64;  // Of what a user types by mistake, worth comparing.

// Edits between two words, a swap of neighbours counting once (optimal string alignment).
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1);
    std::vector<std::size_t> last(b.size() + 1);
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) {
        last[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        before.swap(last);
        last.swap(row);
    }
    return last[b.size()];
}

}  // namespace

std::string_view nearest(std::string_view wrong, std::span<const std::string_view> names) {
    std::string_view best;
    if (wrong.size() > kLongestWord) {
        return best;
    }
    std::size_t least = std::max<std::size_t>(2, wrong.size() / 3) + 1;
    for (const std::string_view name : names) {
        const std::size_t edits = distance(wrong, name);
        if (edits < least && edits < name.size()) {
            least = edits;
            best = name;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view wrong, std::span<const std::string_view> names) {
    const std::string_view best = nearest(wrong, names);
    return best.empty() ? std::string() : fmt::format("; did you mean {}?", best);
}

}  // namespace haka::app
