// One history: two model ends talk through lossy links and the engine until both streams have
// arrived, as a plan says.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine.h"
#include "plan.h"

namespace haka::model {

// Engines by policy: they are made once and see many histories, each a connection of its own.
class Engines {
public:
    struct Place {
        std::unique_ptr<Engine> engine;  // Null: none between the ends.
        Instant now{1'000'000'000'000};
        std::uint16_t port = 1024;
    };
    [[nodiscard]] Place& of(const Plan& plan);

private:
    std::map<std::uint64_t, Place> places_;
};

struct Outcome {
    std::string wrong;  // Empty: all is well.
    std::uint64_t steps = 0;
    Duration took;
};

// `trace`, if not null, gets a line for each packet at each place.
[[nodiscard]] Outcome run(const Plan& plan, Engines& engines, std::string* trace);

}  // namespace haka::model
