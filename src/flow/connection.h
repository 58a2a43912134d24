// What the engine remembers of one TCP connection: plain data, the rules that change it are in
// stream/ (state machine) and flow/ (table, timers). At most 256 bytes, nothing allocated besides.
//
// *Client* sent the first SYN; direction `true` is client -> server. A sequence number becomes a
// 64-bit stream offset: offset 0 is the first byte behind the SYN (ISN + 1).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "flow/flow_key.h"

namespace haka::flow {

// RFC 9293, 3.3.2, as a device in the middle sees both ends. Dropped is a tombstone.
enum class State : std::uint8_t {
    SynSent,
    SynReceived,
    Established,
    FinWait,    // The client or the server closed its direction first ...
    CloseWait,  // ... and its FIN is acknowledged: half-closed.
    LastAck,    // Both FINs seen, the last not yet acknowledged.
    TimeWait,
    Closed,
    Dropped
};

constexpr std::size_t kStateCount = static_cast<std::size_t>(State::Dropped) + 1;

// Why tcp-connection-end runs; summaries count connections by it.
enum class EndReason : std::uint8_t {
    Closed,     // Both FINs, both acknowledged.
    Reset,      // A believed RST.
    Refused,    // A RST answered the SYN.
    Dropped,    // drop() or reset() by a rule, or an exception policy.
    Timeout,    // Idle beyond its state's timeout.
    Evicted,    // Made room: the oldest half-open one when the table was full.
    Reused,     // A new SYN took over its ports.
    EndOfInput  // Still open when the capture ended.
};

// What one end has sent, in its own sequence space, and what it said about the other's.
struct Half {
    std::uint64_t sent_end = 0;  // One past the highest offset seen from this end (FIN excluded).
    std::uint64_t acked = 0;     // Highest offset of this end's bytes that the other acknowledged.
    std::uint64_t window_end = 0;  // Right edge: the other end accepts this end's bytes below it.
    std::uint64_t fin_offset = UINT64_MAX;  // Where its FIN stands (first valid one wins).
    std::uint32_t isn = 0;
    std::uint32_t timestamp_recent = 0;  // RFC 7323, 4.3.
    std::uint32_t window_max = 0;        // The largest window this end announced, scaled.
    std::uint32_t noted_ack = 0;         // An ACK of this end's numbers that came before its SYN.
    std::uint16_t mss = 0;               // As announced by this end, 0 if it didn't.
    std::uint16_t largest_payload = 0;   // Of a segment of this end.
    std::uint8_t window_scale = 0;       // Announced by this end, at most 14.
    bool seen : 1 = false;               // A packet of this end has set `isn`.
    bool timestamps : 1 = false;
    bool sack_permitted : 1 = false;
    bool scales_window : 1 = false;
    bool fin_acked : 1 = false;
    bool signed_segments : 1 = false;  // TCP-MD5 or TCP-AO was on its SYN.
    bool syn_acked : 1 = false;
    bool has_noted_ack : 1 = false;

    // The offset behind all that it has sent: of a FIN, too, which counts as one.
    [[nodiscard]] std::uint64_t next() const {
        return sent_end + (fin_offset != UINT64_MAX ? 1 : 0);
    }
    // What the other end expects of it next.
    [[nodiscard]] std::uint64_t next_acked() const { return acked + (fin_acked ? 1 : 0); }
    // By how many bits the windows that it announces are to be shifted (RFC 7323, 2.2): both ends
    // must have offered it. An end that nobody saw is taken to have.
    [[nodiscard]] std::uint8_t window_shift(const Half& other) const {
        return other.scales_window || !other.seen ? window_scale : std::uint8_t{0};
    }
};

constexpr std::uint32_t kNoIndex = UINT32_MAX;

struct Connection {
    FlowKey key;
    std::uint32_t generation = 0;  // Of the policy that accepted it.
    std::uint64_t id = 0;          // The number of the packet that made it; unique in a run.
    Instant start;
    Instant last_seen;
    Instant deadline;              // When its timer is set to; the real one may be later.
    std::array<Half, 2> halves{};  // [0] what the client sent, [1] what the server sent.
    std::array<std::uint64_t, 2> bytes{};
    std::array<std::uint32_t, 2> packets{};
    std::uint32_t index = kNoIndex;  // Its place in the table.
    std::uint32_t hash = 0;          // The bits of its hash that the table's index keeps.
    std::uint32_t timer_previous = kNoIndex;
    std::uint32_t timer_next = kNoIndex;
    std::uint32_t half_open_previous = kNoIndex;
    std::uint32_t half_open_next = kNoIndex;
    std::uint32_t listener =
        kNoIndex;                     // Index of its streams in the worker, kNoIndex: only tracked.
    std::uint32_t script = kNoIndex;  // Index of its Lua side, kNoIndex: Lua never touched it.
    std::uint32_t challenged = 0;  // When it was last answered by a challenge ACK, in half seconds.
    State state = State::SynSent;
    bool client_is_low = true;  // Which end of `key` is the client.
    bool half_open = false;     // It is in the half-open list.
    std::array<std::uint8_t, 2>
        resets_left{};                  // After reset(): answers to what an end still sends.
    std::uint8_t dissector = 0;         // Number of its next dissector in the worker, 0: none.
    bool ended : 1 = false;             // tcp-connection-end has run: only a remnant is left.
    bool reported_overlap : 1 = false;  // Events told once per connection.
    bool reported_checksum : 1 = false;
    bool reported_signed : 1 = false;
    bool fast_open : 1 = false;
    bool moved : 1 = false;             // To another policy, which has not been asked about it yet.
    bool midstream : 1 = false;         // It was there before the engine: no SYN was seen.
    bool client_on_second : 1 = false;  // Live: its packets come in by interface 1.

    [[nodiscard]] const Endpoint& client() const { return client_is_low ? key.low : key.high; }
    [[nodiscard]] const Endpoint& server() const { return client_is_low ? key.high : key.low; }
    // Both SYNs are acknowledged.
    [[nodiscard]] bool is_open() const { return halves[0].syn_acked && halves[1].syn_acked; }
    // Data is no surprise to either end.
    [[nodiscard]] bool takes_data() const { return midstream || is_open(); }
    // What the sender of a packet of this direction has sent.
    [[nodiscard]] Half& half(bool from_client) { return halves[from_client ? 0 : 1]; }
    [[nodiscard]] const Half& half(bool from_client) const { return halves[from_client ? 0 : 1]; }
};

[[nodiscard]] constexpr std::string_view to_string(State state) {
    using enum State;
    switch (state) {
        case SynSent:
            return "SYN_SENT";
        case SynReceived:
            return "SYN_RECEIVED";
        case Established:
            return "ESTABLISHED";
        case FinWait:
            return "FIN_WAIT";
        case CloseWait:
            return "CLOSE_WAIT";
        case LastAck:
            return "LAST_ACK";
        case TimeWait:
            return "TIME_WAIT";
        case Closed:
            return "CLOSED";
        case Dropped:
            return "DROPPED";
    }
    return "";
}

[[nodiscard]] constexpr std::string_view to_string(EndReason reason) {
    using enum EndReason;
    switch (reason) {
        case Closed:
            return "closed";
        case Reset:
            return "reset";
        case Refused:
            return "refused";
        case Dropped:
            return "dropped";
        case Timeout:
            return "timeout";
        case Evicted:
            return "evicted";
        case Reused:
            return "reused";
        case EndOfInput:
            return "end of input";
    }
    return "";
}

}  // namespace haka::flow
