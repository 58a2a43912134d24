#include "engine/packet_slots.h"

#include <set>

#include <gtest/gtest.h>

#include "wire/build.h"

namespace haka::engine {
namespace {

using Bytes = std::vector<std::uint8_t>;

const wire::IpFields kIp{.src = Address::ipv4(0x0a000001), .dst = Address::ipv4(0x0a000002)};

Bytes ethernet_link() {
    return wire::ethernet_header({.type = 0x0800});
}

// A frame that owns its bytes, as a worker would hold it.
struct Held {
    explicit Held(Bytes frame) : bytes(std::move(frame)) {
        item.frame.data = bytes.data();
        item.frame.size = static_cast<std::uint32_t>(bytes.size());
        item.frame.original_size = item.frame.size;
        item.frame.when = {1234};
        item.frame.number = 7;
        item.frame.interface = 3;
        item.headers = wire::find_headers(LinkType::Ethernet, bytes);
    }

    Bytes bytes;
    Item item;
};

Held udp_frame(std::string_view payload = "hello") {
    Bytes frame;
    wire::build_udp(ethernet_link(), kIp, {.srcport = 53, .dstport = 99}, as_bytes(payload), frame);
    return Held(std::move(frame));
}

Held tcp_frame() {
    Bytes frame;
    wire::build_tcp(ethernet_link(), kIp, {.srcport = 80, .dstport = 99, .flags = 0x10},
                    as_bytes("data"), frame);
    return Held(std::move(frame));
}

// Fills slot `slot` with a datagram, as a policy does byte by byte.
void fill(PacketSlots& slots, std::uint32_t slot, const Bytes& datagram) {
    slots.resize(slot, static_cast<std::uint32_t>(datagram.size()));
    std::copy(datagram.begin(), datagram.end(), slots.at(slot).net);
    slots.parse(slot);
}

TEST(PacketSlotsTest, LendsTheLayersOfThePacketAtHand) {
    PacketSlots slots(4);
    const Held held = tcp_frame();
    slots.at(0).changed = HAKA_CHANGED_BYTES;
    slots.lend(held.item);
    const haka_packet& slot = slots.at(0);
    EXPECT_EQ(slot.net, held.bytes.data() + 14);
    EXPECT_EQ(slot.transport, held.bytes.data() + 34);
    EXPECT_EQ(slot.payload, held.bytes.data() + 54);
    EXPECT_EQ(slot.net_size, 44U);
    EXPECT_EQ(slot.transport_size, 24U);
    EXPECT_EQ(slot.payload_size, 4U);
    EXPECT_EQ(slot.ip_version, 4);
    EXPECT_EQ(slot.protocol, 6);
    EXPECT_EQ(slot.transport_ok, 1);
    EXPECT_EQ(slot.changed, 0U);
    EXPECT_EQ(slot.made, 0);
    EXPECT_EQ(slot.when, 1234);
    EXPECT_EQ(slot.number, 7U);
}

TEST(PacketSlotsTest, LendsAFrameThatIsNoIpFromItsFirstByte) {
    PacketSlots slots(4);
    Bytes frame = wire::ethernet_header({.type = 0x0806});
    frame.resize(42);
    const Held arp(frame);
    slots.lend(arp.item);
    EXPECT_EQ(slots.at(0).ip_version, 0);
    EXPECT_EQ(slots.at(0).net + slots.at(0).net_size, arp.bytes.data() + 42);
}

TEST(PacketSlotsTest, EveryEventGivesSlotZeroAnotherGeneration) {
    PacketSlots slots(4);
    std::set<std::uint32_t> seen{0};
    for (int i = 0; i < 100; ++i) {
        slots.renew();
        EXPECT_TRUE(seen.insert(slots.at(0).generation).second);
    }
    slots.lend_nothing();
    EXPECT_EQ(slots.at(0).generation, 0U);
}

TEST(PacketSlotsTest, CreatesAsManyPacketsAsTheLimitSays) {
    PacketSlots slots(3);
    std::set<std::uint32_t> made;
    for (int i = 0; i < 3; ++i) {
        made.insert(slots.create({}, 20));
    }
    EXPECT_EQ(made, (std::set<std::uint32_t>{1, 2, 3}));
    EXPECT_EQ(slots.create({}, 20), 0U);
    const Held held = udp_frame();
    EXPECT_EQ(slots.take(held.item), 0U);
    slots.free(2);
    EXPECT_EQ(slots.create({}, 20), 2U);
}

TEST(PacketSlotsTest, GivesAFreedSlotAnotherGenerationEachTime) {
    PacketSlots slots(1);
    std::set<std::uint32_t> seen{0};
    for (int i = 0; i < 50; ++i) {
        const std::uint32_t slot = slots.create({}, 8);
        ASSERT_EQ(slot, 1U);
        EXPECT_TRUE(seen.insert(slots.at(slot).generation).second);
        slots.retire(slot);
        EXPECT_TRUE(seen.insert(slots.at(slot).generation).second);
        slots.free(slot);
        EXPECT_TRUE(seen.insert(slots.at(slot).generation).second);
    }
}

TEST(PacketSlotsTest, KeepsAddressesWhenManyAreCreated) {
    PacketSlots slots(100);
    const haka_packet* before = slots.data();
    const std::uint32_t first = slots.create({}, 20);
    const std::uint8_t* net = slots.at(first).net;
    for (int i = 0; i < 99; ++i) {
        ASSERT_NE(slots.create({}, 20), 0U);
    }
    EXPECT_EQ(slots.data(), before);
    EXPECT_EQ(slots.at(first).net, net);
}

TEST(PacketSlotsTest, CountsTheBytesItHolds) {
    PacketSlots slots(4);
    const std::uint32_t a = slots.create(ethernet_link(), 100);
    EXPECT_EQ(slots.bytes(), 114U);
    slots.resize(a, 10);
    EXPECT_EQ(slots.bytes(), 24U);
    const Held held = udp_frame();
    const std::uint32_t b = slots.take(held.item);
    EXPECT_EQ(slots.bytes(), 24U + held.bytes.size());
    slots.free(a);
    slots.free(b);
    EXPECT_EQ(slots.bytes(), 0U);
}

TEST(PacketSlotsTest, WhatIsCreatedIsLooseUntilItIsKept) {
    PacketSlots slots(4);
    const std::uint32_t a = slots.create({}, 20);
    const std::uint32_t b = slots.create({}, 20);
    const std::uint32_t c = slots.create({}, 20);
    slots.keep(b, true);
    slots.free(c);
    EXPECT_TRUE(slots.has_loose());
    EXPECT_EQ(slots.take_loose(), (std::vector<std::uint32_t>{a}));
    EXPECT_FALSE(slots.has_loose());
    slots.keep(b, false);
    slots.keep(b, false);
    EXPECT_EQ(slots.take_loose(), (std::vector<std::uint32_t>{b}));
}

TEST(PacketSlotsTest, FreesKeptPacketsAndCountsTheCapturedOnes) {
    PacketSlots slots(4);
    const Held held = udp_frame();
    EXPECT_NE(slots.take(held.item), 0U);
    EXPECT_NE(slots.take(held.item), 0U);
    slots.keep(slots.create({}, 20), true);
    EXPECT_NE(slots.create({}, 30), 0U);  // Loose: stays.
    EXPECT_EQ(slots.free_kept(), 2U);
    EXPECT_EQ(slots.bytes(), 30U);
    EXPECT_EQ(slots.free_kept(), 0U);
}

TEST(PacketSlotsTest, TakesACopyThatOutlivesThePacketAtHand) {
    PacketSlots slots(4);
    std::uint32_t taken = 0;
    Bytes before;
    {
        const Held held = udp_frame();
        before = held.bytes;
        slots.lend(held.item);
        slots.at(0).changed = HAKA_CHANGED_TRANSPORT;
        taken = slots.take(held.item);
    }
    EXPECT_TRUE(slots.is_taken(taken));
    EXPECT_EQ(slots.at(taken).changed, HAKA_CHANGED_TRANSPORT);
    const Item item = slots.item_of(taken);
    EXPECT_EQ(Bytes(item.frame.bytes().begin(), item.frame.bytes().end()), before);
    EXPECT_EQ(item.frame.when, Instant{1234});
    EXPECT_EQ(item.frame.number, 7U);
    EXPECT_EQ(item.frame.interface, 3U);
    EXPECT_TRUE(item.taken);
    EXPECT_FALSE(item.injected);
}

TEST(PacketSlotsTest, ShowsAMadePacketBehindItsLinkHeader) {
    PacketSlots slots(4);
    const std::uint32_t slot = slots.create(ethernet_link(), 0);
    Bytes datagram;
    wire::build_udp({}, kIp, {.srcport = 1, .dstport = 2}, as_bytes("abc"), datagram);
    fill(slots, slot, datagram);
    EXPECT_EQ(slots.at(slot).protocol, 17);
    EXPECT_EQ(slots.at(slot).payload_size, 3U);
    EXPECT_EQ(slots.at(slot).made, 1);
    const Item item = slots.item_of(slot);
    EXPECT_EQ(item.frame.size, 14 + datagram.size());
    EXPECT_EQ(item.headers.net, 14U);
    EXPECT_EQ(item.headers.payload, 14U + 28U);
    EXPECT_TRUE(item.injected);
    EXPECT_FALSE(item.taken);
}

TEST(PacketSlotsTest, ResizingFollowsInTheLengthFieldsAndFillsWithZeros) {
    PacketSlots slots(4);
    const Held held = udp_frame("hello");
    const std::uint32_t slot = slots.take(held.item);
    slots.resize(slot, 20 + 8 + 7);
    const haka_packet& packet = slots.at(slot);
    EXPECT_EQ(load_be16(packet.net + 2), 35);
    EXPECT_EQ(load_be16(packet.transport + 4), 15);
    EXPECT_EQ(as_text({packet.payload, packet.payload_size}), std::string_view("hello\0\0", 7));
    EXPECT_NE(packet.changed & HAKA_CHANGED_NET, 0U);
    EXPECT_NE(packet.changed & HAKA_CHANGED_TRANSPORT, 0U);
    slots.resize(slot, 20 + 8 + 1);
    EXPECT_EQ(as_text({slots.at(slot).payload, slots.at(slot).payload_size}), "h");
}

TEST(PacketSlotsTest, ResizingBelowTheHeadersLeavesNoTransport) {
    PacketSlots slots(4);
    const Held held = udp_frame();
    const std::uint32_t slot = slots.take(held.item);
    for (const std::uint32_t size : {27U, 20U, 19U, 1U, 0U, 28U}) {
        slots.resize(slot, size);
        EXPECT_EQ(slots.at(slot).net_size, size);
        EXPECT_EQ(slots.at(slot).transport_ok, 0) << size;
    }
}

TEST(PacketSlotsTest, SetsTheLengthOfIpv6WithoutItsHeader) {
    Bytes frame;
    wire::build_udp({}, {.src = *Address::parse("::1"), .dst = *Address::parse("::2")}, {},
                    as_bytes("12"), frame);
    const wire::Headers headers = wire::find_headers(LinkType::Raw, frame);
    frame.resize(60);
    set_lengths(headers, frame, 60);
    EXPECT_EQ(load_be16(frame.data() + 4), 20);
    EXPECT_EQ(load_be16(frame.data() + 44), 20);
}

}  // namespace
}  // namespace haka::engine
