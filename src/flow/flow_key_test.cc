#include "flow/flow_key.h"

#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace haka::flow {
namespace {

// What a packet's key is made of. Addresses are text.
struct Ends {
    const char* source;
    const char* destination;
    std::uint16_t source_port = 0;
    std::uint16_t destination_port = 0;

    [[nodiscard]] Ends swapped() const {
        return {destination, source, destination_port, source_port};
    }
};

struct Packet {
    std::vector<std::uint8_t> bytes;
    wire::Headers headers;
};

// An IP header behind 14 other bytes, and ports: nothing else of a packet enters its key.
Packet packet_of(const Ends& ends) {
    const Address source = *Address::parse(ends.source);
    const Address destination = *Address::parse(ends.destination);
    const bool is_ipv4 = source.family == Family::Ipv4;
    Packet packet;
    packet.bytes.resize(100, 0xee);
    packet.headers.net = 14;
    packet.headers.transport = is_ipv4 ? 34 : 54;
    packet.headers.ip_version = is_ipv4 ? 4 : 6;
    packet.headers.protocol = wire::kProtocolTcp;
    packet.headers.transport_ok = true;
    std::uint8_t* addresses = &packet.bytes[is_ipv4 ? 26 : 22];
    std::memcpy(addresses, source.wire().data(), source.wire().size());
    std::memcpy(addresses + source.wire().size(), destination.wire().data(), source.wire().size());
    store_be16(&packet.bytes[packet.headers.transport], ends.source_port);
    store_be16(&packet.bytes[packet.headers.transport + 2], ends.destination_port);
    return packet;
}

const std::vector<Ends> kPairs = {
    {"10.0.0.1", "10.0.0.2", 2000, 80},   {"10.0.0.2", "10.0.0.1", 80, 2000},
    {"10.0.0.1", "10.0.0.1", 80, 2000},   {"10.0.0.1", "10.0.0.1", 80, 80},
    {"255.0.0.1", "1.0.0.255", 1, 2},     {"2001:db8::1", "2001:db8::2", 2000, 80},
    {"2001:db8::2", "2001:db8::1", 5, 6}, {"::1", "::1", 700, 6},
    {"ff00::", "00ff::", 1, 1},           {"1::8000:0:0:0", "1::7fff:0:0:0", 9, 9},
};

TEST(FlowKeyTest, OrdersTheEndsAndSaysWhichIsTheSource) {
    for (const Ends& ends : kPairs) {
        SCOPED_TRACE(std::string(ends.source) + " " + ends.destination);
        const Packet packet = packet_of(ends);
        const OrderedKey ordered = make_flow_key(packet.headers, packet.bytes.data());
        EXPECT_LE(ordered.key.low, ordered.key.high);
        const Endpoint& source = ordered.source_is_low ? ordered.key.low : ordered.key.high;
        const Endpoint& destination = ordered.source_is_low ? ordered.key.high : ordered.key.low;
        EXPECT_EQ(source.address, Address::parse(ends.source)->bytes);
        EXPECT_EQ(source.port, ends.source_port);
        EXPECT_EQ(destination.address, Address::parse(ends.destination)->bytes);
        EXPECT_EQ(destination.port, ends.destination_port);
    }
}

TEST(FlowKeyTest, IsTheSameForBothDirections) {
    const HashKey secret = HashKey::from_seed(9);
    for (const Ends& ends : kPairs) {
        SCOPED_TRACE(std::string(ends.source) + " " + ends.destination);
        const Packet there = packet_of(ends);
        const Packet back = packet_of(ends.swapped());
        const FlowKey key = make_flow_key(there.headers, there.bytes.data()).key;
        EXPECT_EQ(key, make_flow_key(back.headers, back.bytes.data()).key);
        EXPECT_EQ(hash_address_pair(there.headers, there.bytes.data(), secret),
                  hash_address_pair(back.headers, back.bytes.data(), secret));
    }
}

TEST(FlowKeyTest, HasNoPortsWithoutATransportHeader) {
    Packet packet = packet_of({"1.2.3.4", "1.2.3.5", 7, 8});
    packet.headers.transport_ok = false;
    EXPECT_EQ(make_flow_key(packet.headers, packet.bytes.data()).key.low.port, 0);
    packet.headers.transport_ok = true;
    packet.headers.protocol = wire::kProtocolIcmp;
    EXPECT_EQ(make_flow_key(packet.headers, packet.bytes.data()).key.high.port, 0);
}

TEST(FlowKeyTest, FragmentsAndWholePacketsGoToTheSameWorker) {
    const HashKey secret = HashKey::from_seed(9);
    const Packet whole = packet_of({"1.2.3.4", "1.2.3.5", 7, 8});
    Packet fragment = packet_of({"1.2.3.4", "1.2.3.5", 1, 2});
    fragment.headers.transport_ok = false;
    fragment.headers.fragment = true;
    EXPECT_EQ(hash_address_pair(whole.headers, whole.bytes.data(), secret),
              hash_address_pair(fragment.headers, fragment.bytes.data(), secret));
    EXPECT_NE(hash_address_pair(whole.headers, whole.bytes.data(), secret),
              hash_address_pair(whole.headers, whole.bytes.data(), HashKey::from_seed(10)));
    EXPECT_EQ(hash_address_pair(wire::Headers{}, nullptr, secret), 0U);
}

}  // namespace
}  // namespace haka::flow
