// Makes much traffic of little: plays a recording again and again, each of its connections every
// time between other addresses and ports and with other sequence numbers.
//   multiply IN OUT (--copies N | --connections N) [--lanes N] [--clients N] [--seed N]
//            [--delayed-acks MS]
// `lanes` copies run at a time, each shifted against the others; inside a copy the recorded times
// stay. With `delayed-acks` a bare acknowledgement goes when a segment behind it carries it within
// that time: so a busier host would have sent them. Addresses are those of the firewall example:
// 192.168.10.0/25 towards 192.168.20.0/25.
#include <algorithm>
#include <cinttypes>
#include <map>
#include <queue>

#include "arguments.h"
#include "pcap_file.h"
#include "random.h"
#include "tcp_frame.h"

namespace haka::bench {
namespace {

constexpr std::uint32_t kClientNetwork = 0xc0a80a00;
constexpr std::uint32_t kServerNetwork = 0xc0a81400;
constexpr std::uint32_t kServers = 100;
constexpr std::uint32_t kFirstPort = 1024;
constexpr std::uint32_t kPorts = 60000;
constexpr std::uint32_t kPortStep = 7919;  // Prime, so that no port comes twice too early.

struct Segment {
    std::uint64_t time_us;  // Since the start of the recording.
    std::size_t connection;
    bool from_client;
    std::vector<std::uint8_t> frame;
};

struct Recording {
    std::vector<Segment> segments;
    std::size_t connections = 0;
    std::uint64_t span_us = 0;
};

// Every connection that begins with its SYN. A SYN with another number on the same ports is another
// connection.
Recording read_recording(const std::string& path) {
    struct Known {
        std::size_t connection;
        std::uint32_t first_seq;
    };
    std::map<std::pair<Endpoint, Endpoint>, Known> known;  // By client and server.
    Recording recording;
    PcapReader reader(path);
    Record record;
    std::optional<std::uint64_t> start;
    while (reader.next(record)) {
        const auto tcp = TcpFrame::find(record.frame);
        if (!tcp) {
            continue;
        }
        if (!start) {
            start = record.time_us;
        }
        const std::uint64_t time = std::max(record.time_us, *start) - *start;
        const auto forward = std::pair(tcp->source(), tcp->target());
        if ((tcp->flags() & (kSyn | kAck)) == kSyn) {
            const auto found = known.find(forward);
            if (found == known.end() || found->second.first_seq != tcp->seq()) {
                known[forward] = {recording.connections++, tcp->seq()};
            }
        }
        const auto as_client = known.find(forward);
        const auto as_server = known.find({forward.second, forward.first});
        if (as_client != known.end()) {
            recording.segments.push_back(
                {time, as_client->second.connection, true, std::move(record.frame)});
        } else if (as_server != known.end()) {
            recording.segments.push_back(
                {time, as_server->second.connection, false, std::move(record.frame)});
        }
        recording.span_us = time + 1;
    }
    if (recording.connections == 0) {
        fail(path + ": no connection in it");
    }
    return recording;
}

bool is_bare_ack(Segment& segment) {
    const auto tcp = TcpFrame::find(segment.frame);
    return tcp->flags() == kAck && tcp->payload().empty();
}

// Each connection keeps the acknowledgement that ends its handshake.
void delay_acks(Recording& recording, std::uint64_t at_most_us) {
    if (at_most_us == 0) {
        return;
    }
    std::vector<Segment> kept;
    std::map<std::pair<std::size_t, bool>, std::uint64_t> next_us;  // Behind the one looked at.
    std::vector<std::size_t> first_ack(recording.connections, SIZE_MAX);
    auto& segments = recording.segments;
    for (std::size_t i = segments.size(); i-- > 0;) {
        if (segments[i].from_client && is_bare_ack(segments[i])) {
            first_ack[segments[i].connection] = i;
        }
    }
    for (std::size_t i = segments.size(); i-- > 0;) {
        Segment& segment = segments[i];
        const auto next = next_us.find({segment.connection, segment.from_client});
        const bool soon = next != next_us.end() && next->second - segment.time_us <= at_most_us;
        if (soon && i != first_ack[segment.connection] && is_bare_ack(segment)) {
            continue;
        }
        next_us[{segment.connection, segment.from_client}] = segment.time_us;
        kept.push_back(std::move(segment));
    }
    std::reverse(kept.begin(), kept.end());
    segments = std::move(kept);
}

// The connection with this number among all copies: who speaks, and how far its numbers are moved.
struct Disguise {
    std::uint64_t number;
    std::uint64_t clients;
    std::uint64_t seed;

    void apply(const Segment& segment, std::vector<std::uint8_t>& frame) const {
        frame = segment.frame;
        TcpFrame tcp = *TcpFrame::find(frame);
        const std::uint64_t dice = scramble(seed ^ (number + 1) * 0x9e3779b97f4a7c15U);
        const auto client_move = static_cast<std::uint32_t>(dice);
        const auto server_move = static_cast<std::uint32_t>(dice >> 32U);
        const Endpoint client{kClientNetwork + 1 + static_cast<std::uint32_t>(number % clients),
                              static_cast<std::uint16_t>(
                                  kFirstPort + (number / clients * kPortStep + seed) % kPorts)};
        const std::uint16_t service = segment.from_client ? tcp.target().port : tcp.source().port;
        const Endpoint server{kServerNetwork + 1 + static_cast<std::uint32_t>(number % kServers),
                              service};
        tcp.set_source(segment.from_client ? client : server);
        tcp.set_target(segment.from_client ? server : client);
        tcp.set_seq(tcp.seq() + (segment.from_client ? client_move : server_move));
        tcp.move_acknowledgements(segment.from_client ? server_move : client_move);
        tcp.fix_checksums();
    }
};

// One copy after the other; which one, and where in it.
struct Lane {
    std::uint64_t copy;
    std::uint64_t start_us;
    std::size_t next = 0;
};

}  // namespace

void multiply(const Arguments& arguments) {
    Recording recording = read_recording(arguments.files()[0]);
    delay_acks(recording, arguments.number("delayed-acks", 0) * 1000);
    const auto& segments = recording.segments;
    const std::uint64_t connections =
        arguments.number("connections", arguments.number("copies", 1) * recording.connections);
    const std::uint64_t copies = (connections + recording.connections - 1) / recording.connections;
    const std::uint64_t lanes = std::min(arguments.number("lanes", 1), copies);
    const std::uint64_t clients = arguments.number("clients", 126);
    const std::uint64_t seed = arguments.number("seed", 1);
    if (clients > 126 || connections > clients * kPorts) {
        fail("more connections than addresses and ports");
    }

    std::vector<Lane> running;
    for (std::uint64_t i = 0; i < lanes; ++i) {
        running.push_back({.copy = i, .start_us = recording.span_us * i / lanes});
    }
    using Turn = std::pair<std::uint64_t, std::size_t>;  // Time, lane.
    std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
    for (std::size_t i = 0; i < running.size(); ++i) {
        turns.emplace(running[i].start_us + segments[0].time_us, i);
    }

    constexpr std::uint64_t kEpoch = 1'700'000'000'000'000;
    PcapWriter writer(arguments.files()[1]);
    std::vector<std::uint8_t> frame;
    while (!turns.empty()) {
        const auto [time, index] = turns.top();
        turns.pop();
        Lane& lane = running[index];
        const Segment& segment = segments[lane.next];
        const std::uint64_t number = lane.copy * recording.connections + segment.connection;
        if (number < connections) {
            Disguise{number, clients, seed}.apply(segment, frame);
            writer.write(kEpoch + time, frame);
        }
        if (++lane.next == segments.size()) {
            lane = {.copy = lane.copy + lanes, .start_us = lane.start_us + recording.span_us};
        }
        if (lane.copy < copies) {
            turns.emplace(lane.start_us + segments[lane.next].time_us, index);
        }
    }
    writer.close();
    std::printf("connections %" PRIu64 " packets %" PRIu64 " bytes %" PRIu64 "\n", connections,
                writer.packets(), writer.bytes());
}

}  // namespace haka::bench

int main(int argc, char** argv) {
    const haka::bench::Arguments arguments(argc, argv);
    if (arguments.files().size() != 2) {
        haka::bench::fail(
            "usage: multiply IN OUT (--copies N | --connections N) [--lanes N] [--clients N] "
            "[--seed N] [--delayed-acks MS]");
    }
    haka::bench::multiply(arguments);
    return 0;
}
