// Looks at what leaves the engine, and at what rules saw by then (properties P1 to P3):
//
//   all kinds of receivers deliver the same bytes, the same FIN, the same RST;
//   these are the bytes that rules were shown, and no byte before it was.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/link_type.h"
#include "receiver.h"
#include "stream/tracker.h"
#include "wire/headers.h"

namespace haka::receivers {

// A rule behind all others that prints what it is shown, for Watch::printed().
[[nodiscard]] std::string witness();

class Watch {
public:
    // In a file a recorded receiver may have bytes that never came by: where it expects a RST can't
    // be known.
    explicit Watch(stream::Mode mode) : kinds_(all_kinds(mode == stream::Mode::Live)) {}

    // Packet `number` is about to be walked.
    void came(std::uint64_t number, LinkType link, ByteView frame);
    // A line that a rule printed. False: it isn't the witness's.
    bool printed(std::string_view line);
    void left(LinkType link, ByteView frame);

    // What doesn't hold; empty: nothing.
    [[nodiscard]] const std::string& wrong() const { return wrong_; }
    // Bytes that receivers delivered.
    [[nodiscard]] std::uint64_t delivered() const { return delivered_; }

private:
    struct Side {
        std::vector<Receiver> receivers;
        std::string shown;
        bool has_gap = false;  // `shown` ends before it.
        bool has_time = false;
        std::uint64_t delivered = 0;
    };
    // Of a pair of ends; sides by who sends: the client first.
    struct Talk {
        std::array<Side, 2> sides;
        std::uint32_t isn = 0;  // The client's.
        bool began = false;     // Its SYN has left.
        bool ended = false;     // No rule looks at it any more.
        bool is_vague = false;  // A RST came before the bytes that it stands behind.
        std::string client{};
    };
    struct Syn {
        std::string ends;
        std::string client;
        std::uint32_t isn = 0;
    };

    Talk& begin(const Syn& syn);
    [[nodiscard]] static bool is_over(const Talk& talk);
    void compare(const std::string& ends, const Talk& talk, std::size_t side);
    void fail(std::string what);

    std::vector<Kind> kinds_;
    std::map<std::string, Talk, std::less<>> talks_;  // By both ends.
    std::map<std::uint64_t, Syn> syns_;               // By packet.
    std::string wrong_;
    std::uint64_t delivered_ = 0;
};

}  // namespace haka::receivers
