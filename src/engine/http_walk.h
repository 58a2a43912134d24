// The part of the walk that knows HTTP: reads both streams of a connection behind the rules on
// tcp-connection-up, holds each head until it is complete and its rules have run, and lets bodies
// pass as they come unless a rule looks at them.
//
//   http_walk.cc    messages: heads, bodies that nobody reads, what comes after which
//   http_body.cc    bodies that rules read or edit
//   http_lua.cc     what rules ask while they run
//
// Its place in a stream is a cursor like those of the rules, the one behind them all. Everything it
// changes goes through the stream's edits, so what leaves, and when, is the Shaper's business.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/settings.h"
#include "engine/http_state.h"
#include "engine/listeners.h"
#include "proto/http/head.h"
#include "script/abi.h"
#include "script/hook.h"

namespace haka::engine {

class HttpWalk {
public:
    // What it needs of the worker, for the connection at hand.
    class Ground {
    public:
        virtual ~Ground() = default;
        // False: the connection was decided.
        virtual bool run_http(script::Hook hook, bool of_client) = 0;
        virtual bool run_http_body(bool of_client) = 0;
        // Tells an offence and does what `action` says; false: the connection was decided.
        virtual bool tell_http(Event offence, Exception action) = 0;
        // A limit of streams was reached; false: the connection was decided, or nobody listens.
        virtual bool refuse_http(Event limit) = 0;
        // HAKA_OK or why not; the cursors follow.
        virtual int edit_http(std::uint32_t half, double at, std::uint32_t erase,
                              std::string_view insert) = 0;
        // The server shall hear nothing more: its end closes.
        virtual void end_requests() = 0;
        // Something of the direction that isn't at hand may leave now.
        virtual void other_direction_changed() = 0;
        // A request and its response have passed; of one that never came, `answer` is empty.
        struct Exchange {
            std::string_view request;
            std::string_view answer;
            std::uint64_t number = 0;  // In the connection, from 0.
            std::uint64_t bytes = 0;   // Of the answer's body.
        };
        virtual void log_http(const Exchange& exchange) = 0;
    };

    struct Setup {
        std::uint32_t cursor = 0;  // Its own, in each direction.
        std::array<std::uint32_t, 2> body_rules{};
        std::uint32_t hooks = 0;  // Bits of script::Hook that rules listen to.
        bool writes_eve = false;
    };

    // All of them must outlive this.
    HttpWalk(const Settings& settings, stream::StreamMemory& memory, Ground& ground)
        : settings_(&settings), memory_(&memory), ground_(&ground) {}
    // The rules that are at work from here on; their context must outlive that.
    void set_up(const Setup& setup, haka_context& context);

    // New bytes of a direction, or its end, behind the rules; its streams are presented. False: the
    // connection was decided.
    bool walk(Listener& listener, bool of_client);
    // Nothing more will come of it.
    bool end(Listener& listener, bool of_client);

    // What Lua asks; statuses and numbers as in abi.h.
    int part(std::uint32_t which, std::uint32_t part, std::string_view& text);
    int find(std::uint32_t which, std::string_view name, std::uint32_t from,
             std::string_view& value);
    bool item(std::uint32_t which, std::uint32_t index, std::string_view& name,
              std::string_view& value);
    int set_part(std::uint32_t which, std::uint32_t part, std::string_view text);
    int set_header(std::uint32_t which, int how, std::string_view name, std::string_view value);
    int open_body(std::uint32_t which);
    int edit_body();
    int edit_body_bytes(std::uint32_t which, double at, std::uint32_t erase,
                        std::string_view insert);
    int respond(std::string_view text);
    [[nodiscard]] std::string_view problem() const { return event_name(problem_); }

private:
    enum class Step : std::uint8_t { Wait, Again, Decided };
    // Where the head lies that Lua may ask for.
    struct Shown {
        enum class Place : std::uint8_t { Nowhere, Stream, Copy } place = Place::Nowhere;
        double at = 0;
        const std::string* copy = nullptr;
        bool parsed = false;
    };

    // http_walk.cc
    bool run_both(bool of_client);
    bool walk_to_end(Listener& listener, bool of_client);
    bool run(std::size_t half);
    Step step(std::size_t half);
    Step read_head(std::size_t half);
    Step find_head(std::size_t half, ByteView view, http::Kind kind, http::Parsed& parsed);
    Step judge_head(std::size_t half, const http::Parsed& parsed);
    Step begin_request();
    Step begin_response();
    Step finish_head(std::size_t half, double head_at);
    bool run_hooks(std::size_t which, double head_at);
    void show_copy(std::size_t which, const std::string& head);
    void show_nothing();
    bool pass_gap(HttpSide& side, haka_cursor& cursor);
    Step pass_body(std::size_t half);
    Step pass_chunks(std::size_t half);
    Step finish_message(std::size_t half);
    Step finish_response();
    Step cut_short(std::size_t half);
    Step discard(std::size_t half);
    bool answer_now();
    [[nodiscard]] bool lets_pass(Event offence, bool rewriting);
    Step refused(Event offence);
    void make_opaque();
    bool keep_head(HttpAsked& asked, std::string_view head);
    void log(const HttpAsked& asked, std::string_view answer, std::uint64_t bytes);
    [[nodiscard]] bool listens(script::Hook hook) const {
        return (setup_.hooks >> static_cast<unsigned>(hook) & 1U) != 0;
    }
    [[nodiscard]] http::Limits limits() const {
        const HttpSettings& http = settings_->http;
        return {.head_bytes_max = http.head_bytes_max,
                .line_bytes_max = http.line_bytes_max,
                .headers_max = http.headers_max};
    }
    [[nodiscard]] HttpState& state() const { return *listener_->http; }
    [[nodiscard]] HttpSide& side(std::size_t half) const { return state().sides.at(half); }
    [[nodiscard]] haka_cursor& cursor(std::size_t half) const {
        return listener_->streams.at(half).cursors[setup_.cursor];
    }
    // The bytes behind the cursor that the rules have let go.
    [[nodiscard]] ByteView rest(std::size_t half) const;
    [[nodiscard]] bool at_eof(std::size_t half) const;

    // http_body.cc
    HttpBody& body_of(std::size_t half);
    Event decode(std::size_t half);
    Event decode_chunks(std::size_t half, ByteView view);
    void append(HttpBody& body, ByteView data, std::uint64_t raw, bool chunked);
    void present_body(std::size_t half);
    Step read_body(std::size_t half);
    bool flush(std::size_t half, bool is_whole);
    static void release_raw(HttpSide& side, std::uint64_t decided);

    // http_lua.cc
    [[nodiscard]] bool open(std::uint32_t which);
    [[nodiscard]] ByteView head_bytes(std::uint32_t which) const;
    struct Change {
        std::uint32_t begin = 0;  // In the head.
        std::uint32_t erase = 0;
        std::string_view insert;
    };
    enum class FramingRule : std::uint8_t { Keep, MayChange };
    int change_head(std::uint32_t which, const Change& change, FramingRule rule);
    int writable(std::uint32_t which);
    int reframe_head(std::uint32_t which, HttpBody::Output output);

    const Settings* settings_;
    haka_context* context_ = nullptr;
    stream::StreamMemory* memory_;
    Ground* ground_;
    Setup setup_;
    Listener* listener_ = nullptr;     // At hand, while a walk is at work.
    std::array<http::Head, 2> heads_;  // Of the request and the response at hand.
    std::array<Shown, 2> shown_;
    http::Head scratch_;
    std::string text_;
    bool torn_ = false;  // The direction at hand ends without a FIN.
    Event problem_ = Event::None;
};

}  // namespace haka::engine
