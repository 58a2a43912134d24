// Tested by: black_box_test.cc
#include "engine/fault_capture.h"

#include <algorithm>

#include "capture/file_writer.h"
#include "wire/headers.h"

namespace haka::engine {
namespace {

ByteView bytes_of(const BlackBox::Packet& packet) {
    return {packet.bytes, packet.size};
}

flow::FlowKey key_of(const BlackBox::Packet& packet) {
    const wire::Headers headers = wire::find_headers(packet.link, bytes_of(packet));
    return headers.ip_version == 0 ? flow::FlowKey{}
                                   : flow::make_flow_key(headers, packet.bytes).key;
}

std::vector<const BlackBox::Packet*> packets_of_interest(const BlackBox& box) {
    if (const BlackBox::Seen fault = box.fault(); fault.has_fault) {
        return box.last_packets(fault.worker);
    }
    std::vector<const BlackBox::Packet*> newest;
    for (std::uint32_t i = 0; i < box.workers(); ++i) {
        auto packets = box.last_packets(i);
        if (!packets.empty() && (newest.empty() || packets.back()->when > newest.back()->when)) {
            newest = std::move(packets);
        }
    }
    return newest;
}

}  // namespace

FaultCapture write_last_packets(const BlackBox& box, const std::string& path) {
    const auto packets = packets_of_interest(box);
    if (packets.empty()) {
        return {};
    }
    auto opened = capture::FileWriter::open(path);
    if (opened.writer == nullptr) {
        return {.packets = 0, .error = std::move(opened.error)};
    }
    const flow::FlowKey wanted = key_of(*packets.back());
    const capture::Interface interface {
        .link = packets.back()->link, .snaplen = BlackBox::kBytesMax, .name = {}
    };
    opened.writer->describe({interface});
    FaultCapture result;
    for (const BlackBox::Packet* const packet : packets) {
        if (packet->link != interface.link || !(key_of(*packet) == wanted)) {
            continue;
        }
        opened.writer->write({.interface = &interface,
                              .interface_index = 0,
                              .when = packet->when,
                              .original_size = packet->original_size,
                              .bytes = bytes_of(*packet),
                              .comment = packet == packets.back() ? "at work" : ""});
        result.packets += 1;
    }
    opened.writer->flush();
    result.error = opened.writer->error();
    return result;
}

}  // namespace haka::engine
