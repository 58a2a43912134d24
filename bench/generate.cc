// What no server is needed for.
//   generate handshakes OUT --count N   complete handshakes of connections that then stay idle
//   generate bodies OUT --count N       as many that have begun to send a megabyte by HTTP
//   generate flood OUT --count N        N SYNs from random addresses
//   generate tiny OUT --count N         N connections of one-byte segments, the last one first
//   generate hold OUT --count N         N connections that keep back their first byte and send 1
//   MiB (these three among 100 users who open before, and send and close behind) generate text OUT
//   --size N          pseudo-random text; prints how often the needle stands in it
#include <algorithm>
#include <array>
#include <cinttypes>
#include <string_view>

#include "arguments.h"
#include "pcap_file.h"
#include "random.h"
#include "tcp_frame.h"

namespace haka::bench {
namespace {

constexpr std::string_view kNeedle = "NEEDLE-IN-IT";
constexpr std::uint64_t kNeedleEvery = 10'000;
constexpr std::uint64_t kEpoch = 1'700'000'000'000'000;
constexpr std::uint64_t kClients = 126;

// An IPv4 header and a TCP header with MSS, SACK permitted and window scale, as Linux writes them.
constexpr std::array<std::uint8_t, 66> kSynTemplate = {
    0x02, 0,    0,    0,    0,  2, 0x02, 0, 0,  0, 0, 1, 0x08, 0x00,  // Ethernet
    0x45, 0,    0,    52,   0,  0, 0x40, 0, 64, 6, 0, 0, 192,  168,   // IPv4
    10,   0,    192,  168,  20, 0,                                    //
    0,    0,    0,    80,   0,  0, 0,    0, 0,  0, 0, 0, 0x80, 0,     // TCP
    0xfa, 0xf0, 0,    0,    0,  0,                                    //
    2,    4,    0x05, 0xb4, 1,  1, 4,    2, 1,  3, 3, 10};            // options
constexpr std::size_t kWithoutOptions = 54;

struct Numbers {
    std::uint32_t seq;
    std::uint32_t ack;
};

void write_segment(PcapWriter& writer, std::uint64_t time_us, std::pair<Endpoint, Endpoint> ends,
                   Numbers numbers, std::uint8_t flags, std::string_view payload = {}) {
    std::vector<std::uint8_t> frame(kSynTemplate.begin(), kSynTemplate.end());
    if ((flags & kSyn) == 0) {
        frame.resize(kWithoutOptions);
        frame[46] = 0x50;
        frame.insert(frame.end(), payload.begin(), payload.end());
        set_total_length(frame);
    }
    TcpFrame tcp = *TcpFrame::find(frame);
    tcp.set_source(ends.first);
    tcp.set_target(ends.second);
    tcp.set_seq(numbers.seq);
    tcp.set_flags(flags);
    tcp.move_acknowledgements(numbers.ack);  // From zero.
    tcp.fix_checksums();
    writer.write(time_us, frame);
}

// `request` is what each client says behind the handshake, if anything.
void handshakes(const std::string& path, std::uint64_t count, std::string_view request) {
    PcapWriter writer(path);
    for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t dice = scramble(i + 1);
        const auto isn_client = static_cast<std::uint32_t>(dice);
        const auto isn_server = static_cast<std::uint32_t>(dice >> 32U);
        const Endpoint client{0xc0a80a01 + static_cast<std::uint32_t>(i % kClients),
                              static_cast<std::uint16_t>(1024 + i / kClients)};
        const Endpoint server{0xc0a81401 + static_cast<std::uint32_t>(i % 100), 80};
        const std::uint64_t time = kEpoch + i * 20;
        write_segment(writer, time, {client, server}, {isn_client, 0}, kSyn);
        write_segment(writer, time + 5, {server, client}, {isn_server, isn_client + 1},
                      kSyn | kAck);
        const Numbers opened{isn_client + 1, isn_server + 1};
        write_segment(writer, time + 10, {client, server}, opened, kAck);
        if (!request.empty()) {
            const Numbers answer{opened.ack,
                                 opened.seq + static_cast<std::uint32_t>(request.size())};
            write_segment(writer, time + 12, {client, server}, opened, kAck | kPsh, request);
            write_segment(writer, time + 15, {server, client}, answer, kAck);
        }
    }
    writer.close();
    std::printf("connections %" PRIu64 " packets %" PRIu64 "\n", count, writer.packets());
}

// A load that is meant to exhaust somebody, and users among it.
class Load {
public:
    explicit Load(const std::string& path) : writer_(path) {}

    void open(std::uint64_t index, std::uint32_t network) {
        const auto [client, server] = ends(index, network);
        segment({client, server}, {isn(index), 0}, kSyn);
        segment({server, client}, {isn(index), isn(index) + 1}, kSyn | kAck);
        segment({client, server}, {isn(index) + 1, isn(index) + 1}, kAck);
    }
    // Client bytes [offset, offset + size).
    void send(std::uint64_t index, std::uint32_t network, std::uint32_t offset, std::size_t size) {
        const auto [client, server] = ends(index, network);
        segment({client, server}, {isn(index) + 1 + offset, isn(index) + 1}, kAck, size);
    }
    void close(std::uint64_t index, std::uint32_t network, std::uint32_t sent) {
        const auto [client, server] = ends(index, network);
        const std::uint32_t next = isn(index) + 1 + sent;
        segment({server, client}, {isn(index) + 1, next}, kFin | kAck);
        segment({client, server}, {next, isn(index) + 2}, kFin | kAck);
        segment({server, client}, {isn(index) + 2, next + 1}, kAck);
    }
    void syn(std::uint64_t dice) {
        segment({{0x0b000000U | static_cast<std::uint32_t>(dice & 0xffffff),
                  static_cast<std::uint16_t>(dice >> 32U | 1U)},
                 {0xc0a81401, 80}},
                {static_cast<std::uint32_t>(dice), 0}, kSyn);
    }
    void finish() {
        writer_.close();
        std::fprintf(stderr, "packets %" PRIu64 "\n", writer_.packets());
    }

private:
    static std::uint32_t isn(std::uint64_t index) {
        return static_cast<std::uint32_t>(scramble(index + 1));
    }
    static std::pair<Endpoint, Endpoint> ends(std::uint64_t index, std::uint32_t network) {
        return {{network + static_cast<std::uint32_t>(index % 60'000),
                 static_cast<std::uint16_t>(1024 + index / 60'000)},
                {0xc0a81401, 80}};
    }
    void segment(std::pair<Endpoint, Endpoint> between, Numbers numbers, std::uint8_t flags,
                 std::size_t payload = 0) {
        write_segment(writer_, time_++, between, numbers, flags, std::string(payload, 'x'));
    }

    PcapWriter writer_;
    std::uint64_t time_ = kEpoch;
};

void load(const std::string& kind, const std::string& path, std::uint64_t count) {
    constexpr std::uint64_t kUsers = 100;
    constexpr std::uint32_t kUserNetwork = 0xc0a80a01;
    constexpr std::uint32_t kOthers = 0x0a000001;
    constexpr std::uint32_t kTinySegments = 32;
    constexpr std::uint32_t kHeldSize = 1 << 20;
    constexpr std::uint32_t kSegment = 8192;
    Load load(path);
    for (std::uint64_t user = 0; user < kUsers; ++user) {
        load.open(user, kUserNetwork);
    }
    if (kind == "flood") {
        for (std::uint64_t i = 0; i < count; ++i) {
            load.syn(scramble(i));
        }
    } else {
        const bool tiny = kind == "tiny";
        for (std::uint64_t i = 0; i < count; ++i) {
            load.open(i, kOthers);
        }
        const std::uint32_t rounds = tiny ? kTinySegments : kHeldSize / kSegment;
        for (std::uint32_t round = 0; round < rounds; ++round) {
            for (std::uint64_t i = 0; i < count; ++i) {
                const std::uint32_t offset =
                    tiny ? kTinySegments - 1 - round : 1 + round * kSegment;
                load.send(i, kOthers, offset, tiny ? 1 : kSegment);
            }
        }
    }
    for (std::uint64_t user = 0; user < kUsers; ++user) {
        load.send(user, kUserNetwork, 0, 1000);
        load.close(user, kUserNetwork, 1000);
    }
    load.finish();
}

// Words of mixed letters, so that parts of the needle occur by chance and the whole of it doesn't:
// only the needle has a hyphen.
void text(const std::string& path, std::uint64_t size, std::uint64_t seed) {
    constexpr std::string_view kLetters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZEEDDNNLLII  ";
    Random random(seed);
    std::string body(size, '\n');
    for (std::size_t i = 0; i < body.size(); ++i) {
        if (i % 80 != 79) {
            body[i] = kLetters[random.below(kLetters.size())];
        }
    }
    std::uint64_t needles = 0;
    for (std::uint64_t at = 0; at + kNeedleEvery <= size; at += kNeedleEvery) {
        const std::uint64_t place = at + random.below(kNeedleEvery - kNeedle.size());
        std::copy(kNeedle.begin(), kNeedle.end(),
                  body.begin() + static_cast<std::ptrdiff_t>(place));
        ++needles;
    }
    const File file(std::fopen(path.c_str(), "wb"));
    if (!file || std::fwrite(body.data(), body.size(), 1, file.get()) != 1) {
        fail(path + ": can't be written");
    }
    std::printf("needles %" PRIu64 "\n", needles);
}

}  // namespace
}  // namespace haka::bench

int main(int argc, char** argv) {
    using namespace haka::bench;
    const Arguments arguments(argc, argv);
    const std::string what = arguments.files().size() == 2 ? arguments.files()[0] : "";
    if (what == "handshakes") {
        handshakes(arguments.files()[1], arguments.number("count", 1000), {});
    } else if (what == "bodies") {
        const std::string head =
            "POST /upload HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1000000\r\n\r\n";
        handshakes(arguments.files()[1], arguments.number("count", 1000),
                   head + std::string(1000, 'x'));
    } else if (what == "flood" || what == "tiny" || what == "hold") {
        load(what, arguments.files()[1], arguments.number("count", 1000));
    } else if (what == "text") {
        text(arguments.files()[1], arguments.number("size", 1'000'000),
             arguments.number("seed", 1));
    } else {
        fail(
            "usage: generate handshakes|bodies|flood|tiny|hold OUT --count N | "
            "generate text OUT --size N [--seed N]");
    }
    return 0;
}
