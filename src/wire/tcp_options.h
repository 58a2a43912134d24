// The options of a TCP header, one after the other (RFC 9293, 3.2).
//
//   kind        End (0) and NOP (1) stand alone, every other kind is
//   kind length value...     `length` counts all three.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/bytes.h"
#include "base/event.h"

namespace haka::wire {

constexpr std::uint8_t kOptionEnd = 0;
constexpr std::uint8_t kOptionNop = 1;
constexpr std::uint8_t kOptionMss = 2;            // RFC 9293: 16 bits
constexpr std::uint8_t kOptionWindowScale = 3;    // RFC 7323: 8 bits
constexpr std::uint8_t kOptionSackPermitted = 4;  // RFC 2018: empty
constexpr std::uint8_t kOptionSack = 5;           // RFC 2018: 1 to 4 blocks of 8 bytes
constexpr std::uint8_t kOptionTimestamp = 8;      // RFC 7323: two times 32 bits
constexpr std::uint8_t kOptionMd5 = 19;           // RFC 2385: 16 bytes
constexpr std::uint8_t kOptionAo = 29;            // RFC 5925: two ids and a MAC
constexpr std::uint8_t kOptionFastOpen = 34;      // RFC 7413: empty or a cookie of 4 to 16 bytes
constexpr std::uint8_t kOptionExperiment = 254;   // RFC 6994: 16 bits say which
constexpr std::uint16_t kFastOpenExperiment = 0xf989;

struct TcpOption {
    std::uint8_t kind = kOptionEnd;
    ByteView value{};  // Without kind and length.
};

// A value size that its RFC doesn't know. Unknown kinds may have any.
[[nodiscard]] constexpr bool has_impossible_size(const TcpOption& option) {
    const std::size_t size = option.value.size();
    switch (option.kind) {
        case kOptionMss:
            return size != 2;
        case kOptionWindowScale:
            return size != 1;
        case kOptionSackPermitted:
            return size != 0;
        case kOptionSack:
            return size == 0 || size % 8 != 0;
        case kOptionTimestamp:
            return size != 8;
        case kOptionMd5:
            return size != 16;
        case kOptionAo:
            return size < 2;
        default:
            return false;
    }
}

// Fast open, as RFC 7413 or its experiment wrote it. A cookie of another size must be ignored
// (RFC 7413, 4.1.1).
[[nodiscard]] inline bool is_fast_open(const TcpOption& option) {
    std::size_t size = option.value.size();
    if (option.kind == kOptionExperiment) {
        if (size < 2 || load_be16(option.value.data()) != kFastOpenExperiment) {
            return false;
        }
        size -= 2;
    } else if (option.kind != kOptionFastOpen) {
        return false;
    }
    return size == 0 || (size >= 4 && size <= 16 && size % 2 == 0);
}

// Walks the options. Ends at the end-of-list option, which it doesn't hand out, or at one whose
// length leads nowhere. No more steps than bytes.
class TcpOptions {
public:
    explicit TcpOptions(ByteView options) : rest_(options) {}

    // False when there is no further option; `option` then keeps its value.
    [[nodiscard]] bool next(TcpOption& option) {
        if (rest_.empty() || rest_[0] == kOptionEnd) {
            return false;
        }
        if (rest_[0] == kOptionNop) {
            option = {.kind = kOptionNop};
            rest_ = rest_.subspan(1);
            return true;
        }
        if (rest_.size() < 2 || rest_[1] < 2 || rest_[1] > rest_.size()) {
            bad_ = Event::TcpBadOption;
            return false;
        }
        option = {.kind = rest_[0], .value = rest_.subspan(2, rest_[1] - 2U)};
        rest_ = rest_.subspan(rest_[1]);
        return true;
    }

    // TcpBadOption once next() has met a length below 2 or beyond the header.
    [[nodiscard]] Event bad() const { return bad_; }
    // What next() hasn't stepped over, from the end-of-list option on.
    [[nodiscard]] ByteView rest() const { return rest_; }

private:
    ByteView rest_;
    Event bad_ = Event::None;
};

// A block of a SACK option: the receiver holds [begin, end).
struct SackBlock {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
};

// Precondition: the option is SACK, its size is possible, and index < value.size() / 8.
[[nodiscard]] inline SackBlock sack_block(const TcpOption& option, std::size_t index) {
    const std::uint8_t* const block = option.value.data() + index * 8;
    return {.begin = load_be32(block), .end = load_be32(block + 4)};
}

}  // namespace haka::wire
