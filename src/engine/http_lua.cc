// What rules ask of the HTTP message at hand while they run. A change of the head is tried on a
// copy first: the head that would leave is read as the one that came, and whatever makes it
// ambiguous, or frames its body otherwise, is refused with nothing changed.
// Tested by: http_walk_test.cc
#include <algorithm>

#include "engine/http_walk.h"

namespace haka::engine {

using http::Framing;
using http::Head;
using http::Part;
using Output = HttpBody::Output;

ByteView HttpWalk::head_bytes(std::uint32_t which) const {
    const Shown& shown = shown_.at(which);
    if (shown.place == Shown::Place::Copy) {
        return as_bytes(*shown.copy);
    }
    const haka_stream& stream = listener_->streams.at(which);
    return {stream.data + static_cast<std::size_t>(shown.at - stream.base), heads_.at(which).size};
}

bool HttpWalk::open(std::uint32_t which) {
    if (which > 1 || listener_ == nullptr || shown_.at(which).place == Shown::Place::Nowhere) {
        return false;
    }
    Shown& shown = shown_.at(which);
    if (!shown.parsed) {
        const auto kind = which == 0 ? http::Kind::Request : http::Kind::Response;
        (void)http::parse_head(as_bytes(*shown.copy), kind, limits(), heads_.at(which));
        shown.parsed = true;
    }
    return true;
}

int HttpWalk::part(std::uint32_t which, std::uint32_t part, std::string_view& text) {
    if (!open(which)) {
        return HAKA_HTTP_NO_MESSAGE;
    }
    const Head& head = heads_.at(which);
    const std::array parts = {head.method, head.target, head.version, head.status, head.reason};
    text = http::text_of(head_bytes(which), parts.at(part));
    return HAKA_OK;
}

int HttpWalk::find(std::uint32_t which, std::string_view name, std::uint32_t from,
                   std::string_view& value) {
    if (!open(which)) {
        return -1;
    }
    const Head& head = heads_.at(which);
    const ByteView bytes = head_bytes(which);
    const std::size_t index = http::find_field(head, bytes, name, from);
    if (index >= head.fields.size()) {
        return -1;
    }
    value = http::text_of(bytes, head.fields[index].value);
    return static_cast<int>(index);
}

bool HttpWalk::item(std::uint32_t which, std::uint32_t index, std::string_view& name,
                    std::string_view& value) {
    if (!open(which) || index >= heads_.at(which).fields.size()) {
        return false;
    }
    const http::Field& field = heads_.at(which).fields[index];
    name = http::text_of(head_bytes(which), field.name);
    value = http::text_of(head_bytes(which), field.value);
    return true;
}

// The message on whose hook the rule runs, before its head has left.
int HttpWalk::writable(std::uint32_t which) {
    if (settings_->pass_through) {
        return HAKA_PASS_THROUGH;
    }
    if (!open(which)) {
        return HAKA_HTTP_NO_MESSAGE;
    }
    return shown_.at(which).place == Shown::Place::Stream ? HAKA_OK : HAKA_HTTP_SENT;
}

int HttpWalk::change_head(std::uint32_t which, const Change& change, FramingRule rule) {
    Head& head = heads_.at(which);
    const std::string_view now = as_text(head_bytes(which));
    text_ = now.substr(0, change.begin);
    text_ += change.insert;
    text_ += now.substr(change.begin + change.erase);
    const auto kind = which == 0 ? http::Kind::Request : http::Kind::Response;
    problem_ = text_.size() > settings_->http.head_bytes_max
                   ? Event::HttpHeadTooLong
                   : http::parse_head(as_bytes(text_), kind, limits(), scratch_).refused;
    if (problem_ != Event::None || scratch_.fields_end >= scratch_.size) {
        return HAKA_HTTP_BAD_HEAD;
    }
    const auto asked = [](std::string_view text, const Head& of) {
        return http::asked_by(http::text_of(as_bytes(text), of.method));
    };
    const bool same = scratch_.chunked == head.chunked && scratch_.has_length == head.has_length &&
                      scratch_.length == head.length &&
                      (which == 0 ? asked(text_, scratch_) == asked(now, head)
                                  : http::response_framing(scratch_, http::Asked::Other) ==
                                            http::response_framing(head, http::Asked::Other) &&
                                        scratch_.code / 100 == head.code / 100);
    if (!same && rule == FramingRule::Keep) {
        return HAKA_HTTP_FRAMING;
    }
    const int status =
        ground_->edit_http(which, shown_.at(which).at + change.begin, change.erase, change.insert);
    if (status == HAKA_OK) {
        std::swap(head, scratch_);
    }
    return status;
}

int HttpWalk::set_part(std::uint32_t which, std::uint32_t part, std::string_view text) {
    if (const int status = writable(which); status != HAKA_OK) {
        return status;
    }
    if (!http::is_line_text(text)) {
        return HAKA_HTTP_BAD_TEXT;
    }
    const Head& head = heads_.at(which);
    const std::array parts = {head.method, head.target, head.version, head.status, head.reason};
    const Part old = parts.at(part);
    if (http::text_of(head_bytes(which), old) == text) {
        return HAKA_OK;
    }
    std::string reason;
    if (part == HAKA_HTTP_REASON && old.begin == head.status.begin + head.status.size) {
        reason = " " + std::string(text);  // There was none.
        text = reason;
    }
    return change_head(which, {.begin = old.begin, .erase = old.size, .insert = text},
                       FramingRule::Keep);
}

int HttpWalk::set_header(std::uint32_t which, int how, std::string_view name,
                         std::string_view value) {
    int status = writable(which);
    if (status != HAKA_OK) {
        return status;
    }
    if (!http::is_token(name)) {
        return HAKA_HTTP_BAD_NAME;
    }
    if (!http::is_line_text(value)) {
        return HAKA_HTTP_BAD_TEXT;
    }
    const Head& head = heads_.at(which);
    std::size_t index = http::find_field(head, head_bytes(which), name);
    if (how == HAKA_HTTP_ADD || (how == HAKA_HTTP_SET && index == head.fields.size())) {
        std::string line(name);
        line.append(": ").append(value).append("\r\n");
        return change_head(which, {.begin = head.fields_end, .erase = 0, .insert = line},
                           FramingRule::Keep);
    }
    if (how == HAKA_HTTP_SET) {
        const Part old = head.fields[index].value;
        if (http::text_of(head_bytes(which), old) != value) {
            std::string text(old.size == 0 ? " " : "");  // "Name:" has nothing behind it.
            text += value;
            status = change_head(which, {.begin = old.begin, .erase = old.size, .insert = text},
                                 FramingRule::Keep);
        }
        ++index;
    }
    while (status == HAKA_OK) {
        index = http::find_field(head, head_bytes(which), name, index);
        if (index >= head.fields.size()) {
            break;
        }
        const Part line = head.fields[index].line;
        status = change_head(which, {.begin = line.begin, .erase = line.size, .insert = {}},
                             FramingRule::Keep);
    }
    return status;
}

int HttpWalk::open_body(std::uint32_t which) {
    if (context_->http == 0 || which != context_->http - 1) {
        return shown_.at(which & 1U).place == Shown::Place::Nowhere ? HAKA_HTTP_NO_MESSAGE
                                                                    : HAKA_HTTP_LATE;
    }
    if (listener_->streams.at(2 + which).cursors != nullptr) {
        return HAKA_OK;
    }
    // Behind the head, which hasn't left: the cursor is put there meanwhile.
    haka_cursor& place = cursor(which);
    (void)body_of(which);
    const bool at_head = shown_.at(which).place == Shown::Place::Stream;
    const double before = place.position;
    if (at_head) {
        place.position = shown_.at(which).at + heads_.at(which).size;
    }
    const Event refused = decode(which);
    place.position = before;
    present_body(which);
    return refused == Event::TcpStreamMemory ? HAKA_NO_STREAM_MEMORY : HAKA_OK;
}

// The head leaves with a framing that allows any length.
int HttpWalk::edit_body() {
    if (context_->http == 0) {
        return HAKA_HTTP_NO_MESSAGE;
    }
    const std::uint32_t which = context_->http - 1;
    if (const int status = writable(which); status != HAKA_OK) {
        return status;
    }
    const HttpSide& mine = side(which);
    const Head& head = heads_.at(which);
    if (mine.body != nullptr && mine.body->output != Output::None) {
        return HAKA_OK;
    }
    if (mine.framing == Framing::None || mine.framing == Framing::Tunnel) {
        return HAKA_OK;  // There is nothing to edit.
    }
    const HttpAsked* const asked =
        which == 1 && !state().asked.empty() ? &state().asked.front() : nullptr;
    const bool asked_old = asked != nullptr && asked->old;
    const bool old = head.minor == 0 || asked_old;
    const bool stays =
        head.keep_alive || (asked_old && asked->stays && head.minor == 1 && !head.close);
    Output output = Output::Chunked;
    if (mine.framing == Framing::UntilClose) {
        output = Output::UntilClose;
    } else if (old) {
        // It ends with the connection then, if that ends.
        if (which == 0 || mine.framing == Framing::Chunked || stays) {
            return HAKA_HTTP_OLD_PEER;
        }
        output = Output::UntilClose;
    }
    if (mine.framing == Framing::Length) {
        const int status = reframe_head(which, output);
        if (status != HAKA_OK) {
            return status;
        }
    }
    const int status = open_body(which);
    side(which).body->output = output;
    return status;
}

// "Transfer-Encoding: chunked" in the place of the Content-Lengths, or nothing.
int HttpWalk::reframe_head(std::uint32_t which, Output output) {
    constexpr std::string_view kName = "content-length";
    const Head& head = heads_.at(which);
    while (true) {
        const std::size_t index = http::find_field(head, head_bytes(which), kName);
        if (index == head.fields.size()) {
            return HAKA_OK;
        }
        // Both framings at once would be refused: all lengths but the last go first.
        const bool is_last =
            http::find_field(head, head_bytes(which), kName, index + 1) == head.fields.size();
        const Part line = head.fields[index].line;
        const std::string_view insert =
            is_last && output == Output::Chunked ? "Transfer-Encoding: chunked\r\n" : "";
        const int status =
            change_head(which, {.begin = line.begin, .erase = line.size, .insert = insert},
                        FramingRule::MayChange);
        if (status != HAKA_OK) {
            return status;
        }
    }
}

int HttpWalk::edit_body_bytes(std::uint32_t which, double at, std::uint32_t erase,
                              std::string_view insert) {
    if (context_->http == 0 || which != context_->http - 1 || side(which).body == nullptr) {
        return HAKA_NO_STREAM;
    }
    HttpBody& body = *side(which).body;
    if (body.output == Output::None) {
        const Framing framing = side(which).framing;
        return framing == Framing::None || framing == Framing::Tunnel ? HAKA_HTTP_NO_BODY
                                                                      : HAKA_HTTP_NOT_EDITING;
    }
    const auto offset = static_cast<std::uint64_t>(at);
    if (offset < body.base || offset + erase > body.base + body.bytes.size()) {
        return HAKA_NO_STREAM;
    }
    const std::uint64_t size = body.bytes.size() - erase + insert.size();
    if (size > settings_->tcp.edited_bytes_max) {
        return HAKA_EDIT_TOO_LARGE;
    }
    if (!body.charge.set(size)) {
        return HAKA_NO_STREAM_MEMORY;
    }
    const auto place = body.bytes.begin() + static_cast<std::ptrdiff_t>(offset - body.base);
    const auto kept = static_cast<std::ptrdiff_t>(std::min<std::size_t>(erase, insert.size()));
    std::copy_n(insert.begin(), kept, place);
    if (insert.size() > erase) {
        body.bytes.insert(place + kept, insert.begin() + kept, insert.end());
    } else {
        body.bytes.erase(place + kept, place + static_cast<std::ptrdiff_t>(erase));
    }
    haka_stream& shown = listener_->streams.at(2 + which);
    shown.data = body.bytes.data();
    shown.size = static_cast<std::uint32_t>(body.bytes.size());
    move_cursors(shown, static_cast<std::uint32_t>(body.cursors.size()),
                 {.editor = context_->cursor,
                  .at = at,
                  .erased = static_cast<double>(erase),
                  .inserted = static_cast<double>(insert.size())});
    return HAKA_OK;
}

int HttpWalk::respond(std::string_view text) {
    if (const int status = writable(0); status != HAKA_OK) {
        return context_->http == 2 ? HAKA_HTTP_LATE : status;
    }
    if (listener_->streams[1].eof != 0) {
        return HAKA_STREAM_ENDED;
    }
    if (text.size() > settings_->tcp.edited_bytes_max) {
        return HAKA_EDIT_TOO_LARGE;
    }
    HttpAsked& asked = state().asked.back();
    if (asked.responded) {
        return HAKA_HTTP_ANSWERED;
    }
    asked.responded = true;
    asked.answer = text;
    return HAKA_OK;
}

}  // namespace haka::engine
