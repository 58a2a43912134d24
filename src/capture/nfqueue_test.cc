#include "capture/nfqueue.h"

#include <cstring>
#include <net/if.h>
#include <sched.h>

#include <gtest/gtest.h>
#include <linux/netlink.h>

#include "capture/nfqueue_messages.h"
#include "capture/queue_facts.h"

namespace haka::capture {
namespace {

nlmsghdr head_of(ByteView bytes) {
    nlmsghdr head{};
    std::memcpy(&head, bytes.data(), sizeof head);
    return head;
}

TEST(QueueMessagesTest, MessagesStandBehindEachOther) {
    QueueMessages messages(3);
    ASSERT_TRUE(messages.add_verdicts(7, true));
    const std::size_t first = messages.bytes().size();
    const std::vector<std::uint8_t> replacement(13, 'x');
    ASSERT_TRUE(messages.add_verdict({.id = 8, .accept = true, .replacement = replacement}));
    EXPECT_EQ(head_of(messages.bytes()).nlmsg_len, first);
    const nlmsghdr second = head_of(messages.bytes().subspan(first));
    EXPECT_EQ(first + (second.nlmsg_len + 3) / 4 * 4, messages.bytes().size());
    EXPECT_GE(second.nlmsg_len, replacement.size());
    messages.clear();
    EXPECT_TRUE(messages.bytes().empty());
}

TEST(QueueMessagesTest, WhatFindsNoRoomLeavesTheOthersAlone) {
    QueueMessages messages(0);
    const std::vector<std::uint8_t> longest(65'531, 'x');
    ASSERT_TRUE(messages.add_verdict({.id = 1, .accept = true, .replacement = longest}));
    ASSERT_TRUE(messages.add_verdict({.id = 2, .accept = true, .replacement = longest}));
    const std::size_t size = messages.bytes().size();
    EXPECT_FALSE(messages.add_verdict({.id = 3, .accept = true, .replacement = longest}));
    EXPECT_EQ(messages.bytes().size(), size);
    EXPECT_TRUE(messages.add_verdicts(3, false));
    messages.clear();
    const std::vector<std::uint8_t> longer(65'532, 'x');
    EXPECT_FALSE(messages.add_verdict({.id = 1, .accept = true, .replacement = longer}));
}

TEST(QueueMessagesTest, AMessageThatIsNoPacketIsNone) {
    QueueMessages messages(0);
    ASSERT_TRUE(messages.add_verdicts(7, true));
    std::vector<std::uint8_t> bytes(messages.bytes().begin(), messages.bytes().end());
    EXPECT_FALSE(read_packet(static_cast<nlmsghdr*>(static_cast<void*>(bytes.data()))));
    nlmsghdr packet = head_of(bytes);
    packet.nlmsg_type = 3 << 8;  // A packet without any attribute.
    packet.nlmsg_len = 20;
    std::memcpy(bytes.data(), &packet, sizeof packet);
    EXPECT_FALSE(read_packet(static_cast<nlmsghdr*>(static_cast<void*>(bytes.data()))));
}

TEST(InterfaceSizesTest, AnUnknownInterfaceTakesTheUsualSize) {
    InterfaceSizes sizes;
    EXPECT_EQ(sizes.mtu_of(0), 1500U);
    EXPECT_EQ(sizes.mtu_of(1'000'000), 1500U);
    const unsigned loopback = if_nametoindex("lo");
    if (loopback != 0) {
        EXPECT_GT(sizes.mtu_of(loopback), 1500U);
    }
}

TEST(NfqueueTest, AQueueThatAnotherReadsIsRefusedByName) {
    if (unshare(CLONE_NEWNET) != 0) {
        GTEST_SKIP() << "no network namespaces here";
    }
    const LiveSources first = open_nfqueues({.first = 4, .workers = 2, .settings = {}});
    if (!first.error.empty()) {
        GTEST_SKIP() << first.error;
    }
    EXPECT_EQ(first.sources.size(), 2U);
    const LiveSources second = open_nfqueues({.first = 5, .workers = 1, .settings = {}});
    EXPECT_EQ(second.error,
              "queue 5: another program reads it: end that one, or use another queue (the rule's "
              "--queue-num)");
}

}  // namespace
}  // namespace haka::capture
