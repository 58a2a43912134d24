// A model TCP end, driven by simulated time: what a correct, conservative kernel does (RFC 9293,
// 5681, 6298, 7323, 2018, 2883). It notes the first thing that such a kernel must never be sent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.h"
#include "packet.h"
#include "receiver.h"
#include "sender.h"

namespace haka::model {

struct PeerOptions {
    bool client = true;
    std::uint16_t client_port = 0;
    std::uint32_t isn = 0;
    std::uint16_t mss = 1460;
    std::int8_t scale = -1;  // -1: doesn't offer it.
    bool timestamps = false;
    bool sack = false;
    std::uint32_t ts_base = 0;
    std::uint32_t keep_alive_ms = 0;  // 0: none.
    bool answers = false;             // Writes only when the other end has finished.
    SenderOptions sender{};
    ReceiverOptions receiver{};
};

class Peer {
public:
    Peer(const PeerOptions& options, Instant start);

    void receive(const Packet& packet, Instant now);
    // Lets time pass up to `now`; what is to be sent is added to `out`.
    void poll(Instant now, std::vector<Packet>& out);
    // When poll() has something to do at the earliest.
    [[nodiscard]] Instant next() const;

    // Both directions are finished and acknowledged.
    [[nodiscard]] bool is_done() const { return sender_.is_done() && receiver_.is_read(); }
    [[nodiscard]] std::string_view received() const { return receiver_.bytes(); }
    [[nodiscard]] const std::string& wrong() const { return wrong_; }
    [[nodiscard]] std::string state() const;

private:
    enum class State : std::uint8_t { Listen, SynSent, SynReceived, Open };

    [[nodiscard]] std::int64_t their_offset(std::uint32_t seq) const;
    [[nodiscard]] std::int64_t our_offset(std::uint32_t ack) const;
    void receive_syn(const Packet& packet, Instant now);
    [[nodiscard]] bool is_old(const Packet& packet) const;
    void take_ack(const Packet& packet, Instant now);
    void take_data(const Packet& packet, Instant now);
    void open(Instant now);
    void fail(const std::string& what);
    [[nodiscard]] Packet blank(Instant now) const;
    void finish(Packet& packet);
    void send_syn(Instant now, std::vector<Packet>& out);
    void send_pieces(Instant now, std::vector<Packet>& out);
    [[nodiscard]] std::uint32_t clock(Instant now) const;

    PeerOptions options_;
    Sender sender_;
    Receiver receiver_;
    State state_ = State::Listen;
    Instant start_;
    std::uint32_t their_isn_ = 0;
    std::uint16_t their_mss_ = 536;
    std::uint16_t syn_window_ = 0;
    std::uint8_t their_scale_ = 0;
    std::uint8_t our_scale_ = 0;
    bool timestamps_ = false;
    bool sack_ = false;
    std::uint32_t ts_recent_ = 0;
    std::string wrong_;
    std::uint32_t syn_count_ = 0;
    Instant syn_at_{INT64_MAX};
    Instant keep_alive_at_{INT64_MAX};
};

}  // namespace haka::model
