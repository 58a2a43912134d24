// What is remembered of a connection that speaks HTTP: where each direction is in its message, and
// which requests wait for an answer. Lives as long as the connection's listener.
//
//   Head ---> Body ---> Head ...         a message after the other
//     |         `-----> Waits            behind CONNECT or Upgrade: until the answer says what
//     comes
//     `-> Opaque                         a tunnel, or what may not be read: bytes pass
//     `-> Discard                        behind respond(): nothing of this direction leaves
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "proto/http/chunk.h"
#include "proto/http/head.h"
#include "script/abi.h"
#include "stream/edit_map.h"
#include "stream/stream_memory.h"

namespace haka::engine {

// Bytes that lie elsewhere and count against the stream memory.
class Charge {
public:
    explicit Charge(stream::StreamMemory& memory) : memory_(&memory) {}
    ~Charge() { memory_->discharge(size_); }
    Charge(const Charge&) = delete;
    Charge& operator=(const Charge&) = delete;

    // False, and nothing changed: the memory has no more.
    [[nodiscard]] bool set(std::uint64_t size) {
        if (size > size_ && !memory_->charge(size - size_)) {
            return false;
        }
        memory_->discharge(size < size_ ? size_ - size : 0);
        size_ = size;
        return true;
    }

private:
    stream::StreamMemory* memory_;
    std::uint64_t size_ = 0;
};

// The decoded bytes of a body that rules read or edit: [base, base + bytes.size()), counted from
// the body's beginning as the rules leave it.
struct HttpBody {
    HttpBody(stream::StreamMemory& memory, std::uint32_t cursor_count)
        : charge(memory),
          cursors(cursor_count,
                  haka_cursor{.position = 0, .mark = -1, .tail = -1, .gap = 0, .limit = 0}) {}

    // How what is edited is framed; None: nothing may be edited.
    enum class Output : std::uint8_t { None, Chunked, UntilClose };

    Charge charge;
    std::vector<std::uint8_t> bytes;
    std::uint64_t base = 0;
    std::vector<haka_cursor> cursors;  // One for each rule on the hook.
    Output output = Output::None;
    bool waits = false;  // A streamed rule is at work on it.
    bool ended = false;  // No data comes any more.
    // Unedited: where data ends and where in the stream the framing behind it does.
    struct Run {
        std::uint64_t data_end = 0;
        std::uint64_t raw_data_end = 0;  // Both counted from the body's first byte in the stream.
        std::uint64_t raw_end = 0;
    };
    std::deque<Run> runs;            // Only of chunked bodies: elsewhere both are the same.
    std::uint64_t data_end = 0;      // Of the runs so far.
    std::uint64_t raw_end = 0;       // Of what was read of the stream.
    std::uint64_t raw_released = 0;  // Of it, what no rule holds.
};

struct HttpSide {
    enum class Phase : std::uint8_t { Head, Body, Waits, Opaque, Discard };

    Phase phase = Phase::Head;
    http::Framing framing = http::Framing::None;
    bool interim = false;  // The message at hand is a 1xx response: the answer is yet to come.
    http::HeadScan scan;
    std::uint64_t left = 0;  // Of a body of known length.
    http::ChunkReader chunks;
    std::uint64_t body_bytes = 0;    // Data of the message at hand.
    std::unique_ptr<HttpBody> body;  // Only while a rule looks at it.
    std::string head;                // Of the message at hand, while a rule waits for its body.
    double body_at = 0;              // Where the body begins, while no rule edits it.
    std::uint64_t ahead = 0;         // Bytes behind the cursor that `body` has taken already.

    // Bytes of an edited body that wait for a rule: the stream has them no more.
    [[nodiscard]] std::uint64_t held() const {
        return body != nullptr && body->output != HttpBody::Output::None ? body->bytes.size() : 0;
    }
};

// A request, until its answer has passed.
struct HttpAsked {
    http::Asked asked = http::Asked::Other;
    bool may_switch = false;  // CONNECT or Upgrade: what follows depends on the answer.
    bool old = false;         // HTTP/1.0
    bool stays = false;       // Connection: keep-alive
    bool responded = false;   // A rule has answered it: `answer`.
    std::string head;         // If anybody wants to see it later.
    std::string answer;
};

struct HttpState {
    explicit HttpState(stream::StreamMemory& memory) : charge(memory) {}

    std::array<HttpSide, 2> sides;  // [0] requests.
    std::vector<HttpAsked> asked;
    Charge charge;               // Of the heads in `asked`.
    std::uint64_t kept = 0;      // Bytes of these.
    std::uint64_t told = 0;      // http::remark_bit() of what was let pass and told.
    std::uint64_t answered = 0;  // How many were.
    bool revisit = false;        // The direction that isn't at hand may go on.
    std::string answer_head;     // Of the response that passes, for EVE.

    // Only this knows how a message goes on that a rule has begun to change or has answered.
    [[nodiscard]] bool is_rewriting() const {
        return is_answering() || std::ranges::any_of(sides, [](const HttpSide& side) {
                   return side.body != nullptr && side.body->output != HttpBody::Output::None;
               });
    }
    [[nodiscard]] bool is_answering() const {
        return std::ranges::any_of(
                   sides,
                   [](const HttpSide& side) { return side.phase == HttpSide::Phase::Discard; }) ||
               std::ranges::any_of(asked, [](const HttpAsked& each) { return each.responded; });
    }
};

}  // namespace haka::engine
