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
constexpr std::size_t kLookAhead = 8;  // How far the partner of a recut segment may stand behind it.

Ends either_direction(const TcpFrame& tcp) {
    return std::minmax(tcp.source(), tcp.target());
}

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

class Path {
public:
    Path(const Arguments& arguments)
        : random_(arguments.number("seed", 1)),
          displacement_(arguments.number("displacement", 16)),
          duplicates_(arguments.number("duplicates", 10)),
          recut_(arguments.number("recut", 50)),
          closings_(find_closings(arguments.files()[0])),
          reader_(arguments.files()[0]),
          writer_(arguments.files()[1]) {}

    void run();

private:
    using Frame = std::vector<std::uint8_t>;
    struct Coming {
        Record record;
        bool used = false;
    };
    struct Waiting {
        std::uint64_t place;
        std::uint64_t order;  // Of two at one place the first one stays first.
        Frame frame;

        bool operator>(const Waiting& other) const {
            return std::pair(place, order) > std::pair(other.place, other.order);
        }
    };

    void look_ahead();
    void take(Record& record);
    void put(Frame frame, std::uint64_t latest);
    std::vector<Frame> cut(const TcpFrame& tcp, const Frame& frame);
    void leave(std::uint64_t before, std::uint64_t time_us);

    Random random_;
    std::uint64_t displacement_;
    std::uint64_t duplicates_;
    std::uint64_t recut_;
    std::map<Ends, std::uint64_t> closings_;
    PcapReader reader_;
    PcapWriter writer_;
    std::deque<Coming> coming_;
    std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> waiting_;
    std::uint64_t place_ = 0;
    std::uint64_t order_ = 0;
    std::uint64_t duplicated_ = 0;
    std::uint64_t recuts_ = 0;
};

Path::Frame piece(const Path*, ByteView, ByteView, std::uint32_t, bool) = delete;

// A segment with these headers and this payload. Only the last piece keeps PSH.
std::vector<std::uint8_t> make_piece(ByteView headers, ByteView payload, std::uint32_t seq,
                                     std::uint8_t flags) {
    std::vector<std::uint8_t> frame(headers.begin(), headers.end());
    frame.insert(frame.end(), payload.begin(), payload.end());
    set_total_length(frame);
    TcpFrame tcp = *TcpFrame::find(frame);
    tcp.set_seq(seq);
    tcp.set_flags(flags);
    tcp.fix_checksums();
    return frame;
}
}  // namespace
}  // namespace haka::bench
