// Carries blocks of the input from the reader past every worker to the writer.
//
//   reader -> [block 4 | block 3 | block 2] -> writer      workers + kSpareStages at most
//                 each worker walks every block, for the packets that are its own
//
// There is no reader thread: the worker that is first to need a block reads it, and says which
// worker's each frame is. A block goes to the writer when all workers have left it; when nothing
// was said about it, it is used again at once.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "capture/block.h"
#include "capture/file_reader.h"
#include "capture/filter.h"
#include "engine/journal.h"
#include "flow/flow_key.h"

namespace haka::engine {

struct Stage {
    explicit Stage(std::uint32_t workers) : journals(workers) {}

    capture::Block block;
    std::deque<Journal> journals;  // One a worker.
    std::uint64_t sequence = 0;
    std::uint32_t in_use = 0;    // Workers that have not left it.
    std::uint64_t position = 0;  // Of the file, behind it.
};

class Conveyor {
public:
    static constexpr std::uint32_t kSpareStages = 6;  // Blocks on their way, besides one a worker.

    // `filter` may be null. Both must outlive this. `seed`: of the spread over the workers.
    Conveyor(capture::FileReader& reader, capture::Filter* filter, std::uint32_t workers,
             std::uint64_t seed);

    // A worker: the block number `sequence` (0, 1, 2 ...), in order; null when the input has ended
    // or stop() was called.
    [[nodiscard]] Stage* enter(std::uint64_t sequence);
    void leave(Stage& stage);

    // The writer: the oldest block, once all workers have left it; null when that takes longer
    // than `patience` or nothing more comes (see is_over()).
    [[nodiscard]] Stage* next_done(std::chrono::milliseconds patience);
    void recycle(Stage& stage);
    // Every block has been walked and written, or stop() was called and none is in use.
    [[nodiscard]] bool is_over();
    // A worker waits for the input.
    [[nodiscard]] bool is_reading();
    // For the flush after a hang: every block that is still on its way, oldest first.
    [[nodiscard]] std::vector<Stage*> unfinished();

    void stop();

    // Interfaces of the input so far; an element stays where it is.
    [[nodiscard]] const capture::Interface* interface(std::uint32_t index);
    [[nodiscard]] std::uint64_t position();

private:
    [[nodiscard]] Stage* find(std::uint64_t sequence);
    void load(std::unique_lock<std::mutex>& lock);
    void spread(std::vector<Frame>& frames) const;
    void take_out(Stage& stage);

    capture::FileReader* reader_;
    capture::Filter* filter_;
    std::uint32_t workers_;
    flow::HashKey spread_key_;
    std::mutex mutex_;
    std::condition_variable changed_;  // For workers: a block came, or room for one.
    std::condition_variable done_;     // For the writer: the oldest block has been walked.
    std::deque<std::unique_ptr<Stage>> active_;  // Oldest first.
    std::vector<std::unique_ptr<Stage>> free_;
    std::deque<capture::Interface> interfaces_;
    std::uint64_t next_ = 0;  // Sequence of the block that is read next.
    std::uint64_t position_ = 0;
    bool loading_ = false;
    bool ended_ = false;
    bool stopped_ = false;
};

}  // namespace haka::engine
