#include "history.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>

#include "path.h"
#include "peer.h"
#include "policies.h"
#include "wire/text.h"

namespace haka::model {

namespace {

constexpr Duration kTimeMax = kSecond * 8000;
constexpr Duration kLinger = kSecond * 3;  // What still comes when all is done.
constexpr std::uint64_t kStepsMax = 300'000;
constexpr Instant kNever{INT64_MAX};

// Lines of letters, with the word that policies look for.
std::string make_text(std::size_t size, std::uint64_t seed) {
    Random random(seed);
    std::string text;
    while (text.size() < size) {
        const std::uint64_t what = random.below(12);
        if (what == 0) {
            text += '\n';
        } else if (what < 3) {
            text += "needle";
        } else {
            for (std::uint64_t i = random.below(12); i-- > 0;) {
                text += static_cast<char>('a' + random.below(26));
            }
            text += what < 8 ? ' ' : 'n';
        }
    }
    text.resize(size);
    return text;
}

PeerOptions peer_options(const Plan& plan, bool client, std::uint16_t port) {
    constexpr std::array<std::uint16_t, 6> kMss = {1460, 1000, 536, 300, 150, 1200};
    constexpr std::array<std::uint32_t, 10> kBuffers = {65'535, 32'768, 16'384, 8192,    4096,
                                                        2920,   1460,   600,    131'072, 250'000};
    struct Pace {
        std::uint32_t size;
        std::uint32_t pause_ms;
    };
    constexpr std::array<Pace, 6> kPaces = {
        {{65'535, 0}, {5000, 50}, {1460, 10}, {100, 2}, {10'000, 1000}, {20, 300}}};
    const std::uint64_t seed = plan[Field::Seed] * 16ULL + (client ? 0 : 8);
    Random random(seed);
    const std::uint32_t size = plan.of(Field::ClientSize, client);
    const std::uint32_t least = size / 200 + 1;  // Bounds how many writes and reads there are.
    const Pace& write = kPaces.at(plan.of(Field::ClientWrite, client));
    const Pace& read = kPaces.at(plan.of(Field::ClientRead, client));
    const std::uint32_t other_size = plan.of(Field::ClientSize, !client);
    PeerOptions options;
    options.client = client;
    options.client_port = port;
    options.isn = static_cast<std::uint32_t>(random.next());
    if (plan.bit(Field::NearWrap, client)) {
        options.isn = static_cast<std::uint32_t>(0 - random.below(size + 2));
    }
    options.mss = kMss.at(plan.of(Field::ClientMss, client));
    options.timestamps = plan.bit(Field::Timestamps, client);
    options.ts_base = static_cast<std::uint32_t>(random.next());
    options.sack = plan.bit(Field::Sack, client);
    options.keep_alive_ms = plan.bit(Field::KeepAlive, client) ? 700 : 0;
    options.answers = !client && plan[Field::Answers] != 0;
    options.receiver.buffer = kBuffers.at(plan.of(Field::ClientBuffer, client));
    options.receiver.mss = options.mss;
    options.receiver.read_size = std::max(read.size, other_size / 200 + 1);
    options.receiver.read_pause_ms = read.pause_ms;
    options.receiver.delayed_ack_ms = plan.bit(Field::DelayedAck, client) ? 40 : 0;
    // No unit larger than an eighth of the buffer: else rounding hides when it is full.
    const std::uint32_t scale = plan.of(Field::ClientScale, client);
    if (scale != 0 && (8U << (scale - 1)) <= options.receiver.buffer) {
        options.scale = static_cast<std::int8_t>(scale - 1);
    }
    options.sender.text = make_text(size, seed + 1);
    options.sender.write_size = std::max(write.size, least);
    options.sender.write_pause_ms = write.pause_ms;
    options.sender.nagle = plan.bit(Field::Nagle, client);
    options.sender.ragged = plan.bit(Field::Ragged, client);
    options.sender.old_probe = plan.bit(Field::OldProbe, client);
    options.sender.seed = seed + 2;
    return options;
}

PathOptions path_options(const Plan& plan, bool before, Field loss) {
    return {.delay_ms = 1 + plan[before ? Field::DelayBefore : Field::DelayBehind],
            .loss = plan[loss],
            .reorder = plan[before ? Field::ReorderBefore : Field::ReorderBehind],
            .duplicate = plan[Field::Duplicate] / 2};
}

std::string compare(std::string_view who, std::string_view got, std::string_view want) {
    if (got == want) {
        return {};
    }
    const auto differs = std::ranges::mismatch(got, want);
    return fmt::format("the {} has {} bytes, not {}, and they differ from {} on", who, got.size(),
                       want.size(), differs.in1 - got.begin());
}

class History {
public:
    History(const Plan& plan, Engines::Place& place, std::string* trace);
    Outcome run();

private:
    [[nodiscard]] Instant next() const;
    [[nodiscard]] bool is_over() const;
    void step();
    void poll(Peer& peer);
    void send(Path& path, std::string_view where, const Bytes& frame);
    void pass();
    void deliver(Peer& peer, std::string_view where, const Bytes& frame);
    void forward();
    void note(std::string_view where, std::string_view what, const Bytes& frame);
    [[nodiscard]] std::string judge() const;
    [[nodiscard]] std::string check_engine() const;
    [[nodiscard]] std::string states() const;
    [[nodiscard]] std::string counts() const;

    const Policy& policy_;
    Engines::Place& place_;
    std::string* trace_;
    unsigned direction_;
    std::uint64_t seed_;
    Instant start_;
    Instant now_;
    Instant done_at_ = kNever;
    Peer client_;
    Peer server_;
    std::array<Path, 2> before_;  // Client's, server's, towards the engine.
    std::array<Path, 2> behind_;  // To the server, to the client.
    report::Summary summary_;
    std::string client_text_;
    std::string server_text_;
    std::vector<Packet> packets_;
    std::vector<Engine::Passing> came_;  // At the engine, not walked yet.
    std::vector<Engine::Passing> out_;
    std::string wrong_;
    std::uint64_t steps_ = 0;
};

History::History(const Plan& plan, Engines::Place& place, std::string* trace)
    : policy_(policies()[plan[Field::Policy]]),
      place_(place),
      trace_(trace),
      direction_(plan[Field::Direction]),
      seed_(plan[Field::Seed] * 16ULL),
      start_(place.now),
      now_(place.now),
      client_(peer_options(plan, true, place.port), place.now),
      server_(peer_options(plan, false, place.port), place.now),
      before_{Path(path_options(plan, true, Field::LossFromClient), seed_ + 3),
              Path(path_options(plan, true, Field::LossFromServer), seed_ + 4)},
      behind_{Path(path_options(plan, false, Field::LossToServer), seed_ + 5),
              Path(path_options(plan, false, Field::LossToClient), seed_ + 6)},
      client_text_(peer_options(plan, true, 0).sender.text),
      server_text_(peer_options(plan, false, 0).sender.text) {
    if (place.engine != nullptr) {
        summary_ = place.engine->summary();
    }
}

void History::note(std::string_view where, std::string_view what, const Bytes& frame) {
    if (trace_ == nullptr) {
        return;
    }
    std::string text = wire::to_text(frame, LinkType::Raw);
    text = text.substr(0, text.find(" \""));  // Without the payload.
    *trace_ += fmt::format("{:9.3f} {}{} {}\n", static_cast<double>((now_ - start_).ns) / 1e9,
                           where, what, text);
}

void History::send(Path& path, std::string_view where, const Bytes& frame) {
    const bool goes = path.send(now_, frame);
    note(where, goes ? "        " : "  (lost)", frame);
}

void History::poll(Peer& peer) {
    const bool is_client = &peer == &client_;
    packets_.clear();
    peer.poll(now_, packets_);
    for (const Packet& packet : packets_) {
        Bytes frame;
        write(packet, frame);
        send(before_.at(is_client ? 0 : 1), is_client ? "C >      " : "     < S ", frame);
    }
}

// What has come to the engine by now is one batch.
void History::pass() {
    came_.clear();
    for (std::size_t i = 0; i < 2; ++i) {
        while (before_.at(i).next() <= now_) {
            came_.push_back({.from_client = i == 0, .frame = before_.at(i).take()});
            note(i == 0 ? "  > E    " : "   E <   ", "        ", came_.back().frame);
        }
    }
    if (place_.engine == nullptr) {
        out_.swap(came_);
    } else if (!came_.empty()) {
        place_.engine->walk(came_, now_, out_);
    }
    forward();
}

void History::forward() {
    for (const Engine::Passing& out : out_) {
        send(behind_.at(out.from_client ? 0 : 1), out.from_client ? "    E >  " : " < E     ",
             out.frame);
    }
    out_.clear();
}

void History::deliver(Peer& peer, std::string_view where, const Bytes& frame) {
    note(where, "        ", frame);
    Packet packet;
    const std::string wrong = read(frame, packet);
    const bool is_client = &peer == &client_;
    if (!wrong.empty()) {
        wrong_ = wrong;
    } else if (packet.from_client == is_client) {
        wrong_ = "a packet leaves by the side it came from";
    } else {
        peer.receive(packet, now_);
    }
}

Instant History::next() const {
    Instant at = std::min({before_[0].next(), before_[1].next(), behind_[0].next(),
                           behind_[1].next(), client_.next(), server_.next()});
    if (place_.engine != nullptr) {
        at = std::min(at, place_.engine->wakes_at());
    }
    return std::max(at, now_);
}

bool History::is_over() const {
    return !wrong_.empty() || (done_at_ != kNever && now_ > done_at_ + kLinger);
}

void History::step() {
    now_ = std::min(next(), done_at_ + kSecond * 4);
    pass();
    for (std::size_t i = 0; i < 2; ++i) {
        if (behind_.at(i).next() <= now_) {
            deliver(i == 0 ? server_ : client_, i == 0 ? "      > S" : "C <      ",
                    behind_.at(i).take());
        }
    }
    if (place_.engine != nullptr && place_.engine->wakes_at() <= now_) {
        place_.engine->pass_time(now_, out_);
        forward();
    }
    poll(client_);
    poll(server_);
    if (wrong_.empty()) {
        wrong_ = client_.wrong().empty() ? server_.wrong() : client_.wrong();
    }
    if (done_at_ == kNever && client_.is_done() && server_.is_done()) {
        done_at_ = now_;
    }
}

std::string History::states() const {
    return fmt::format("client: {}; server: {}", client_.state(), server_.state());
}

// What the engine counted in this history.
std::string History::counts() const {
    if (place_.engine == nullptr) {
        return {};
    }
    std::string text;
    const report::Summary summary = place_.engine->summary();
    for (std::size_t i = 0; i < kEventCount; ++i) {
        const std::uint64_t drops = summary.drops.at(i) - summary_.drops.at(i);
        const std::uint64_t events = summary.events.at(i) - summary_.events.at(i);
        if (drops != 0 || events != 0) {
            text += fmt::format("engine: {}: {} drops, {} events\n",
                                event_name(static_cast<Event>(i)), drops, events);
        }
    }
    return text;
}

// No correct end gives cause for these.
std::string History::check_engine() const {
    if (place_.engine == nullptr) {
        return {};
    }
    const std::string log = place_.engine->take_log();
    if (!log.empty()) {
        return "the policy logged: " + log;
    }
    const report::Summary summary = place_.engine->summary();
    // (tcp.hold-limit may be: a hole behind which many tiny segments came costs one of them.)
    for (const Event event :
         {Event::TcpOverlapDiffers, Event::TcpGap, Event::TcpDataAfterFin, Event::RuleError,
          Event::TcpBadOption, Event::TcpBadChecksum, Event::TcpTableFull}) {
        const auto i = static_cast<std::size_t>(event);
        if (summary.events.at(i) != summary_.events.at(i) ||
            summary.drops.at(i) != summary_.drops.at(i)) {
            return fmt::format("the engine says {}", event_name(event));
        }
    }
    return {};
}

std::string History::judge() const {
    if (!wrong_.empty()) {
        return wrong_;
    }
    std::string wrong = check_engine();
    if (wrong.empty() && done_at_ == kNever) {
        return fmt::format("it doesn't end; {}", states());
    }
    const auto result = [&](bool client, const std::string& text) {
        const bool edited = direction_ == 0 || direction_ == (client ? 1U : 2U);
        return edited ? policy_.result(text) : text;
    };
    if (wrong.empty()) {
        wrong = compare("server", server_.received(), result(true, client_text_));
    }
    if (wrong.empty()) {
        wrong = compare("client", client_.received(), result(false, server_text_));
    }
    return wrong;
}

Outcome History::run() {
    poll(client_);
    while (!is_over() && steps_ < kStepsMax && now_ < start_ + kTimeMax) {
        steps_ += 1;
        step();
    }
    Outcome outcome{.wrong = judge(), .steps = steps_, .took = now_ - start_};
    if (trace_ != nullptr) {
        *trace_ += fmt::format("{} steps; {}\n{}", steps_, states(), counts());
    }
    // The next history's connection is another one, and nothing of this one is left.
    place_.now = now_ + kSecond * 10'000;
    place_.port =
        place_.port == 65'535 ? std::uint16_t{1024} : static_cast<std::uint16_t>(place_.port + 1);
    return outcome;
}

}  // namespace

Engines::Place& Engines::of(const Plan& plan) {
    const std::uint64_t key = plan[Field::Policy] * 3ULL + plan[Field::Direction];
    const auto [at, is_new] = places_.try_emplace(key);
    const Policy& policy = policies()[plan[Field::Policy]];
    if (is_new && !policy.text.empty()) {
        std::string error;
        at->second.engine = Engine::make(policy_text(policy, plan[Field::Direction]), error);
        if (at->second.engine == nullptr) {
            fmt::print(stderr, "policy '{}': {}\n", policy.name, error);
            std::exit(2);
        }
    }
    return at->second;
}

Outcome run(const Plan& plan, Engines& engines, std::string* trace) {
    return History(plan, engines.of(plan), trace).run();
}

}  // namespace haka::model
