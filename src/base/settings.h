// Everything a user can set, with its default: TOML file (`-c`) and `--set section.key=value` fill
// it in `app`, every other room is handed the part it needs. Each limit has a test on its edge.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "base/event.h"
#include "base/time.h"

namespace haka {

enum class Midstream : std::uint8_t { Drop, Ignore, Accept };
enum class Normalise : std::uint8_t { Listened, All };
// What happens when a limit is reached or a rule fails.
enum class Exception : std::uint8_t { Drop, Pass, Reset, Bypass };
enum class ChecksumMode : std::uint8_t { Auto, All, None };

// Section [tcp]
struct TcpSettings {
    Midstream midstream = Midstream::Drop;
    Normalise normalise = Normalise::Listened;
    // Of listened connections: urgent bytes become plain ones; reserved and ECN bits are cleared; a
    // smaller TTL or hop limit becomes this, 0: none does.
    bool clear_urgent = true;
    bool clear_reserved = false;
    std::uint32_t ttl_min = 0;
    std::uint32_t connections_max = 1'048'576;      // Per worker.
    std::uint32_t half_open_percent = 25;           // Of connections_max.
    std::uint32_t held_bytes_max = 1U << 20;        // Out of order, per direction.
    std::uint32_t held_segments_max = 1024;         // Out of order, per direction.
    std::uint32_t undecided_bytes_max = 64 * 1024;  // Kept for a rule that waits, per direction.
    Duration undecided_time_max = kSecond * 30;
    std::uint32_t edits_max = 256;                 // Unacknowledged, per direction.
    std::uint32_t edited_bytes_max = 16U << 20;    // Unacknowledged bytes of an edited direction.
    std::uint64_t stream_memory_max = 1ULL << 30;  // Per worker.
    std::uint32_t early_ack_packets = 64;  // An ACK may run ahead of its data by so many packets.
    Duration syn_timeout = kSecond * 30;
    Duration syn_ack_timeout = kSecond * 30;
    Duration established_timeout = kSecond * 7440;  // 2 h 4 min, RFC 5382.
    Duration half_closed_timeout = kSecond * 120;
    Duration time_wait_timeout = kSecond * 60;
    Duration dropped_timeout = kSecond * 120;
    // After a restart by a fault, midstream is `accept` for so long.
    Duration midstream_after_restart = kSecond * 7440;
};

// Section [fragments]
struct FragmentSettings {
    std::uint32_t datagrams_max = 1024;  // Being joined at a time, per worker.
    std::uint32_t fragments_per_datagram_max = 128;
    std::uint32_t bytes_max = 4U << 20;  // All held fragments of a worker.
    Duration timeout = kSecond * 30;
};

// Section [exceptions]
struct ExceptionSettings {
    Exception table_full = Exception::Drop;  // A new connection when the table is full.
    Exception hold = Exception::Reset;       // held_*_max or undecided_*_max reached.
    Exception memory = Exception::Reset;     // stream_memory_max reached.
    Exception malformed = Exception::Pass;   // A capture file: pass and count.
};

// Section [lua]
struct LuaSettings {
    std::uint64_t memory_max = 256ULL
                               << 20;  // Bytes a worker's Lua may hold, C++ buffers included.
    Duration rule_timeout = kSecond * 2;
    std::uint64_t output_max = 16ULL << 20;  // Bytes that one event's rules may print, log, alert.
    std::uint32_t packets_max = 4096;        // Policy-made or pushed packets alive at a time.
    Exception on_error = Exception::Drop;    // Drop or Pass ("accept").
    bool unsafe = false;
};

// Section [live]
struct LiveSettings {
    std::uint32_t ring_frames = 512;              // Places of each interface's ring, per worker.
    std::uint32_t send_buffer = 32U << 20;        // Bytes under way to an interface, per worker.
    std::uint32_t records_bytes_max = 16U << 20;  // Said and not yet written, per worker.
    bool af_xdp = false;                          // Joined interfaces by AF_XDP, not AF_PACKET.
};

// Section [nfqueue]
struct NfqueueSettings {
    std::uint32_t length_max = 4096;  // Packets that wait in the kernel, per queue.
    std::uint32_t copy_range = 65531;
    std::uint32_t socket_buffer = 64U << 20;
    std::uint32_t mark = 0x48616b61;  // Of packets that are sent by us: they bypass the queue.
    bool fail_open = false;           // A full queue's packets pass unlooked.
};

// Section [http]
struct HttpSettings {
    std::uint32_t head_bytes_max = 64 * 1024;  // A head, or the trailers of a chunked body.
    std::uint32_t line_bytes_max = 16 * 1024;
    std::uint32_t headers_max = 256;
    std::uint32_t pipeline_max = 128;  // Requests of a connection that nobody has answered yet.

    // What becomes of a connection with such an offence: Drop, Reset or Pass.
    [[nodiscard]] Exception& action(Event offence) {
        return actions.at(static_cast<std::size_t>(offence) - kFirstHttpEvent);
    }
    [[nodiscard]] Exception action(Event offence) const {
        return actions.at(static_cast<std::size_t>(offence) - kFirstHttpEvent);
    }
    std::array<Exception, kHttpEventCount> actions{};

    HttpSettings() {
        using enum Event;
        for (const Event mild : {HttpBareLf, HttpNoHost, HttpUnasked, HttpCutShort, HttpGap}) {
            action(mild) = Exception::Pass;
        }
    }
};

// Section [control]: of live runs.
struct ControlSettings {
    std::string socket = "/run/haka/control.sock";  // Empty: none.
    std::uint32_t clients_max = 16;
    std::uint32_t line_max = 64 * 1024;  // Bytes of a request.
    std::uint32_t rows_max = 10'000;     // Connections in an answer.
    Duration timeout = kSecond * 10;     // A client's silence in the middle of something.
};

// Section [policy]
struct PolicySettings {
    std::uint32_t generations_max = 8;              // At work at a time: the newest and older ones.
    Duration generation_deadline = kSecond * 3600;  // A connection's stay with an older one.
};

// Section [supervisor]
struct SupervisorSettings {
    bool enabled = true;     // Live: a process that starts the worker process again after a fault.
    bool fail_open = false;  // While none runs, frames pass unlooked between the two interfaces.
    std::uint32_t rule_faults_max = 3;          // A rule that ends the process so often within ...
    Duration rule_faults_time = kSecond * 600;  // ... that is off from then on.
    std::uint32_t last_packets = 128;           // Of each worker, kept for the case of a fault.
    std::string captures = "/var/tmp";          // The folder that they are written into.
};

struct Settings {
    TcpSettings tcp;
    FragmentSettings fragments;
    ExceptionSettings exceptions;
    LuaSettings lua;
    LiveSettings live;
    NfqueueSettings nfqueue;
    HttpSettings http;
    ControlSettings control;
    PolicySettings policy;
    SupervisorSettings supervisor;
    ChecksumMode checksums = ChecksumMode::Auto;
    bool pass_through = false;
    bool eve_ipv6_compress = false;  // [eve] ipv6_compress
    std::uint64_t seed = 0;          // Of hash keys and math.random; random unless --seed is given.
    std::uint32_t workers = 1;
};

}  // namespace haka
