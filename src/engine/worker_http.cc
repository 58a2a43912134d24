// What HttpWalk needs of the worker: rules run, offences told, streams edited.
// Tested by: http_walk_test.cc
#include <utility>

#include "engine/worker.h"
#include "report/eve_http.h"

namespace haka::engine {

using script::Hook;

// False: the connection was decided, or nobody listens any more.
bool Worker::walk_http(Item* item, flow::Connection& connection, bool of_client) {
    Listener& listener = listeners_->at(connection.listener);
    http_item_ = item;
    http_connection_ = &connection;
    context_->streams = listener.streams.data();
    const bool going = http_.walk(listener, of_client);
    context_->streams = nullptr;
    return going;
}

bool Worker::end_http(Item* item, flow::Connection& connection, bool of_client) {
    if (connection.listener == flow::kNoIndex) {
        return true;
    }
    Listener& listener = listeners_->at(connection.listener);
    if (listener.http == nullptr || listener.bypassed) {
        return true;
    }
    listeners_->present(listener, of_client ? 0 : 1);
    // A rule at work on another connection may have ended this one.
    Item* const outer_item = std::exchange(http_item_, item);
    flow::Connection* const outer = std::exchange(http_connection_, &connection);
    haka_stream* const streams = std::exchange(context_->streams, listener.streams.data());
    const bool going = http_.end(listener, of_client);
    http_item_ = outer_item;
    http_connection_ = outer;
    context_->streams = streams;
    return going;
}

bool Worker::run_http(Hook hook, bool of_client) {
    begin_event(http_item_);
    show_connection(*http_connection_, of_client);
    context_->streams = listeners_->at(http_connection_->listener).streams.data();
    return finish_connection_event(script_->run(hook), http_item_);
}

bool Worker::run_http_body(bool of_client) {
    begin_event(http_item_);
    show_connection(*http_connection_, of_client);
    context_->streams = listeners_->at(http_connection_->listener).streams.data();
    return finish_connection_event(script_->run_body(of_client ? 0 : 1), http_item_);
}

report::Where Worker::http_where() const {
    report::Where where;
    if (http_item_ != nullptr) {
        where = where_of(*http_item_, http_connection_);
    } else {
        where.when = wall_time(now_);
        fill_where(where, *http_connection_);
    }
    return where;
}

// As all that the engine says by itself, at most ten times a second.
void Worker::alert_http(Event offence, bool blocked) {
    summary_.count_event(offence);
    held_back_.clear();
    if (!early_limiter_.admit(offence, now_, held_back_)) {
        journal_->stage(
            {.order = order_, .when = wall_time(now_), .kind = RecordKind::Alert, .event = offence},
            {});
        return;
    }
    report::Alert alert;
    alert.rule = event_name(offence);
    alert.description = event_sentence(offence);
    alert.severity = report::Level::Medium;
    alert.blocked = blocked;
    alert.reference = order_.packet << 16U | ++alerts_;
    stage_alert(alert, http_where(), offence);
}

bool Worker::tell_http(Event offence, Exception action) {
    const bool is_mild = HttpSettings().action(offence) == Exception::Pass;
    if (action != Exception::Pass || !is_mild) {
        alert_http(offence, action != Exception::Pass);
    } else if (http_item_ != nullptr) {
        remark(offence, *http_item_, http_connection_);
    } else {
        summary_.count_event(offence);
    }
    if (action == Exception::Pass) {
        return true;
    }
    decisions_.push_back(
        {.kind = action == Exception::Reset ? DecisionKind::Reset : DecisionKind::Drop,
         .index = http_connection_->index,
         .id = http_connection_->id,
         .rule = 0,
         .reason = offence});
    settle_decisions(http_item_);
    return false;
}

bool Worker::refuse_http(Event limit) {
    return refuse(http_item_, *http_connection_, limit,
                  limit == Event::TcpHoldLimit ? options_.settings.exceptions.hold
                                               : options_.settings.exceptions.memory);
}

// Edits as the dissector, whoever is at work.
int Worker::edit_http(std::uint32_t half, double at, std::uint32_t erase, std::string_view insert) {
    const std::uint32_t cursor = context_->cursor;
    context_->cursor = script_->stream_rules();
    const int status = stream_edit(half, at, erase, insert);
    context_->cursor = cursor;
    return status;
}

// Recorded ends close as they did.
void Worker::end_requests() {
    if (options_.mode == stream::Mode::Live) {
        Listener& listener = listeners_->at(http_connection_->listener);
        shaper_.lane_of(*http_connection_, listener, true).ends = true;
    }
}

void Worker::other_direction_changed() {
    other_edited_ = true;
}

void Worker::log_http(const Exchange& exchange) {
    report::Where where;
    fill_where(where, *http_connection_);
    where.when = wall_time(now_);
    where.packet = http_item_ == nullptr ? 0 : http_item_->frame.number;
    where.to_server = true;
    eve_text_.clear();
    report::append_http(eve_text_,
                        {.request = exchange.request,
                         .answer = exchange.answer,
                         .number = exchange.number,
                         .bytes = exchange.bytes},
                        where, eve_options_);
    journal_->stage({.order = order_, .when = wall_time(now_), .kind = RecordKind::Alert}, {},
                    eve_text_);
}

int Worker::http_part(std::uint32_t which, std::uint32_t part, std::string_view& text) {
    return http_.part(which, part, text);
}

int Worker::http_find(std::uint32_t which, std::string_view name, std::uint32_t from,
                      std::string_view& value) {
    return http_.find(which, name, from, value);
}

bool Worker::http_item(std::uint32_t which, std::uint32_t index, std::string_view& name,
                       std::string_view& value) {
    return http_.item(which, index, name, value);
}

int Worker::http_set_part(std::uint32_t which, std::uint32_t part, std::string_view text) {
    return http_.set_part(which, part, text);
}

int Worker::http_set_header(std::uint32_t which, int how, std::string_view name,
                            std::string_view value) {
    return http_.set_header(which, how, name, value);
}

int Worker::http_open_body(std::uint32_t which) {
    return http_.open_body(which);
}

int Worker::http_edit_body() {
    return http_.edit_body();
}

int Worker::http_respond(std::string_view text) {
    return http_.respond(text);
}

std::string_view Worker::http_problem() const {
    return http_.problem();
}

}  // namespace haka::engine
