// What the Lua library asks of the engine, beyond reading and writing the bytes it was lent.
// The engine implements it; one host for each worker, called only from that worker's thread.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/event.h"
#include "report/alert.h"
#include "report/console.h"

namespace haka::script {

class Host {
public:
    Host() = default;
    virtual ~Host() = default;
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    // Each returns false when this event's rules have written lua.output_max bytes.
    virtual bool log(report::LogLevel level, std::string_view module, std::string_view text) = 0;
    virtual bool print(std::string_view line) = 0;
    // Gives the alert its number (unless it is an update) and returns it; 0: output is full.
    virtual std::uint64_t alert(report::Alert& alert) = 0;

    // Statuses are HAKA_* of abi.h.
    virtual int packet_new(std::uint32_t size, std::uint32_t& slot) = 0;
    virtual int packet_resize(std::uint32_t slot, std::uint32_t net_size) = 0;
    virtual int packet_take(std::uint32_t slot, std::uint32_t& taken) = 0;
    virtual int packet_send(std::uint32_t slot) = 0;
    virtual void packet_drop(std::uint32_t slot) = 0;
    // Whether a packet of the policy's own lives on when its hook returns.
    virtual void packet_keep(std::uint32_t slot, bool keep) = 0;
    virtual void packet_parse(std::uint32_t slot) = 0;
    virtual bool checksum_ok(std::uint32_t slot, bool transport) = 0;
    virtual void checksum_set(std::uint32_t slot, bool transport) = 0;
    // The kernel's mark; 0 and an error where the packet has none.
    virtual std::uint32_t packet_mark(std::uint32_t slot) = 0;
    virtual int packet_set_mark(std::uint32_t slot, std::uint32_t mark) = 0;

    virtual std::uint32_t connection_touch() = 0;
    virtual std::uint32_t connection_of(std::uint32_t slot, bool& from_client, bool& tombstone) = 0;
    virtual int connection_new(std::uint32_t slot, std::uint32_t& connection) = 0;
    virtual void connection_refresh(std::uint32_t connection) = 0;
    virtual int connection_drop(std::uint32_t connection) = 0;
    virtual int connection_reset(std::uint32_t connection) = 0;
    virtual int connection_close(std::uint32_t connection) = 0;
    // Replaces undecided bytes of the stream of direction `half` at hand, for the rule whose cursor
    // is context.cursor.
    virtual int stream_edit(std::uint32_t half, double at, std::uint32_t erase,
                            std::string_view insert) = 0;
    // The messages of HTTP at hand, as abi.h says.
    virtual int http_part(std::uint32_t which, std::uint32_t part, std::string_view& text) = 0;
    virtual int http_find(std::uint32_t which, std::string_view name, std::uint32_t from,
                          std::string_view& value) = 0;
    virtual bool http_item(std::uint32_t which, std::uint32_t index, std::string_view& name,
                           std::string_view& value) = 0;
    virtual int http_set_part(std::uint32_t which, std::uint32_t part, std::string_view text) = 0;
    virtual int http_set_header(std::uint32_t which, int how, std::string_view name,
                                std::string_view value) = 0;
    virtual int http_open_body(std::uint32_t which) = 0;
    virtual int http_edit_body() = 0;
    virtual int http_respond(std::string_view text) = 0;
    [[nodiscard]] virtual std::string_view http_problem() const = 0;
    // The dissector of the connection at hand: "http" or one written in Lua. The name was checked.
    virtual void choose_dissector(std::string_view name) = 0;
    [[nodiscard]] virtual std::string_view next_dissector() const = 0;

    virtual void rule_time(std::uint32_t rule, double seconds) = 0;
};

}  // namespace haka::script
