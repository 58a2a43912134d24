// The engine between two links: frames in from one side, frames out to the other.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "base/time.h"
#include "engine/journal.h"
#include "engine/worker.h"
#include "packet.h"

namespace haka::model {

class Engine {
public:
    struct Passing {
        bool from_client = true;  // Where such a packet comes from.
        Bytes frame;
    };

    // `error` says why the policy can't be loaded.
    [[nodiscard]] static std::unique_ptr<Engine> make(const std::string& policy,
                                                      std::string& error);

    // What came at one time, as a batch; what leaves is added to `out`.
    void walk(std::vector<Passing>& came, Instant now, std::vector<Passing>& out);
    void pass_time(Instant now, std::vector<Passing>& out);
    [[nodiscard]] Instant wakes_at() const { return worker_->wakes_at(); }

    // What rules logged since the last call: they log nothing but their failures.
    [[nodiscard]] std::string take_log();
    // How often it dropped for a reason, or remarked on something.
    [[nodiscard]] report::Summary summary() const { return worker_->summary(); }

private:
    void take(std::vector<Passing>& out);

    std::unique_ptr<engine::Worker> worker_;
    engine::Journal journal_;
    std::vector<Frame> frames_;
    std::vector<std::uint8_t> bytes_;
    std::atomic<bool> stop_{false};
    std::uint64_t number_ = 0;
    std::string log_;
};

}  // namespace haka::model
