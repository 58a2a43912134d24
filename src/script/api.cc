// Tested by: script_test.cc
#include "script/api.h"

#include <ctime>

#include "base/search.h"
#include "proto/http/uri.h"
#include "script/host.h"

namespace haka::script {
namespace {

Host& host_of(haka_context* context) {
    return *static_cast<Host*>(context->host);
}

// NOLINTNEXTLINE(readability-function-size): each text of C takes two arguments.
int log(haka_context* context, int level, const char* module, size_t module_size, const char* text,
        size_t text_size) {
    const bool written = host_of(context).log(static_cast<report::LogLevel>(level),
                                              {module, module_size}, {text, text_size});
    return written ? HAKA_OK : HAKA_OUTPUT_FULL;
}

int packet_new(haka_context* context, uint32_t size, uint32_t* slot) {
    return host_of(context).packet_new(size, *slot);
}

int packet_resize(haka_context* context, uint32_t slot, uint32_t net_size) {
    return host_of(context).packet_resize(slot, net_size);
}

int packet_take(haka_context* context, uint32_t slot, uint32_t* taken) {
    return host_of(context).packet_take(slot, *taken);
}

int packet_send(haka_context* context, uint32_t slot) {
    return host_of(context).packet_send(slot);
}

void packet_drop(haka_context* context, uint32_t slot) {
    host_of(context).packet_drop(slot);
}

void packet_keep(haka_context* context, uint32_t slot, int keep) {
    host_of(context).packet_keep(slot, keep != 0);
}

void packet_parse(haka_context* context, uint32_t slot) {
    host_of(context).packet_parse(slot);
}

int checksum_ok(haka_context* context, uint32_t slot, int transport) {
    return host_of(context).checksum_ok(slot, transport != 0) ? 1 : 0;
}

void checksum_set(haka_context* context, uint32_t slot, int transport) {
    host_of(context).checksum_set(slot, transport != 0);
}

double packet_mark(haka_context* context, uint32_t slot) {
    return host_of(context).packet_mark(slot);
}

int packet_set_mark(haka_context* context, uint32_t slot, uint32_t mark) {
    return host_of(context).packet_set_mark(slot, mark);
}

double connection_touch(haka_context* context) {
    if (context->connection == HAKA_NONE) {
        context->connection = host_of(context).connection_touch();
    }
    return context->connection;
}

double connection_of(haka_context* context, uint32_t slot, uint32_t* direction,
                     uint32_t* tombstone) {
    bool from_client = false;
    bool dropped = false;
    const uint32_t connection = host_of(context).connection_of(slot, from_client, dropped);
    *direction = from_client ? 1 : 0;
    *tombstone = dropped ? 1 : 0;
    return connection;
}

int connection_new(haka_context* context, uint32_t slot, uint32_t* connection) {
    return host_of(context).connection_new(slot, *connection);
}

void connection_refresh(haka_context* context, uint32_t connection) {
    host_of(context).connection_refresh(connection);
}

int connection_drop(haka_context* context, uint32_t connection) {
    return host_of(context).connection_drop(connection);
}

int connection_reset(haka_context* context, uint32_t connection) {
    return host_of(context).connection_reset(connection);
}

int connection_close(haka_context* context, uint32_t connection) {
    return host_of(context).connection_close(connection);
}

void dissector_choose(haka_context* context, const char* name, size_t name_size) {
    host_of(context).choose_dissector({name, name_size});
}

// NOLINTNEXTLINE(readability-function-size): a text of C takes two arguments.
int stream_edit(haka_context* context, uint32_t half, double at, uint32_t erase, const char* text,
                size_t text_size) {
    return host_of(context).stream_edit(half, at, erase, {text, text_size});
}

double find(const uint8_t* data, size_t size, const char* text, size_t text_size, size_t* partial) {
    return static_cast<double>(find_text({data, size}, {text, text_size}, *partial));
}

haka_text to_c(std::string_view text) {
    return {text.data(), text.size()};
}

int http_part(haka_context* context, uint32_t which, uint32_t part, haka_text* text) {
    std::string_view found;
    const int status = host_of(context).http_part(which, part, found);
    *text = to_c(found);
    return status;
}

// NOLINTNEXTLINE(readability-function-size): a text of C takes two arguments.
int http_find(haka_context* context, uint32_t which, const char* name, size_t name_size,
              uint32_t from, haka_text* value) {
    std::string_view found;
    const int index = host_of(context).http_find(which, {name, name_size}, from, found);
    *value = to_c(found);
    return index;
}

int http_item(haka_context* context, uint32_t which, uint32_t index, haka_text* name,
              haka_text* value) {
    std::string_view name_found;
    std::string_view value_found;
    const bool is_there = host_of(context).http_item(which, index, name_found, value_found);
    *name = to_c(name_found);
    *value = to_c(value_found);
    return is_there ? 1 : 0;
}

int http_set_part(haka_context* context, uint32_t which, uint32_t part, const char* text,
                  size_t text_size) {
    return host_of(context).http_set_part(which, part, {text, text_size});
}

// NOLINTNEXTLINE(readability-function-size): each text of C takes two arguments.
int http_set_header(haka_context* context, uint32_t which, int how, const char* name,
                    size_t name_size, const char* value, size_t value_size) {
    return host_of(context).http_set_header(which, how, {name, name_size}, {value, value_size});
}

int http_open_body(haka_context* context, uint32_t which) {
    return host_of(context).http_open_body(which);
}

int http_edit_body(haka_context* context) {
    return host_of(context).http_edit_body();
}

int http_respond(haka_context* context, const char* text, size_t text_size) {
    return host_of(context).http_respond({text, text_size});
}

void http_problem(haka_context* context, haka_text* text) {
    *text = to_c(host_of(context).http_problem());
}

http::Uri split(std::string_view text, int is_target) {
    return is_target != 0 ? http::split_target(text) : http::split_uri(text);
}

void uri_split(const char* text, size_t size, int is_target, haka_text* parts) {
    const http::Uri uri = split({text, size}, is_target);
    const auto none_unless = [](bool is_there, std::string_view part) {
        return is_there ? to_c(part) : haka_text{nullptr, 0};
    };
    const bool has_port = uri.port.data() != nullptr;
    *parts++ = none_unless(!uri.scheme.empty(), uri.scheme);
    *parts++ = none_unless(uri.has_authority, uri.authority);
    for (const std::string_view part : {uri.userinfo, uri.user, uri.pass}) {
        *parts++ = none_unless(part.data() != nullptr, part);
    }
    *parts++ = none_unless(uri.has_authority, uri.host);
    *parts++ = none_unless(has_port, uri.port);
    *parts++ = to_c(uri.path);
    *parts++ = none_unless(uri.has_query, uri.query);
    *parts++ = none_unless(uri.has_fragment, uri.fragment);
}

// Lua copies it before the next call. One a thread: a worker is one.
std::string& uri_text() {
    static thread_local std::string text;
    return text;
}

void uri_normalize(const char* text, size_t size, int is_target, haka_text* out) {
    uri_text() = http::normalize(split({text, size}, is_target));
    *out = to_c(uri_text());
}

void uri_decode(const char* text, size_t size, haka_text* out) {
    uri_text() = http::decode({text, size});
    *out = to_c(uri_text());
}

// For --profile only: how long a rule ran is a fact about this run, not about the packets.
double clock() {
    timespec now{};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

void rule_time(haka_context* context, uint32_t rule, double seconds) {
    host_of(context).rule_time(rule, seconds);
}

constexpr haka_api kApi = {
    .log = log,
    .packet_new = packet_new,
    .packet_resize = packet_resize,
    .packet_take = packet_take,
    .packet_send = packet_send,
    .packet_drop = packet_drop,
    .packet_keep = packet_keep,
    .packet_parse = packet_parse,
    .checksum_ok = checksum_ok,
    .checksum_set = checksum_set,
    .packet_mark = packet_mark,
    .packet_set_mark = packet_set_mark,
    .connection_touch = connection_touch,
    .connection_of = connection_of,
    .connection_new = connection_new,
    .connection_refresh = connection_refresh,
    .connection_drop = connection_drop,
    .connection_reset = connection_reset,
    .connection_close = connection_close,
    .dissector_choose = dissector_choose,
    .stream_edit = stream_edit,
    .find = find,
    .http_part = http_part,
    .http_find = http_find,
    .http_item = http_item,
    .http_set_part = http_set_part,
    .http_set_header = http_set_header,
    .http_open_body = http_open_body,
    .http_edit_body = http_edit_body,
    .http_respond = http_respond,
    .http_problem = http_problem,
    .uri_split = uri_split,
    .uri_normalize = uri_normalize,
    .uri_decode = uri_decode,
    .clock = clock,
    .rule_time = rule_time,
};

}  // namespace

const haka_api& api() {
    return kApi;
}

}  // namespace haka::script
