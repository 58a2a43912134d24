// Fragments of hostile bytes: nothing crashes, limits hold, every frame is accounted for once, and
// what was joined can be cut and joined again.
//
// Input: five bytes of settings, then records of [kind, time step, what the fragment is made of].
#include <algorithm>
#include <cstdint>
#include <vector>

#include "flow/fragments.h"
#include "fuzz.h"
#include "wire/headers.h"

namespace haka {
namespace {

using fuzz::Input;
using fuzz::require;

// Few addresses and numbers, so that fragments meet: only offset, flags and size are free.
std::vector<std::uint8_t> fragment(bool is_ipv4, Input& input) {
    const std::uint8_t place = input.byte();
    const std::uint8_t flags = input.byte();
    std::vector<std::uint8_t> data = input.bytes(input.byte() % 64U);
    const std::uint32_t offset = (flags & 0x80) != 0 ? 8176U + place % 16U : place % 16U;
    std::vector<std::uint8_t> ip(is_ipv4 ? 20 : 48);
    if (is_ipv4) {
        ip.resize(20 + (flags >> 2) % 4U * 4, flags);
        ip[0] = static_cast<std::uint8_t>(0x40 | ip.size() / 4);
        store_be16(&ip[2], static_cast<std::uint16_t>(ip.size() + data.size()));
        ip[5] = place >> 6;
        store_be16(&ip[6], static_cast<std::uint16_t>((flags & 1U) << 13 | offset));
    } else {
        ip[0] = 0x60;
        store_be16(&ip[4], static_cast<std::uint16_t>(8 + data.size()));
        ip[6] = 44;
        ip[40] = flags;
        store_be16(&ip[42], static_cast<std::uint16_t>(offset << 3 | (flags & 1U)));
        ip[47] = place >> 6;
    }
    ip.insert(ip.end(), data.begin(), data.end());
    return ip;
}

void check_joined(const flow::Defragmenter& defragmenter, std::uint8_t shrink) {
    const Frame& joined = defragmenter.joined();
    const wire::Headers headers = wire::find_headers(joined.link, joined.bytes());
    require(headers.ip_version == defragmenter.shape().ip_version);
    require(headers.end == joined.size && headers.cut == 0);
    flow::FragmentShape shape = defragmenter.shape();
    flow::Recut cut;
    require(flow::recut(joined, shape, cut));
    shape.size_max -= std::min<std::uint32_t>(shape.size_max, shrink);
    if (!flow::recut(joined, shape, cut) || cut.frames.size() == 1) {
        return;
    }
    flow::Defragmenter again({.fragments_per_datagram_max = 10'000}, 2);
    auto kind = flow::FragmentOutcome::Held;
    for (const Frame& frame : cut.frames) {
        require(kind == flow::FragmentOutcome::Held);
        require(frame.size - shape.net <= shape.size_max);
        const wire::Headers of_frame = wire::find_headers(frame.link, frame.bytes());
        require(of_frame.fragment);
        kind = again.add(frame, of_frame, Instant{}).kind;
    }
    require(kind == flow::FragmentOutcome::Joined);
    const ByteView rejoined = again.joined().bytes();
    require(std::equal(rejoined.begin(), rejoined.end(), joined.data, joined.data + joined.size));
}

void run(Input input) {
    FragmentSettings settings;
    settings.datagrams_max = input.byte() % 8U;
    settings.fragments_per_datagram_max = input.byte() % 32U;
    settings.bytes_max = input.byte() * 64U;
    settings.timeout = kSecond * (input.byte() % 8);
    flow::Defragmenter defragmenter(settings, input.byte());
    std::vector<int> seen(1);
    const auto count_dropped = [&] {
        for (const auto& dropped : defragmenter.dropped()) {
            ++seen[dropped.number];
        }
    };
    Instant now;
    while (!input.empty()) {
        const std::uint8_t kind = input.byte();
        now = now + kMillisecond * (100 * static_cast<std::int8_t>(input.byte()));
        if (defragmenter.due(now)) {
            defragmenter.expire(now);
            count_dropped();
        }
        std::vector<std::uint8_t> bytes =
            kind % 4 == 3 ? input.bytes(input.byte()) : fragment(kind % 2 == 0, input);
        Frame frame;
        frame.data = bytes.data();
        frame.size = frame.original_size = static_cast<std::uint32_t>(bytes.size());
        frame.link = LinkType::Raw;
        frame.number = seen.size();
        const wire::Headers headers = wire::find_headers(frame.link, frame.bytes());
        if (!headers.fragment) {
            continue;
        }
        seen.push_back(0);
        const auto outcome = defragmenter.add(frame, headers, now);
        count_dropped();
        seen[frame.number] += outcome.kind == flow::FragmentOutcome::Refused ? 1 : 0;
        for (const Frame& original : defragmenter.originals()) {
            ++seen[original.number];
        }
        if (outcome.kind == flow::FragmentOutcome::Joined) {
            check_joined(defragmenter, kind);
        }
        require(defragmenter.datagrams() <= settings.datagrams_max);
        require(defragmenter.held_bytes() <= settings.bytes_max);
    }
    defragmenter.finish();
    count_dropped();
    require(defragmenter.held_bytes() == 0 && defragmenter.datagrams() == 0);
    require(std::all_of(seen.begin() + 1, seen.end(), [](int count) { return count == 1; }));
}

}  // namespace
}  // namespace haka

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    haka::run(haka::fuzz::Input({data, size}));
    return 0;
}
