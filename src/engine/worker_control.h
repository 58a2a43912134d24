// What a running worker can be asked, and asked for: figures, connections, the end of one of them,
// log levels. Plain values that other threads may keep; a worker answers between two walks.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.h"
#include "base/time.h"
#include "flow/connection.h"
#include "report/summary.h"

namespace haka::engine {

struct RuleFigures {
    std::string name;
    std::string place;  // file:line
    std::uint64_t errors = 0;
    report::RuleTime time;  // Only with RunOptions::profile.
};

struct WorkerFigures {
    report::Summary summary;
    std::array<std::uint32_t, flow::kStateCount> connections{};  // In the table, by flow::State.
    std::uint64_t stream_memory = 0;
    std::uint64_t lua_memory = 0;
    std::uint64_t table_memory = 0;
    std::uint64_t generations = 1;  // Policies at work.
    std::vector<RuleFigures> rules;
};

// Addresses whose first `bits` bits are those of `address`; 128: this one alone. IPv4 is mapped.
struct Network {
    Address address;
    unsigned bits = 128;

    [[nodiscard]] bool contains(const std::array<std::uint8_t, 16>& other) const;
};

// All that is given must hold.
struct ConnectionFilter {
    std::optional<std::uint64_t> id{};  // The flow_id that EVE records carry.
    std::optional<Network> client{};
    std::optional<Network> server{};
    std::optional<Network> either{};
    std::optional<std::uint16_t> port{};  // Of either end.
    std::optional<flow::State> state{};

    [[nodiscard]] bool matches(const flow::Connection& connection) const;
};

struct ConnectionRow {
    std::uint64_t id = 0;  // The flow_id.
    std::uint32_t worker = 0;
    flow::State state = flow::State::SynSent;
    std::string client;  // Address text.
    std::string server;
    std::uint16_t client_port = 0;
    std::uint16_t server_port = 0;
    Duration age;
    Duration idle;
    std::array<std::uint64_t, 2> bytes{};  // [0] from the client.
    std::array<std::uint32_t, 2> packets{};
    std::string dissector;  // Empty: none.
};

// Places of the table that are looked at before packets have their turn again: some 100 us.
constexpr std::uint32_t kPlacesAtOnce = 4096;

// A look over a worker's table, slice by slice, so that packets never wait long for it.
struct Listed {
    std::size_t rows_max = 0;
    std::uint32_t next_place = 0;
    std::vector<ConnectionRow> rows{};
    bool is_cut = false;  // There are more that match than rows_max.
};

enum class EndKind : std::uint8_t { Drop, Reset };

struct EndRequest {
    std::uint64_t id = 0;
    EndKind kind = EndKind::Drop;
    std::uint32_t next_place = 0;  // Where the search goes on: kPlacesAtOnce further each time.
};

enum class ConnectionFate : std::uint8_t {
    Ended,
    Searching,     // Not in this slice of the table; ask again.
    Unknown,       // No connection has this id.
    EndedBefore,   // Only a remnant of it is left.
    PassesThrough  // Nothing may be changed: --pass-through.
};

}  // namespace haka::engine
