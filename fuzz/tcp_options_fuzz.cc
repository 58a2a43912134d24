// Options of a hostile TCP header: read, looked through for a time stamp, and rewritten for the
// other end, whose bytes were edited. The checksum must follow each change, and no byte outside the
// SACK and time stamp options may change.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "output/head.h"
#include "output/translate.h"
#include "stream/seq.h"
#include "wire/checksum.h"
#include "wire/tcp_options.h"

namespace haka {
namespace {

constexpr std::uint32_t kHeader = 20;
constexpr std::uint32_t kBytes = 300;

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

// What a walk over the options says of each byte: part of an option of that kind.
std::vector<std::uint8_t> kinds_of(ByteView tcp) {
    std::vector<std::uint8_t> kinds(tcp.size(), wire::kOptionEnd);
    wire::TcpOptions options(tcp.subspan(kHeader));
    wire::TcpOption option;
    std::size_t at = kHeader;
    while (options.next(option)) {
        const std::size_t size = option.kind == wire::kOptionNop ? 1 : option.value.size() + 2;
        require(size != 0 && at + size <= tcp.size());
        const bool possible = !has_impossible_size(option);
        std::fill_n(kinds.begin() + static_cast<std::ptrdiff_t>(at), size,
                    possible ? option.kind : wire::kOptionNop);
        at += size;
    }
    require(options.rest().size() == tcp.size() - at);
    return kinds;
}

std::uint16_t sum_of(ByteView tcp) {
    return wire::internet_checksum(tcp);
}

// Both zeros of one's complement are the same.
bool same_sum(std::uint16_t a, std::uint16_t b) {
    return a == b || (std::uint32_t{a} + b == 0xffff && (a == 0 || b == 0));
}

// A direction of some bytes with edits as the input says.
class Edited {
public:
    explicit Edited(ByteView edits)
        : memory_(TcpSettings{}),
          outlet_(memory_, fill(buffer_), {.acked = 0, .window_end = kBytes}, 0) {
        for (; edits.size() >= 3; edits = edits.subspan(3)) {
            const std::uint64_t at = edits[0] % (outlet_.end() + 1);
            const auto erase = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(edits[1] % 16, outlet_.end() - at));
            const std::vector<std::uint8_t> insert(edits[2] % 16);
            require(outlet_.edit(at, erase, insert, 256));
        }
        outlet_.decide(outlet_.end());
        outlet_.note_sent(outlet_.end());
    }
    [[nodiscard]] const stream::Outlet& outlet() const { return outlet_; }
    [[nodiscard]] std::uint64_t input_size() const { return buffer_.end(); }

private:
    static stream::StreamBuffer& fill(stream::StreamBuffer& buffer) {
        buffer.add(0, std::vector<std::uint8_t>(kBytes));
        return buffer;
    }

    stream::StreamMemory memory_;
    stream::StreamBuffer buffer_{memory_};
    stream::Outlet outlet_;
};

void check_sacks(ByteView tcp, std::uint32_t isn, const Edited& edited) {
    wire::TcpOptions options(tcp.subspan(kHeader));
    wire::TcpOption option;
    while (options.next(option)) {
        if (option.kind != wire::kOptionSack || wire::has_impossible_size(option)) {
            continue;
        }
        for (std::size_t i = 0; i < option.value.size() / 8; ++i) {
            const wire::SackBlock block = wire::sack_block(option, i);
            const std::int64_t begin = stream::to_offset(block.begin, isn, edited.input_size());
            const std::int64_t end = stream::to_offset(block.end, isn, edited.input_size());
            require(0 <= begin && begin < end);
            require(end <= static_cast<std::int64_t>(edited.input_size()) + 1);
        }
    }
}

void translate(ByteView input) {
    // An ISN, the edits, the rest is a header.
    if (input.size() < 16) {
        return;
    }
    const std::uint32_t isn = load_be32(input.data());
    const Edited edited(input.subspan(4, 12));
    input = input.subspan(16);
    std::vector<std::uint8_t> tcp(kHeader + std::min<std::size_t>(input.size() / 4 * 4, 40));
    tcp[12] = static_cast<std::uint8_t>(tcp.size() / 4 << 4);
    std::copy_n(input.begin(), tcp.size() - kHeader, tcp.begin() + kHeader);
    store_be16(&tcp[16], sum_of(tcp));
    const std::uint16_t sum = sum_of(tcp);

    const std::vector<std::uint8_t> kinds = kinds_of(tcp);
    const std::uint32_t stamp = output::find_timestamp(tcp);
    const auto first = std::ranges::find(kinds, wire::kOptionTimestamp);
    require((stamp == 0) == (first == kinds.end()));
    require(stamp == 0 || stamp == static_cast<std::uint32_t>(first - kinds.begin()) + 2);
    require(stamp == 0 || stamp + 8 <= tcp.size());

    std::vector<std::uint8_t> changed = tcp;
    output::Numbers numbers(changed.data(), static_cast<std::uint32_t>(changed.size()));
    numbers.translate_sacks(edited.outlet(), isn, {});
    numbers.set_newer_timestamp(isn);
    require(same_sum(sum_of(changed), sum));
    require(numbers.changed() == (changed != tcp));
    for (std::size_t i = 0; i < tcp.size(); ++i) {
        const bool may = i == 16 || i == 17 || kinds[i] == wire::kOptionSack ||
                         (stamp != 0 && stamp <= i && i < stamp + 4);
        require(may || changed[i] == tcp[i]);
    }
    // The walk over what is there now finds the same options but dropped SACK blocks.
    const std::vector<std::uint8_t> kinds_now = kinds_of(changed);
    for (std::size_t i = 0; i < tcp.size(); ++i) {
        require(kinds_now[i] == kinds[i] ||
                (kinds[i] == wire::kOptionSack && kinds_now[i] == wire::kOptionNop));
    }
    check_sacks(changed, isn, edited);
}

}  // namespace
}  // namespace haka

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    haka::translate({data, size});
    return 0;
}
