#include "proto/http/chunk.h"

#include <algorithm>
#include <utility>

namespace haka::http {
namespace {

constexpr std::uint8_t kDigitsMax = 15;  // 60 bits: no sum of sizes overflows.

int hex_value(std::uint8_t c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool is_text(std::uint8_t c) {
    return (c >= 0x20 && c != 0x7f) || c == '\t';
}

// A control character that is neither CR nor LF.
Event bad_byte(std::uint8_t c, Event otherwise) {
    return c == 0 ? Event::HttpNul : otherwise;
}

}  // namespace

bool ChunkReader::take_bare_lf() {
    return std::exchange(bare_lf_, false);
}

ChunkReader::Step ChunkReader::next(ByteView bytes, const Limits& limits) {
    if (refused_ != Event::None) {
        return {.refused = refused_};
    }
    if (bytes.empty() || state_ == State::Done) {
        return {};
    }
    if (state_ == State::Data) {
        const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(left_, bytes.size()));
        left_ -= size;
        if (left_ == 0) {
            state_ = State::DataCr;
        }
        return {.used = size, .piece = Piece::Data};
    }
    const Piece piece = in_trailers() ? Piece::Trailer : Piece::Framing;
    std::size_t used = 0;
    while (used < bytes.size() && state_ != State::Data && state_ != State::Done &&
           in_trailers() == (piece == Piece::Trailer)) {
        refused_ = piece == Piece::Trailer ? take_trailer(bytes[used], limits)
                                           : take_framing(bytes[used], limits);
        if (refused_ != Event::None) {
            return {.used = 0, .piece = piece, .refused = refused_};
        }
        ++used;
    }
    return {.used = used, .piece = piece};
}

// A bare LF ends no line here: RFC 9112, 2.2 allows it in heads alone, and some readers take it for
// a part of the extension.
Event ChunkReader::take_framing(std::uint8_t byte, const Limits& limits) {
    switch (state_) {
        case State::Size:
            return take_size(byte);
        case State::Extension:
            if (byte == '\r') {
                state_ = State::SizeLf;
                return Event::None;
            }
            if (!is_text(byte)) {
                return bad_byte(byte, Event::HttpBadChunk);
            }
            return ++line_ > limits.line_bytes_max ? Event::HttpLineTooLong : Event::None;
        case State::SizeLf:
            return byte == '\n' ? end_size_line() : Event::HttpBareCr;
        case State::DataCr:
            state_ = State::DataLf;
            return byte == '\r' ? Event::None : Event::HttpBadChunk;
        case State::DataLf:
            state_ = State::Size;
            return byte == '\n' ? Event::None : Event::HttpBareCr;
        default:
            return Event::HttpBadChunk;
    }
}

Event ChunkReader::take_size(std::uint8_t byte) {
    const int value = hex_value(byte);
    if (value >= 0) {
        left_ = left_ << 4 | static_cast<std::uint64_t>(value);
        return ++digits_ > kDigitsMax ? Event::HttpBadChunk : Event::None;
    }
    if (digits_ == 0) {
        return bad_byte(byte, Event::HttpBadChunk);
    }
    switch (byte) {
        case '\r':
            state_ = State::SizeLf;
            return Event::None;
        case ';':
            state_ = State::Extension;
            return Event::None;
        default:
            return bad_byte(byte, Event::HttpBadChunk);
    }
}

Event ChunkReader::end_size_line() {
    state_ = left_ == 0 ? State::TrailerStart : State::Data;
    digits_ = 0;
    line_ = 0;
    return Event::None;
}

Event ChunkReader::take_trailer(std::uint8_t byte, const Limits& limits) {
    if (++trailers_ > limits.head_bytes_max) {
        return Event::HttpHeadTooLong;
    }
    if (++line_ > limits.line_bytes_max) {
        return Event::HttpLineTooLong;
    }
    switch (state_) {
        case State::TrailerStart:
            name_size_ = 0;
            if (byte == '\r') {
                state_ = State::LastLf;
                return Event::None;
            }
            if (byte == '\n') {
                bare_lf_ = true;
                state_ = State::Done;
                return Event::None;
            }
            if (byte == ' ' || byte == '\t') {
                return Event::HttpObsFold;
            }
            if (++trailer_count_ > limits.headers_max) {
                return Event::HttpTooManyHeaders;
            }
            state_ = State::TrailerName;
            [[fallthrough]];
        case State::TrailerName:
            if (byte == ':') {
                state_ = State::TrailerValue;
                return end_trailer_name();
            }
            if (byte == ' ' || byte == '\t') {
                return Event::HttpSpaceBeforeColon;
            }
            if (!is_token({as_text({&byte, 1})})) {
                return bad_byte(byte, Event::HttpBadHeader);
            }
            if (name_size_ < kNameMax) {
                name_.at(name_size_++) = static_cast<char>(byte);
            }
            return Event::None;
        case State::TrailerValue:
            if (byte == '\r') {
                state_ = State::TrailerLf;
                return Event::None;
            }
            if (byte == '\n') {
                bare_lf_ = true;
                state_ = State::TrailerStart;
                line_ = 0;
                return Event::None;
            }
            return is_text(byte) ? Event::None : bad_byte(byte, Event::HttpBadHeader);
        case State::TrailerLf:
            state_ = State::TrailerStart;
            line_ = 0;
            return byte == '\n' ? Event::None : Event::HttpBareCr;
        default:  // LastLf
            state_ = State::Done;
            return byte == '\n' ? Event::None : Event::HttpBareCr;
    }
}

// RFC 9110, 6.5.1: what frames or routes a message is no trailer.
Event ChunkReader::end_trailer_name() const {
    const std::string_view name(name_.data(), name_size_);
    const auto is = [name](std::string_view other) { return equals_ignoring_case(name, other); };
    if (name.empty()) {
        return Event::HttpBadHeader;
    }
    const bool bad = is("transfer-encoding") || is("content-length") || is("host") ||
                     is("trailer") || is("connection") || is("content-encoding");
    return bad ? Event::HttpBadTrailer : Event::None;
}

}  // namespace haka::http
