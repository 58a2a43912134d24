// The whole walk of hostile packets through one worker with a busy policy. The input is a list of
// operations that make mostly valid TCP of a few connections: overlaps, odd flags, fragments, wrong
// checksums, time; and plain garbage.
//
// Must hold: nothing crashes; every packet is accounted for; what was changed has right checksums;
// and what leaves is unambiguous: receivers that keep the first copy of a byte, or the last,
// deliver the same bytes, and no byte that the rules had not seen by then.
//
// The worker lives on from input to input, as loading a policy takes longer than running it. Three
// hours between inputs let everything time out.
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <unistd.h>

#include "engine/worker.h"
#include "flow/fragments.h"
#include "fuzz.h"
#include "wire/build.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"

namespace haka {
namespace {

using fuzz::Input;
using fuzz::require;

constexpr std::string_view kPolicy = R"lua(
local function hex(text)
    return (text:gsub('.', function(c) return ('%02x'):format(c:byte()) end))
end
-- The port that isn't 80, and whether it is the client's.
local function ends(pkt)
    local connection = pkt.connection
    if connection.srcport == 80 then return connection.dstport, false end
    return connection.srcport, true
end
haka.rule{ hooks = {'raw-up'}, eval = function(self, pkt)
    if #pkt > 60 and pkt[60] == 0x21 then pkt:drop() end
end }
haka.rule{ hooks = {'ipv4-up'}, eval = function(self, pkt)
    if pkt.tos == 1 then pkt.ttl = 9 end
    if pkt.tos == 2 then pkt:drop() end
end }
haka.rule{ hooks = {'tcp-up'}, eval = function(self, pkt)
    if #pkt.payload > 0 then
        local byte = pkt.payload[1]
        if byte == 0x57 then pkt.payload[#pkt.payload] = 0x77 end
        if byte == 0x44 then pkt:drop() end
    end
end }
haka.rule{ hooks = {'tcp-up'}, eval = function(self, pkt)
    if pkt.window_size ~= 77 then return end
    local connection = pkt:getconnection()
    if connection then
        if pkt.flags.psh then connection:reset() else connection:drop() end
    end
end }
haka.rule{ hooks = {'tcp-connection-new'}, eval = function(self, pkt)
    print('new ' .. ends(pkt))
    local window = pkt.tcp.window_size
    if window == 1 then pkt:drop() end
    if window == 2 then pkt:reset() end
    if window == 3 then
        local ip = ipv4.create(haka.packet.new())
        ip.src, ip.dst = ipv4.addr(1), ipv4.addr(2)
        local tcp = tcp.create(ip)
        tcp.srcport, tcp.dstport = 9, 9
        tcp:send()
    end
end }
haka.rule{ hooks = {'tcp-connection-up'}, readonly = true, eval = function(self, pkt)
    local gap = pkt.stream.gap
    local data = pkt.stream:read()
    if gap > 0 or data then
        local port, is_first = ends(pkt)
        print(('data %d %d %d %s'):format(port, pkt.direction == is_first and 1 or 0, gap,
            data and hex(tostring(data)) or ''))
    end
end }
haka.rule{ hooks = {'tcp-connection-up'}, readonly = true, eval = function(self, pkt)
    local at = pkt.stream:find('QR', true)
    if at then pkt:reset() end
    if pkt.stream:find('QD') then pkt:drop() end
    if pkt.stream:find('QE') then error('found') end
    if pkt.stream:find('QM') then pkt.connection.data = pkt.stream:mark() end
    if pkt.stream:find('QS') and pkt.connection.data then
        pkt.stream:seek(pkt.connection.data, true)
    end
end }
haka.rule{ hooks = {'tcp-connection-up'}, readonly = true, streamed = true,
    eval = function(self, pkt)
        local stream = pkt.stream
        while stream:wait(1) > 0 do
            local size = stream:getchar() % 8
            if stream:wait(size) < size then break end
            stream:advance(size)
        end
    end }
haka.rule{ hooks = {'ipv4-down', 'ipv6-down'}, eval = function(self, pkt)
    if pkt.dissector == 'ipv4' and pkt.ttl == 8 and pkt.proto ~= 6 then pkt:drop() end
end }
haka.rule{ hooks = {'tcp-down'}, eval = function(self, pkt)
    if pkt.window_size == 78 then pkt.window_size = 79 end
end }
haka.rule{ hooks = {'udp-up', 'icmp-up'}, eval = function(self, pkt)
    if #pkt.payload > 4 then haka.alert{ description = 'long' } end
end }
haka.rule{ hooks = {'tcp-connection-end'}, eval = function(self, pkt)
    local _ = pkt.connection.state .. pkt.reason
end }
)lua";

constexpr std::uint16_t kClientPort = 40000;
constexpr std::uint16_t kServerPort = 80;
constexpr std::uint32_t kConnections = 4;          // The last one speaks IPv6.
constexpr std::uint32_t kClientIsn = 0xffff'ffe0;  // Wraps soon.
constexpr std::uint32_t kServerIsn = 5000;
constexpr std::size_t kPacketsMax = 200;
constexpr std::uint32_t kReach = 1U << 16;
constexpr std::int16_t kUnknown = -1;  // In place of a byte: lost.

struct Packet {
    Instant when;
    std::vector<std::uint8_t> bytes;
};

// Makes packets of the input.
class Maker {
public:
    Maker(Input input, Instant now) : input_(input), now_(now) {}

    std::vector<Packet> make() {
        while (!input_.empty() && packets_.size() < kPacketsMax) {
            operation();
        }
        return std::move(packets_);
    }
    [[nodiscard]] Instant now() const { return now_; }
    [[nodiscard]] bool has_fragments() const { return has_fragments_; }

private:
    void operation() {
        const std::uint8_t kind = input_.byte();
        connection_ = (kind >> 3) % kConnections;
        from_client_ = (kind & 0x20) == 0;
        switch (kind & 7) {
            case 0:
                shake();
                break;
            case 1:
            case 2:
            case 3:
                data(wire::kAck);
                break;
            case 4:
                data(input_.byte());
                break;
            case 5:
                data(wire::kAck | ((kind & 0x80) != 0 ? wire::kFin : wire::kRst));
                break;
            case 6:
                now_ = now_ + Duration{std::int64_t{input_.byte()} * 500'000'000};
                break;
            default:
                push(input_.bytes(input_.byte()));
                break;
        }
        if ((kind & 0x40) != 0 && !packets_.empty()) {
            cut_last();
        }
    }

    void shake() {
        const std::uint8_t steps = input_.byte();
        const std::uint16_t window = steps >> 4 == 0 ? input_.byte() : 65535;
        if ((steps & 1) != 0) {
            send(true, wire::kSyn, kClientIsn, 0, window, input_.bytes((steps >> 3 & 1) * 6U));
        }
        if ((steps & 2) != 0) {
            send(false, wire::kSyn | wire::kAck, kServerIsn, kClientIsn + 1, window, {});
        }
        if ((steps & 4) != 0) {
            send(true, wire::kAck, kClientIsn + 1, kServerIsn + 1, window, {});
        }
    }

    // [offset, acknowledged offset, size and window, bytes]
    void data(std::uint8_t flags) {
        const auto offset = static_cast<std::int8_t>(input_.byte());
        const std::uint8_t ack = input_.byte();
        const std::uint8_t size = input_.byte();
        const std::uint16_t window = (size & 0x40) != 0 ? input_.byte() : 65535;
        std::vector<std::uint8_t> payload(size % 32U);
        if ((size & 0x80) != 0) {
            payload = input_.bytes(payload.size());
        } else {
            for (std::size_t i = 0; i < payload.size(); ++i) {
                payload[i] = static_cast<std::uint8_t>(
                    'a' + (i + static_cast<std::size_t>(offset + 128)) % 26);
            }
        }
        const std::uint32_t mine = from_client_ ? kClientIsn : kServerIsn;
        const std::uint32_t other = from_client_ ? kServerIsn : kClientIsn;
        send(from_client_, flags, mine + 1 + static_cast<std::uint32_t>(offset), other + 1 + ack,
             window, payload);
    }

    void send(bool from_client, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack,
              std::uint16_t window, const std::vector<std::uint8_t>& payload) {
        const bool is_ipv6 = connection_ == kConnections - 1;
        constexpr std::array<std::uint8_t, 16> kHost = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0,
                                                        0,    0, 0,   0,    0, 0, 0, 1};
        std::array<std::uint8_t, 16> peer = kHost;
        peer[15] = 2;
        const Address client = is_ipv6 ? Address::ipv6(kHost.data()) : Address::ipv4(0x0a000001);
        const Address server = is_ipv6 ? Address::ipv6(peer.data()) : Address::ipv4(0x0a000002);
        const auto port = static_cast<std::uint16_t>(kClientPort + connection_);
        const bool odd = window != 65535 && window > 200;
        const std::array<std::uint8_t, 12> fast_open = {34, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1};
        wire::TcpFields tcp{.srcport = from_client ? port : kServerPort,
                            .dstport = from_client ? kServerPort : port,
                            .seq = seq,
                            .ack_seq = ack,
                            .flags = flags,
                            .window_size = window,
                            .urgent_pointer = static_cast<std::uint16_t>(odd ? window : 0)};
        if ((flags & wire::kSyn) != 0 && !payload.empty()) {
            tcp.options = fast_open;
        }
        const wire::IpFields ip{.src = from_client ? client : server,
                                .dst = from_client ? server : client,
                                .ttl = static_cast<std::uint8_t>(odd ? window % 16 : 64),
                                .tos = static_cast<std::uint8_t>(odd ? window % 4 : 0)};
        std::vector<std::uint8_t> bytes;
        wire::build_tcp({}, ip, tcp, payload, bytes);
        if (window == 199) {
            bytes.back() ^= 1;
        }
        push(std::move(bytes));
    }

    void push(std::vector<std::uint8_t> bytes) {
        now_ = now_ + kMillisecond;
        if (!bytes.empty()) {
            packets_.push_back({now_, std::move(bytes)});
        }
    }

    // The last packet as fragments: [place of the cut, order and doubles].
    void cut_last() {
        const std::vector<std::uint8_t> whole = packets_.back().bytes;
        const wire::Headers headers = wire::find_headers(LinkType::Raw, whole);
        if (headers.ip_version == 0 || headers.fragment || headers.transport >= headers.end ||
            headers.cut != 0 || headers.malformed != Event::None) {
            return;
        }
        packets_.pop_back();
        has_fragments_ = true;
        const ByteView data =
            ByteView(whole).subspan(headers.transport, headers.end - headers.transport);
        const std::uint8_t place = input_.byte();
        const std::size_t at = std::min<std::size_t>(place % 8U, data.size() / 8) * 8;
        const std::uint8_t how = input_.byte();
        const auto piece = [&](std::size_t begin, std::size_t end, bool more) {
            const std::uint8_t* net = whole.data() + headers.net;
            const bool v4 = headers.ip_version == 4;
            const wire::IpFields ip{
                .src = v4 ? Address::ipv4(load_be32(net + 12)) : Address::ipv6(net + 8),
                .dst = v4 ? Address::ipv4(load_be32(net + 16)) : Address::ipv6(net + 24),
                .flags = more ? wire::kIpv4MoreFragments : std::uint8_t{0},
                .id = 1U + (place >> 5),
                .frag_offset = static_cast<std::uint32_t>(begin)};
            std::vector<std::uint8_t> bytes;
            wire::build_ip({}, ip, headers.protocol, data.subspan(begin, end - begin), bytes);
            push(std::move(bytes));
        };
        const std::size_t back = (how & 4) != 0 && at >= 8 ? at - 8 : at;
        if ((how & 1) != 0) {
            piece(back, data.size(), false);
        }
        piece(0, at, true);
        if ((how & 2) != 0) {
            piece(0, at, true);
        }
        if ((how & 1) == 0 && (how & 8) == 0) {
            piece(back, data.size(), false);
        }
    }

    Input input_;
    Instant now_;
    std::vector<Packet> packets_;
    std::uint32_t connection_ = 0;
    bool from_client_ = true;
    bool has_fragments_ = false;
};

enum class Wins { First, Last };

// One direction as a receiving host sees it.
class Receiver {
public:
    explicit Receiver(Wins wins) : wins_(wins) {}

    void segment(std::uint32_t offset, ByteView bytes) {
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            const std::uint32_t distance =
                offset + static_cast<std::uint32_t>(i) - static_cast<std::uint32_t>(stream_.size());
            if (distance >= kReach) {
                continue;  // Old, or beyond any window.
            }
            const std::size_t place = stream_.size() + distance;
            if (wins_ == Wins::Last) {
                waiting_[place] = bytes[i];
            } else {
                waiting_.try_emplace(place, bytes[i]);
            }
        }
        for (auto next = waiting_.begin(); next != waiting_.end() && next->first == stream_.size();
             next = waiting_.erase(next)) {
            stream_.push_back(next->second);
        }
    }
    // The host says that it has all below: bytes that never came by were lost by the capture.
    void acknowledge(std::uint32_t offset) {
        if (offset - static_cast<std::uint32_t>(stream_.size()) < kReach) {
            stream_.resize(std::max<std::size_t>(stream_.size(), offset), kUnknown);
            waiting_.erase(waiting_.begin(), waiting_.lower_bound(stream_.size()));
            segment(offset, {});
        }
    }
    [[nodiscard]] const std::vector<std::int16_t>& stream() const { return stream_; }

private:
    Wins wins_;
    std::vector<std::int16_t> stream_;
    std::map<std::size_t, std::uint8_t> waiting_;
};

// What the rules saw of a direction and what the two receivers make of what left.
struct Direction {
    std::vector<std::int16_t> shown;
    Receiver first{Wins::First};
    Receiver last{Wins::Last};
    bool has_isn = false;
    std::uint32_t isn = 0;
};

class Checker {
public:
    Checker() : fragments_({}, 1) {}

    void print(std::string_view line) {
        const std::vector<std::string_view> words = split(line);
        if (words.size() >= 2 && words[0] == "new") {
            connections_[number(words[1])] = {};
        } else if (words.size() >= 4 && words[0] == "data") {
            Direction& direction = connections_[number(words[1])][words[2] == "1" ? 0 : 1];
            direction.shown.insert(direction.shown.end(), number(words[3]), kUnknown);
            const std::string_view bytes = words.size() == 5 ? words[4] : "";
            for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
                std::int16_t value = 0;
                std::from_chars(bytes.data() + i, bytes.data() + i + 2, value, 16);
                direction.shown.push_back(value);
            }
        }
    }

    void packet(std::vector<std::uint8_t>& bytes, Instant when, bool is_changed) {
        Frame frame{.data = bytes.data(),
                    .size = static_cast<std::uint32_t>(bytes.size()),
                    .original_size = static_cast<std::uint32_t>(bytes.size()),
                    .when = when,
                    .number = 1,
                    .link = LinkType::Raw};
        wire::Headers headers = wire::find_headers(LinkType::Raw, frame.bytes());
        if (is_changed) {
            require(headers.ip_version != 0, "a changed packet is an IP packet");
            require(wire::verify_transport(headers, frame.bytes()) != wire::ChecksumCheck::Wrong,
                    "a changed packet has right checksums");
        }
        if (headers.fragment && headers.malformed == Event::None) {
            if (fragments_.due(when)) {
                fragments_.expire(when);
            }
            if (fragments_.add(frame, headers, when).kind != flow::FragmentOutcome::Joined) {
                return;
            }
            frame = fragments_.joined();
            headers = wire::find_headers(LinkType::Raw, frame.bytes());
        }
        if (headers.transport_ok && headers.protocol == wire::kProtocolTcp && headers.cut == 0) {
            segment(frame, headers);
        }
    }

private:
    static std::vector<std::string_view> split(std::string_view line) {
        std::vector<std::string_view> words;
        while (!line.empty()) {
            const std::size_t end = std::min(line.find_first_of(" \n"), line.size());
            words.push_back(line.substr(0, end));
            line.remove_prefix(std::min(end + 1, line.size()));
        }
        return words;
    }
    static std::uint32_t number(std::string_view text) {
        std::uint32_t value = 0;
        std::from_chars(text.data(), text.data() + text.size(), value);
        return value;
    }

    void segment(const Frame& frame, const wire::Headers& headers) {
        const std::uint8_t* tcp = frame.data + headers.transport;
        const std::uint16_t from = load_be16(tcp);
        const std::uint16_t to = load_be16(tcp + 2);
        const std::uint8_t flags = tcp[13];
        const bool from_client = to == kServerPort;
        const auto known = connections_.find(from_client ? from : to);
        if (known == connections_.end() || (!from_client && from != kServerPort) ||
            (flags & wire::kRst) != 0 || is_elsewhere(frame, headers)) {
            return;
        }
        Direction& direction = known->second[from_client ? 0 : 1];
        const std::uint32_t seq = load_be32(tcp + 4);
        std::uint32_t offset = seq - direction.isn - 1;
        if ((flags & wire::kSyn) != 0) {
            if (!direction.has_isn) {
                direction.has_isn = true;
                direction.isn = seq;
            }
            offset = seq - direction.isn;
        }
        if (!direction.has_isn) {
            return;
        }
        const ByteView payload =
            frame.bytes().subspan(headers.payload, headers.end - headers.payload);
        direction.first.segment(offset, payload);
        direction.last.segment(offset, payload);
        require(direction.first.stream() == direction.last.stream(),
                "receivers that keep the first copy and the last deliver the same");
        const auto& delivered = direction.first.stream();
        // Rules wait a while for a hole that the host has acknowledged; it may have come late.
        const bool has_lost = std::ranges::find(delivered, kUnknown) != delivered.end();
        require(has_lost || delivered.size() <= direction.shown.size(),
                "rules saw what is delivered");
        const std::size_t both = std::min(delivered.size(), direction.shown.size());
        for (std::size_t i = 0; i < both; ++i) {
            require(delivered[i] == kUnknown || direction.shown[i] == kUnknown ||
                        direction.shown[i] == delivered[i],
                    "what is delivered is what rules saw");
        }
        Direction& other = known->second[from_client ? 1 : 0];
        if ((flags & wire::kAck) != 0 && other.has_isn) {
            const std::uint32_t acknowledged = load_be32(tcp + 8) - other.isn - 1;
            other.first.acknowledge(acknowledged);
            other.last.acknowledge(acknowledged);
        }
    }

    // Garbage may be TCP between other hosts, or of the other family.
    static bool is_elsewhere(const Frame& frame, const wire::Headers& headers) {
        const std::uint8_t* net = frame.data + headers.net;
        const std::uint8_t* tcp = frame.data + headers.transport;
        const std::uint16_t port = std::max(load_be16(tcp), load_be16(tcp + 2));
        const bool is_ipv6 = port == kClientPort + kConnections - 1;
        if ((headers.ip_version == 6) != is_ipv6) {
            return true;
        }
        const std::uint32_t source = load_be32(net + (is_ipv6 ? 20 : 12));
        const std::uint32_t target = load_be32(net + (is_ipv6 ? 36 : 16));
        const std::uint32_t low = is_ipv6 ? 1 : 0x0a000001;
        const bool from_client = load_be16(tcp + 2) == kServerPort;
        return source != low + (from_client ? 0 : 1) || target != low + (from_client ? 1 : 0);
    }

    std::map<std::uint32_t, std::array<Direction, 2>> connections_;
    flow::Defragmenter fragments_;
};

// The engine with its policy, for all inputs of the process.
class Engine {
public:
    static Engine& the() {
        constexpr std::uint32_t kInputsMax = 100'000;  // Time must not come to its end.
        static std::unique_ptr<Engine> engine;
        static std::uint32_t inputs = 0;
        if (inputs++ % kInputsMax == 0) {
            engine.reset(new Engine);
        }
        return *engine;
    }

    void run(ByteView input) {
        const report::Summary before = worker_->summary();
        Maker maker(Input(input), now_);
        std::vector<Packet> packets = maker.make();
        std::set<std::vector<std::uint8_t>> known;
        for (const Packet& packet : packets) {
            known.insert(packet.bytes);
        }
        Checker checker;
        walk(packets, known, checker);
        now_ = maker.now() + kSecond * 10'800;
        std::vector<Packet> quiet = {{now_, {0}}};
        known.insert(quiet.front().bytes);
        walk(quiet, known, checker);
        account(before, worker_->summary(), maker.has_fragments());
    }

private:
    Engine() {
        std::string folder = (std::filesystem::temp_directory_path() / "haka-fuzz-XXXXXX").string();
        require(mkdtemp(folder.data()) != nullptr, "a folder for the policy");
        const std::string policy = folder + "/policy.lua";
        std::ofstream(policy) << kPolicy;
        engine::WorkerOptions options;
        options.settings.seed = 1;
        options.settings.checksums = ChecksumMode::All;
        options.settings.tcp.held_segments_max = 8;
        options.settings.tcp.undecided_bytes_max = 200;
        options.settings.tcp.early_ack_packets = 4;
        options.settings.tcp.connections_max = 16;
        options.settings.fragments.datagrams_max = 4;
        options.script.policy = policy;
        options.script.seed = 1;
        options.writes_packets = true;
        options.writes_eve = true;
        auto made = engine::Worker::make(options);
        std::fputs(made.error.c_str(), stderr);
        require(made.worker != nullptr, "the policy loads");
        worker_ = std::move(made.worker);
        std::filesystem::remove_all(folder);
    }

    void walk(std::vector<Packet>& packets, const std::set<std::vector<std::uint8_t>>& known,
              Checker& checker) {
        std::vector<Frame> frames;
        for (Packet& packet : packets) {
            const auto size = static_cast<std::uint32_t>(packet.bytes.size());
            frames.push_back({.data = packet.bytes.data(),
                              .size = size,
                              .original_size = size,
                              .when = packet.when,
                              .number = ++number_,
                              .link = LinkType::Raw});
        }
        engine::Journal journal;
        worker_->walk(frames, journal, stop_);
        std::vector<std::uint8_t> records;
        journal.take(records);
        for (engine::RecordReader reader(records); !reader.done(); reader.next()) {
            if (reader.head().kind == engine::RecordKind::Print) {
                checker.print(reader.first());
            } else if (reader.head().kind == engine::RecordKind::Packet) {
                const ByteView bytes = as_bytes(reader.second());
                std::vector<std::uint8_t> copy(bytes.begin(), bytes.end());
                const bool is_changed = !known.contains(copy);
                checker.packet(copy, reader.head().when, is_changed);
            }
        }
    }

    static void account(const report::Summary& before, const report::Summary& after,
                        bool has_fragments) {
        std::uint64_t reasons = 0;
        for (const std::uint64_t count : after.drops) {
            reasons += count;
        }
        require(reasons == after.packets_dropped, "every drop has one reason");
        require(after.drops[static_cast<std::size_t>(Event::None)] == 0, "a reason that says why");
        const std::uint64_t in =
            after.packets_in - before.packets_in + after.packets_injected - before.packets_injected;
        const std::uint64_t out =
            after.packets_out - before.packets_out + after.packets_dropped - before.packets_dropped;
        // A datagram that was changed may leave in another number of fragments.
        require(has_fragments || out == in, "every packet is accounted for");
        require(after.connections_open == 0, "three idle hours end every connection");
    }

    std::unique_ptr<engine::Worker> worker_;
    std::atomic<bool> stop_{false};
    Instant now_{1'700'000'000 * kSecond.ns};
    std::uint64_t number_ = 0;
};

}  // namespace
}  // namespace haka

// The Lua state outlives every input, and the leak finder can't read LuaJIT's packed pointers.
extern "C" const char* __asan_default_options() {
    return "detect_leaks=0";
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    haka::Engine::the().run({data, size});
    return 0;
}
