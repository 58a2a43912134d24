// Bodies of HTTP messages that rules read or edit: decoded of their framing, shown as a stream, and
// framed anew when an edit may change their length.
// Tested by: http_walk_test.cc
#include <algorithm>
#include <charconv>

#include "engine/http_walk.h"

namespace haka::engine {

using http::Framing;
using Output = HttpBody::Output;

HttpBody& HttpWalk::body_of(std::size_t half) {
    HttpSide& mine = side(half);
    if (mine.body == nullptr) {
        mine.body = std::make_unique<HttpBody>(*memory_, setup_.body_rules.at(half));
        mine.body->ended = mine.framing == Framing::None || mine.framing == Framing::Tunnel;
    }
    return *mine.body;
}

void HttpWalk::append(HttpBody& body, ByteView data, std::uint64_t raw, bool chunked) {
    body.bytes.insert(body.bytes.end(), data.begin(), data.end());
    body.raw_end += raw;
    if (!chunked) {
        return;
    }
    if (!data.empty()) {
        const std::uint64_t before = body.runs.empty() ? body.data_end : body.runs.back().data_end;
        body.runs.push_back({.data_end = before + data.size(),
                             .raw_data_end = body.raw_end,
                             .raw_end = body.raw_end});
        body.data_end = before + data.size();
    } else if (!body.runs.empty()) {
        body.runs.back().raw_end = body.raw_end;
    }
}

// Takes what has come of the body; the stream's cursor stays until flush().
Event HttpWalk::decode(std::size_t half) {
    HttpSide& mine = side(half);
    HttpBody& body = *mine.body;
    const ByteView view = rest(half).subspan(mine.ahead);
    const std::size_t before = body.bytes.size();
    Event refused = Event::None;
    switch (mine.framing) {
        case Framing::None:
        case Framing::Tunnel:
            break;
        case Framing::Length: {
            const auto taken =
                static_cast<std::size_t>(std::min<std::uint64_t>(mine.left, view.size()));
            append(body, view.first(taken), taken, false);
            mine.left -= taken;
            mine.ahead += taken;
            body.ended = mine.left == 0;
            break;
        }
        case Framing::UntilClose:
            append(body, view, view.size(), false);
            mine.ahead += view.size();
            break;
        case Framing::Chunked:
            refused = decode_chunks(half, view);
            body.ended = mine.chunks.data_ended();
            break;
    }
    mine.body_bytes += body.bytes.size() - before;
    if (refused == Event::None && !body.charge.set(body.bytes.size())) {
        return Event::TcpStreamMemory;
    }
    return refused;
}

Event HttpWalk::decode_chunks(std::size_t half, ByteView view) {
    HttpSide& mine = side(half);
    while (!mine.chunks.data_ended()) {
        const http::ChunkReader::Step taken = mine.chunks.next(view, limits());
        if (taken.refused != Event::None) {
            return taken.refused;
        }
        if (taken.used == 0) {
            break;
        }
        const bool is_data = taken.piece == http::ChunkReader::Piece::Data;
        append(*mine.body, is_data ? view.first(taken.used) : ByteView(), taken.used, true);
        mine.ahead += taken.used;
        view = view.subspan(taken.used);
    }
    return Event::None;
}

void HttpWalk::present_body(std::size_t half) {
    const HttpSide& mine = side(half);
    HttpBody& body = *mine.body;
    haka_stream& shown = listener_->streams.at(2 + half);
    shown.data = body.bytes.data();
    shown.base = static_cast<double>(body.base);
    shown.size = static_cast<std::uint32_t>(body.bytes.size());
    shown.eof = body.ended || at_eof(half) ? 1 : 0;
    shown.cursors = body.cursors.data();
    for (haka_cursor& each : body.cursors) {
        each.limit = shown.base + shown.size;
    }
}

HttpWalk::Step HttpWalk::read_body(std::size_t half) {
    HttpSide& mine = side(half);
    const Event refused_for = decode(half);
    if (refused_for == Event::TcpStreamMemory) {
        return ground_->refuse_http(refused_for) ? Step::Wait : Step::Decided;
    }
    if (refused_for != Event::None) {
        return refused(refused_for);
    }
    present_body(half);
    if (mine.body->waits) {
        show_copy(half, mine.head);
        if (half == 1 && !state().asked.empty()) {
            show_copy(0, state().asked.front().head);
        }
        context_->http = static_cast<std::uint32_t>(half) + 1;
        context_->http_waits = 0;
        const bool going = ground_->run_http_body(half == 0);
        show_nothing();
        if (!going) {
            return Step::Decided;
        }
        mine.body->waits = context_->http_waits != 0;
    }
    const bool ended = mine.body->ended || at_eof(half);
    const bool whole = mine.body->ended || mine.framing == Framing::UntilClose;
    if (!flush(half, ended && whole)) {
        return Step::Decided;
    }
    if (ended) {
        // Behind it come trailers, which nobody edits, or nothing.
        const Output output = mine.body->output;
        if (!whole) {
            return cut_short(half);
        }
        mine.body.reset();
        if (output == Output::UntilClose && mine.framing != Framing::UntilClose) {
            // To its receiver, all that follows would be more of this body.
            const Step taken = finish_message(half);
            mine.phase = HttpSide::Phase::Discard;
            return taken;
        }
        return mine.framing == Framing::Chunked ? pass_chunks(half) : finish_message(half);
    }
    if (!mine.body->waits && mine.body->output == Output::None) {
        mine.body.reset();
        return Step::Again;
    }
    return Step::Wait;
}

// What no rule holds any more goes on its way. `is_whole`: all of the body is there.
bool HttpWalk::flush(std::size_t half, bool is_whole) {
    HttpSide& mine = side(half);
    HttpBody& body = *mine.body;
    const haka_stream& shown = listener_->streams.at(2 + half);
    double wanted = shown.base + shown.size;
    for (haka_cursor& each : body.cursors) {
        wanted = std::min(wanted, body.waits ? settle_cursor(each) : wanted);
    }
    wanted = std::max(wanted, shown.base);
    const auto decided = static_cast<std::uint64_t>(wanted);
    const auto size = static_cast<std::ptrdiff_t>(decided - body.base);
    if (body.output == Output::None) {
        cursor(half).position += static_cast<double>(mine.ahead);
        release_raw(mine, decided);
    } else {
        text_.clear();
        const bool chunked = body.output == Output::Chunked;
        if (chunked && size != 0) {
            std::array<char, 20> digits{};
            const auto end = std::to_chars(digits.begin(), digits.end(), size, 16).ptr;
            text_.append(digits.begin(), end).append("\r\n");
        }
        text_.append(as_text({body.bytes.data(), static_cast<std::size_t>(size)}));
        text_ += chunked && size != 0 ? "\r\n" : "";
        if (chunked && is_whole) {
            text_ += mine.framing == Framing::Chunked ? "0\r\n" : "0\r\n\r\n";
        }
        const int status =
            mine.ahead == 0 && text_.empty()
                ? HAKA_OK
                : ground_->edit_http(static_cast<std::uint32_t>(half), cursor(half).position,
                                     static_cast<std::uint32_t>(mine.ahead), text_);
        if (status != HAKA_OK) {
            (void)ground_->refuse_http(Event::TcpStreamMemory);
            return false;
        }
    }
    mine.ahead = 0;
    body.bytes.erase(body.bytes.begin(), body.bytes.begin() + size);
    body.base = decided;
    return body.charge.set(body.bytes.size());
}

// Of an unedited body, rules hold nothing before `decided`.
void HttpWalk::release_raw(HttpSide& mine, std::uint64_t decided) {
    HttpBody& body = *mine.body;
    if (mine.framing != Framing::Chunked) {
        body.raw_released = decided;
        return;
    }
    while (!body.runs.empty() && body.runs.front().data_end <= decided) {
        body.raw_released = body.runs.front().raw_end;
        body.runs.pop_front();
    }
    if (body.runs.empty()) {
        body.raw_released = body.raw_end;
    } else {
        const HttpBody::Run& first = body.runs.front();
        const std::uint64_t kept = first.data_end - decided;
        body.raw_released = std::max(body.raw_released, first.raw_data_end - kept);
    }
}

}  // namespace haka::engine
