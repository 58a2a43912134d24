// A capture file format: finds the frames in bytes that arrive stretch by stretch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "capture/block.h"

namespace haka::capture {

// What scan() made of the bytes it was shown.
//
//   [ used: whole records, done | rest: shown again, with more bytes behind it ]
struct Scan {
    enum class Outcome : std::uint8_t {
        Again,   // Scan the rest at once.
        Wants,   // The rest must grow to `wants` bytes before it can be read.
        Damage,  // The record where the rest begins is impossible; `problem` says how.
        Refused  // It is sound, but nothing that we read: `problem` names it and the remedy.
    };
    Outcome outcome = Outcome::Again;
    std::size_t used = 0;
    std::size_t wants = 0;
    std::string problem;
};

class Format {
public:
    Format() = default;
    Format(const Format&) = delete;
    Format& operator=(const Format&) = delete;
    virtual ~Format() = default;

    // Appends the frames in `bytes`; they point into it. Gives no frame and returns Again as soon
    // as is_started() turns true, so that whoever opens a file needn't keep frames.
    [[nodiscard]] virtual Scan scan(MutableByteView bytes, std::vector<Frame>& frames) = 0;

    // Whether the file header (pcapng: and the first interface that we can read) went by.
    [[nodiscard]] virtual bool is_started() const = 0;
    // Whether a file may end where a record ended.
    [[nodiscard]] virtual bool may_end() const = 0;
    // Where the file stands when `rest` is what is left: "inside the record of packet 17".
    [[nodiscard]] virtual std::string place(ByteView rest) const = 0;

    // Never reallocates: references to its elements stay valid.
    [[nodiscard]] const std::vector<Interface>& interfaces() const { return interfaces_; }

protected:
    [[nodiscard]] std::string place_of_record() const;
    [[nodiscard]] std::string place_behind_record() const;

    std::vector<Interface> interfaces_;
    std::uint64_t packets_ = 0;  // Frames delivered so far.
};

// The format that begins with these (at least four) bytes; null when there is none, with the
// reason and remedy in `error`.
[[nodiscard]] std::unique_ptr<Format> detect_format(ByteView first_bytes, std::string& error);

// Largest record that is ever asked for as a whole: a packet with its header and its options.
constexpr std::size_t kRecordSizeMax = 1U << 20;

}  // namespace haka::capture
