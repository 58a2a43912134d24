// The TCP state machine as a device in the middle sees it (RFC 9293, 5961, 7323, 7413): one segment
// is judged against what is remembered of its connection, and what it says is remembered. No byte
// of payload is read here.
//
//   judge(connection, segment) -> drop / trim / accept [offset, offset + size), FIN, ACK,
//   transition
//
// Invariants:
//   (1) a dropped segment changes nothing in the connection, its time stamps included;
//   (2) Half's offsets only grow; `fin_offset` is set once;
//   (3) sent_end <= fin_offset;
//   (4) live: acked <= sent_end. In a file an ACK may run ahead of its data.
#pragma once

#include <cstdint>

#include "base/event.h"
#include "base/settings.h"
#include "base/time.h"
#include "flow/connection.h"
#include "wire/segment.h"

namespace haka::stream {

// File: the peers can't react any more and the capture may be out of order by some packets, so an
// ACK may come before its data and a segment before the window that allowed it. Live: exact.
enum class Mode : std::uint8_t { File, Live };

// What to do with one segment. When `drop` or `new_attempt` is set, nothing below `reason` counts.
struct Judgement {
    // Accepted payload: `size` bytes, the first at payload[skip], which is stream byte `offset`.
    std::uint64_t offset = 0;
    std::uint64_t acknowledged = 0;  // The *other* end's bytes below this have been received.
    std::uint32_t skip = 0;
    std::uint32_t size = 0;

    Event event = Event::None;                         // Why it is dropped or trimmed.
    flow::EndReason reason = flow::EndReason::Closed;  // With `reset`: Reset or Refused.
    bool drop = false;
    // A SYN that begins another connection of the same ports: nothing was changed; the caller ends
    // the old one (EndReason::Reused), makes a new one and judges the SYN again.
    bool new_attempt = false;

    // Payload outside [skip, skip + size) must not leave: data of a SYN without fast open, of a
    // RST, before the first byte or behind the FIN. (The sequence number then moves by `skip`.)
    bool trimmed = false;
    bool fin = false;           // First sight of this end's FIN, at half(from_client).fin_offset.
    bool ack_advanced = false;  // `acknowledged` grew, or the other end's FIN was acknowledged.
    bool ack_ahead = false;  // File: `acknowledged` is beyond what the other end was seen to send.
    bool handshake_completed = false;  // Now both SYNs are acknowledged.
    bool closed = false;               // Now both FINs are acknowledged.
    bool reset = false;                // A RST was believed; `reason` says in which phase.
};

// By what a segment is judged.
struct Conditions {
    const TcpSettings& settings;
    Mode mode;
};

// Judges a segment of `connection` and remembers what it said. A new connection is a
// value-initialised Connection and the SYN that made it. `from_client` is the segment's direction.
[[nodiscard]] Judgement judge(flow::Connection& connection, bool from_client,
                              const wire::Segment& segment, Instant now,
                              const Conditions& conditions);

// Whether a segment of no connection may begin one: a SYN without ACK, FIN, RST, well-formed.
[[nodiscard]] bool begins_connection(const wire::Segment& segment);

// Whether a segment of no connection may belong to one that was there before: it has an ACK and
// neither SYN nor RST.
[[nodiscard]] bool continues_connection(const wire::Segment& segment);

// Fills a value-initialised Connection that was there before from the first segment seen of it,
// which is to be judged next. Window scales aren't known: they are taken to be the largest, and for
// kUnseenTime an ACK may name bytes that passed before.
void pick_up(flow::Connection& connection, bool from_client, const wire::Segment& segment);
constexpr Duration kUnseenTime = kSecond * 60;
// Where the streams of such a connection begin: far enough from 0 for retransmissions.
constexpr std::uint64_t kMidstreamOffset = 1ULL << 30;

// TcpBadFlags for a combination that no TCP sends, else None. For packets of no connection.
[[nodiscard]] Event judge_flags(std::uint8_t flags);

// An end's FIN, just judged, needs nobody's ACK any more: the other one has had one in its place.
void acknowledge_fin(flow::Connection& connection, bool of_client, Judgement& judgement);

// Makes a tombstone of it (drop(), reset(), exception policies): silent for dropped_timeout.
void entomb(flow::Connection& connection, Instant now);

// When the connection is to be forgotten if nothing more comes.
[[nodiscard]] Instant deadline_of(const flow::Connection& connection, const TcpSettings& settings);

}  // namespace haka::stream
