#include "output/reset.h"

#include <gtest/gtest.h>

#include "wire/checksum.h"
#include "wire/headers.h"
#include "wire/segment.h"

namespace haka::output {
namespace {

flow::Connection connection() {
    flow::Connection c;
    const Address client = Address::ipv4(0x0a000001);
    const Address server = Address::ipv4(0x0a000002);
    c.key.low = {client.bytes, 4000};
    c.key.high = {server.bytes, 80};
    c.half(true).isn = 1000;
    c.half(true).seen = true;
    return c;
}

wire::Segment read(const Reset& reset) {
    const auto headers = wire::find_headers(LinkType::Raw, reset.bytes);
    EXPECT_EQ(wire::verify_transport(headers, reset.bytes), wire::ChecksumCheck::Right);
    return wire::read_segment(headers, reset.bytes);
}

TEST(ResetTest, AnswersASynTowardsTheClientOnly) {
    std::vector<Reset> resets;
    make_resets(connection(), {}, {}, LinkType::Raw, resets);
    ASSERT_EQ(resets.size(), 1U);
    EXPECT_TRUE(resets[0].to_client);
    EXPECT_EQ(read(resets[0]).seq, 0U);
    EXPECT_EQ(read(resets[0]).ack, 1001U);
    EXPECT_EQ(read(resets[0]).flags, 0x14);
}

TEST(ResetTest, CarriesTheNumberThatEachEndExpects) {
    auto c = connection();
    c.half(false).isn = 0xffffffff;
    c.half(false).seen = true;
    std::vector<Reset> resets;
    make_resets(c, {.sent_by_client = 8, .by_server = 11, .sent_by_server = 7, .by_client = 5}, {},
                LinkType::Raw, resets);
    ASSERT_EQ(resets.size(), 2U);
    EXPECT_EQ(read(resets[0]).seq, 5U);  // To the client: 0xffffffff + 1 + 5.
    EXPECT_EQ(read(resets[0]).ack, 1009U);
    EXPECT_EQ(read(resets[1]).seq, 1012U);
    EXPECT_EQ(read(resets[1]).ack, 7U);
}

TEST(ResetTest, TurnsEthernetAddressesTowardsTheClient) {
    auto c = connection();
    c.half(false).seen = true;
    std::vector<std::uint8_t> link = {1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0};
    std::vector<Reset> resets;
    make_resets(c, {}, link, LinkType::Ethernet, resets);
    EXPECT_EQ(resets[0].bytes[0], 2);
    EXPECT_EQ(resets[0].bytes[6], 1);
    EXPECT_EQ(resets[1].bytes[0], 1);
}

}  // namespace
}  // namespace haka::output
