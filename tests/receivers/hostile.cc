#include "hostile.h"

#include <algorithm>
#include <array>

#include "../model/random.h"
#include "wire/build.h"
#include "wire/tcp.h"
#include "wire/tcp_options.h"

namespace haka::receivers {
namespace {

using model::Random;
using Bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t kClientIsn = 0xffff'fff0;  // Wraps soon.
constexpr std::uint32_t kServerIsn = 5000;
constexpr std::int64_t kTextSize = 80;

// One connection's two ends: what they would send if they were honest.
class Talk {
public:
    Talk(Random& random, std::uint16_t port) : random_(&random), port_(port) {
        for (std::string& text : texts_) {
            for (std::int64_t i = 0; i < kTextSize; ++i) {
                text.push_back(static_cast<char>('a' + random.below(6)));
            }
        }
        has_time_ = random.chance(40);
        has_sack_ = random.chance(50);
        mss_ = random.chance(20) ? 64 : 1460;
    }

    void shake(std::vector<Bytes>& out) {
        const bool fast_open = random_->chance(10);
        out.push_back(packet(true, wire::kSyn, kClientIsn, 0,
                             fast_open ? texts_[0].substr(0, random_->below(8)) : "", fast_open));
        out.push_back(packet(false, wire::kSyn | wire::kAck, kServerIsn, kClientIsn + 1, ""));
        out.push_back(packet(true, wire::kAck, kClientIsn + 1, kServerIsn + 1, ""));
    }

    Bytes step() {
        const bool from_client = random_->chance(70);
        const std::size_t mine = from_client ? 0 : 1;
        std::size_t& at = at_.at(mine);
        // Mostly what comes next, else somewhere near.
        std::int64_t offset = static_cast<std::int64_t>(at);
        const bool is_next = random_->chance(55);
        if (!is_next) {
            offset += static_cast<std::int64_t>(random_->below(30)) - 12;
        }
        const std::size_t size = random_->below(random_->chance(20) ? 2 : 12);
        std::string bytes = text_at(mine, offset, size);
        if (random_->chance(15) && !bytes.empty()) {
            bytes.at(random_->below(bytes.size())) = static_cast<char>('A' + random_->below(6));
        }
        std::uint8_t flags = wire::kAck;
        if (random_->chance(20)) {
            constexpr std::array<std::uint8_t, 10> kOdd{wire::kAck | wire::kPsh,
                                                        wire::kAck | wire::kFin,
                                                        wire::kRst,
                                                        wire::kRst | wire::kAck,
                                                        wire::kSyn,
                                                        wire::kSyn | wire::kAck,
                                                        wire::kPsh,
                                                        0,
                                                        wire::kAck | wire::kUrg,
                                                        wire::kFin};
            flags = kOdd.at(random_->below(kOdd.size()));
        }
        if (is_next && (flags & wire::kAck) != 0 && (flags & (wire::kSyn | wire::kRst)) == 0) {
            at = std::min(at + size, texts_.at(mine).size());
        }
        const std::uint32_t isn =
            (from_client ? kClientIsn : kServerIsn) + (random_->chance(97) ? 0 : 7);
        const bool is_syn = (flags & wire::kSyn) != 0;
        const std::uint32_t seq = isn + (is_syn ? 0 : 1 + static_cast<std::uint32_t>(offset));
        // Mostly all that the other end has sent, else less, sometimes more.
        std::uint32_t ack = static_cast<std::uint32_t>(at_.at(1 - mine));
        if (random_->chance(30)) {
            ack = static_cast<std::uint32_t>(random_->below(ack + 4));
        }
        return packet(from_client, flags, seq, (from_client ? kServerIsn : kClientIsn) + 1 + ack,
                      is_syn && random_->chance(50) ? "" : bytes);
    }

private:
    [[nodiscard]] std::string text_at(std::size_t mine, std::int64_t offset, std::size_t size) {
        std::string bytes;
        for (std::size_t i = 0; i < size; ++i) {
            const auto place = static_cast<std::size_t>(offset + 100 * kTextSize) + i;
            bytes.push_back(texts_.at(mine).at(place % kTextSize));
        }
        return bytes;
    }

    Bytes packet(bool from_client, std::uint8_t flags, std::uint32_t seq, std::uint32_t ack,
                 const std::string& payload, bool fast_open = false) {
        const Address client = Address::ipv4(0x0a000001);
        const Address server = Address::ipv4(0x0a000002);
        const bool acks = (flags & wire::kAck) != 0;
        const Bytes options = options_of((flags & wire::kSyn) != 0, fast_open);
        const bool urgent = (flags & wire::kUrg) != 0 || random_->chance(2);
        const wire::TcpFields tcp{
            .srcport = from_client ? port_ : std::uint16_t{80},
            .dstport = from_client ? std::uint16_t{80} : port_,
            .seq = seq,
            .ack_seq = acks ? ack : 0,
            .flags = flags,
            .window_size =
                static_cast<std::uint16_t>(random_->chance(10) ? random_->below(40) : 65535),
            .urgent_pointer = static_cast<std::uint16_t>(urgent ? random_->below(20) : 0),
            .options = options};
        Bytes bytes;
        wire::build_tcp(
            {}, {.src = from_client ? client : server, .dst = from_client ? server : client}, tcp,
            as_bytes(payload), bytes);
        return bytes;
    }

    Bytes options_of(bool is_syn, bool fast_open) {
        Bytes options;
        const auto add = [&](std::initializer_list<std::uint8_t> bytes) {
            options.insert(options.end(), bytes);
        };
        if (is_syn) {
            add({wire::kOptionMss, 4, static_cast<std::uint8_t>(mss_ >> 8),
                 static_cast<std::uint8_t>(mss_)});
        }
        if (is_syn && has_sack_) {
            add({wire::kOptionNop, wire::kOptionNop, wire::kOptionSackPermitted, 2});
        }
        if (has_time_ && !random_->chance(3)) {
            time_ += static_cast<std::uint32_t>(random_->below(3));
            std::uint32_t value = time_;
            if (random_->chance(6)) {
                value -= static_cast<std::uint32_t>(random_->chance(50) ? random_->below(20)
                                                                        : 0x7000'0000);
            }
            add({wire::kOptionNop, wire::kOptionNop, wire::kOptionTimestamp, 10,
                 static_cast<std::uint8_t>(value >> 24), static_cast<std::uint8_t>(value >> 16),
                 static_cast<std::uint8_t>(value >> 8), static_cast<std::uint8_t>(value), 0, 0, 0,
                 0});
        }
        if (fast_open) {
            add({wire::kOptionFastOpen, 10, 1, 2, 3, 4, 5, 6, 7, 8, wire::kOptionNop,
                 wire::kOptionNop});
        }
        return options;
    }

    Random* random_;
    std::uint16_t port_;
    std::array<std::string, 2> texts_;
    std::array<std::size_t, 2> at_{};
    std::uint32_t time_ = 1000;
    std::uint16_t mss_ = 1460;
    bool has_time_ = false;
    bool has_sack_ = false;
};

}  // namespace

std::vector<HostilePacket> hostile_packets(std::uint64_t seed, Instant begin) {
    Random random(seed);
    std::vector<Talk> talks;
    std::vector<Bytes> packets;
    const std::size_t count = 1 + random.below(2);
    for (std::size_t i = 0; i < count; ++i) {
        talks.emplace_back(random, static_cast<std::uint16_t>(40'000 + i));
        if (random.chance(95)) {
            talks.back().shake(packets);
        }
    }
    const std::size_t steps = random.below(60);
    for (std::size_t i = 0; i < steps; ++i) {
        if (random.chance(12) && !packets.empty()) {
            packets.push_back(packets.at(random.below(packets.size())));  // Once more.
        } else if (random.chance(2)) {
            talks.at(random.below(count)).shake(packets);  // The ports are used again, or not.
        } else {
            packets.push_back(talks.at(random.below(count)).step());
        }
    }
    std::vector<HostilePacket> result;
    Instant now = begin;
    for (Bytes& bytes : packets) {
        now = now + (random.chance(2) ? kSecond * static_cast<std::int64_t>(random.below(90))
                                      : kMillisecond);
        result.push_back({.when = now, .bytes = std::move(bytes)});
    }
    return result;
}

const std::vector<HostilePolicy>& hostile_policies() {
    static const std::vector<HostilePolicy> kPolicies{
        {"reads", ""},
        {"may edit", R"lua(
haka.rule{ hooks = {'tcp-connection-up'}, eval = function(self, pkt) pkt.stream:read() end }
)lua"},
        {"replaces as many", R"lua(
haka.rule{ hooks = {'tcp-connection-up'}, eval = function(self, pkt)
    local at = pkt.stream:find('ab', true)
    while at do
        pkt.stream:advance(at)
        pkt.stream:replace(2, 'XY')
        at = pkt.stream:find('ab', true)
    end
end }
)lua"},
        {"grows and shrinks", R"lua(
for _, change in ipairs{ {'a', '<a>'}, {'e', ''}, {'cd', 'dcdcdcdc'} } do
    local old, new = unpack(change)
    haka.rule{ hooks = {'tcp-connection-up'}, eval = function(self, pkt)
        local at = pkt.stream:find(old, true)
        while at do
            pkt.stream:advance(at)
            pkt.stream:replace(#old, new)
            at = pkt.stream:find(old, true)
        end
    end }
end
)lua"},
        {"takes every second five", R"lua(
haka.rule{ hooks = {'tcp-connection-up'}, streamed = true, eval = function(self, pkt)
    while pkt.stream:wait(5) == 5 do
        pkt.stream:erase(5)
        pkt.stream:insert('+')
        if pkt.stream:wait(5) < 5 then break end
        pkt.stream:advance(5)
    end
end }
)lua"},
        {"comes back", R"lua(
haka.rule{ hooks = {'tcp-connection-up'}, eval = function(self, pkt)
    local stream, marks = pkt.stream, pkt.connection.data or {}
    pkt.connection.data = marks
    local mark = marks[pkt.direction]
    if not mark then
        marks[pkt.direction] = stream:mark()
        return
    end
    stream:seek(mark, true)
    marks[pkt.direction] = nil
    stream:insert('[')
    stream:advance(3)
    stream:erase(2)
    stream:insert(']')
end }
)lua"},
        {"decides", R"lua(
haka.rule{ hooks = {'tcp-connection-up'}, eval = function(self, pkt)
    if pkt.stream:find('fa') then pkt.tcp:drop() end
end }
haka.rule{ hooks = {'tcp-connection-up'}, eval = function(self, pkt)
    if pkt.stream:find('bb') then pkt:reset() elseif pkt.stream:find('dd') then pkt:drop() end
end }
)lua"},
    };
    return kPolicies;
}

}  // namespace haka::receivers
