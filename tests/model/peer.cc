#include "peer.h"

#include <algorithm>
#include <fmt/format.h>

#include "wire/tcp.h"

namespace haka::model {

namespace {

constexpr Instant kNever{INT64_MAX};
constexpr std::uint32_t kTimestampSize = 12;  // With padding.

std::int32_t circle(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::int32_t>(a - b);
}

}  // namespace

Peer::Peer(const PeerOptions& options, Instant start)
    : options_(options), sender_(options.sender), receiver_(options.receiver), start_(start) {
    if (options.client) {
        state_ = State::SynSent;
        syn_at_ = start;
    }
    if (!options.answers) {
        sender_.start_writing(start);
    }
}

std::int64_t Peer::their_offset(std::uint32_t seq) const {
    const std::int64_t near = receiver_.ack();
    return near + circle(seq, their_isn_ + 1 + static_cast<std::uint32_t>(near));
}

std::int64_t Peer::our_offset(std::uint32_t ack) const {
    const std::int64_t near = sender_.unacknowledged();
    return near + circle(ack, options_.isn + 1 + static_cast<std::uint32_t>(near));
}

void Peer::fail(const std::string& what) {
    if (wrong_.empty()) {
        wrong_ = (options_.client ? "the client got " : "the server got ") + what;
    }
}

std::uint32_t Peer::clock(Instant now) const {
    return options_.ts_base + static_cast<std::uint32_t>((now - start_).ns / kMillisecond.ns);
}

bool Peer::is_old(const Packet& packet) const {
    return timestamps_ && circle(packet.ts_value, ts_recent_) < 0;
}

void Peer::receive_syn(const Packet& packet, Instant now) {
    const bool expected = options_.client ? state_ == State::SynSent && packet.has(wire::kAck)
                                          : state_ == State::Listen && !packet.has(wire::kAck);
    if (!expected) {
        if (state_ == State::SynReceived) {
            syn_at_ = now;
        } else {
            receiver_.ask_for_ack();  // RFC 5961, 4.2; and what answers a repeated SYN/ACK.
        }
        return;
    }
    if (options_.client && packet.ack != options_.isn + 1) {
        fail(fmt::format("a SYN/ACK of {}, not of {}", packet.ack, options_.isn + 1));
        return;
    }
    their_isn_ = packet.seq;
    their_mss_ = packet.mss != 0 ? packet.mss : std::uint16_t{536};
    syn_window_ = packet.window;
    const bool scales = packet.scale >= 0 && options_.scale >= 0;
    their_scale_ = scales ? static_cast<std::uint8_t>(packet.scale) : std::uint8_t{0};
    our_scale_ = scales ? static_cast<std::uint8_t>(options_.scale) : std::uint8_t{0};
    timestamps_ = packet.has_timestamp && options_.timestamps;
    sack_ = packet.sack_permitted && options_.sack;
    ts_recent_ = packet.ts_value;
    if (options_.client) {
        open(now);
        receiver_.ask_for_ack();
    } else {
        state_ = State::SynReceived;
        syn_at_ = now;
    }
}

void Peer::open(Instant now) {
    state_ = State::Open;
    syn_at_ = kNever;
    receiver_.set_scale(our_scale_);
    const std::uint32_t mss = std::min(options_.mss, their_mss_);
    sender_.open(now, mss - (timestamps_ ? kTimestampSize : 0), syn_window_);
    if (options_.keep_alive_ms != 0) {
        keep_alive_at_ = now + kMillisecond * options_.keep_alive_ms;
    }
}

void Peer::receive(const Packet& packet, Instant now) {
    if (packet.has(wire::kRst)) {
        fail("a RST");
        return;
    }
    if (packet.options_size + packet.payload.size() > options_.mss && !packet.has(wire::kSyn)) {
        fail(fmt::format("{} bytes and {} of options, beyond its MSS {}", packet.payload.size(),
                         packet.options_size, options_.mss));
        return;
    }
    if (packet.has(wire::kSyn)) {
        receive_syn(packet, now);
        return;
    }
    if (state_ == State::Listen || state_ == State::SynSent) {
        fail("a segment before the SYN");
        return;
    }
    if (!packet.has(wire::kAck)) {
        fail("a segment without ACK");
        return;
    }
    if (timestamps_ && !packet.has_timestamp) {
        fail("a segment without timestamp");
        return;
    }
    if (packet.sack_count != 0 && !sack_) {
        fail("SACK blocks that it didn't permit");
        return;
    }
    if (options_.keep_alive_ms != 0) {
        keep_alive_at_ = now + kMillisecond * options_.keep_alive_ms;
    }
    if (is_old(packet)) {
        receiver_.ask_for_ack();  // RFC 7323, 5.3.
        return;
    }
    if (state_ == State::SynReceived) {
        if (our_offset(packet.ack) < 0) {
            fail("an ACK below its SYN");
            return;
        }
        open(now);
    }
    if (timestamps_ && their_offset(packet.seq) <= receiver_.acknowledged()) {
        ts_recent_ = packet.ts_value;
    }
    take_ack(packet, now);
    take_data(packet, now);
}

void Peer::take_ack(const Packet& packet, Instant now) {
    Sender::Ack ack;
    ack.ack = our_offset(packet.ack);
    ack.edge = ack.ack + (std::int64_t{packet.window} << their_scale_);
    ack.bare = packet.payload.empty() && !packet.has(wire::kFin);
    for (std::uint32_t i = 0; i < packet.sack_count; ++i) {
        const wire::SackBlock& block = packet.sacks.at(i);
        ack.sacks.push_back({.begin = our_offset(block.begin), .end = our_offset(block.end)});
    }
    if (timestamps_) {
        const std::int32_t trip = circle(clock(now), packet.ts_echo);
        if (trip < 0) {
            fail("an echo of a timestamp that it never sent");
            return;
        }
        ack.trip_ms = static_cast<std::uint32_t>(trip);
    }
    const std::string wrong = sender_.take(ack, now);
    if (!wrong.empty()) {
        fail(wrong);
    }
}

void Peer::take_data(const Packet& packet, Instant now) {
    const bool was_complete = receiver_.is_complete();
    const std::string wrong =
        receiver_.take(their_offset(packet.seq), packet.payload, packet.has(wire::kFin), now);
    if (!wrong.empty()) {
        fail(wrong);
    }
    if (options_.answers && !was_complete && receiver_.is_complete()) {
        sender_.start_writing(now);
    }
}

Packet Peer::blank(Instant now) const {
    Packet packet;
    packet.from_client = options_.client;
    packet.client_port = options_.client_port;
    packet.flags = wire::kAck;
    packet.seq = options_.isn + 1 + static_cast<std::uint32_t>(sender_.position());
    packet.has_timestamp = timestamps_;
    packet.ts_value = clock(now);
    packet.ts_echo = ts_recent_;
    return packet;
}

// What every segment of an open connection carries.
void Peer::finish(Packet& packet) {
    packet.ack = their_isn_ + 1 + static_cast<std::uint32_t>(receiver_.ack());
    packet.window = receiver_.announce();
    if (!sack_ || !packet.payload.empty()) {
        return;
    }
    for (const Range& range : receiver_.sacks(timestamps_ ? 3 : 4)) {
        packet.sacks.at(packet.sack_count++) = {
            .begin = their_isn_ + 1 + static_cast<std::uint32_t>(range.begin),
            .end = their_isn_ + 1 + static_cast<std::uint32_t>(range.end)};
    }
}

void Peer::send_syn(Instant now, std::vector<Packet>& out) {
    const bool answer = !options_.client;
    Packet packet = blank(now);
    packet.flags = answer ? wire::kSyn | wire::kAck : wire::kSyn;
    packet.seq = options_.isn;
    packet.ack = answer ? their_isn_ + 1 : 0;
    packet.window = receiver_.announce();
    packet.mss = options_.mss;
    packet.scale =
        !answer || our_scale_ != 0 || their_scale_ != 0 ? options_.scale : std::int8_t{-1};
    packet.sack_permitted = answer ? sack_ : options_.sack;
    packet.has_timestamp = answer ? timestamps_ : options_.timestamps;
    packet.ts_echo = answer ? ts_recent_ : 0;
    out.push_back(packet);
    syn_at_ = now + kSecond * (std::int64_t{1} << std::min(syn_count_, 3U));
    syn_count_ += 1;
}

void Peer::send_pieces(Instant now, std::vector<Packet>& out) {
    for (auto piece = sender_.next_piece(now); piece; piece = sender_.next_piece(now)) {
        Packet packet = blank(now);
        packet.seq = options_.isn + 1 + static_cast<std::uint32_t>(piece->begin);
        packet.flags = static_cast<std::uint8_t>(packet.flags | (piece->push ? wire::kPsh : 0) |
                                                 (piece->fin ? wire::kFin : 0));
        if (piece->size != 0) {
            packet.payload =
                sender_.text().substr(static_cast<std::size_t>(piece->begin), piece->size);
        }
        finish(packet);
        out.push_back(std::move(packet));
    }
}

void Peer::poll(Instant now, std::vector<Packet>& out) {
    if (state_ != State::Open) {
        if (now >= syn_at_) {
            send_syn(now, out);
        }
        return;
    }
    receiver_.read(now);
    send_pieces(now, out);
    if (now >= keep_alive_at_) {
        keep_alive_at_ = now + kMillisecond * options_.keep_alive_ms;
        Packet packet = blank(now);
        packet.seq -= 1;
        finish(packet);
        out.push_back(packet);
    }
    if (receiver_.is_ack_due(now)) {
        Packet packet = blank(now);
        finish(packet);
        out.push_back(packet);
    }
}

Instant Peer::next() const {
    if (state_ != State::Open) {
        return syn_at_;
    }
    return std::min({receiver_.next(), sender_.next(), is_done() ? kNever : keep_alive_at_});
}

std::string Peer::state() const {
    constexpr std::array kNames = {"listens", "SYN sent", "SYN received", "open"};
    return fmt::format("{}, {} of {} acknowledged, {} received{}",
                       kNames.at(static_cast<std::size_t>(state_)), sender_.unacknowledged(),
                       sender_.text().size(), receiver_.ack(),
                       receiver_.is_complete() ? " with FIN" : "");
}

}  // namespace haka::model
