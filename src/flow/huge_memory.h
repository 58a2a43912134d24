// Zeroed memory for large tables, on huge pages where the kernel has them: one fault and one TLB
// entry for two mebibytes that are touched here and there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace haka::flow {

constexpr std::size_t kHugePageSize = std::size_t{2} << 20;

struct Unmap {
    std::size_t size = 0;
    void operator()(std::uint8_t* memory) const;
};
using HugeMemory = std::unique_ptr<std::uint8_t, Unmap>;

// At least `size` bytes, aligned to a huge page if that large, else to a page. Throws
// std::bad_alloc.
[[nodiscard]] HugeMemory allocate_huge(std::size_t size);

}  // namespace haka::flow
