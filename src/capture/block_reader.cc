#include "capture/block_reader.h"

#include <algorithm>
#include <cassert>
#include <fmt/format.h>

#include "capture/gzip_source.h"

namespace haka::capture {
namespace {

constexpr std::size_t kFirstRead = 4096;

}  // namespace

BlockReader::Opened BlockReader::open(std::unique_ptr<ByteSource> source, std::string name,
                                      std::size_t block_size) {
    assert(block_size > 0);
    std::unique_ptr<BlockReader> reader(
        new BlockReader(std::move(source), std::move(name), block_size));
    std::string error = reader->detect();
    if (error.empty()) {
        error = reader->start();
    }
    if (!error.empty()) {
        return {.reader = nullptr, .error = reader->name_ + ": " + error};
    }
    return {.reader = std::move(reader), .error = {}};
}

// Finds out whether the source is packed, and its format.
std::string BlockReader::detect() {
    if (grow_tail(2) && looks_like_gzip(tail_)) {
        source_ = gzip_source(std::move(source_), std::move(tail_));
        is_gzip_ = true;
        is_drained_ = false;
        tail_.clear();
    }
    if (!grow_tail(4)) {
        if (!source_error_.empty()) {
            return end_text(tail_);
        }
        return tail_.empty() ? "the file is empty; capture it again"
                             : "not a pcap or pcapng file (it has less than 4 bytes); capture it "
                               "again";
    }
    std::string error;
    format_ = detect_format(tail_, error);
    return error;
}

// Reads up to the first interface, so that open() can refuse what read() could never give.
std::string BlockReader::start() {
    std::vector<Frame> none;
    while (!format_->is_started()) {
        const Scan scan = format_->scan(tail_, none);
        assert(none.empty());
        tail_.erase(tail_.begin(), tail_.begin() + static_cast<std::ptrdiff_t>(scan.used));
        offset_ += scan.used;
        switch (scan.outcome) {
            case Scan::Outcome::Again:
                break;
            case Scan::Outcome::Wants:
                if (!grow_tail(scan.wants)) {
                    const bool is_sound =
                        tail_.empty() && format_->may_end() && source_error_.empty();
                    return is_sound ? std::string() : end_text(tail_) + "; capture it again";
                }
                break;
            case Scan::Outcome::Damage:
                return fmt::format("{} {}; capture it again", scan.problem,
                                   at_byte(offset_, tail_));
            case Scan::Outcome::Refused:
                return scan.problem;
        }
    }
    return {};
}

bool BlockReader::grow_tail(std::size_t size) {
    while (tail_.size() < size && !is_drained_) {
        filled_ = tail_.size();
        tail_.resize(std::max(size, filled_ + std::min(kFirstRead, block_size_)));
        // A source that failed may still have given bytes before.
        fill(tail_, Wait::Yes);
        tail_.resize(filled_);
    }
    return tail_.size() >= size;
}

bool BlockReader::read(Block& block) {
    block.frames.clear();
    if (is_over_) {
        damage_ = pending_damage_;
        return false;
    }
    std::vector<std::uint8_t>& bytes = block.bytes;
    // Only ever grown, so that its memory is cleared once, not for every block.
    bytes.resize(std::max({bytes.size(), block_size_, tail_.size()}));
    std::copy(tail_.begin(), tail_.end(), bytes.begin());
    filled_ = tail_.size();
    scanned_ = 0;
    tail_.clear();

    fill(bytes, Wait::No);
    for (;;) {
        const MutableByteView unread(bytes.data() + scanned_, filled_ - scanned_);
        const Scan scan = format_->scan(unread, block.frames);
        scanned_ += scan.used;
        offset_ += scan.used;
        const MutableByteView rest = unread.subspan(scan.used);
        if (scan.outcome == Scan::Outcome::Again) {
            continue;
        }
        if (scan.outcome != Scan::Outcome::Wants || is_drained_) {
            end(scan, rest);
            break;
        }
        if (!block.frames.empty()) {
            tail_.assign(rest.begin(), rest.end());
            break;
        }
        make_room(bytes, scan.wants);
        fill(bytes, Wait::Yes);
    }
    if (block.frames.empty()) {
        damage_ = pending_damage_;
        return false;
    }
    return true;
}

// Appends what the source has, behind `filled_`. Waits at most for the first byte.
bool BlockReader::fill(std::vector<std::uint8_t>& bytes, Wait wait) {
    const std::size_t before = filled_;
    while (filled_ < bytes.size() && !is_drained_) {
        const MutableByteView room(bytes.data() + filled_, bytes.size() - filled_);
        auto got = source_->read(room, filled_ > before ? Wait::No : wait);
        switch (got.state) {
            case ByteSource::State::Data:
                filled_ += got.size;
                break;
            case ByteSource::State::Later:
                return filled_ > before;
            case ByteSource::State::End:
                is_drained_ = true;
                break;
            case ByteSource::State::Failed:
                is_drained_ = true;
                source_error_ = std::move(got.error);
                break;
        }
    }
    return filled_ > before;
}

// Makes room for a record of `wants` bytes and for at least one byte more. No frame may point into
// `bytes`.
void BlockReader::make_room(std::vector<std::uint8_t>& bytes, std::size_t wants) {
    assert(wants <= kRecordSizeMax);
    const std::size_t size = filled_ - scanned_;
    std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(scanned_), size, bytes.begin());
    scanned_ = 0;
    filled_ = size;
    if (wants > bytes.size()) {
        bytes.resize(wants);
    }
}

// The file is over: with `rest` where it ended or broke.
void BlockReader::end(const Scan& scan, ByteView rest) {
    is_over_ = true;
    switch (scan.outcome) {
        case Scan::Outcome::Damage:
            pending_damage_ = fmt::format("{}: {} {}", name_, scan.problem, at_byte(offset_, rest));
            break;
        case Scan::Outcome::Refused:
            pending_damage_ =
                fmt::format("{}: {}; met {}", name_, scan.problem, at_byte(offset_, rest));
            break;
        case Scan::Outcome::Again:
        case Scan::Outcome::Wants:
            if (!rest.empty() || !source_error_.empty() || !format_->may_end()) {
                pending_damage_ = name_ + ": " + end_text(rest);
            }
            break;
    }
}

std::string BlockReader::end_text(ByteView rest) const {
    return fmt::format("{} {}", source_error_.empty() ? "truncated" : source_error_,
                       at_byte(offset_ + rest.size(), rest));
}

std::string BlockReader::at_byte(std::uint64_t offset, ByteView rest) const {
    return fmt::format("at byte {}{} ({})", offset, is_gzip_ ? " of the uncompressed data" : "",
                       format_ != nullptr ? format_->place(rest) : "inside the file header");
}

}  // namespace haka::capture
