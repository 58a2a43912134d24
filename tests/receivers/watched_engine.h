// A worker whose packets walk one by one under the eyes of a Watch.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "base/settings.h"
#include "base/time.h"
#include "engine/journal.h"
#include "engine/worker.h"
#include "watch.h"

namespace haka::receivers {

class WatchedEngine {
public:
    // The witness runs behind `policy`. `error` says why it can't be loaded.
    [[nodiscard]] static std::unique_ptr<WatchedEngine> make(const std::string& policy,
                                                             const Settings& settings,
                                                             stream::Mode mode, std::string& error);

    void walk(LinkType link, ByteView frame, std::uint32_t original_size, Instant when,
              Watch& watch);
    // What has not yet left does, or is dropped.
    void finish(Watch& watch);
    // How many packets have come and were made, and what became of them, agree.
    [[nodiscard]] bool adds_up() const;
    // From now on: what comes, leaves and is printed, as lines.
    void set_trace(std::string* trace) { trace_ = trace; }

private:
    void take(Watch& watch);

    std::unique_ptr<engine::Worker> worker_;
    engine::Journal journal_;
    std::atomic<bool> stop_{false};
    std::vector<std::uint8_t> bytes_;
    std::vector<std::uint8_t> records_;
    std::uint64_t number_ = 0;
    LinkType link_ = LinkType::Raw;
    std::string* trace_ = nullptr;
};

}  // namespace haka::receivers
