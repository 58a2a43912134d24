// What leaves in the place of a packet of an edited connection: bytes as the rules left them, cut
// to what their receiver takes, with numbers that both ends understand; and what the engine sends
// in the ends' names so that neither stalls.
//
//   read_answer()   before the state machine: the ACK number, into the sender's space
//   take_answer()   behind it: what the receiver has and accepts
//   shape()         behind the rules: the packet leaves, changed, in pieces, later or not at all
//   push()          bytes of the other direction that no packet of it brings
//
// A direction has a Lane while it needs one; without one, packets pass as they came.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/settings.h"
#include "engine/item.h"
#include "engine/lane.h"
#include "engine/listeners.h"
#include "flow/connection.h"
#include "stream/tracker.h"
#include "wire/segment.h"

namespace haka::engine {

class Shaper {
public:
    // The way out, with its hooks. False: a hook decided the connection; nothing of it is there.
    class Exit {
    public:
        virtual ~Exit() = default;
        virtual bool let_out(Item& item, flow::Connection* connection) = 0;
        // Its ends can't go on without this process: they were told what only it can keep.
        virtual void tie(const flow::Connection& connection, Listener& listener) = 0;
    };

    Shaper(const TcpSettings& settings, stream::Mode mode, stream::StreamMemory& memory, Exit& exit)
        : settings_(&settings), mode_(mode), memory_(&memory), exit_(&exit) {}

    // The lane of the bytes that the client (true) or the server sends, made when there is none.
    Lane& lane_of(const flow::Connection& connection, Listener& listener, bool of_client);

    // `segment` of one end acknowledges output bytes of the other: to input. Recorded ends never
    // saw an edit and count input bytes, unless one shows that it does.
    void read_answer(const flow::Connection& connection, Listener& listener, bool from_client,
                     wire::Segment& segment);
    // An accepted segment's ACK. Needs the lane of the other direction.
    void take_answer(const Item& item, flow::Connection& connection, Listener& listener,
                     bool from_client, const wire::Segment& segment,
                     const stream::Judgement& judgement, Instant now);

    // The packet at hand, accepted, its bytes stored and shown. Needs a lane of either direction.
    // False: the connection was decided on the way.
    bool shape(Item& item, flow::Connection& connection, Listener& listener, bool from_client,
               const wire::Segment& segment, const stream::Judgement& judgement, Instant now);
    // Sends what may leave of direction `of_client`. `item` came from the client or the server:
    // what is made here looks like it.
    bool push(const Item* item, flow::Connection& connection, Listener& listener, bool of_client,
              bool from_client, Instant now);

    // File: lets every held packet of an unedited direction out as it came, holes or not.
    bool flush(flow::Connection& connection, Listener& listener, bool of_client, Instant now);

    // Live: answers a segment that wasn't believed. `listener` may be null.
    bool challenge(const Item& item, flow::Connection& connection, Listener* listener,
                   bool from_client, Instant now);

    // Live: whether more packets of a batch follow. Less than a full segment waits for them then,
    // and leaves behind the last one: end_bundle() for each of take_bundles().
    void expect_more(bool more_comes) { more_comes_ = more_comes; }
    struct Waiting {
        std::uint64_t id = 0;  // The connection's.
        std::uint32_t index = 0;
        bool of_client = false;
    };
    [[nodiscard]] bool has_bundles() const { return !bundles_.empty(); }
    [[nodiscard]] std::vector<Waiting> take_bundles() { return std::exchange(bundles_, {}); }
    bool end_bundle(flow::Connection& connection, Listener& listener, bool of_client, Instant now);

    // Live: retransmissions that are due. Each is handed to retransmit() if it still matters.
    struct Due {
        Instant at;
        std::uint64_t id = 0;  // The connection's.
        std::uint32_t index = 0;
        bool of_client = false;
    };
    [[nodiscard]] Instant wakes_at() const { return due_.empty() ? kNever : due_.front().at; }
    // Precondition: wakes_at() <= now.
    [[nodiscard]] Due take_due();
    bool retransmit(flow::Connection& connection, Listener& listener, const Due& due, Instant now);

    // Whether the receiver of these bytes counts them as they leave here.
    [[nodiscard]] bool counts_output(const Lane& lane) const {
        return live() || lane.answers_count_output;
    }

private:
    // What all functions below share of the packet at hand.
    struct Scene {
        flow::Connection& connection;
        Listener* listener;  // Null: nobody listens.
        const Item* item;    // Null: a timer.
        bool from_client;    // Of the item; of the lane for a timer.
        Instant now;
        std::uint32_t timestamp = 0;  // Of the item.
        bool has_timestamp = false;
        bool left = false;   // Bytes of the item's direction have left.
        bool again = false;  // They had left before, and the rest of the item waits still.
        stream::HeldPieces::Range twice{};  // Its bytes, if their receiver has them all (input).
    };

    [[nodiscard]] bool live() const { return mode_ == stream::Mode::Live; }
    [[nodiscard]] static std::unique_ptr<Lane>& place(Listener& listener, bool of_client) {
        return listener.lanes.at(of_client ? 0 : 1);
    }

    [[nodiscard]] static const Lane* lane_at(const Listener* listener, bool of_client) {
        return listener == nullptr ? nullptr : listener->lanes.at(of_client ? 0 : 1).get();
    }

    // shaper.cc: the packet at hand
    static std::uint16_t announce(stream::Outlet& outlet, flow::Half& sender, std::uint64_t ack,
                                  std::uint8_t scale);
    bool translate_answer(const Scene& scene, Item& item, const wire::Segment& segment);
    [[nodiscard]] static std::uint64_t joined(const Lane& lane, std::uint64_t ack);
    bool pass_bare(Scene& scene, Item& item, Lane& lane, const wire::Segment& segment, bool useful);
    bool carry(Scene& scene, Item& item, Lane& lane, const wire::Segment& segment,
               const stream::Judgement& judgement, bool useful);
    bool let_out_syn(Scene& scene, Item& item, Lane& lane);
    bool send_again(Scene& scene, Item& item, Lane& lane, const wire::Segment& segment,
                    std::uint64_t begin, std::uint64_t end);
    [[nodiscard]] static bool fits_as_is(const Lane& lane, const Item& item, std::uint64_t from,
                                         std::uint64_t to);
    bool let_out_as_is(Scene& scene, Item& item, Lane& lane, std::uint64_t from);
    static void note_timestamp(Lane& lane, std::uint32_t value, bool has);
    static void add_carrier(Lane& lane, Carrier carrier);
    void keep_carrier(Lane& lane, Item& item);
    void pop_carrier(Lane& lane);
    bool send_covered(Scene& scene, Lane& lane, Item* item);
    bool send_carriers(Scene& scene, Lane& lane, Item* item);
    static void drop_idle_lane(Listener& listener, bool of_client);
    void tell_sender(const Scene& scene, Lane& lane, std::uint64_t ack, std::uint64_t edge) const;

    struct Stretch {
        std::uint64_t from = 0;  // Output offsets.
        std::uint64_t to = 0;
        bool fin = false;
        bool push = false;
    };

    // shaper_bundle.cc: what leaves together
    enum class BundleEnd : std::uint8_t { Leaves, Waits };
    bool add_to_bundle(Scene& scene, Lane& lane, bool of_client, output::Head head, Stretch stretch,
                       bool is_item);
    bool send_bundle(Scene& scene, Lane& lane, bool of_client, BundleEnd end);

    // shaper_send.cc: what is made here
    bool send_pieces(Scene& scene, Lane& lane, bool of_client, const output::Head& head,
                     Stretch stretch, bool first_is_item);
    bool send_probe(Scene& scene, Lane& lane, bool of_client, const output::Head& head,
                    bool injected);
    bool send_bare_ack(Scene& scene, const Lane& lane);
    bool answer_sender(Scene& scene, Lane& lane, const stream::Judgement& judgement);
    bool send_ack(Scene& scene, Lane& lane, bool of_client, std::uint64_t newest,
                  stream::HeldPieces::Range twice = {});
    void tell(const Scene& scene, Lane& lane, std::uint64_t ack) const;
    bool leave(Scene& scene, const output::Head& head, bool injected, flow::Connection* connection);
    bool send_own_fin(Scene& scene, Lane& lane, bool of_client);
    bool take_late_fin(Scene& scene, Lane& lane, bool useful);
    void note_sent(const Scene& scene, Lane& lane, std::uint64_t to, bool fin);
    [[nodiscard]] output::Head head_for(const Scene& scene, bool of_client) const;
    [[nodiscard]] static output::Head answer_head(const Scene& scene, bool of_client,
                                                  const output::Head& came);
    [[nodiscard]] static std::uint32_t piece_max(const Scene& scene, bool of_client,
                                                 const output::Head& head);
    struct Answer {
        std::uint32_t ack_seq = 0;
        std::uint16_t window = 0;
    };
    [[nodiscard]] static Answer answer_of(const Scene& scene, bool of_client);
    [[nodiscard]] static std::uint32_t echo_of(const Scene& scene, bool of_client);
    [[nodiscard]] static std::uint32_t next_seq(const Scene& scene, bool of_client);
    [[nodiscard]] Answer newest_answer(const Scene& scene, bool of_client,
                                       const output::Head& head);
    void freshen(const Scene& scene, const Lane& lane, bool of_client, const output::Head& head);
    [[nodiscard]] std::uint64_t edge_for(const Lane& lane) const;

    // shaper_recover.cc: what is sent again
    static void read_sacks(const Item& item, Lane& lane, std::uint32_t isn);
    bool recover(Scene& scene, Lane& lane, bool of_client);
    void arm(const Scene& scene, Lane& lane, bool of_client);
    void queue(Lane& lane, const flow::Connection& connection, bool of_client);

    const TcpSettings* settings_;
    stream::Mode mode_;
    stream::StreamMemory* memory_;
    Exit* exit_;
    std::vector<Due> due_;  // A heap; an entry that isn't its lane's queued_at is void.
    std::vector<Waiting> bundles_;
    bool more_comes_ = false;
    std::vector<std::uint8_t> piece_;
    std::int64_t answered_ = -1;  // Of the packet at hand: its ACK number, an output offset.
};

}  // namespace haka::engine
