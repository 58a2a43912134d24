// One direction of a link: delays, loses, reorders and duplicates what is sent over it, as its
// seed says.
#pragma once

#include <cstdint>
#include <vector>

#include "base/time.h"
#include "packet.h"
#include "random.h"

namespace haka::model {

struct PathOptions {
    std::uint32_t delay_ms = 5;
    std::uint32_t loss = 0;       // Percent.
    std::uint32_t reorder = 0;    // Percent that come late.
    std::uint32_t duplicate = 0;  // Percent that come twice.
};

class Path {
public:
    Path(const PathOptions& options, std::uint64_t seed) : options_(options), random_(seed) {}

    // False: it is lost.
    bool send(Instant now, Bytes frame);
    [[nodiscard]] bool empty() const { return waiting_.empty(); }
    // When the next frame arrives; the far future: none is on its way.
    [[nodiscard]] Instant next() const;
    // Precondition: not empty.
    [[nodiscard]] Bytes take();

private:
    struct Waiting {
        Instant when;
        std::uint64_t number = 0;
        Bytes frame;
    };
    static bool is_later(const Waiting& a, const Waiting& b);
    void add(Instant when, Bytes frame);

    PathOptions options_;
    Random random_;
    std::vector<Waiting> waiting_;  // A heap, the next first.
    std::uint64_t number_ = 0;
};

}  // namespace haka::model
