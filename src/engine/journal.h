// What a worker has to say about the packets of one block: prints, logs, alerts, packets that
// leave. The worker stages records while it walks a packet and commits them when the packet is
// decided, so that whoever reads the journal, even while a rule hangs, sees whole packets only.
//
// Records are bytes in one buffer: a RecordHead, then `size` bytes, again and again, in the order
// of their `order`. Readers merge the journals of all workers by it.
#pragma once

#include <compare>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/event.h"
#include "base/time.h"

namespace haka::engine {

// Where a record stands among those of all workers: by packet; what timers do comes before the
// packet that moved the time, by deadline and connection; what the end of input does comes last.
struct Order {
    std::uint64_t packet = 0;
    std::int64_t deadline = INT64_MAX;
    std::uint64_t id = UINT64_MAX;

    friend auto operator<=>(const Order&, const Order&) = default;
};

enum class RecordKind : std::uint8_t {
    Print,  // Text for the output.
    Log,    // A formatted log line.
    Alert,  // Console text, then an EVE line; `event` limits repeated ones of the engine.
    Packet  // A packet that leaves: comment, then bytes.
};

struct RecordHead {
    Order order{};
    Instant when{};
    std::uint32_t size = 0;   // Of both parts.
    std::uint32_t split = 0;  // Size of the first part: console text, comment.
    std::uint32_t interface = 0;
    std::uint32_t original_size = 0;
    RecordKind kind = RecordKind::Print;
    Event event = Event::None;
    bool once = false;  // A log line that is said once in a run, however many workers say it.
};

class Journal {
public:
    // The worker: stages a record of one or two parts.
    void stage(RecordHead head, std::string_view first, std::string_view second = {});
    // The packet that rules raised alerts about was dropped in the end: their EVE lines say so.
    void block_alerts();
    [[nodiscard]] std::size_t staged_bytes() const { return staged_.size(); }
    // Makes what is staged visible.
    void commit() {
        if (!staged_.empty()) {
            publish();
        }
    }

    // The reader: moves everything committed into `out` (replacing it).
    void take(std::vector<std::uint8_t>& out);
    // How much take() would take.
    [[nodiscard]] std::size_t committed_bytes();
    // For the last worker out of a block: nothing to write?
    [[nodiscard]] bool empty();

private:
    void publish();

    std::vector<std::uint8_t> staged_;
    std::mutex mutex_;
    std::vector<std::uint8_t> committed_;
};

// Walks the records of a taken journal.
class RecordReader {
public:
    explicit RecordReader(ByteView bytes) : bytes_(bytes) { load(); }

    [[nodiscard]] bool done() const { return at_ >= bytes_.size(); }
    [[nodiscard]] const RecordHead& head() const { return head_; }
    [[nodiscard]] std::string_view first() const {
        return as_text(bytes_.subspan(at_ + sizeof(RecordHead), head_.split));
    }
    [[nodiscard]] std::string_view second() const {
        return as_text(
            bytes_.subspan(at_ + sizeof(RecordHead) + head_.split, head_.size - head_.split));
    }
    void next();

private:
    void load();

    ByteView bytes_;
    std::size_t at_ = 0;
    RecordHead head_;
};

}  // namespace haka::engine
