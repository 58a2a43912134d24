// Joins the fragments of IPv4 and IPv6 datagrams (RFC 791, RFC 815, RFC 8200 4.5, RFC 5722).
//
//   in:   [ link | ip | data 0..  ]   [ link | ip | data 8..  ]  ...     held as copies
//   out:  [ link | ip | data 0 ............... ]   joined(), for the rules
//         the frames as they came                   originals(), for the cable
//
// Any overlap but an exact duplicate refuses the whole datagram: receivers differ in what they make
// of it. A refused datagram is remembered until its timeout, and whatever else comes of it is
// refused too (a fragment whose own length is impossible goes alone). Duplicates are held and leave
// with the rest. At datagrams_max the oldest reminder goes, else the oldest datagram; at bytes_max
// the oldest datagram; at fragments_per_datagram_max the datagram itself.
//
// Invariants: (1) what is held stays within FragmentSettings; (2) every frame given to add() is
// reported exactly once: by the Outcome if it is Refused, else later in originals() or dropped().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/event.h"
#include "base/settings.h"
#include "base/time.h"
#include "flow/flow_key.h"
#include "flow/recut.h"
#include "packet/packet.h"
#include "wire/headers.h"

namespace haka::flow {

enum class FragmentOutcome : std::uint8_t {
    Held,       // Copied; wait for more.
    Duplicate,  // As Held, but its bytes were there already.
    Joined,     // It completed a datagram: joined(), originals(), shape().
    Refused     // Not held; Outcome.event says why.
};

class Defragmenter {
public:
    struct Outcome {
        FragmentOutcome kind = FragmentOutcome::Held;
        Event event = Event::None;  // Why it is Refused.
    };
    // A held frame that was given up.
    struct Dropped {
        std::uint64_t number = 0;
        Event event = Event::None;
    };

    // Whoever knows `seed` can build colliding keys.
    Defragmenter(const FragmentSettings& settings, std::uint64_t seed);

    // Does a datagram's time run out? For every packet; false means that expire() would do nothing.
    [[nodiscard]] bool due(Instant now) const { return now.ns >= due_at_.ns; }
    // When it is due at the earliest; the far future while nothing is held.
    [[nodiscard]] Instant wakes_at() const { return due_at_; }
    // Gives up every datagram that is older than the timeout: see dropped().
    void expire(Instant now);

    // Precondition: headers.fragment, and `headers` are those of `frame`; expire(now) was called if
    // due. The frame's bytes may go as soon as what came of it is used up.
    Outcome add(const Frame& frame, const wire::Headers& headers, Instant now);

    // After Joined, until the next add(): the datagram as one frame with the link and IP header of
    // its first fragment, and the number and time of the frame that completed it. May be written.
    // Hostile data may make it a fragment once more: that isn't for add().
    [[nodiscard]] const Frame& joined() const { return joined_; }
    // After Joined, until the next add(): all its frames in order of arrival. The last is the frame
    // at hand itself and lives as long as that.
    [[nodiscard]] std::span<const Frame> originals() const { return originals_; }
    [[nodiscard]] const FragmentShape& shape() const { return shape_; }

    // The held frames that the last add(), expire() or finish() gave up, by datagram and arrival.
    // The frame at hand is never among them.
    [[nodiscard]] std::span<const Dropped> dropped() const { return dropped_; }

    // The input has ended: gives up all that is held, as timed out.
    void finish();

    [[nodiscard]] std::uint32_t datagrams() const { return datagram_count_; }
    [[nodiscard]] std::size_t held_bytes() const { return held_bytes_; }
    // What a frame of `size` bytes counts against bytes_max: its bytes and what it takes to hold
    // it.
    [[nodiscard]] static std::size_t charge(std::size_t size) { return size + kOverhead; }

private:
    static constexpr std::size_t kOverhead = 192;

    // IPv6 datagrams are told apart without the protocol: only the first fragment's counts.
    struct Key {
        FlowKey ends;  // Not ordered: source, destination; ports are 0.
        std::uint32_t identification = 0;
        std::uint16_t protocol = 0;

        friend bool operator==(const Key&, const Key&) = default;
    };

    // What a fragment says of itself.
    struct Piece {
        std::uint32_t begin = 0;  // Of the datagram's data; begin < end.
        std::uint32_t end = 0;
        std::uint32_t net = 0;          // Where its IP header starts in the frame.
        std::uint32_t header_size = 0;  // Of its IP headers that stay when joined.
        std::uint32_t data = 0;         // Where its data starts in the frame.
        std::uint8_t next_header = 0;   // IPv6: of the fragment header.
        bool last = false;

        [[nodiscard]] std::uint32_t size() const { return end - begin; }
    };

    struct Fragment {
        Piece piece;
        Frame frame;
        std::unique_ptr<std::uint8_t[]> bytes;  // What `frame` shows.
    };

    struct Datagram {
        Key key;
        std::uint64_t serial = 0;  // Ascending by arrival; 0: this place is free.
        Instant deadline;
        std::uint32_t chain_next = kNoPlace;  // Same bucket of the index, or next free place.
        std::uint32_t older = kNoPlace;
        std::uint32_t newer = kNoPlace;
        std::uint32_t total = 0;     // Size of the data, once the last fragment has come.
        std::uint32_t received = 0;  // Bytes of it that are there.
        bool has_last = false;
        Event refused = Event::None;           // Not None: a reminder, nothing is held.
        std::vector<Fragment> fragments;       // In order of arrival, duplicates too.
        std::vector<std::uint32_t> by_offset;  // Those that aren't duplicates, ascending.
    };

    // Datagrams in order of arrival; reminders in order of refusal.
    struct AgeList {
        std::uint32_t oldest = kNoPlace;
        std::uint32_t newest = kNoPlace;
    };

    static constexpr std::uint32_t kNoPlace = UINT32_MAX;

    static Event read(const Frame& frame, const wire::Headers& headers, Key& key, Piece& piece);
    [[nodiscard]] std::uint32_t& bucket(const Key& key);
    [[nodiscard]] std::uint32_t find(const Key& key);
    [[nodiscard]] std::uint32_t open(const Key& key, Instant now);
    void close(std::uint32_t place);
    void push(AgeList& list, std::uint32_t place);
    void take(AgeList& list, std::uint32_t place);
    void drop_frames(Datagram& datagram, Event event);
    Outcome refuse(std::uint32_t place, Event event);
    [[nodiscard]] static Event fit(const Datagram& datagram, const Frame& frame, const Piece& piece,
                                   bool& is_duplicate);
    [[nodiscard]] bool make_room(std::size_t bytes, std::uint32_t place);
    void hold(Datagram& datagram, const Frame& frame, const Piece& piece);
    void join(std::uint32_t place, const Frame& frame, const Piece& piece);
    void write_joined_header(const Piece& first, std::uint32_t total);

    FragmentSettings settings_;
    HashKey secret_;
    Instant due_at_{INT64_MAX};  // At or before the earliest deadline.
    std::uint64_t serial_ = 0;
    std::uint32_t datagram_count_ = 0;
    std::uint32_t free_ = kNoPlace;
    std::size_t held_bytes_ = 0;
    AgeList holding_;
    AgeList refused_;
    std::vector<Datagram> places_;
    std::vector<std::uint32_t> buckets_;
    std::vector<Dropped> dropped_;
    std::vector<std::uint32_t> expired_;  // Kept for its capacity.

    Frame joined_;
    FragmentShape shape_;
    std::vector<std::uint8_t> joined_bytes_;
    std::vector<Frame> originals_;
    std::vector<Fragment> leaving_;  // Keeps the bytes of originals().
};

}  // namespace haka::flow
