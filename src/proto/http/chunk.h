// The chunked framing of a body (RFC 9112, 7.1), read as it comes.
//
//   5;ext CRLF  hello CRLF  0 CRLF  Name: value CRLF  CRLF
//   | framing  | data |fr. |framing|     trailers        |
//
// next() is called with the bytes behind those it used before, until it uses none or is_done().
// What it has refused once it refuses for ever: its state is behind bytes that it didn't use.
#pragma once

#include <array>
#include <cstdint>

#include "base/bytes.h"
#include "base/event.h"
#include "proto/http/head.h"

namespace haka::http {

class ChunkReader {
public:
    enum class Piece : std::uint8_t { Framing, Data, Trailer };
    struct Step {
        std::size_t used = 0;  // Bytes, all of one piece; 0: more must come.
        Piece piece = Piece::Framing;
        Event refused = Event::None;
    };

    [[nodiscard]] Step next(ByteView bytes, const Limits& limits);
    [[nodiscard]] bool is_done() const { return state_ == State::Done; }
    // All data has come: trailers follow, or nothing.
    [[nodiscard]] bool data_ended() const { return state_ >= State::TrailerStart; }
    // A line of the trailers ended in LF without CR; told once.
    [[nodiscard]] bool take_bare_lf();

private:
    enum class State : std::uint8_t {
        Size,
        Extension,
        SizeLf,  // Behind the CR.
        Data,
        DataCr,
        DataLf,
        TrailerStart,
        TrailerName,
        TrailerValue,
        TrailerLf,
        LastLf,
        Done
    };

    Event take_framing(std::uint8_t byte, const Limits& limits);
    Event take_size(std::uint8_t byte);
    Event end_size_line();
    Event take_trailer(std::uint8_t byte, const Limits& limits);
    Event end_trailer_name() const;
    [[nodiscard]] bool in_trailers() const {
        return state_ >= State::TrailerStart && state_ != State::Done;
    }

    static constexpr std::size_t kNameMax = 24;  // Of names that are looked at.

    State state_ = State::Size;
    Event refused_ = Event::None;
    bool bare_lf_ = false;
    std::uint8_t digits_ = 0;
    std::uint8_t name_size_ = 0;
    std::uint64_t left_ = 0;      // Of the chunk.
    std::uint32_t line_ = 0;      // Bytes of the line at work.
    std::uint32_t trailers_ = 0;  // Bytes of all trailers.
    std::uint32_t trailer_count_ = 0;
    std::array<char, kNameMax> name_{};
};

}  // namespace haka::http
