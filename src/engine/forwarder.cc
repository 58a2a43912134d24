// Tested by: forwarder_test.cc
#include "engine/forwarder.h"

#include <utility>

#include "capture/packet_pair.h"
#include "flow/flow_key.h"
#include "wire/headers.h"

namespace haka::engine {
namespace {

bool is_edited(const BlackBox& box, const Frame& frame) {
    const wire::Headers headers = wire::find_headers(frame.link, frame.bytes());
    return headers.ip_version != 0 && headers.protocol == wire::kProtocolTcp &&
           headers.transport_ok && box.is_edited(flow::make_flow_key(headers, frame.data).key);
}

}  // namespace

std::unique_ptr<Forwarder> Forwarder::open(const LiveInput& input, const LiveSettings& settings,
                                           const BlackBox& box) {
    auto opened = capture::open_packet_pair(
        {.interface = input.interface, .peer = input.peer, .settings = settings, .workers = 1});
    return opened.sources.empty()
               ? nullptr
               : std::make_unique<Forwarder>(std::move(opened.sources.front()), box);
}

bool Forwarder::turn(Instant wall) {
    const std::span<Frame> frames = way_->receive(wall);
    for (const Frame& frame : frames) {
        if (!is_edited(*box_, frame)) {
            way_->pass(frame);
        }
    }
    way_->finish_batch();
    return !frames.empty();
}

}  // namespace haka::engine
