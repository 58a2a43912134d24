// Writes what all workers said, in the order of the packets, to where it belongs: prints and alerts
// to the output, logs to the log, alerts and anomalies to the EVE file, packets to the capture.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "capture/file_sink.h"
#include "capture/file_writer.h"
#include "engine/journal.h"
#include "engine/run.h"
#include "report/limiter.h"

namespace haka::engine {

class Merger {
public:
    // An interface of the input by its index; one that isn't known is shown as the first.
    using FindInterface = std::function<const capture::Interface*(std::uint32_t)>;

    // `writer` and `eve` may be null; all must outlive this.
    Merger(const Sinks& sinks, const RunOptions& options, FindInterface find_interface,
           capture::FileWriter* writer, capture::FileSink* eve);

    // Writes the records of these journals up to those of packet `last`.
    void write(std::deque<Journal>& journals, std::uint64_t last = UINT64_MAX);
    void write(ByteView records);  // Of one worker alone.
    // Hands to the system what lies in buffers.
    void flush();
    // EVE lines, packets go there from now on.
    void set_eve(capture::FileSink* eve);
    void set_writer(capture::FileWriter* writer);
    // What the limiter still holds back, then everything out of the buffers.
    void finish();

    // What could not be written, each thing once, as a line; empty: nothing.
    [[nodiscard]] const std::string& problem() const { return problem_; }
    // The newest of it; empty: nothing since the last call.
    [[nodiscard]] std::string take_news() { return std::exchange(news_, {}); }
    // Packets and EVE lines that its file didn't take, the first one included.
    [[nodiscard]] std::uint64_t unwritten() const { return unwritten_; }
    [[nodiscard]] bool has_written_text() const { return has_written_text_; }

private:
    void write_record(const RecordReader& record);
    void write_alert(const RecordReader& record);
    void tell(const report::HeldBack& held);
    void text(const std::function<bool(std::string_view)>& sink, std::string_view text,
              const char* name);
    void write_eve(std::string_view line);
    void fail(const std::string& problem);

    const Sinks* sinks_;
    const RunOptions* options_;
    FindInterface find_interface_;
    capture::FileWriter* writer_;
    capture::FileSink* eve_;
    report::AlertLimiter limiter_;
    std::vector<report::HeldBack> held_back_;
    std::set<std::string, std::less<>> said_once_;
    std::vector<std::vector<std::uint8_t>> taken_;
    std::string line_;
    std::string problem_;
    std::string news_;
    std::uint64_t unwritten_ = 0;
    bool writer_failed_ = false;
    bool eve_failed_ = false;
    bool text_failed_ = false;
    bool has_written_text_ = false;
};

}  // namespace haka::engine
