// One edited direction: segments in any order, gaps, edits, decisions, ACKs early, late and wrong,
// with little memory or enough. What StreamBuffer and Outlet say is compared with a model of the
// same edits; each byte that may be asked for must be the model's.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "fuzz.h"
#include "stream/edit_model.h"
#include "stream/outlet.h"

namespace haka::stream {
namespace {

using fuzz::require;

constexpr std::uint64_t kBytesMax = 1500;

// The sender's byte at that offset.
std::uint8_t true_byte(std::uint64_t offset) {
    return static_cast<std::uint8_t>(offset * 7 + (offset >> 8));
}

class OutletCase {
public:
    OutletCase(ByteView input, const TcpSettings& settings)
        : input_(input), memory_(settings), buffer_(std::in_place, memory_) {}

    void run() {
        for (std::uint32_t steps = input_.byte() % 16; steps != 0; --steps) {
            step_before();
        }
        model_.append(truth(0, buffer_->end()));
        const std::uint64_t acked = below(buffer_->end() + 10);
        const std::uint64_t window_end = below(kBytesMax);
        outlet_.emplace(memory_, *buffer_,
                        Outlet::Receiver{.acked = acked, .window_end = window_end},
                        buffer_->begin() + below(buffer_->end() - buffer_->begin() + 1));
        gap_end_ = buffer_->gap_end();
        while (!input_.empty() && going_) {
            step();
            if (going_) {
                check();
            }
        }
        outlet_.reset();
        buffer_.reset();
        require(memory_.used() == 0);
    }

private:
    // One below `limit`, near 0 more often.
    std::uint64_t below(std::uint64_t limit) {
        const std::uint64_t value = input_.byte();
        return (value < 192 ? value : value * 256 + input_.byte()) % limit;
    }
    static std::vector<std::uint8_t> truth(std::uint64_t from, std::uint64_t to) {
        std::vector<std::uint8_t> bytes(to - from);
        for (std::uint64_t i = from; i < to; ++i) {
            bytes[i - from] = true_byte(i);
        }
        return bytes;
    }

    void add(bool gap) {
        const std::uint64_t near = buffer_->end() > 20 ? buffer_->end() - 20 : 0;
        const std::uint64_t offset = input_.byte() % 2 == 0 ? buffer_->end() : near + below(100);
        const std::uint64_t size = below(60);
        if (offset + size > kBytesMax) {
            return;
        }
        if (gap) {
            buffer_->add_gap(offset, size);
        } else {
            buffer_->add(offset, truth(offset, offset + size));
        }
    }

    // While packets still leave as they come.
    void step_before() {
        switch (input_.byte() % 4) {
            case 0:
                buffer_->acknowledged(below(buffer_->end() + 100));
                return;
            case 1:
                buffer_->release(buffer_->begin() + below(buffer_->end() - buffer_->begin() + 1));
                return;
            default:
                add(input_.byte() % 8 == 0);
        }
    }

    // What the input gained, as the engine tells the outlet.
    void follow(std::uint64_t old_end) {
        if (!outlet_->follow(old_end)) {
            going_ = false;
            return;
        }
        if (buffer_->gap_end() != gap_end_) {
            gap_end_ = buffer_->gap_end();
            model_.append(truth(old_end, gap_end_));
            model_.prune(UINT64_MAX);
            old_end = gap_end_;
            require(outlet_->acked() == model_.output_size());
        }
        model_.append(truth(old_end, buffer_->end()));
    }

    void edit() {
        const std::uint64_t at =
            outlet_->decided() + below(outlet_->end() - outlet_->decided() + 1);
        const auto erase = static_cast<std::uint32_t>(below(outlet_->end() - at + 1));
        const std::uint64_t size = outlet_->end() < kBytesMax ? below(40) : 0;
        const std::vector<std::uint8_t> insert(size, input_.byte());
        if (outlet_->edit(at, erase, insert, SIZE_MAX)) {
            require(model_.edit(outlet_->decided(), at, erase, insert, SIZE_MAX));
        }
    }

    void acknowledge(std::uint64_t acked) {
        const bool news = acked > outlet_->acked();
        outlet_->acknowledge(acked, below(kBytesMax));
        if (news) {
            model_.prune(outlet_->acked());
        }
    }

    void tell(std::uint64_t ack) { outlet_->tell(ack, below(kBytesMax)); }

    void step() {
        const std::uint8_t kind = input_.byte();
        const std::uint64_t old_end = buffer_->end();
        switch (kind % 8) {
            case 0:
                acknowledge(below(outlet_->sent() + 1));
                return;
            case 1:
                acknowledge(below(outlet_->end() + 100));
                return;
            case 2: {
                const std::uint64_t to =
                    outlet_->decided() + below(outlet_->end() - outlet_->decided() + 1);
                outlet_->decide(to, below(2) == 0 ? to : below(to + 1));
            }
                follow(old_end);
                return;
            case 3:
                outlet_->note_sent(outlet_->sent() +
                                   below(outlet_->decided() - outlet_->sent() + 1));
                return;
            case 4:
                tell(below(kBytesMax));
                return;
            case 5:
            case 6:
                edit();
                return;
            default:
                add(kind < 32);
                follow(old_end);
        }
    }

    void check() {
        const Outlet& outlet = *outlet_;
        require(outlet.acked() <= outlet.sent() && outlet.sent() <= outlet.decided());
        require(outlet.decided() <= outlet.end() && outlet.end() == model_.output_size());
        require(outlet.acked() >= acked_ && outlet.sent() >= sent_ && outlet.decided() >= decided_);
        require(outlet.told_ack() >= told_ack_ && outlet.told_edge() >= told_edge_);
        require(outlet.window_end() >= window_end_);
        require(outlet.map().empty() || outlet.edited());
        require(outlet.map().size() == model_.patches().size());
        require(outlet.acked_input() == model_.acked_input(outlet.acked()));
        require(outlet.kept_begin() <= outlet.sent());
        require(std::ranges::equal(outlet.bytes(outlet.kept_begin(), outlet.end()),
                                   model_.bytes(outlet.kept_begin(), outlet.end())));
        require(outlet.shown_begin() <= outlet.decided() && outlet.shown_begin() >= shown_);
        require(
            std::ranges::equal(outlet.shown(), model_.bytes(outlet.shown_begin(), outlet.end())));
        if (outlet.is_plain()) {
            require(outlet.end() == buffer_->end() && !outlet.owes());
        }
        acked_ = outlet.acked();
        sent_ = outlet.sent();
        decided_ = outlet.decided();
        shown_ = outlet.shown_begin();
        told_ack_ = outlet.told_ack();
        told_edge_ = outlet.told_edge();
        window_end_ = outlet.window_end();
    }

    fuzz::Input input_;
    StreamMemory memory_;
    std::optional<StreamBuffer> buffer_;
    std::optional<Outlet> outlet_;
    test::EditModel model_;
    std::uint64_t gap_end_ = 0;
    bool going_ = true;
    // As they were.
    std::uint64_t acked_ = 0;
    std::uint64_t sent_ = 0;
    std::uint64_t decided_ = 0;
    std::uint64_t shown_ = 0;
    std::uint64_t told_ack_ = 0;
    std::uint64_t told_edge_ = 0;
    std::uint64_t window_end_ = 0;
};

}  // namespace
}  // namespace haka::stream

// NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    haka::TcpSettings settings;
    if (size != 0 && data[0] % 4 == 0) {
        settings.stream_memory_max = 512U * (1U + data[0] / 4U);
    }
    haka::ByteView input(data, size);
    haka::stream::OutletCase(input.subspan(size == 0 ? 0 : 1), settings).run();
    return 0;
}
