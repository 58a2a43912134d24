#include "flow/huge_memory.h"

#include <new>

#include <sys/mman.h>

namespace haka::flow {

void Unmap::operator()(std::uint8_t* memory) const {
    munmap(memory, size);
}

HugeMemory allocate_huge(std::size_t size) {
    constexpr std::size_t kPageSize = 4096;
    size = (size + kPageSize - 1) / kPageSize * kPageSize;  // What is cut off must be whole pages.
    // As much more as it takes to cut it to where a huge page may start.
    const std::size_t slack = size < kHugePageSize ? 0 : kHugePageSize;
    void* const raw = mmap(nullptr, size + slack, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (raw == MAP_FAILED) {
        throw std::bad_alloc();
    }
    auto* begin = static_cast<std::uint8_t*>(raw);
    if (slack == 0) {
        return HugeMemory(begin, Unmap{size});
    }
    void* aligned = raw;
    std::size_t space = size + slack;
    auto* const memory =
        static_cast<std::uint8_t*>(std::align(kHugePageSize, size, aligned, space));
    if (memory != begin) {
        munmap(begin, static_cast<std::size_t>(memory - begin));
    }
    if (space != size) {
        munmap(memory + size, space - size);
    }
    madvise(memory, size, MADV_HUGEPAGE);  // A hint: no matter if it is refused.
    return HugeMemory(memory, Unmap{size});
}

}  // namespace haka::flow
