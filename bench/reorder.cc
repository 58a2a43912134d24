// Recorded traffic as a bad path would have delivered it: reordered, duplicated, cut at other
// borders. The bytes of each connection stay the same.
//   reorder IN OUT [--seed N] [--displacement N] [--duplicates PER_MILLE] [--recut PER_MILLE]
//
//   1. A packet moves at most `displacement` places back.
//   2. SYN, FIN and RST keep their places, nothing overtakes a SYN or falls behind the connection's
//      first FIN or RST: what a path does to packets that are under way together, not more.
//   3. A recut segment becomes two; or it and the one that follows it in the same direction become
//      three, none of them larger than the larger of the two was.
#include <algorithm>
#include <cinttypes>
#include <deque>
#include <map>
#include <queue>

#include "arguments.h"
#include "pcap_file.h"
#include "random.h"
#include "tcp_frame.h"

namespace haka::bench {
namespace {

using Ends = std::pair<Endpoint, Endpoint>;
constexpr std::uint8_t kFixed = kSyn | kFin | kRst;
constexpr std::size_t kLookAhead =
    8;  // How far the partner of a recut segment may stand behind it.

// The same for both directions.
Ends either_direction(const TcpFrame& tcp) {
    return std::minmax(tcp.source(), tcp.target());
}

using Frame = std::vector<std::uint8_t>;

// For each connection the place of its first FIN or RST.
std::map<Ends, std::uint64_t> find_closings(const std::string& path) {
    std::map<Ends, std::uint64_t> closings;
    PcapReader reader(path);
    Record record;
    for (std::uint64_t place = 0; reader.next(record); ++place) {
        const auto tcp = TcpFrame::find(record.frame);
        if (tcp && (tcp->flags() & (kFin | kRst)) != 0) {
            closings.try_emplace(either_direction(*tcp), place);
        }
    }
    return closings;
}

// A segment with the headers of `model`.
Frame make_piece(const Frame& model, ByteView payload, std::uint32_t seq, std::uint8_t flags) {
    Frame headers = model;
    const std::size_t size = TcpFrame::find(headers)->headers_size();
    Frame frame(headers.begin(), headers.begin() + static_cast<std::ptrdiff_t>(size));
    frame.insert(frame.end(), payload.begin(), payload.end());
    set_total_length(frame);
    TcpFrame tcp = *TcpFrame::find(frame);
    tcp.set_seq(seq);
    tcp.set_flags(flags);
    tcp.fix_checksums();
    return frame;
}

class Path {
public:
    explicit Path(const Arguments& arguments)
        : random_(arguments.number("seed", 1)),
          displacement_(arguments.number("displacement", 16)),
          duplicates_(arguments.number("duplicates", 10)),
          recut_(arguments.number("recut", 50)),
          closings_(find_closings(arguments.files()[0])),
          reader_(arguments.files()[0]),
          writer_(arguments.files()[1]) {}

    void run();

private:
    struct Coming {
        Record record;
        bool used = false;  // Its bytes are on their way already.
    };
    struct Waiting {
        std::uint64_t place;
        std::uint64_t order;  // Of two at one place the first one stays first.
        Frame frame;

        bool operator>(const Waiting& other) const {
            return std::pair(place, order) > std::pair(other.place, other.order);
        }
    };

    void take(Coming& coming);
    void split(const Frame& frame, std::uint64_t latest);
    [[nodiscard]] bool cut_with_partner(const Frame& frame, std::uint64_t latest);
    void put(Frame frame, std::uint64_t place) {
        waiting_.push({place, order_++, std::move(frame)});
    }
    [[nodiscard]] std::uint64_t later(std::uint64_t place, std::uint64_t latest) {
        return std::min(place + random_.below(displacement_ + 1), latest);
    }

    Random random_;
    std::uint64_t displacement_;
    std::uint64_t duplicates_;
    std::uint64_t recut_;
    std::map<Ends, std::uint64_t> closings_;
    PcapReader reader_;
    PcapWriter writer_;
    std::deque<Coming> coming_;  // What stands behind the packet at place_.
    std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
    std::uint64_t place_ = 0;
    std::uint64_t order_ = 0;
    std::uint64_t duplicated_ = 0;
    std::uint64_t recuts_ = 0;
};

void Path::split(const Frame& frame, std::uint64_t latest) {
    Frame model = frame;
    const TcpFrame tcp = *TcpFrame::find(model);
    const ByteView payload = tcp.payload();
    const std::size_t border = 1 + random_.below(payload.size() - 1);
    const auto first_flags = static_cast<std::uint8_t>(tcp.flags() & ~kPsh);
    put(make_piece(model, payload.first(border), tcp.seq(), first_flags), later(place_, latest));
    put(make_piece(model, payload.subspan(border), tcp.seq() + static_cast<std::uint32_t>(border),
                   tcp.flags()),
        later(place_, latest));
}

// False if no segment that continues this one stands close behind it.
bool Path::cut_with_partner(const Frame& frame, std::uint64_t latest) {
    Frame model = frame;
    const TcpFrame tcp = *TcpFrame::find(model);
    const std::size_t size = tcp.payload().size();
    std::uint64_t place = place_;
    for (Coming& candidate : coming_) {
        ++place;
        const auto partner = TcpFrame::find(candidate.record.frame);
        if (candidate.used || !partner || partner->payload().empty() ||
            (partner->flags() & kFixed) != 0 || partner->source() != tcp.source() ||
            partner->target() != tcp.target() ||
            partner->seq() != tcp.seq() + static_cast<std::uint32_t>(size)) {
            continue;
        }
        Frame bytes(tcp.payload().begin(), tcp.payload().end());
        bytes.insert(bytes.end(), partner->payload().begin(), partner->payload().end());
        const std::size_t largest = std::max(size, partner->payload().size());
        const auto middle_flags = static_cast<std::uint8_t>(tcp.flags() & ~kPsh);
        std::size_t at = 0;
        std::size_t border = 1 + random_.below(size);
        while (at < bytes.size()) {
            const bool last = border == bytes.size();
            put(make_piece(at == 0 ? model : candidate.record.frame,
                           ByteView(bytes).subspan(at, border - at),
                           tcp.seq() + static_cast<std::uint32_t>(at),
                           last ? partner->flags() : middle_flags),
                later(at == 0 ? place_ : place, latest));
            at = border;
            border = std::min(at + largest, bytes.size());
        }
        candidate.used = true;
        return true;
    }
    return false;
}

void Path::take(Coming& coming) {
    Frame& frame = coming.record.frame;
    const auto tcp = TcpFrame::find(frame);
    const auto closing = tcp ? closings_.find(either_direction(*tcp)) : closings_.end();
    const std::uint64_t latest = closing == closings_.end() ? UINT64_MAX : closing->second;
    if (!tcp || (tcp->flags() & kFixed) != 0 || place_ >= latest) {
        put(std::move(frame), place_);
        return;
    }
    const std::size_t size = tcp->payload().size();
    if (size > 0 && random_.below(1000) < duplicates_) {
        put(frame, later(place_ + 1, latest - 1));
        ++duplicated_;
    }
    if (size > 1 && random_.below(1000) < recut_) {
        ++recuts_;
        if (random_.below(2) == 0 || !cut_with_partner(frame, latest - 1)) {
            split(frame, latest - 1);
        }
        return;
    }
    put(std::move(frame), later(place_, latest - 1));
}

void Path::run() {
    std::uint64_t time_us = 0;
    bool more = true;
    while (more || !coming_.empty()) {
        while (more && coming_.size() <= kLookAhead) {
            Coming next;
            more = reader_.next(next.record);
            if (more) {
                coming_.push_back(std::move(next));
            }
        }
        if (coming_.empty()) {
            break;
        }
        Coming current = std::move(coming_.front());
        coming_.pop_front();
        time_us = std::max(time_us, current.record.time_us);
        if (!current.used) {
            take(current);
        }
        for (; !waiting_.empty() && waiting_.top().place <= place_; waiting_.pop()) {
            writer_.write(time_us, waiting_.top().frame);
        }
        ++place_;
    }
    for (; !waiting_.empty(); waiting_.pop()) {
        writer_.write(time_us, waiting_.top().frame);
    }
    writer_.close();
    std::printf("packets %" PRIu64 " bytes %" PRIu64 " duplicated %" PRIu64 " recut %" PRIu64 "\n",
                writer_.packets(), writer_.bytes(), duplicated_, recuts_);
}

}  // namespace
}  // namespace haka::bench

int main(int argc, char** argv) {
    using namespace haka::bench;
    const Arguments arguments(argc, argv);
    if (arguments.files().size() != 2) {
        fail("usage: reorder IN OUT [--seed N] [--displacement N] [--duplicates N] [--recut N]");
    }
    Path(arguments).run();
    return 0;
}
