#include "engine/black_box.h"

#include <algorithm>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace haka::engine {
namespace {

constexpr std::size_t kProbesMax = 32;

void copy_text(char* to, std::uint32_t& size, std::string_view text) {
    size = static_cast<std::uint32_t>(std::min(text.size(), BlackBox::kTextMax - 1));
    text.copy(to, size);
    to[size] = '\0';
}

// A part of fresh, zeroed memory as `count` objects of a type that zeroes are a value of.
template <typename T>
std::span<T> part(std::byte*& at, std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    auto* const first = new (at) T[count]{};  // NOLINT: placed in the shared memory.
    at += sizeof(T) * count;
    return {first, count};
}

constexpr std::size_t rounded(std::size_t size) {
    return (size + 63) / 64 * 64;
}

}  // namespace

BlackBox::BlackBox(std::uint32_t workers, std::uint32_t packets, std::uint64_t seed)
    : workers_(workers), packets_(packets), secret_(flow::HashKey::from_seed(seed)) {
    const std::size_t total = std::size_t{workers} * packets;
    size_ = rounded(sizeof(Shared)) + rounded(sizeof(Ring) * workers) + sizeof(Packet) * total;
    void* const memory =
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {  // NOLINT: the system's cast.
        throw std::bad_alloc();
    }
    auto* const begin = static_cast<std::byte*>(memory);
    std::byte* at = begin;
    shared_ = part<Shared>(at, 1).data();
    at = begin + rounded(sizeof(Shared));
    rings_ = part<Ring>(at, workers);
    at = begin + rounded(sizeof(Shared)) + rounded(sizeof(Ring) * workers);
    // Their pages are taken when a packet comes.
    all_packets_ = {static_cast<Packet*>(static_cast<void*>(at)), total};
}

BlackBox::~BlackBox() {
    munmap(shared_, size_);
}

BlackBox::Ring& BlackBox::ring(std::uint32_t worker) const {
    return rings_[worker];
}

BlackBox::Packet& BlackBox::packet(std::uint32_t worker, std::uint64_t number) const {
    return all_packets_[std::size_t{worker} * packets_ + number % packets_];
}

void BlackBox::note_packet(std::uint32_t worker, const Frame& frame) {
    if (packets_ == 0) {
        return;
    }
    Ring& mine = ring(worker);
    const std::uint64_t number = mine.count.load(std::memory_order_relaxed);
    Packet& kept = packet(worker, number);
    kept.when = frame.when;
    kept.number = frame.number;
    kept.size = std::min(frame.size, kBytesMax);
    kept.original_size = frame.original_size;
    kept.interface = frame.interface;
    kept.link = frame.link;
    std::memcpy(kept.bytes, frame.data, kept.size);
    mine.count.store(number + 1, std::memory_order_release);
}

std::uint64_t BlackBox::hash(const flow::FlowKey& key) const {
    return flow::hash_flow(key, secret_) | 1;  // 0 is a free place.
}

bool BlackBox::note_edited(const flow::FlowKey& key) {
    const std::uint64_t wanted = hash(key);
    for (std::size_t i = 0; i < kProbesMax; ++i) {
        std::uint64_t there = 0;
        std::atomic<std::uint64_t>& place = shared_->edited[(wanted + i) % kEditedMax];
        if (place.compare_exchange_strong(there, wanted) || there == wanted) {
            return true;
        }
    }
    const std::size_t first = wanted % kEditedMax;
    shared_->crowded[first / 64].fetch_or(std::uint64_t{1} << first % 64);
    return false;
}

void BlackBox::forget_edited(const flow::FlowKey& key) {
    const std::uint64_t wanted = hash(key);
    for (std::size_t i = 0; i < kProbesMax; ++i) {
        std::uint64_t there = wanted;
        if (shared_->edited[(wanted + i) % kEditedMax].compare_exchange_strong(there, 0)) {
            return;
        }
    }
}

bool BlackBox::is_edited(const flow::FlowKey& key) const {
    const std::uint64_t wanted = hash(key);
    for (std::size_t i = 0; i < kProbesMax; ++i) {
        if (shared_->edited[(wanted + i) % kEditedMax].load() == wanted) {
            return true;
        }
    }
    const std::size_t first = wanted % kEditedMax;
    return (shared_->crowded[first / 64].load() >> first % 64 & 1U) != 0;
}

void BlackBox::note_fault(const Fault& fault) {
    std::uint32_t none = 0;
    if (!shared_->has_fault.compare_exchange_strong(none, 1)) {
        return;
    }
    shared_->fault_worker = fault.worker;
    copy_text(shared_->rule, shared_->rule_size, fault.rule);
    copy_text(shared_->what, shared_->what_size, fault.what);
    shared_->has_fault.store(2);
}

void BlackBox::begin() {
    shared_->open.store(0);
    shared_->generation.fetch_add(1);
    shared_->has_fault.store(0);
    for (Ring& each : rings_) {
        each.count.store(0);
    }
}

BlackBox::Seen BlackBox::fault() const {
    if (shared_->has_fault.load() != 2) {
        return {};
    }
    return {.has_fault = true,
            .worker = std::min(shared_->fault_worker, workers_ - 1),
            .rule = {shared_->rule, std::min<std::size_t>(shared_->rule_size, kTextMax)},
            .what = {shared_->what, std::min<std::size_t>(shared_->what_size, kTextMax)}};
}

void BlackBox::disable(std::string_view rule) {
    if (shared_->disabled_count < kDisabledMax) {
        std::uint32_t size = 0;
        copy_text(shared_->disabled[shared_->disabled_count], size, rule);
        shared_->disabled_count += 1;
    }
}

std::vector<std::string> BlackBox::disabled() const {
    std::vector<std::string> names;
    for (std::uint32_t i = 0; i < shared_->disabled_count; ++i) {
        names.emplace_back(shared_->disabled[i]);
    }
    return names;
}

std::vector<const BlackBox::Packet*> BlackBox::last_packets(std::uint32_t worker) const {
    std::vector<const Packet*> packets;
    const std::uint64_t count = packets_ == 0 ? 0 : ring(worker).count.load();
    for (std::uint64_t i = count - std::min<std::uint64_t>(count, packets_); i < count; ++i) {
        packets.push_back(&packet(worker, i));
    }
    return packets;
}

}  // namespace haka::engine
