// The streams of connections that somebody listens to, and each rule's cursor in them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/time.h"
#include "engine/http_state.h"
#include "engine/lane.h"
#include "flow/connection.h"
#include "script/abi.h"
#include "stream/stream_buffer.h"

namespace haka::engine {

// Directions are indexed like flow::Connection::halves: [0] client to server.
struct Listener {
    explicit Listener(stream::StreamMemory& memory)
        : buffers{stream::StreamBuffer(memory), stream::StreamBuffer(memory)} {}

    std::array<stream::StreamBuffer, 2> buffers;
    std::array<std::unique_ptr<Lane>, 2> lanes;  // Grade edit, as long as it needs one.
    std::array<haka_stream, 4> streams{};        // [2] and [3]: bodies of HTTP messages.
    std::unique_ptr<HttpState> http;             // Of a connection with that dissector.
    // For each direction one a stream rule and one for the connection's dissector; all of direction
    // 0, then all of direction 1.
    std::vector<haka_cursor> cursors;
    std::uint32_t cursor_count = 0;                  // Of a direction.
    const std::vector<bool>* is_readonly = nullptr;  // By cursor.
    // The newest that each end has sent, for what is sent in its name.
    std::array<std::uint32_t, 2> timestamps{};
    // Of each end's segments the newest that left no hole before it: what an end that has all that
    // came here would echo (RFC 7323, 4.3). The connection's own lags behind by what is under way.
    std::array<std::uint32_t, 2> in_order_timestamps{};
    // File: a hole that the receiver has acknowledged, and how many packets the connection had
    // when it was first seen; since == 0: none.
    struct Hole {
        std::uint64_t since = 0;
        std::uint64_t at = 0;
    };
    std::array<Hole, 2> holes{};
    // Without a lane: the offset before which all has left. Rules that change nothing may want to
    // see more than what hasn't.
    std::array<std::uint64_t, 2> left{};
    // Live: a hole behind which no more fits.
    struct Full {
        Instant since;
        std::uint64_t at = 0;
        bool is_set = false;
    };
    std::array<Full, 2> full{};
    std::array<Instant, 2> undecided_since{};
    std::array<bool, 2> undecided{};
    std::array<bool, 2> undecided_queued{};  // Its timer runs.
    bool edited = false;                     // A rule changed a stream, ever.
    bool tied = false;                       // Shaper::Exit::tie
    bool bypassed = false;  // No rule looks any more; what was edited is still translated.

    // Its ends number bytes differently.
    [[nodiscard]] bool translates() const {
        return std::ranges::any_of(lanes, [](const std::unique_ptr<Lane>& lane) {
            return lane != nullptr &&
                   (!lane->outlet.map().empty() || lane->outlet.map().shift() != 0);
        });
    }
};

// After a hook: moves a cursor to where it may stay. Returns the position from which on it still
// wants bytes.
double settle_cursor(haka_cursor& cursor);
// `inserted` bytes came in the place of `erased` ones at `at`: all cursors follow, as seen from the
// rule of cursor `editor`.
struct CursorEdit {
    std::uint32_t editor = 0;
    double at = 0;
    double erased = 0;
    double inserted = 0;
};
void move_cursors(const haka_stream& stream, std::uint32_t count, const CursorEdit& edit);

class Listeners {
public:
    // `memory` must outlive this.
    explicit Listeners(stream::StreamMemory& memory) : memory_(&memory) {}

    // In each direction there is a cursor for each stream rule, and one for the connection's
    // dissector; `is_readonly` says of each whether it promised not to change the stream. It must
    // stay until the listener is restarted or removed.
    [[nodiscard]] std::uint32_t add(const std::vector<bool>& is_readonly);
    [[nodiscard]] Listener& at(std::uint32_t index) { return *places_[index]; }
    void remove(std::uint32_t index);
    [[nodiscard]] std::size_t count() const { return places_.size() - free_.size(); }

    // Shows both directions' bytes to Lua; cursors that lie before them move up.
    static void present(Listener& listener, std::size_t half);
    // The rule of cursor `editor` put `inserted` bytes in the place of `erased` ones at `at`.
    // All cursors of that direction follow, and its bytes are shown anew.
    static void follow_edit(Listener& listener, std::size_t half, const CursorEdit& edit);
    // Offsets from which on bytes are still wanted.
    struct Wanted {
        std::uint64_t held = UINT64_MAX;   // By rules that may change them: they can't leave yet.
        std::uint64_t shown = UINT64_MAX;  // By any rule. Not behind `held`.
    };
    // After a hook: moves each cursor of `half` to where it may stay.
    static Wanted settle(Listener& listener, std::size_t half);
    // Whether one of the first `count` cursors keeps bytes from those behind it.
    [[nodiscard]] static bool keeps(const Listener& listener, std::size_t half, std::size_t count);
    // Whether one of them has not come to the end.
    [[nodiscard]] static bool lags(const Listener& listener, std::size_t half, std::size_t count);
    // Other rules take over: each has a cursor, which has let go of nothing and holds nothing.
    static void restart(Listener& listener, const std::vector<bool>& is_readonly);

private:
    stream::StreamMemory* memory_;
    std::vector<std::unique_ptr<Listener>> places_;
    std::vector<std::uint32_t> free_;
};

}  // namespace haka::engine
