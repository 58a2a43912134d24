// One worker: walks the packets that are its own through all rooms, in order, and writes what comes
// of them into the block's journal. It owns its connections, streams and Lua state and shares
// nothing, so nothing here is locked.
//
// The walk of a packet is in worker.cc (layers), tcp_walk.cc (connections), stream_walk.cc (their
// bytes), connection_end.cc (timers and ends), departure.cc (down hooks, what leaves); what Lua
// asks for is in worker_host.cc and connection_host.cc, what it says in worker_report.cc. What
// leaves in an edited connection is the Shaper's. Which policy is at work, and how a new one takes
// over, is in worker_policy.cc.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <span>
#include <string>
#include <vector>

#include "base/settings.h"
#include "capture/block.h"
#include "capture/way_out.h"
#include "engine/http_walk.h"
#include "engine/item.h"
#include "engine/journal.h"
#include "engine/listeners.h"
#include "engine/packet_slots.h"
#include "engine/policy.h"
#include "engine/shaper.h"
#include "engine/worker_control.h"
#include "engine/worker_setup.h"
#include "flow/connection_table.h"
#include "flow/fragments.h"
#include "flow/timer_wheel.h"
#include "output/reset.h"
#include "report/console.h"
#include "report/eve.h"
#include "report/flow_id.h"
#include "report/limiter.h"
#include "report/summary.h"
#include "script/script.h"
#include "stream/tracker.h"

namespace haka::engine {

class Worker final : public script::Host, private Shaper::Exit, private HttpWalk::Ground {
public:
    struct Made {
        std::unique_ptr<Worker> worker;  // Null when the policy can't be loaded.
        std::string error;
        bool fatal = false;  // The policy called haka.log.fatal.
    };
    [[nodiscard]] static Made make(const WorkerOptions& options);
    ~Worker() override;
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    // Walks the frames of `block` that belong to this worker. Stops early when `stop` is set.
    void walk(std::span<Frame> frames, Journal& journal, const std::atomic<bool>& stop);
    // Live: from now on what leaves goes there too, at once.
    void set_way_out(capture::WayOut* way_out) { way_out_ = way_out; }
    // Live: frames carry wall time; timers run by a clock that is so much behind it and never
    // jumps, which is also pass_time()'s.
    void set_wall_offset(Duration offset) { wall_offset_ = offset; }
    // Live: lets timers run out up to `now`, which is not before the last frame's time.
    void pass_time(Instant now, Journal& journal);
    // Live: when pass_time() has something to do at the earliest; the far future: nothing waits.
    [[nodiscard]] Instant wakes_at() const;
    // The input has ended: fragments, connections, on_exit.
    void finish(Journal& journal);

    // Loads the policy's file anew, beside the one at work: from any thread. `generation` is one
    // that no policy here had; the one at work may not be the last that was handed over.
    [[nodiscard]] Policy::Loaded prepare(std::uint32_t generation) const;
    // Between two walks: new connections take `policy`, those that are there stay with theirs. What
    // it said while it loaded goes to the journal. `now` is as in pass_time().
    void reload(std::unique_ptr<Policy> policy, Instant now, Journal& journal);
    // Of the newest policy; 1 is the one that the worker began with.
    [[nodiscard]] std::uint32_t generation() const {
        return generation_.load(std::memory_order_relaxed);
    }
    // Policies that nobody needs any more, for another thread to end. Only the thread that looks at
    // at_work() and script() may call it: what it looks at stays until then.
    [[nodiscard]] std::vector<std::unique_ptr<Policy>> take_retired();

    [[nodiscard]] report::Summary summary() const;
    // The one that was at work last; also for the watchdog.
    [[nodiscard]] script::Script& script() { return *watched_.load()->script; }
    // What the first policy logged and printed while it loaded: records as in a journal.
    [[nodiscard]] const std::vector<std::uint8_t>& loading_journal() const {
        return loading_journal_;
    }
    [[nodiscard]] std::uint32_t index() const { return options_.index; }
    // haka.log.fatal was called.
    [[nodiscard]] bool is_fatal() const { return fatal_; }
    [[nodiscard]] std::uint64_t table_memory() const { return table_.memory_bytes(); }

    // worker_control.cc: what can be asked, and asked for, between two walks; see worker_control.h.
    [[nodiscard]] WorkerFigures figures() const;
    // Looks at a slice of the table. False: it was the last one, or `rows_max` rows are there.
    bool list(const ConnectionFilter& filter, Instant now, Listed& listed) const;
    [[nodiscard]] ConnectionFate end_connection(const EndRequest& request, Instant now,
                                                Journal& journal);
    void set_log_level(std::string_view module, report::LogLevel level, Journal& journal);

    // For the watchdog, from another thread: the rule and packet at work. Right while the rule
    // hangs, a guess otherwise.
    struct AtWork {
        std::uint32_t rule = 0;
        std::uint64_t packet = 0;
    };
    [[nodiscard]] AtWork at_work() const;
    // The thread that walks says so once; from then on any other can read that thread's clock: the
    // time that it had a processor. Before that it is the monotonic clock.
    void note_thread();
    [[nodiscard]] Instant thread_time() const;
    [[nodiscard]] const std::vector<script::RuleInfo>& rules_at_work() const {
        return watched_.load()->script->rules();
    }

private:
    static constexpr std::size_t kBatch = 32;
    static constexpr std::uint8_t kHttpDissector = 1;

    explicit Worker(const WorkerOptions& options);

    // worker.cc
    void prepare(Item& item, const Frame& frame);
    void walk_item(Item& item);
    void walk_ip(Item& item);
    void walk_fragment(Item& item);
    void walk_transport(Item& item);
    void reread(Item& item);
    void tick(const Frame& frame);
    void expire_fragments();
    [[nodiscard]] bool owns(const Item& item) const;
    bool check_checksums(Item& item);
    bool run_packet_hook(script::Hook hook, Item& item);
    void begin_event(Item* item);
    void drop_loose_packets();
    void end_lost_layers(std::uint32_t slot, const haka_packet& before);
    bool finish_event(script::RunStatus status, Item* item);
    void drop(Item& item, Event reason) const;

    // worker_report.cc
    [[nodiscard]] report::Where where_of(const Item& item,
                                         const flow::Connection* connection) const;
    void fill_where(report::Where& where, const flow::Connection& connection) const;
    void remark(Event event, const Item& item, const flow::Connection* connection);
    void stage_alert(const report::Alert& alert, const report::Where& where, Event limit);

    // tcp_walk.cc
    void walk_tcp(Item& item);
    void translate_quote(Item& item);
    [[nodiscard]] flow::Connection* open(Item& item, const wire::Segment& segment);
    [[nodiscard]] flow::Connection* make_connection(Item& item);
    void refuse_attempt(const Item& item, const wire::Segment& segment);
    bool announce(Item& item, flow::Connection& connection);
    stream::Judgement judge(const Item& item, flow::Connection& connection, wire::Segment& segment);
    void follow(Item& item, flow::Connection& connection, wire::Segment& segment);
    void carry_out(Item& item, flow::Connection& connection, const wire::Segment& segment,
                   const stream::Judgement& judgement);
    void turn_away(Item& item, flow::Connection& connection, const wire::Segment& segment,
                   Event event);
    void pass(Item& item, flow::Connection& connection, const wire::Segment& segment,
              const stream::Judgement& judgement);
    void trim(Item& item, const stream::Judgement& judgement, Event why);
    bool listen(Item& item, flow::Connection& connection, const wire::Segment& segment,
                const stream::Judgement& judgement);
    void leave(Item& item, flow::Connection& connection, const wire::Segment& segment,
               const stream::Judgement& judgement);
    void repeat_reset(const Item& item, flow::Connection& connection, const wire::Segment& segment);
    void normalise(Item& item, const flow::Connection& connection, const wire::Segment& segment);
    void note_normalised(Item& item, const flow::Connection& connection, Event event,
                         std::uint32_t changed);
    bool store(Item& item, flow::Connection& connection, Listener& listener,
               const stream::Judgement& judgement);
    enum class HoleRule : std::uint8_t { WhenOld, AtOnce };
    bool close_lost_hole(Item* item, flow::Connection& connection, bool of_client, HoleRule rule);
    // Runs the stream's rules on what is new; false when the connection was decided.
    bool pass_gaps(Item* item, flow::Connection& connection);
    bool run_stream_hooks(Item* item, flow::Connection& connection, bool of_client);
    [[nodiscard]] std::size_t lua_cursors(const flow::Connection& connection) const;
    [[nodiscard]] bool has_news(const flow::Connection& connection, bool of_client) const;
    [[nodiscard]] bool keeps_from_others(const flow::Connection& connection,
                                         std::size_t half) const;
    void make_stand_in(const flow::Connection& connection, bool of_client, Item& item);
    bool show(Item* item, flow::Connection& connection, bool of_client);
    std::uint64_t settle(const flow::Connection& connection, Listener& listener, bool of_client);
    static std::uint64_t release(Listener& listener, std::size_t half,
                                 Listeners::Wanted wanted = {});
    bool check_undecided(Item* item, flow::Connection& connection, Listener& listener,
                         std::size_t half);
    [[nodiscard]] bool is_young_hole(Listener& listener) const;
    void tell_difference(const Item& item, flow::Connection& connection);
    void empty_resend(Item& item, flow::Connection& connection, const stream::StreamBuffer& buffer,
                      const stream::Judgement& judgement, MutableByteView bytes);
    void queue_undecided(const flow::Connection& connection, Listener& listener, std::size_t half);
    void expire_undecided(Instant now);
    void push_both(flow::Connection& connection);
    void bypass(flow::Connection& connection);
    bool refuse(Item* item, flow::Connection& connection, Event event, Exception exception);
    [[nodiscard]] bool is_listened(const flow::Connection& connection) const;
    [[nodiscard]] bool may_edit(const flow::Connection& connection) const;
    void show_connection(const flow::Connection& connection, bool from_client);
    bool finish_connection_event(script::RunStatus status, Item* item);

    // worker_policy.cc
    [[nodiscard]] Policy& newest() { return *policies_.back(); }
    [[nodiscard]] const Policy& newest() const { return *policies_.back(); }
    [[nodiscard]] Policy* policy_of(const flow::Connection& connection);
    void use(Policy& policy);
    void select(flow::Connection& connection);
    void select_for(const Item& item);
    void count_out(const flow::Connection& connection);
    void install(std::unique_ptr<Policy> policy);
    void let_go_of_policies();
    void retire(std::size_t index);
    void resume_moved(std::uint32_t generation);
    void move(flow::Connection& connection);
    bool resume(flow::Connection& connection);
    bool meet(Item& item, flow::Connection& connection);
    void begin_midway(const flow::Connection& connection);
    [[nodiscard]] stream::Judgement cut_at_start(Item& item, const flow::Connection& connection,
                                                 const stream::Judgement& judgement);
    void hear_first(const flow::Connection& connection, const stream::Judgement& judgement);
    [[nodiscard]] bool was_edited(const flow::Connection& connection) const;
    [[nodiscard]] bool takes_midstream() const;
    [[nodiscard]] flow::Connection* pick_up(Item& item, const wire::Segment& segment);

    // connection_end.cc
    void run_due();
    void expire(Instant now);
    void retransmit(Instant now);
    void end_bundles();
    void end(flow::Connection& connection, flow::EndReason reason, Item* item);
    void end_all();
    void forget(flow::Connection& connection);
    void note_state(flow::State before, flow::State now);
    void settle_decisions(Item* item);
    [[nodiscard]] output::Received received_so_far(const flow::Connection& connection,
                                                   bool at_hand) const;
    void send_resets(flow::Connection& connection, const Item* item);
    void note_link(const Item& item, const flow::Connection& connection);
    void finish_streams(flow::Connection& connection, Item* item);
    bool look_last(Item* item, flow::Connection& connection, bool of_client);
    bool resume_waiting(flow::Connection& connection, bool of_client);
    void release_listener(flow::Connection& connection);

    // worker_http.cc
    bool walk_http(Item* item, flow::Connection& connection, bool of_client);
    bool end_http(Item* item, flow::Connection& connection, bool of_client);
    [[nodiscard]] report::Where http_where() const;
    void alert_http(Event offence, bool blocked);
    bool run_http(script::Hook hook, bool of_client) override;
    bool run_http_body(bool of_client) override;
    bool tell_http(Event offence, Exception action) override;
    bool refuse_http(Event limit) override;
    int edit_http(std::uint32_t half, double at, std::uint32_t erase,
                  std::string_view insert) override;
    void end_requests() override;
    void other_direction_changed() override;
    void log_http(const Exchange& exchange) override;
    int http_part(std::uint32_t which, std::uint32_t part, std::string_view& text) override;
    int http_find(std::uint32_t which, std::string_view name, std::uint32_t from,
                  std::string_view& value) override;
    bool http_item(std::uint32_t which, std::uint32_t index, std::string_view& name,
                   std::string_view& value) override;
    int http_set_part(std::uint32_t which, std::uint32_t part, std::string_view text) override;
    int http_set_header(std::uint32_t which, int how, std::string_view name,
                        std::string_view value) override;
    int http_open_body(std::uint32_t which) override;
    int http_edit_body() override;
    int http_respond(std::string_view text) override;
    [[nodiscard]] std::string_view http_problem() const override;

    // departure.cc
    bool let_out(Item& item, flow::Connection* connection) override;
    void tie(const flow::Connection& connection, Listener& listener) override;
    void untie(const flow::Connection& connection, Listener& listener);
    void depart(Item& item, flow::Connection* connection);
    void depart_fragments(Item& joined, flow::Connection* connection);
    void run_down_hooks(Item& item, flow::Connection* connection);
    void run_transport_down_hooks(Item& item, flow::Connection* connection);
    void run_network_down_hooks(Item& item);
    void write(const Item& item, const flow::Connection* connection);
    [[nodiscard]] Instant wall_time(Instant at) const { return at + wall_offset_; }
    void send_pending();
    void account(const Item& item);
    [[nodiscard]] std::string comment_of(const Item& item) const;

    // worker_host.cc and connection_host.cc: script::Host
    bool log(report::LogLevel level, std::string_view module, std::string_view text) override;
    bool print(std::string_view line) override;
    std::uint64_t alert(report::Alert& alert) override;
    int packet_new(std::uint32_t size, std::uint32_t& slot) override;
    int packet_resize(std::uint32_t slot, std::uint32_t net_size) override;
    int packet_take(std::uint32_t slot, std::uint32_t& taken) override;
    int packet_send(std::uint32_t slot) override;
    void packet_drop(std::uint32_t slot) override;
    void packet_keep(std::uint32_t slot, bool keep) override;
    void packet_parse(std::uint32_t slot) override;
    bool checksum_ok(std::uint32_t slot, bool transport) override;
    void checksum_set(std::uint32_t slot, bool transport) override;
    std::uint32_t packet_mark(std::uint32_t slot) override;
    int packet_set_mark(std::uint32_t slot, std::uint32_t mark) override;
    std::uint32_t connection_touch() override;
    std::uint32_t connection_of(std::uint32_t slot, bool& from_client, bool& tombstone) override;
    int connection_new(std::uint32_t slot, std::uint32_t& connection) override;
    void connection_refresh(std::uint32_t connection) override;
    int connection_drop(std::uint32_t connection) override;
    int connection_reset(std::uint32_t connection) override;
    int connection_close(std::uint32_t connection) override;
    int stream_edit(std::uint32_t half, double at, std::uint32_t erase,
                    std::string_view insert) override;
    void choose_dissector(std::string_view name) override;
    [[nodiscard]] std::string_view next_dissector() const override;
    void rule_time(std::uint32_t rule, double seconds) override;

    [[nodiscard]] bool has_room(std::size_t bytes) const;
    [[nodiscard]] bool has_packet_memory(std::uint64_t more) const;
    [[nodiscard]] std::uint32_t touch(flow::Connection& connection);
    [[nodiscard]] flow::Connection* script_connection(std::uint32_t slot);
    struct FrameOf {
        wire::Headers headers;
        MutableByteView bytes;
    };
    [[nodiscard]] FrameOf frame_of(std::uint32_t slot);

    enum class DecisionKind : std::uint8_t { Drop, Reset, Close };
    struct Decision {
        DecisionKind kind = DecisionKind::Drop;
        std::uint32_t index = 0;
        std::uint64_t id = 0;
        std::uint32_t rule = 0;
        Event reason = Event::Rule;
    };
    int decide(DecisionKind kind, std::uint32_t slot);

    WorkerOptions options_;
    flow::ConnectionTable table_;
    flow::TimerWheel timers_;
    flow::Defragmenter fragments_;
    stream::StreamMemory stream_memory_;
    PacketSlots slots_;
    std::vector<std::unique_ptr<Policy>> policies_;  // The newest is the last; never empty.
    Policy* policy_ = nullptr;                       // At work, with its script and context.
    script::Script* script_ = nullptr;
    haka_context* context_ = nullptr;
    std::unique_ptr<Listeners> listeners_;
    Shaper shaper_;
    HttpWalk http_;
    Item* http_item_ = nullptr;  // Of the walk over HTTP at hand, or null.
    flow::Connection* http_connection_ = nullptr;
    report::Summary summary_;
    report::EveOptions eve_options_;

    // What the walk of one packet shares between its parts.
    capture::WayOut* way_out_ = nullptr;
    Duration wall_offset_{};
    Journal* journal_ = nullptr;
    Order order_;
    Instant now_;
    Item* item_ = nullptr;                    // At hand, or null (timers, end of input).
    flow::Connection* connection_ = nullptr;  // At hand, or null.
    std::uint64_t sent_before_ = 0;           // Of the packet's sender, before the packet.
    std::uint64_t fin_before_ = 0;            // The sender's fin_offset, before the packet.
    flow::State state_before_ = flow::State::SynSent;  // The connection's, before the packet.
    bool from_client_ = true;
    std::vector<std::uint8_t> stand_in_;
    Instant bypass_until_;             // Packets of no connection pass: the table was full.
    bool other_edited_ = false;        // A rule edited the direction that isn't at hand.
    bool connection_decided_ = false;  // The connection at hand was dropped or reset.
    bool settling_ = false;            // settle_decisions() is at work.
    std::vector<Decision> decisions_;
    struct Sent {
        std::uint32_t slot = 0;
        std::uint32_t rule = 0;
    };
    std::vector<Sent> to_send_;  // What a policy sent: leaves behind the packet at hand.
    bool sending_ = false;       // Such a packet is on its way down.
    LinkType last_link_ = LinkType::Ethernet;  // Of the last packet that left.
    std::uint32_t last_interface_ = 0;
    std::vector<output::Reset> resets_;
    // Live: the link header of each connection's first packet, by its place in the table. What is
    // sent when no packet is at hand needs it.
    struct LinkHead {
        LinkType link = LinkType::Ethernet;
        std::uint8_t size = 0;
        std::array<std::uint8_t, 22> bytes{};  // Ethernet with two tags.
    };
    std::deque<LinkHead> link_heads_;
    LinkType reset_link_ = LinkType::Ethernet;
    std::uint32_t reset_interface_ = 0;
    std::vector<std::uint8_t> resized_;  // Bytes of the packet at hand when a policy made it grow.
    bool lent_ = false;                  // Slot 0 shows the item at hand.
    std::uint32_t event_ = 0;
    std::uint64_t alerts_ = 0;  // Of this order.

    // What waits for a rule: one entry a direction.
    struct Undecided {
        Instant at;
        std::uint64_t id = 0;
        std::uint32_t index = 0;
        bool of_client = false;

        friend bool operator>(const Undecided& a, const Undecided& b) { return a.at > b.at; }
    };
    std::priority_queue<Undecided, std::vector<Undecided>, std::greater<>> undecided_;
    std::vector<std::uint32_t> expired_;
    std::vector<haka_connection> script_connections_;
    std::vector<std::uint32_t> free_script_connections_;
    std::vector<std::string> dissectors_{"", "http"};          // By Connection::dissector.
    std::array<std::uint32_t, flow::kStateCount> by_state_{};  // Connections in the table.
    report::AlertLimiter early_limiter_;  // Saves formatting what the run's limiter won't admit.
    std::vector<report::HeldBack> held_back_;
    std::array<Item, kBatch> batch_;
    std::vector<std::uint8_t> loading_journal_;
    std::string text_;
    std::string eve_text_;
    std::atomic<std::uint64_t> packet_at_work_{0};
    std::atomic<clockid_t> thread_clock_{CLOCK_MONOTONIC};
    std::atomic<std::uint32_t> generation_{0};
    std::atomic<Policy*> watched_{nullptr};
    std::mutex retired_mutex_;
    std::vector<std::unique_ptr<Policy>> retired_;
    bool fatal_ = false;
};

}  // namespace haka::engine
