// Where packets leave while they are walked: of a live run. A file's packets leave by the journal.
#pragma once

#include <optional>

#include "packet/packet.h"

namespace haka::capture {

enum class Origin : std::uint8_t {
    Packet,  // What the packet with the frame's number became.
    Ours     // The engine or its policy made it.
};

struct Leaving {
    Origin origin = Origin::Packet;
    std::uint16_t segment_size = 0;  // Of TCP payload that its receiver takes at once; 0: unknown.
};

class WayOut {
public:
    WayOut() = default;
    virtual ~WayOut() = default;
    WayOut(const WayOut&) = delete;
    WayOut& operator=(const WayOut&) = delete;

    // The frame leaves with the bytes that it came with.
    virtual void pass(const Frame& frame) = 0;
    // The kernel's mark of the packet that the frame came as; none where the source has no marks,
    // or the frame doesn't come from the batch at hand.
    [[nodiscard]] virtual std::optional<std::uint32_t> mark(const Frame& /*frame*/) const {
        return std::nullopt;
    }
    // With which it goes on; false as above.
    virtual bool set_mark(const Frame& /*frame*/, std::uint32_t /*mark*/) { return false; }

    // A frame that is changed or new leaves, by the side that isn't `frame.interface`. Its bytes
    // count now: the caller may write over them.
    virtual void send(const Frame& frame, Leaving leaving) = 0;
};

}  // namespace haka::capture
