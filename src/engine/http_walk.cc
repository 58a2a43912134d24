// Messages of HTTP: their heads, bodies that no rule looks at, and what follows what.
// Tested by: http_walk_test.cc
#include "engine/http_walk.h"

#include <algorithm>
#include <utility>

namespace haka::engine {

using http::Framing;
using script::Hook;
using Phase = HttpSide::Phase;

void HttpWalk::set_up(const Setup& setup, haka_context& context) {
    setup_ = setup;
    context_ = &context;
}

ByteView HttpWalk::rest(std::size_t half) const {
    const haka_stream& stream = listener_->streams.at(half);
    const haka_cursor& place = cursor(half);
    return {stream.data + static_cast<std::size_t>(place.position - stream.base),
            static_cast<std::size_t>(place.limit - place.position)};
}

bool HttpWalk::at_eof(std::size_t half) const {
    const haka_stream& stream = listener_->streams.at(half);
    return stream.eof != 0 && cursor(half).limit == stream.base + stream.size;
}

bool HttpWalk::walk(Listener& listener, bool of_client) {
    listener_ = &listener;
    const bool going = run_both(of_client);
    listener_ = nullptr;
    return going;
}

bool HttpWalk::run_both(bool of_client) {
    std::size_t half = of_client ? 0 : 1;
    if (!run(half)) {
        return false;
    }
    while (state().revisit) {
        state().revisit = false;
        half = 1 - half;
        ground_->other_direction_changed();
        if (!run(half)) {
            return false;
        }
    }
    return true;
}

bool HttpWalk::end(Listener& listener, bool of_client) {
    if (listener_ == nullptr) {
        return walk_to_end(listener, of_client);
    }
    if (listener_ == &listener) {
        return true;  // A rule on it has just ended it: what it holds leaves as it is.
    }
    // A rule of another connection has ended this one: that one's walk goes on behind.
    Listener* const outer = listener_;
    const std::array<http::Head, 2> heads = std::move(heads_);
    const std::array<Shown, 2> shown = std::exchange(shown_, {});
    const bool torn = torn_;
    const std::uint32_t message = context_->http;
    const std::uint32_t waits = context_->http_waits;
    const bool going = walk_to_end(listener, of_client);
    listener_ = outer;
    heads_ = heads;
    shown_ = shown;
    torn_ = torn;
    context_->http = message;
    context_->http_waits = waits;
    return going;
}

bool HttpWalk::walk_to_end(Listener& listener, bool of_client) {
    haka_stream& stream = listener.streams.at(of_client ? 0 : 1);
    torn_ = stream.eof == 0;
    stream.eof = 1;
    const bool going = walk(listener, of_client);
    torn_ = false;
    return going;
}

bool HttpWalk::run(std::size_t half) {
    Step taken = Step::Again;
    while (taken == Step::Again) {
        taken = step(half);
    }
    if (taken == Step::Decided) {
        return false;
    }
    if (half == 1 && at_eof(1)) {
        for (const HttpAsked& asked : state().asked) {
            log(asked, {}, 0);
        }
        state().asked.clear();
    }
    // What the cursor has passed may leave, but for what a rule holds of a body.
    haka_cursor& place = cursor(half);
    const HttpSide& mine = side(half);
    place.mark = place.position;
    if (mine.body != nullptr && mine.body->output == HttpBody::Output::None) {
        place.mark =
            std::min(place.mark, mine.body_at + static_cast<double>(mine.body->raw_released));
    }
    return true;
}

HttpWalk::Step HttpWalk::step(std::size_t half) {
    HttpSide& mine = side(half);
    haka_cursor& place = cursor(half);
    if (place.gap != 0 && !pass_gap(mine, place)) {
        return Step::Decided;
    }
    switch (mine.phase) {
        case Phase::Head:
            return read_head(half);
        case Phase::Body:
            return mine.body != nullptr ? read_body(half) : pass_body(half);
        case Phase::Waits:
            return Step::Wait;
        case Phase::Opaque:
            place.position = place.limit;
            return Step::Wait;
        case Phase::Discard:
            return discard(half);
    }
    return Step::Wait;
}

// Bytes that the capture lost. Within a body that nobody reads they change nothing.
bool HttpWalk::pass_gap(HttpSide& mine, haka_cursor& place) {
    const auto lost = static_cast<std::uint64_t>(place.gap);
    place.gap = 0;
    if (mine.phase == Phase::Opaque || mine.phase == Phase::Discard) {
        return true;
    }
    if (mine.phase == Phase::Body && mine.body == nullptr) {
        if (mine.framing == Framing::UntilClose) {
            return true;
        }
        if (mine.framing == Framing::Length && lost <= mine.left) {
            mine.left -= lost;
            return true;
        }
    }
    return refused(Event::HttpGap) != Step::Decided;
}

// False: the connection ends. `rewriting`: what is framed anew can't go on as it comes.
bool HttpWalk::lets_pass(Event offence, bool rewriting) {
    HttpState& http = state();
    Exception action = settings_->pass_through ? Exception::Pass : settings_->http.action(offence);
    if (action == Exception::Pass && rewriting) {
        action = Exception::Reset;
    }
    const bool told = (http.told & http::remark_bit(offence)) != 0;
    http.told |= http::remark_bit(offence);
    return (told && action == Exception::Pass) || ground_->tell_http(offence, action);
}

// The connection ends, or goes on unread.
HttpWalk::Step HttpWalk::refused(Event offence) {
    if (!lets_pass(offence, state().is_rewriting())) {
        return Step::Decided;
    }
    make_opaque();
    return Step::Again;
}

void HttpWalk::make_opaque() {
    for (HttpSide& each : state().sides) {
        if (each.phase != Phase::Discard) {
            each.phase = Phase::Opaque;
            each.body.reset();
        }
    }
    state().revisit = true;
}

HttpWalk::Step HttpWalk::read_head(std::size_t half) {
    HttpSide& mine = side(half);
    haka_cursor& place = cursor(half);
    ByteView view = rest(half);
    if (half == 0) {
        // RFC 9112, 2.2: empty lines before a request mean nothing.
        std::uint64_t remarks = 0;
        while (!view.empty() && mine.scan.searched == 0 &&
               (view[0] == '\n' || (view[0] == '\r' && view.size() > 1 && view[1] == '\n'))) {
            remarks |= view[0] == '\n' ? http::remark_bit(Event::HttpBareLf) : 0;
            place.position += view[0] == '\n' ? 1 : 2;
            view = rest(half);
        }
        if (remarks != 0) {
            if (const Step good = judge_head(half, {.remarks = remarks}); good != Step::Wait) {
                return good;
            }
        }
        if (view.size() == 1 && view[0] == '\r' && !at_eof(half)) {
            return Step::Wait;
        }
    }
    if (view.empty()) {
        return Step::Wait;
    }
    const auto kind = half == 0 ? http::Kind::Request : http::Kind::Response;
    http::Head& head = heads_.at(half);
    http::Parsed parsed;
    if (mine.scan.searched == 0) {
        parsed = http::parse_head(view, kind, limits(), head);
    }
    if (parsed.size == 0 || parsed.size > settings_->http.head_bytes_max ||
        parsed.refused != Event::None) {
        const Step good = find_head(half, view, kind, parsed);
        if (good != Step::Again) {
            return good;
        }
    }
    mine.scan = {};
    if (const Step good = judge_head(half, parsed); good != Step::Wait) {
        return good;
    }
    mine.chunks = {};
    mine.left = head.length;
    mine.body_bytes = 0;
    mine.ahead = 0;
    mine.body.reset();
    return half == 0 ? begin_request() : begin_response();
}

// A head that comes in pieces, or has an offence. Again: it is complete, and parsed.
HttpWalk::Step HttpWalk::find_head(std::size_t half, ByteView view, http::Kind kind,
                                   http::Parsed& parsed) {
    HttpSide& mine = side(half);
    const http::HeadEnd end = http::find_head_end(view, kind, limits(), mine.scan);
    if (end.refused != Event::None) {
        return refused(end.refused);
    }
    if (end.size == 0) {
        if (!at_eof(half)) {
            return Step::Wait;
        }
        return torn_ ? cut_short(half) : refused(Event::HttpCutHead);
    }
    parsed = http::parse_head(view.first(end.size), kind, limits(), heads_.at(half));
    return Step::Again;
}

// Wait: it may be read on.
HttpWalk::Step HttpWalk::judge_head(std::size_t half, const http::Parsed& parsed) {
    HttpState& http = state();
    if (half == 1 && http.asked.empty() && parsed.refused == Event::None) {
        // The server speaks of its own accord: a 408 before it closes, for instance.
        if (settings_->http.action(Event::HttpUnasked) != Exception::Pass) {
            return refused(Event::HttpUnasked);
        }
        if (!ground_->tell_http(Event::HttpUnasked, Exception::Pass)) {
            return Step::Decided;
        }
    }
    for (const Event mild : {Event::HttpBareLf, Event::HttpNoHost}) {
        const std::uint64_t bit = http::remark_bit(mild);
        if ((parsed.remarks & bit) == 0) {
            continue;
        }
        const Exception action = settings_->http.action(mild);
        if (action != Exception::Pass && !settings_->pass_through) {
            return refused(mild);
        }
        const bool told = (http.told & bit) != 0;
        http.told |= bit;
        if (!told && !ground_->tell_http(mild, Exception::Pass)) {
            return Step::Decided;
        }
    }
    return parsed.refused == Event::None ? Step::Wait : refused(parsed.refused);
}

// The stream has ended inside a message; the other direction is read on. Who gets a body that ends
// with the connection would take it for whole.
HttpWalk::Step HttpWalk::cut_short(std::size_t half) {
    HttpSide& mine = side(half);
    const bool blurred = mine.body != nullptr && mine.body->output == HttpBody::Output::UntilClose;
    if (!lets_pass(Event::HttpCutShort, blurred || state().is_answering())) {
        return Step::Decided;
    }
    mine.phase = Phase::Opaque;
    mine.body.reset();
    return Step::Again;
}

HttpWalk::Step HttpWalk::begin_request() {
    HttpState& http = state();
    HttpSide& mine = side(0);
    const http::Head& head = heads_[0];
    if (http.asked.size() >= settings_->http.pipeline_max) {
        return refused(Event::HttpPipelineLimit);
    }
    mine.framing = http::request_framing(head);
    const double head_at = cursor(0).position;
    const http::Asked asked = http::asked_by(http::text_of(rest(0), head.method));
    http.asked.emplace_back();
    http.asked.back().asked = asked;
    http.asked.back().old = head.minor == 0;
    http.asked.back().stays = head.keep_alive;
    if (!run_hooks(0, head_at)) {
        return Step::Decided;
    }
    http.asked.back().may_switch = asked == http::Asked::Connect || head.upgrade;
    if (http.asked.back().responded) {
        mine.phase = Phase::Discard;
        mine.body.reset();
        cursor(0).position = head_at;
        if (!keep_head(http.asked.back(), as_text(rest(0).first(head.size)))) {
            return Step::Decided;
        }
        return http.asked.size() > 1 || answer_now() ? Step::Again : Step::Decided;
    }
    return finish_head(0, head_at);
}

HttpWalk::Step HttpWalk::begin_response() {
    HttpState& http = state();
    const http::Asked asked = http.asked.empty() ? http::Asked::Other : http.asked.front().asked;
    if (heads_[1].code == 101 &&
        (http.asked.empty() || asked == http::Asked::Connect || !http.asked.front().may_switch)) {
        return refused(Event::HttpUnaskedSwitch);
    }
    side(1).framing = http::response_framing(heads_[1], asked);
    side(1).interim = heads_[1].code / 100 == 1;
    const double head_at = cursor(1).position;
    if (!run_hooks(1, head_at)) {
        return Step::Decided;
    }
    return finish_head(1, head_at);
}

// Its rules have run: what follows is the body.
HttpWalk::Step HttpWalk::finish_head(std::size_t half, double head_at) {
    HttpSide& mine = side(half);
    const http::Head& head = heads_.at(half);
    haka_cursor& place = cursor(half);
    place.position = head_at;
    const std::string_view text = as_text(rest(half).first(head.size));
    if (half == 0 && !keep_head(state().asked.back(), text)) {
        return Step::Decided;
    }
    if (half == 1 && setup_.writes_eve) {
        state().answer_head = text;
    }
    if (mine.body != nullptr && mine.body->waits) {
        mine.head = text;
    }
    place.position = head_at + head.size;
    mine.body_at = place.position;
    mine.phase = Phase::Body;
    return Step::Again;
}

// A request's head is wanted again with its answer.
bool HttpWalk::keep_head(HttpAsked& asked, std::string_view head) {
    const bool wanted = setup_.writes_eve || listens(Hook::HttpResponse) || listens(Hook::HttpUp) ||
                        listens(Hook::HttpDown);
    if (!wanted) {
        return true;
    }
    if (!state().charge.set(state().kept + head.size())) {
        return ground_->refuse_http(Event::TcpStreamMemory);
    }
    state().kept += head.size();
    asked.head = head;
    return true;
}

bool HttpWalk::run_hooks(std::size_t which, double head_at) {
    constexpr std::array kHooks = {Hook::HttpRequest, Hook::HttpResponse};
    constexpr std::uint32_t kAll = 1U << static_cast<unsigned>(Hook::HttpUp) |
                                   1U << static_cast<unsigned>(Hook::HttpRequest) |
                                   1U << static_cast<unsigned>(Hook::HttpResponse) |
                                   1U << static_cast<unsigned>(Hook::HttpDown);
    if ((setup_.hooks & kAll) == 0) {
        return true;
    }
    shown_.at(which) = {
        .place = Shown::Place::Stream, .at = head_at, .copy = nullptr, .parsed = true};
    if (which == 1 && !state().asked.empty()) {
        show_copy(0, state().asked.front().head);
    }
    listener_->streams.at(2 + which) = {};
    context_->http = static_cast<std::uint32_t>(which) + 1;
    context_->http_waits = 0;
    bool going = true;
    for (const Hook hook : {Hook::HttpUp, kHooks.at(which), Hook::HttpDown}) {
        if (going && listens(hook)) {
            going = ground_->run_http(hook, which == 0);
        }
        if (going && which == 0 && state().asked.back().responded) {
            break;
        }
    }
    if (going && side(which).body != nullptr) {
        side(which).body->waits = context_->http_waits != 0;
    }
    show_nothing();
    return going;
}

void HttpWalk::show_copy(std::size_t which, const std::string& head) {
    if (!head.empty()) {
        shown_.at(which) = {.place = Shown::Place::Copy, .at = 0, .copy = &head, .parsed = false};
    }
}

void HttpWalk::show_nothing() {
    shown_ = {};
    context_->http = 0;
}

HttpWalk::Step HttpWalk::pass_body(std::size_t half) {
    HttpSide& mine = side(half);
    haka_cursor& place = cursor(half);
    const auto there = static_cast<std::uint64_t>(place.limit - place.position);
    switch (mine.framing) {
        case Framing::None:
            return finish_message(half);
        case Framing::Length: {
            const std::uint64_t taken = std::min(mine.left, there);
            place.position += static_cast<double>(taken);
            mine.left -= taken;
            mine.body_bytes += taken;
            if (mine.left == 0) {
                return finish_message(half);
            }
            break;
        }
        case Framing::Chunked:
            return pass_chunks(half);
        case Framing::UntilClose:
            place.position = place.limit;
            mine.body_bytes += there;
            return at_eof(half) ? finish_message(half) : Step::Wait;
        case Framing::Tunnel:
            return finish_message(half);
    }
    return at_eof(half) ? cut_short(half) : Step::Wait;
}

HttpWalk::Step HttpWalk::pass_chunks(std::size_t half) {
    HttpSide& mine = side(half);
    while (!mine.chunks.is_done()) {
        const http::ChunkReader::Step taken = mine.chunks.next(rest(half), limits());
        if (taken.refused != Event::None) {
            return refused(taken.refused);
        }
        if (taken.used == 0) {
            break;
        }
        cursor(half).position += static_cast<double>(taken.used);
        mine.body_bytes += taken.piece == http::ChunkReader::Piece::Data ? taken.used : 0;
    }
    if (mine.chunks.take_bare_lf()) {
        const Step good = judge_head(0, {.remarks = http::remark_bit(Event::HttpBareLf)});
        if (good != Step::Wait) {
            return good;
        }
    }
    if (mine.chunks.is_done()) {
        return finish_message(half);
    }
    return at_eof(half) ? cut_short(half) : Step::Wait;
}

// Nothing more of the message comes.
HttpWalk::Step HttpWalk::finish_message(std::size_t half) {
    HttpSide& mine = side(half);
    mine.body.reset();
    mine.head.clear();
    mine.phase = Phase::Head;
    if (half == 1) {
        return finish_response();
    }
    if (!state().asked.empty() && state().asked.back().may_switch) {
        mine.phase = Phase::Waits;
    }
    return Step::Again;
}

HttpWalk::Step HttpWalk::finish_response() {
    HttpState& http = state();
    const HttpSide& mine = side(1);
    const bool switches = mine.framing == Framing::Tunnel;
    if (mine.interim && !switches) {  // Since its head, others' may have been read into `heads_`.
        return Step::Again;
    }
    if (!http.asked.empty()) {
        const HttpAsked asked = std::move(http.asked.front());
        http.asked.erase(http.asked.begin());
        log(asked, http.answer_head, mine.body_bytes);
        http.kept -= asked.head.size();
        (void)http.charge.set(http.kept);
        if (asked.may_switch && side(0).phase == Phase::Waits && !switches) {
            side(0).phase = Phase::Head;
            http.revisit = true;
        }
    }
    if (switches && http.is_rewriting()) {
        return refused(Event::HttpUnaskedSwitch);  // Before the request's end.
    }
    if (switches) {
        make_opaque();
    } else if (!http.asked.empty() && http.asked.front().responded) {
        return answer_now() ? Step::Again : Step::Decided;
    }
    return Step::Again;
}

void HttpWalk::log(const HttpAsked& asked, std::string_view answer, std::uint64_t bytes) {
    const std::uint64_t number = state().answered++;
    if (setup_.writes_eve && !asked.head.empty()) {
        ground_->log_http(
            {.request = asked.head, .answer = answer, .number = number, .bytes = bytes});
    }
}

// The answer of a rule takes the place of everything that the server may still say.
bool HttpWalk::answer_now() {
    HttpState& http = state();
    const HttpAsked asked = std::move(http.asked.front());
    http.asked.clear();
    http.kept = 0;
    (void)http.charge.set(0);
    if (ground_->edit_http(1, cursor(1).position, 0, asked.answer) != HAKA_OK) {
        return ground_->refuse_http(Event::TcpStreamMemory);
    }
    log(asked, asked.answer, asked.answer.size() - asked.answer.find("\r\n\r\n") - 4);
    side(1).phase = Phase::Discard;
    side(1).body.reset();
    ground_->end_requests();
    http.revisit = true;
    return true;
}

HttpWalk::Step HttpWalk::discard(std::size_t half) {
    const haka_cursor& place = cursor(half);
    const auto there = static_cast<std::uint32_t>(place.limit - place.position);
    if (there != 0 && ground_->edit_http(static_cast<std::uint32_t>(half), place.position, there,
                                         {}) != HAKA_OK) {
        (void)ground_->refuse_http(Event::TcpStreamMemory);
        return Step::Decided;
    }
    return Step::Wait;
}

}  // namespace haka::engine
