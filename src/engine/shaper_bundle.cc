// Bytes of several packets that leave together, cut to full segments: what a rule made shorter or
// longer would leave as twice as many segments otherwise, and each may get lost.
// Tested by: shaper_test.cc
#include <algorithm>

#include "engine/shaper.h"
#include "wire/tcp.h"

namespace haka::engine {

namespace {

constexpr std::uint32_t kTimestampOption = 12;  // With its NOPs.

// What routers, and the receiver because of them, are told by each packet (RFC 3168).
std::uint16_t marks_of(const output::Head& head) {
    const std::uint8_t* const net = head.bytes.data() + head.headers.net;
    const std::uint8_t service =
        head.headers.ip_version == 4 ? net[1] : static_cast<std::uint8_t>(load_be16(net) >> 4);
    const std::uint8_t flags = head.bytes[head.headers.transport + 13];
    return static_cast<std::uint16_t>(service << 8 | (flags & (wire::kEce | wire::kCwr)));
}

bool can_join(const output::Head& a, const output::Head& b) {
    return a.shape.size_max == 0 && b.shape.size_max == 0 && marks_of(a) == marks_of(b);
}

}  // namespace

bool Shaper::add_to_bundle(Scene& scene, Lane& lane, bool of_client, output::Head head,
                           Stretch stretch, bool is_item) {
    if (!live() || (lane.bundle.empty() && !lane.outlet.edited())) {  // As they came.
        return send_pieces(scene, lane, of_client, head, stretch, is_item);
    }
    const bool shaped = is_item && scene.item->shape != nullptr;
    if (!lane.bundle.empty() &&
        (lane.bundle.to != stretch.from || shaped || !can_join(lane.bundle.head, head)) &&
        !send_bundle(scene, lane, of_client, BundleEnd::Leaves)) {
        return false;
    }
    Bundle& bundle = lane.bundle;
    if (bundle.empty()) {
        bundle.from = stretch.from;
        bundle.push = false;
    }
    bundle.to = stretch.to;
    bundle.fin = stretch.fin;
    bundle.push = bundle.push || stretch.push;
    if (is_item || bundle.head.bytes.empty() || bundle.from == stretch.from) {
        bundle.head = std::move(head);
    }
    bundle.has_item = bundle.has_item || is_item;
    return (!bundle.fin && !shaped) || send_bundle(scene, lane, of_client, BundleEnd::Leaves);
}

// Full segments leave; the rest, too, or it waits for what the batch still brings.
bool Shaper::send_bundle(Scene& scene, Lane& lane, bool of_client, BundleEnd end) {
    Bundle& bundle = lane.bundle;
    // What was acknowledged meanwhile is forgotten.
    bundle.from = std::max({bundle.from, lane.outlet.kept_begin(), lane.outlet.acked()});
    if (bundle.from > bundle.to || bundle.empty() || bundle.to < lane.outlet.sent()) {
        bundle.from = bundle.to;
        bundle.fin = false;
        return true;
    }
    Stretch stretch{.from = bundle.from, .to = bundle.to, .fin = bundle.fin, .push = bundle.push};
    if (end == BundleEnd::Waits && !bundle.fin) {
        stretch.to -= (bundle.to - bundle.from) % piece_max(scene, of_client, bundle.head);
    }
    const bool waits = stretch.to != bundle.to;
    stretch.push = stretch.push && !waits;
    bundle.from = stretch.to;
    bundle.fin = false;
    const bool has_item = std::exchange(bundle.has_item, false);
    if (stretch.from != stretch.to || stretch.fin) {
        // The lane may be gone when the last one has left.
        const output::Head head = std::move(bundle.head);
        bundle.head = {};
        if (!send_pieces(scene, lane, of_client, head, stretch, has_item)) {
            return false;
        }
        bundle.head = head;
    }
    if (!waits) {
        return true;
    }
    if (bundle.head.headers.payload - bundle.head.headers.transport > 20 + kTimestampOption) {
        bundle.head = output::waiting_head(bundle.head);  // Its SACK blocks will be old.
    }
    if (!bundle.listed) {
        bundle.listed = true;
        bundles_.push_back(
            {.id = scene.connection.id, .index = scene.connection.index, .of_client = of_client});
    }
    return true;
}

bool Shaper::end_bundle(flow::Connection& connection, Listener& listener, bool of_client,
                        Instant now) {
    Lane* const lane = place(listener, of_client).get();
    if (lane == nullptr) {
        return true;
    }
    lane->bundle.listed = false;
    Scene scene{.connection = connection,
                .listener = &listener,
                .item = nullptr,
                .from_client = of_client,
                .now = now};
    if (!send_carriers(scene, *lane, nullptr)) {
        return false;
    }
    arm(scene, *lane, of_client);
    return true;
}

}  // namespace haka::engine
