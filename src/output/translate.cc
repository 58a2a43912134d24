#include "output/translate.h"

#include <algorithm>

#include "output/head.h"
#include "stream/seq.h"
#include "wire/checksum.h"
#include "wire/tcp_options.h"

namespace haka::output {

void Numbers::set16(std::uint32_t at, std::uint16_t value) {
    const std::uint16_t old = load_be16(tcp_ + at);
    if (old == value) {
        return;
    }
    store_be16(tcp_ + at, value);
    // At an odd place each byte belongs to another word of the sum: the swapped word stands for it.
    const bool odd = at % 2 != 0;
    store_be16(tcp_ + 16,
               wire::update_checksum(load_be16(tcp_ + 16), odd ? __builtin_bswap16(old) : old,
                                     odd ? __builtin_bswap16(value) : value));
    changed_ = true;
}

void Numbers::set32(std::uint32_t at, std::uint32_t value) {
    set16(at, static_cast<std::uint16_t>(value >> 16));
    set16(at + 2, static_cast<std::uint16_t>(value));
}

void Numbers::set_newer_timestamp(std::uint32_t value) {
    const std::uint32_t at = find_timestamp({tcp_, header_size_});
    if (at != 0 && stream::circle_distance(value, load_be32(tcp_ + at)) > 0) {
        set32(at, value);
    }
}

void Numbers::set_newer_echo(std::uint32_t echo) {
    const std::uint32_t at = find_timestamp({tcp_, header_size_});
    if (at != 0 && stream::circle_distance(echo, load_be32(tcp_ + at + 4)) > 0) {
        set32(at + 4, echo);
    }
}

bool Numbers::translate_sacks(const stream::Outlet& outlet, std::uint32_t isn, Told told) {
    bool is_news = false;
    wire::TcpOptions options({tcp_ + 20, header_size_ - 20});
    wire::TcpOption option;
    while (options.next(option)) {
        if (option.kind != wire::kOptionSack || wire::has_impossible_size(option)) {
            continue;
        }
        const auto at = static_cast<std::uint32_t>(option.value.data() - tcp_);
        const auto count = static_cast<std::uint32_t>(option.value.size() / 8);
        std::uint32_t kept = 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            const wire::SackBlock block = wire::sack_block(option, i);
            const std::int64_t begin = stream::to_offset(block.begin, isn, outlet.sent());
            const std::int64_t end = stream::to_offset(block.end, isn, outlet.sent());
            if (begin < 0 || end <= begin || end > static_cast<std::int64_t>(outlet.sent()) + 1) {
                continue;
            }
            const stream::Resent::Range block_out{.begin = static_cast<std::uint64_t>(begin),
                                                  .end = static_cast<std::uint64_t>(end)};
            const bool twice = block_out.end <= outlet.acked();  // D-SACK
            std::uint64_t from = 0;
            std::uint64_t to = 0;
            bool ours = false;
            const auto resent = twice && told.resent != nullptr ? told.resent->take(block_out)
                                                                : stream::Resent::Range{};
            if (!resent.empty()) {
                from = resent.begin;
                to = std::min(resent.end, told.ack);
                is_news = is_news || from < to;
            } else if (block_out.begin >= outlet.map().exact_from()) {
                // One may name bytes before the last edits that both ends know: nobody knows which.
                from = outlet.map().sacked_begin(block_out.begin);
                to = outlet.map().acked_input(block_out.end);
                ours = twice && block_out.end <= told.sent_again;
            }
            if (!twice) {
                from = std::max(from, told.ack);
                is_news = is_news || from < to;
            }
            if (from < to && !ours) {
                set32(at + kept * 8, stream::to_seq(isn, from));
                set32(at + kept * 8 + 4, stream::to_seq(isn, to));
                ++kept;
            }
        }
        if (kept == count) {
            continue;
        }
        // The option gets shorter; NOPs fill its place.
        const std::uint32_t size = kept == 0 ? 0 : 2 + kept * 8;
        if (kept != 0) {
            set16(at - 2, static_cast<std::uint16_t>(wire::kOptionSack << 8 | size));
        }
        for (std::uint32_t i = at - 2 + size; i < at + count * 8; i += 2) {
            set16(i, wire::kOptionNop << 8 | wire::kOptionNop);
        }
    }
    return is_news;
}

}  // namespace haka::output
