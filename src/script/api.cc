// Tested by: script_test.cc
#include "script/api.h"

#include <ctime>

#include "base/search.h"
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

uint32_t packet_mark(haka_context* context, uint32_t slot) {
    return host_of(context).packet_mark(slot);
}

int packet_set_mark(haka_context* context, uint32_t slot, uint32_t mark) {
    return host_of(context).packet_set_mark(slot, mark);
}

uint32_t connection_touch(haka_context* context) {
    if (context->connection == HAKA_NONE) {
        context->connection = host_of(context).connection_touch();
    }
    return context->connection;
}

uint32_t connection_of(haka_context* context, uint32_t slot, uint32_t* direction,
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

// NOLINTNEXTLINE(readability-function-size): a text of C takes two arguments.
int stream_edit(haka_context* context, uint32_t half, double at, uint32_t erase, const char* text,
                size_t text_size) {
    return host_of(context).stream_edit(half, at, erase, {text, text_size});
}

double find(const uint8_t* data, size_t size, const char* text, size_t text_size, size_t* partial) {
    return static_cast<double>(find_text({data, size}, {text, text_size}, *partial));
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
    .stream_edit = stream_edit,
    .find = find,
    .clock = clock,
    .rule_time = rule_time,
};

}  // namespace

const haka_api& api() {
    return kApi;
}

}  // namespace haka::script
