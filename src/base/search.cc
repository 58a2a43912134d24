#include "base/search.h"

#include <algorithm>
#include <immintrin.h>

namespace haka {
namespace {

// Compares the first and the last byte of `text` at 32 places at a time; only where both agree are
// the bytes between compared. `stop` is one past the last place where `text` fits.
__attribute__((target("avx2"))) std::int64_t find_avx2(const std::uint8_t* bytes, std::size_t stop,
                                                       std::string_view text) {
    const __m256i first = _mm256_set1_epi8(text.front());
    const __m256i last = _mm256_set1_epi8(text.back());
    const std::size_t tail = text.size() - 1;
    std::size_t at = 0;
    for (; at + 32 <= stop; at += 32) {
        const auto* here = static_cast<const __m256i*>(static_cast<const void*>(bytes + at));
        const auto* there =
            static_cast<const __m256i*>(static_cast<const void*>(bytes + at + tail));
        const __m256i equal = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_loadu_si256(here), first),
                                               _mm256_cmpeq_epi8(_mm256_loadu_si256(there), last));
        auto mask = static_cast<std::uint32_t>(_mm256_movemask_epi8(equal));
        while (mask != 0) {
            const std::size_t place = at + static_cast<std::size_t>(__builtin_ctz(mask));
            if (std::memcmp(bytes + place, text.data(), text.size()) == 0) {
                return static_cast<std::int64_t>(place);
            }
            mask &= mask - 1;
        }
    }
    for (; at < stop; ++at) {
        if (std::memcmp(bytes + at, text.data(), text.size()) == 0) {
            return static_cast<std::int64_t>(at);
        }
    }
    return -1;
}

std::int64_t find_plain(const std::uint8_t* bytes, std::size_t stop, std::string_view text) {
    const void* found = memmem(bytes, stop + text.size() - 1, text.data(), text.size());
    return found == nullptr ? -1 : static_cast<const std::uint8_t*>(found) - bytes;
}

}  // namespace

std::int64_t find_text(ByteView bytes, std::string_view text, std::size_t& partial) {
    partial = 0;
    assert(!text.empty());
    if (bytes.size() >= text.size()) {
        const std::size_t stop = bytes.size() - text.size() + 1;
        const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
        const std::int64_t found =
            has_avx2 ? find_avx2(bytes.data(), stop, text) : find_plain(bytes.data(), stop, text);
        if (found >= 0) {
            return found;
        }
    }
    std::size_t size = std::min(bytes.size(), text.size() - 1);
    for (; size > 0; --size) {
        if (std::memcmp(bytes.data() + bytes.size() - size, text.data(), size) == 0) {
            partial = size;
            break;
        }
    }
    return -1;
}

}  // namespace haka
