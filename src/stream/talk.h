// For tests: a TCP connection as a dialogue of segments, numbered from each end's ISN like
// packetdrill does: the SYN is 0, the first byte 1.
#pragma once

#include <cstdint>
#include <string_view>

#include "stream/tracker.h"
#include "wire/tcp.h"

namespace haka::stream::test {

struct Step {
    std::string_view flags;  // Of "SAFRPUEW".
    std::int64_t seq = 0;
    std::int64_t ack = 0;
    std::uint32_t size = 0;
    std::uint16_t window = 65535;
    std::int64_t timestamp = -1;  // -1: no such option.
    std::int8_t scale = -1;
    bool fast_open = false;
    bool signature = false;
    Event bad = Event::None;
};

class Talk {
public:
    explicit Talk(Mode mode) : mode_(mode) {}
    Talk(Mode mode, std::uint32_t client_isn, std::uint32_t server_isn)
        : mode_(mode), isns_{client_isn, server_isn} {}

    Judgement client(const Step& step) { return say(true, step); }
    Judgement server(const Step& step) { return say(false, step); }
    Judgement say(bool from_client, const Step& step) {
        now.ns += 1000;
        return judge(connection, from_client, segment_of(from_client, step), now,
                     {.settings = settings, .mode = mode_});
    }

    // The three-way handshake; both windows are 65535.
    void shake(Step syn = {.flags = "S"}, Step syn_ack = {.flags = "SA", .ack = 1}) {
        client(syn);
        server(syn_ack);
        Step ack = {.flags = "A", .seq = 1, .ack = 1, .signature = syn.signature};
        ack.timestamp = syn.timestamp;
        client(ack);
    }

    [[nodiscard]] wire::Segment segment_of(bool from_client, const Step& step) const {
        wire::Segment segment;
        const std::size_t from = from_client ? 0 : 1;
        segment.seq = isns_[from] + static_cast<std::uint32_t>(step.seq);
        const bool ack = step.flags.find('A') != std::string_view::npos;
        segment.ack = ack ? isns_[1 - from] + static_cast<std::uint32_t>(step.ack) : 0;
        segment.payload_size = step.size;
        segment.window = step.window;
        segment.window_scale = step.scale;
        segment.has_timestamp = step.timestamp >= 0;
        segment.ts_value = static_cast<std::uint32_t>(step.timestamp);
        segment.fast_open = step.fast_open;
        segment.signature = step.signature;
        segment.bad = step.bad;
        constexpr std::string_view kLetters = "FSRPAUEW";
        for (const char letter : step.flags) {
            segment.flags = static_cast<std::uint8_t>(segment.flags | 1U << kLetters.find(letter));
        }
        return segment;
    }

    flow::Connection connection;
    TcpSettings settings;
    Instant now{1'000'000'000};

private:
    Mode mode_;
    std::uint32_t isns_[2] = {0xffff'fff0, 1'000'000};  // The client's wraps soon.
};

}  // namespace haka::stream::test
