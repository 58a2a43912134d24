#include "output/reset.h"

#include <algorithm>

#include "wire/build.h"

namespace haka::output {
namespace {

constexpr std::uint8_t kRst = 4;
constexpr std::uint8_t kAck = 16;

std::uint32_t next_seq(const flow::Half& half, std::uint64_t offset) {
    return half.isn + 1 + static_cast<std::uint32_t>(offset);
}

std::vector<std::uint8_t> turned(ByteView link, LinkType type) {
    std::vector<std::uint8_t> bytes(link.begin(), link.end());
    if (type == LinkType::Ethernet && bytes.size() >= 12) {
        std::swap_ranges(bytes.begin(), bytes.begin() + 6, bytes.begin() + 6);
    }
    return bytes;
}

}  // namespace

void make_resets(const flow::Connection& connection, Received received, ByteView link,
                 LinkType link_type, std::vector<Reset>& out) {
    const flow::Endpoint& client = connection.client();
    const flow::Endpoint& server = connection.server();
    const flow::Half& sent_by_client = connection.half(true);
    const flow::Half& sent_by_server = connection.half(false);
    const bool server_seen = sent_by_server.seen;

    Reset to_client;
    to_client.to_client = true;
    wire::build_tcp(turned(link, link_type), {.src = server.ip(), .dst = client.ip()},
                    {.srcport = server.port,
                     .dstport = client.port,
                     .seq = server_seen ? next_seq(sent_by_server, received.by_client) : 0,
                     .ack_seq = next_seq(sent_by_client, received.sent_by_client),
                     .flags = kRst | kAck},
                    {}, to_client.bytes);
    out.push_back(std::move(to_client));
    if (!server_seen) {
        return;
    }
    Reset to_server;
    wire::build_tcp(link, {.src = client.ip(), .dst = server.ip()},
                    {.srcport = client.port,
                     .dstport = server.port,
                     .seq = next_seq(sent_by_client, received.by_server),
                     .ack_seq = next_seq(sent_by_server, received.sent_by_server),
                     .flags = kRst | kAck},
                    {}, to_server.bytes);
    out.push_back(std::move(to_server));
}

}  // namespace haka::output
