#include "watch.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

#include "flow/flow_key.h"
#include "wire/segment.h"
#include "wire/tcp.h"

namespace haka::receivers {
namespace {

constexpr std::string_view kMark = "witness ";

// What Watch wants to know of a frame.
struct Seen {
    bool is_tcp = false;
    std::string ends;    // The same for both directions.
    std::string source;  // Who sent it.
    wire::Segment segment{};
    ByteView payload{};
};

std::string text_of(const flow::Endpoint& end) {
    return fmt::format("{:02x}:{}", fmt::join(end.address, ""), end.port);
}

Seen look(LinkType link, ByteView frame) {
    Seen seen;
    const wire::Headers headers = wire::find_headers(link, frame);
    if (!headers.transport_ok || headers.protocol != wire::kProtocolTcp || headers.cut != 0) {
        return seen;
    }
    const flow::OrderedKey key = flow::make_flow_key(headers, frame.data());
    const std::string low = text_of(key.key.low);
    const std::string high = text_of(key.key.high);
    seen.is_tcp = true;
    seen.ends = fmt::format("{} {}", low, high);
    seen.source = key.source_is_low ? low : high;
    seen.segment = wire::read_segment(headers, frame);
    seen.payload = frame.subspan(headers.payload, headers.end - headers.payload);
    return seen;
}

bool is_first_syn(const Seen& seen) {
    return seen.is_tcp && (seen.segment.flags & (wire::kSyn | wire::kAck)) == wire::kSyn;
}

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const std::size_t end = std::min(line.find(' '), line.size());
        words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

std::uint64_t number_of(std::string_view text, int base = 10) {
    std::uint64_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number, base);
    return number;
}

std::string shorten(std::string_view bytes) {
    std::string text;
    for (const char byte : bytes.substr(0, 60)) {
        text += byte >= ' ' && byte <= '~'
                    ? std::string(1, byte)
                    : fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    return fmt::format("{} bytes '{}'{}", bytes.size(), text, bytes.size() > 60 ? "..." : "");
}

std::string outcome_of(const Receiver& receiver) {
    return fmt::format("{}{}{}", shorten(receiver.delivered()), receiver.got_fin() ? ", FIN" : "",
                       receiver.is_reset() ? ", RST" : "");
}

}  // namespace

std::string witness() {
    return R"lua(
local witness = haka.rule_group{ name = 'witness' }
witness:rule{ name = 'witness', hooks = {'tcp-connection-up'}, readonly = true,
    eval = function(self, pkt)
        local stream = pkt.stream
        local gap, data = stream.gap, stream:read()
        if gap == 0 and not data then return end
        print(('witness %d %d %d %s'):format(pkt.connection.id, pkt.direction and 1 or 0, gap,
            data and tostring(data):gsub('.', function(c) return ('%02x'):format(c:byte()) end) or ''))
    end
}
witness:rule{ name = 'witness of the end', hooks = {'tcp-connection-end'}, eval = function(self, pkt)
    print(('witness %d end'):format(pkt.connection.id))
end }
)lua";
}

void Watch::fail(std::string what) {
    if (wrong_.empty()) {
        wrong_ = std::move(what);
    }
}

void Watch::came(std::uint64_t number, LinkType link, ByteView frame) {
    const Seen seen = look(link, frame);
    if (is_first_syn(seen)) {
        syns_[number] = {.ends = seen.ends, .client = seen.source, .isn = seen.segment.seq};
    }
}

// The talk that this SYN begins or repeats.
Watch::Talk& Watch::begin(const Syn& syn) {
    Talk& talk = talks_[syn.ends];
    if (talk.ended || talk.client.empty() || talk.isn != syn.isn || talk.client != syn.client) {
        talk = {};
        talk.isn = syn.isn;
        talk.client = syn.client;
        for (Side& side : talk.sides) {
            for (const Kind& kind : kinds_) {
                side.receivers.emplace_back(kind);
            }
        }
    }
    return talk;
}

bool Watch::printed(std::string_view line) {
    if (!line.starts_with(kMark)) {
        return false;
    }
    const std::vector<std::string_view> words = words_of(line.substr(kMark.size()));
    const auto syn = syns_.find(number_of(words.at(0)));
    if (syn == syns_.end()) {
        return true;  // Picked up: there is no receiver of it.
    }
    if (words.at(1) == "end") {
        const auto talk = talks_.find(syn->second.ends);
        if (talk != talks_.end()) {
            talk->second.ended = true;
        }
        return true;
    }
    Talk& talk = begin(syn->second);
    Side& side = talk.sides.at(words.at(1) == "1" ? 0 : 1);
    side.has_gap = side.has_gap || words.at(2) != "0";
    const std::string_view bytes = words.size() > 3 ? words[3] : "";
    for (std::size_t i = 0; i < bytes.size() && !side.has_gap; i += 2) {
        side.shown.push_back(static_cast<char>(number_of(bytes.substr(i, 2), 16)));
    }
    return true;
}

// Whether a SYN may begin another talk between the same ends.
bool Watch::is_over(const Talk& talk) {
    return talk.ended || !talk.sides[1].receivers.front().began() ||
           std::ranges::any_of(talk.sides, [](const Side& side) {
               const Receiver& one = side.receivers.front();
               return one.got_fin() || one.is_reset();
           });
}

void Watch::left(LinkType link, ByteView frame) {
    const Seen seen = look(link, frame);
    if (!seen.is_tcp) {
        return;
    }
    const auto known = talks_.find(seen.ends);
    if (is_first_syn(seen) && (known == talks_.end() || known->second.client == seen.source)) {
        if (known != talks_.end() && known->second.began && known->second.isn != seen.segment.seq &&
            !is_over(known->second)) {
            fail(fmt::format("{}: a SYN with another ISN left inside a connection", seen.ends));
            return;
        }
        begin({.ends = seen.ends, .client = seen.source, .isn = seen.segment.seq}).began = true;
    } else if (known == talks_.end()) {
        return;
    }
    Talk& talk = talks_.find(seen.ends)->second;
    const std::size_t which = talk.client == seen.source ? 0 : 1;
    Side& side = talk.sides.at(which);
    if ((seen.segment.flags & wire::kSyn) != 0 && !side.receivers.front().began()) {
        side.has_time = seen.segment.has_timestamp;
    }
    // A strict receiver asks for another one then, or this one answers what it asked for.
    const bool is_unsure =
        talk.ended || side.receivers.front().has_hole() || !talk.sides[1].receivers.front().began();
    talk.is_vague = talk.is_vague || ((seen.segment.flags & wire::kRst) != 0 && is_unsure);
    const bool time_agreed = talk.sides[0].has_time && talk.sides[1].has_time;
    for (Receiver& receiver : side.receivers) {
        receiver.take(seen.segment, seen.payload, time_agreed);
    }
    if (!talk.is_vague) {
        compare(seen.ends, talk, which);
    }
    const std::uint64_t size = side.receivers.back().delivered().size();
    delivered_ += size - std::min(size, side.delivered);
    side.delivered = size;
}

void Watch::compare(const std::string& ends, const Talk& talk, std::size_t which) {
    const Side& side = talk.sides.at(which);
    const Receiver* longest = &side.receivers.front();
    for (std::size_t i = 0; i < kinds_.size(); ++i) {
        const Receiver& one = side.receivers[i];
        const Receiver& first = side.receivers[i < kinds_.size() / 2 ? 0 : kinds_.size() / 2];
        if (one.delivered() != first.delivered() || one.got_fin() != first.got_fin() ||
            one.is_reset() != first.is_reset()) {
            fail(fmt::format("{}, {} sends: '{}' delivers {}, '{}' {}", ends,
                             which == 0 ? "client" : "server", to_text(kinds_[i]), outcome_of(one),
                             to_text(kinds_[i < kinds_.size() / 2 ? 0 : kinds_.size() / 2]),
                             outcome_of(first)));
            return;
        }
        longest = one.delivered().size() > longest->delivered().size() ? &one : longest;
    }
    // With an old time stamp a segment comes later, or never, to those that look at it.
    const std::string& delivered = longest->delivered();
    if (!delivered.starts_with(side.receivers.front().delivered())) {
        fail(fmt::format("{}: with PAWS {}, without {}", ends, outcome_of(side.receivers.front()),
                         outcome_of(*longest)));
        return;
    }
    if (side.has_gap || talk.ended) {
        return;
    }
    if (!side.shown.starts_with(delivered)) {
        fail(fmt::format("{}, {} sends: delivered {}, shown to rules {}", ends,
                         which == 0 ? "client" : "server", outcome_of(*longest),
                         shorten(side.shown)));
    } else if (longest->got_fin() && side.shown != delivered) {
        fail(fmt::format("{}, {} sends: ends after {}, shown to rules {}", ends,
                         which == 0 ? "client" : "server", outcome_of(*longest),
                         shorten(side.shown)));
    }
}

}  // namespace haka::receivers
