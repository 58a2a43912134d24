// Streams of hostile segments. By the first byte: operations on a StreamBuffer, compared with a
// model that keeps one cell per byte; or segments for the tracker, whose promises must hold.
#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "fuzz.h"
#include "stream/stream_buffer.h"
#include "stream/tracker.h"
#include "wire/tcp.h"

namespace haka::stream {
namespace {

using fuzz::Input;
using fuzz::require;

constexpr std::uint32_t kBytes = 2000;

class Model {
public:
    void add(std::uint64_t offset, ByteView bytes) {
        for (std::size_t i = 0; i < bytes.size() && offset + i < fin; ++i) {
            int& cell = cells_[offset + i];
            cell = cell == kUnknown && offset + i >= end ? bytes[i] : cell;
        }
        move();
    }
    void add_gap(std::uint64_t offset, std::uint64_t size) {
        for (std::uint64_t i = offset; i < offset + size && i < fin; ++i) {
            cells_[i] = cells_[i] == kUnknown && i >= end ? kGap : cells_[i];
        }
        move();
    }
    [[nodiscard]] int at(std::uint64_t offset) const { return cells_[offset]; }
    [[nodiscard]] bool differs(std::uint64_t offset, ByteView bytes, std::uint64_t kept) const {
        for (std::size_t i = 0; i < bytes.size() && offset + i < fin; ++i) {
            const int cell = cells_[offset + i];
            if (offset + i >= kept && cell >= 0 && cell != bytes[i]) {
                return true;
            }
        }
        return false;
    }
    bool set_fin(std::uint64_t offset) {
        if (fin != UINT64_MAX || offset < end) {
            return fin == offset;
        }
        fin = offset;
        std::fill(cells_.begin() + static_cast<std::ptrdiff_t>(offset), cells_.end(), kUnknown);
        return true;
    }
    void release(std::uint64_t offset) {
        begin = std::clamp(offset, begin, end);
        move();
    }
    [[nodiscard]] std::uint64_t known_behind() const {
        return static_cast<std::uint64_t>(
            std::count_if(cells_.begin() + static_cast<std::ptrdiff_t>(end), cells_.end(),
                          [](int cell) { return cell >= 0; }));
    }

    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    std::uint64_t fin = UINT64_MAX;
    std::uint64_t lost = 0;

private:
    static constexpr int kUnknown = -1;
    static constexpr int kGap = -2;

    void move() {
        while (end < cells_.size()) {
            if (cells_[end] >= 0) {
                ++end;
            } else if (cells_[end] == kGap && begin == end) {
                ++begin;
                ++end;
                ++lost;
            } else {
                return;
            }
        }
    }

    std::vector<int> cells_ = std::vector<int>(kBytes, kUnknown);
};

class BufferCase {
public:
    explicit BufferCase(const TcpSettings& settings) : memory_(settings), buffer_(memory_) {}

    void run(Input& input) {
        while (!input.empty()) {
            step(input);
            const bool starved =
                buffer_.held_segments() != 0 && buffer_.pending_hole() == 0 && !buffer_.at_gap();
            if (starved) {
                return;  // No memory to go on behind a gap: the next add() says so.
            }
            check();
        }
        buffer_.acknowledged(kBytes);
        while (buffer_.release(buffer_.end()) != 0) {}
        require(buffer_.owns_memory() == (buffer_.held_segments() != 0));
    }

private:
    void step(Input& input) {
        const std::uint32_t kind = input.byte() % 8;
        const std::uint32_t size = input.below(300);
        const bool next = input.byte() % 4 == 0;
        const std::uint64_t place = next ? buffer_.end() : input.below(kBytes);
        const std::uint64_t offset = std::min<std::uint64_t>(place, kBytes - size);
        switch (kind) {
            case 0:
                buffer_.acknowledged(offset);
                return;
            case 1: {
                const std::uint64_t to = std::min(model_.begin + size, model_.end);
                buffer_.release(to);
                model_.release(to);
                return;
            }
            case 2:
                add_gap(offset, size);
                return;
            case 3:
                if (size == 7) {
                    require(buffer_.fin(offset) == model_.set_fin(offset));
                }
                return;
            default:
                add(offset, size, input.byte());
        }
    }

    void add_gap(std::uint64_t offset, std::uint64_t size) {
        if (buffer_.add_gap(offset, size).refused == Event::None) {
            model_.add_gap(offset, size);
        }
    }

    void add(std::uint64_t offset, std::uint32_t size, std::uint8_t value) {
        std::vector<std::uint8_t> bytes(size);
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] = static_cast<std::uint8_t>(value + i * (value & 1U));
        }
        const std::uint64_t kept = buffer_.kept_begin();
        const std::uint64_t before = model_.end;
        const std::uint64_t lost = model_.lost;
        const bool differs = model_.differs(offset, bytes, kept);
        const Added added = buffer_.add(offset, bytes);
        if (added.refused != Event::None) {
            return;
        }
        model_.add(offset, bytes);
        if (buffer_.end() != model_.end) {
            return;
        }
        require(added.available == model_.end - before - (model_.lost - lost));
        require(added.differs == differs);
        std::vector<std::uint8_t> leaving = bytes;
        buffer_.rewrite(offset, leaving);
        for (std::size_t i = 0; i < size; ++i) {
            const std::uint64_t at = offset + i;
            // The last forgotten byte is remembered.
            const bool known =
                at + 1 >= buffer_.kept_begin() && at < model_.fin && model_.at(at) >= 0;
            require(leaving[i] == (known ? model_.at(at) : bytes[i]));
        }
    }

    void check() {
        require(buffer_.begin() == model_.begin && buffer_.end() == model_.end);
        require(buffer_.kept_begin() <= buffer_.begin());
        require(buffer_.eof() == (model_.end == model_.fin));
        require(buffer_.known_behind_hole() == model_.known_behind());
        lost_ += buffer_.take_gap();
        require(lost_ == model_.lost);
        const ByteView view = buffer_.view();
        require(view.size() == model_.end - model_.begin);
        for (std::size_t i = 0; i < view.size(); ++i) {
            require(view[i] == model_.at(model_.begin + i));
        }
        require(buffer_.held_segments() <= memory_.held_segments_max() + 1);
    }

    StreamMemory memory_;
    StreamBuffer buffer_;
    Model model_;
    std::uint64_t lost_ = 0;
};

using Isns = std::array<std::uint32_t, 2>;

// A number near one that matters to the end of that index.
std::uint32_t near(Input& input, const flow::Half& half, std::uint32_t isn) {
    const std::array<std::uint64_t, 4> marks = {half.sent_end, half.acked, half.window_end,
                                                half.fin_offset};
    const std::uint8_t how = input.byte();
    const auto mark = static_cast<std::uint32_t>(marks[how % 4]);
    const std::uint32_t distance = how < 128 ? how / 32U : input.below(65536) << (how % 17);
    return isn + 1 + mark + (how % 8 < 4 ? distance : 0U - distance);
}

wire::Segment make_segment(Input& input, const flow::Connection& connection, const Isns& isns,
                           std::size_t from) {
    constexpr std::array<std::uint8_t, 8> kUsual = {
        wire::kSyn, wire::kSyn | wire::kAck, wire::kAck, wire::kAck | wire::kPsh,
        wire::kAck, wire::kFin | wire::kAck, wire::kRst, wire::kRst | wire::kAck};
    wire::Segment segment;
    const std::uint8_t flags = input.byte();
    segment.flags = flags < 224 ? kUsual[flags % kUsual.size()] : input.byte();
    const bool plain_syn = (segment.flags & wire::kSyn) != 0 && input.byte() < 240;
    segment.seq = plain_syn ? isns[from] : near(input, connection.halves[from], isns[from]);
    segment.ack = near(input, connection.halves[1 - from], isns[1 - from]);
    segment.payload_size = input.byte() % 2 == 0 ? 0 : input.below(65536);
    segment.window = static_cast<std::uint16_t>(input.below(65536));
    const std::uint8_t options = input.byte();
    segment.has_timestamp = options % 2 != 0;
    segment.ts_value = options % 4 == 1 ? input.below(65536) << 16U : 77;
    segment.fast_open = options / 16 == 1;
    segment.signature = options / 16 == 2;
    segment.window_scale = static_cast<std::int8_t>(options / 16 - 1);
    return segment;
}

void check_half(const flow::Half& was, const flow::Half& is, Mode mode) {
    require(is.sent_end >= was.sent_end && is.window_end >= was.window_end);
    require(is.fin_offset == was.fin_offset || was.fin_offset == UINT64_MAX);
    require(is.sent_end <= is.fin_offset && (!is.fin_acked || is.fin_offset == is.acked));
    require(is.acked >= was.acked || is.acked == is.fin_offset);
    require(mode == Mode::File || is.acked <= is.sent_end);
    require(!was.seen || was.isn == is.isn);
}

void judge_segments(Input& input, Mode mode) {
    flow::Connection connection;
    const TcpSettings settings;
    const Isns isns{0xffff'ff00U + input.byte(), input.byte() * 0x1010101U};
    Instant now{0};
    while (!input.empty()) {
        const bool from_client = input.byte() % 2 == 0;
        const wire::Segment segment = make_segment(input, connection, isns, from_client ? 0 : 1);
        now.ns += input.byte() - 100;

        const flow::Connection before = connection;
        const Judgement judgement =
            judge(connection, from_client, segment, now, {.settings = settings, .mode = mode});
        const flow::Half& sender = connection.half(from_client);
        check_half(before.halves[0], connection.halves[0], mode);
        check_half(before.halves[1], connection.halves[1], mode);
        require(connection.last_seen >= before.last_seen);
        if (judgement.drop || judgement.new_attempt) {
            require(connection.state == before.state && connection.last_seen == before.last_seen);
            require(sender.sent_end == before.half(from_client).sent_end);
            require(judgement.new_attempt || judgement.event != Event::None);
            connection = judgement.new_attempt ? flow::Connection{} : before;
            continue;
        }
        require(std::uint64_t{judgement.skip} + judgement.size <= segment.payload_size);
        require(judgement.size == 0 || judgement.offset + judgement.size <= sender.fin_offset);
        require(judgement.trimmed == (judgement.size != segment.payload_size));
        require(judgement.trimmed == (judgement.event != Event::None));
        require(deadline_of(connection, settings) > connection.last_seen);
    }
}

}  // namespace
}  // namespace haka::stream

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    namespace stream = haka::stream;
    haka::fuzz::Input input(haka::ByteView(data, size));
    haka::TcpSettings settings;
    switch (input.byte() % 4) {
        case 0:
            stream::judge_segments(input, stream::Mode::File);
            break;
        case 1:
            stream::judge_segments(input, stream::Mode::Live);
            break;
        case 2:  // Small limits.
            settings.held_bytes_max = 256U * input.byte();
            settings.held_segments_max = input.byte();
            settings.stream_memory_max = std::uint64_t{256} * input.byte();
            [[fallthrough]];
        default:
            stream::BufferCase(settings).run(input);
    }
    return 0;
}
