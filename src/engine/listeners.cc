#include "engine/listeners.h"

#include <algorithm>

namespace haka::engine {

namespace {

// Where a place in the stream lies after an edit: what comes in stands before it, or behind.
double moved(double place, const CursorEdit& edit, bool before) {
    if (place < edit.at || (place == edit.at && !before)) {
        return place;
    }
    if (place >= edit.at + edit.erased) {
        return place + edit.inserted - edit.erased;
    }
    return before ? edit.at + edit.inserted : edit.at;
}

}  // namespace

std::uint32_t Listeners::add(const std::vector<bool>& is_readonly) {
    std::uint32_t index = 0;
    if (free_.empty()) {
        index = static_cast<std::uint32_t>(places_.size());
        places_.push_back(nullptr);
    } else {
        index = free_.back();
        free_.pop_back();
    }
    auto listener = std::make_unique<Listener>(*memory_);
    restart(*listener, is_readonly);
    places_[index] = std::move(listener);
    return index;
}

void Listeners::remove(std::uint32_t index) {
    places_[index].reset();
    free_.push_back(index);
}

void Listeners::restart(Listener& listener, const std::vector<bool>& is_readonly) {
    const auto cursors = static_cast<std::uint32_t>(is_readonly.size());
    listener.is_readonly = &is_readonly;
    listener.cursor_count = cursors;
    listener.cursors.assign(
        std::size_t{2} * cursors,
        haka_cursor{.position = 0, .mark = -1, .tail = -1, .gap = 0, .limit = 0});
    listener.streams[0].cursors = listener.cursors.data();
    listener.streams[1].cursors = listener.cursors.data() + cursors;
}

void Listeners::present(Listener& listener, std::size_t half) {
    for (std::size_t i = 0; i < 2; ++i) {
        const stream::StreamBuffer& buffer = listener.buffers.at(i);
        haka_stream& stream = listener.streams.at(i);
        const Lane* const lane = listener.lanes.at(i).get();
        const ByteView view = lane != nullptr ? lane->outlet.shown() : buffer.view();
        stream.data = view.data();
        stream.size = static_cast<std::uint32_t>(view.size());
        stream.base =
            static_cast<double>(lane != nullptr ? lane->outlet.shown_begin() : buffer.begin());
        stream.eof = buffer.eof() ? 1 : 0;
        for (std::uint32_t cursor = 0; cursor < listener.cursor_count; ++cursor) {
            stream.cursors[cursor].limit = stream.base + stream.size;
        }
    }
    const auto lost = static_cast<double>(listener.buffers.at(half).take_gap());
    haka_stream& stream = listener.streams.at(half);
    for (std::uint32_t i = 0; i < listener.cursor_count; ++i) {
        haka_cursor& cursor = stream.cursors[i];
        cursor.gap += lost;
        cursor.position = std::max(cursor.position, stream.base);
    }
}

double settle_cursor(haka_cursor& cursor) {
    double wanted = std::min(cursor.mark, cursor.position);
    if (cursor.mark < 0) {
        cursor.position =
            cursor.tail >= cursor.position ? cursor.tail : std::max(cursor.position, cursor.limit);
        wanted = cursor.position;
    }
    cursor.tail = -1;
    return wanted;
}

void move_cursors(const haka_stream& stream, std::uint32_t count, const CursorEdit& edit) {
    for (std::uint32_t i = 0; i < count; ++i) {
        haka_cursor& cursor = stream.cursors[i];
        // Rules before the editor have let these bytes go; those behind it see what came in.
        const bool before = i < edit.editor;
        cursor.position =
            i == edit.editor ? edit.at + edit.inserted : moved(cursor.position, edit, before);
        cursor.mark = moved(cursor.mark, edit, before);
        cursor.tail = moved(cursor.tail, edit, before);
        cursor.limit = moved(cursor.limit, edit, true);
    }
}

Listeners::Wanted Listeners::settle(Listener& listener, std::size_t half) {
    haka_stream& stream = listener.streams.at(half);
    double shown = stream.base + stream.size;
    double held = shown;
    for (std::uint32_t i = 0; i < listener.cursor_count; ++i) {
        const double wanted = settle_cursor(stream.cursors[i]);
        shown = std::min(shown, wanted);
        held = (*listener.is_readonly)[i] ? held : std::min(held, wanted);
    }
    return {.held = static_cast<std::uint64_t>(std::max(held, stream.base)),
            .shown = static_cast<std::uint64_t>(std::max(shown, stream.base))};
}

bool Listeners::keeps(const Listener& listener, std::size_t half, std::size_t count) {
    const haka_stream& stream = listener.streams.at(half);
    for (std::size_t i = 0; i + 1 < count; ++i) {
        const haka_cursor& cursor = stream.cursors[i];
        const double kept =
            cursor.mark < 0 ? cursor.position : std::min(cursor.mark, cursor.position);
        if (!(*listener.is_readonly)[i] && kept < stream.base + stream.size) {
            return true;
        }
    }
    return false;
}

bool Listeners::lags(const Listener& listener, std::size_t half, std::size_t count) {
    const haka_stream& stream = listener.streams.at(half);
    for (std::size_t i = 0; i < count; ++i) {
        if (stream.cursors[i].position < stream.base + stream.size) {
            return true;
        }
    }
    return false;
}

void Listeners::follow_edit(Listener& listener, std::size_t half, const CursorEdit& edit) {
    haka_stream& stream = listener.streams.at(half);
    const stream::Outlet& outlet = listener.lanes.at(half)->outlet;
    const ByteView view = outlet.shown();
    stream.data = view.data();
    stream.size = static_cast<std::uint32_t>(view.size());
    stream.base = static_cast<double>(outlet.shown_begin());
    move_cursors(stream, listener.cursor_count, edit);
}

}  // namespace haka::engine
