#include "engine/conveyor.h"

#include <algorithm>

#include "wire/icmp_quote.h"

namespace haka::engine {

namespace {

// An ICMP error belongs to the worker of the connection that it quotes.
void point_at_owner(wire::Headers& headers, const Frame& frame) {
    wire::IcmpQuote quote;
    if (wire::find_icmp_quote(headers, frame.bytes(), quote)) {
        headers.ip_version = quote.ip_version;
        headers.net = quote.addresses - (quote.ip_version == 4 ? 12 : 8);
    }
}

}  // namespace

Conveyor::Conveyor(capture::FileReader& reader, capture::Filter* filter, std::uint32_t workers,
                   std::uint64_t seed)
    : reader_(&reader),
      filter_(filter),
      workers_(workers),
      spread_key_(flow::HashKey::from_seed(seed)) {
    for (std::uint32_t i = 0; i < workers + kSpareStages; ++i) {
        free_.push_back(std::make_unique<Stage>(workers));
    }
    for (const capture::Interface& interface : reader.interfaces()) {
        interfaces_.push_back(interface);
    }
}

Stage* Conveyor::find(std::uint64_t sequence) {
    if (active_.empty() || sequence < active_.front()->sequence ||
        sequence - active_.front()->sequence >= active_.size()) {
        return nullptr;
    }
    return active_[sequence - active_.front()->sequence].get();
}

Stage* Conveyor::enter(std::uint64_t sequence) {
    std::unique_lock lock(mutex_);
    while (true) {
        if (stopped_) {
            return nullptr;
        }
        if (Stage* stage = find(sequence); stage != nullptr) {
            return stage;
        }
        if (ended_ && sequence >= next_) {
            return nullptr;
        }
        if (!loading_ && !ended_ && sequence == next_ && !free_.empty()) {
            load(lock);
        } else {
            changed_.wait(lock);
        }
    }
}

// Before any worker sees the frames: rules write into them, addresses included.
void Conveyor::spread(std::vector<Frame>& frames) const {
    wire::Headers headers;
    for (Frame& frame : frames) {
        wire::find_headers(frame.link, frame.bytes(), headers);
        point_at_owner(headers, frame);
        frame.worker = static_cast<std::uint8_t>(
            flow::hash_address_pair(headers, frame.data, spread_key_) % workers_);
    }
}

// Reads without the lock; `loading_` keeps the others from reading too.
void Conveyor::load(std::unique_lock<std::mutex>& lock) {
    loading_ = true;
    std::unique_ptr<Stage> stage = std::move(free_.back());
    free_.pop_back();
    lock.unlock();
    bool has_block = reader_->read(stage->block);
    while (has_block && filter_ != nullptr) {
        std::erase_if(stage->block.frames,
                      [this](const Frame& frame) { return !filter_->matches(frame); });
        if (!stage->block.frames.empty()) {
            break;
        }
        has_block = reader_->read(stage->block);
    }
    if (workers_ > 1) {
        spread(stage->block.frames);
    }
    const std::uint64_t position = reader_->position();
    lock.lock();
    const std::vector<capture::Interface>& known = reader_->interfaces();
    for (std::size_t i = interfaces_.size(); i < known.size(); ++i) {
        interfaces_.push_back(known[i]);
    }
    loading_ = false;
    position_ = position;
    if (has_block) {
        stage->sequence = next_++;
        stage->in_use = workers_;
        stage->position = position;
        active_.push_back(std::move(stage));
    } else {
        ended_ = true;
        free_.push_back(std::move(stage));
        done_.notify_all();
    }
    changed_.notify_all();
}

void Conveyor::take_out(Stage& stage) {
    const auto place = std::ranges::find_if(
        active_, [&stage](const auto& candidate) { return candidate.get() == &stage; });
    free_.push_back(std::move(*place));
    active_.erase(place);
}

void Conveyor::leave(Stage& stage) {
    const std::lock_guard lock(mutex_);
    stage.in_use -= 1;
    if (stage.in_use != 0) {
        return;
    }
    // Only the last one may look: until then others write into their journals.
    const bool silent =
        std::ranges::all_of(stage.journals, [](Journal& journal) { return journal.empty(); });
    // Nothing to write, and nothing older to wait for: no need to wake the writer.
    if (silent && active_.front().get() == &stage) {
        take_out(stage);
        changed_.notify_all();
    }
    if ((!active_.empty() && active_.front()->in_use == 0) || (active_.empty() && ended_)) {
        done_.notify_all();
    }
}

Stage* Conveyor::next_done(std::chrono::milliseconds patience) {
    std::unique_lock lock(mutex_);
    const auto ready = [this] {
        return (!active_.empty() && active_.front()->in_use == 0) ||
               (active_.empty() && (ended_ || stopped_));
    };
    if (!done_.wait_for(lock, patience, ready) || active_.empty()) {
        return nullptr;
    }
    return active_.front().get();
}

void Conveyor::recycle(Stage& stage) {
    const std::lock_guard lock(mutex_);
    take_out(stage);
    changed_.notify_all();
}

bool Conveyor::is_over() {
    const std::lock_guard lock(mutex_);
    return active_.empty() && !loading_ && (ended_ || stopped_);
}

bool Conveyor::is_reading() {
    const std::lock_guard lock(mutex_);
    return loading_;
}

std::vector<Stage*> Conveyor::unfinished() {
    const std::lock_guard lock(mutex_);
    std::vector<Stage*> stages;
    for (const auto& stage : active_) {
        stages.push_back(stage.get());
    }
    return stages;
}

void Conveyor::stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
    done_.notify_all();
}

const capture::Interface* Conveyor::interface(std::uint32_t index) {
    const std::lock_guard lock(mutex_);
    return index < interfaces_.size() ? &interfaces_[index] : &interfaces_.front();
}

std::uint64_t Conveyor::position() {
    const std::lock_guard lock(mutex_);
    return position_;
}

}  // namespace haka::engine
