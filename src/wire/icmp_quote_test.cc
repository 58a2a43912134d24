#include "wire/icmp_quote.h"

#include <array>

#include <gtest/gtest.h>

#include "wire/build.h"

namespace haka::wire {
namespace {

// An ICMP message of `type` around the first `size` bytes of a TCP segment's datagram.
std::vector<std::uint8_t> error_message(bool ipv6, std::uint8_t type, std::size_t size,
                                        bool quotes_udp = false) {
    const Address a =
        ipv6 ? Address::ipv6(std::array<std::uint8_t, 16>{1}.data()) : Address::ipv4(0x0a000001);
    const Address b =
        ipv6 ? Address::ipv6(std::array<std::uint8_t, 16>{2}.data()) : Address::ipv4(0x0a000002);
    std::vector<std::uint8_t> quoted;
    if (quotes_udp) {
        build_udp({}, {.src = a, .dst = b}, {.srcport = 1, .dstport = 2}, {}, quoted);
    } else {
        build_tcp({}, {.src = a, .dst = b}, {.srcport = 1000, .dstport = 80, .seq = 77}, {},
                  quoted);
    }
    quoted.resize(size);
    std::vector<std::uint8_t> frame;
    build_icmp({}, {.src = b, .dst = a}, {.type = type}, quoted, frame);
    return frame;
}

bool find(const std::vector<std::uint8_t>& frame, IcmpQuote& quote) {
    return find_icmp_quote(find_headers(LinkType::Raw, frame), frame, quote);
}

TEST(IcmpQuoteTest, FindsPortsAndSequenceNumber) {
    for (const bool ipv6 : {false, true}) {
        const auto frame = error_message(ipv6, ipv6 ? 2 : 3, ipv6 ? 48 : 28);
        IcmpQuote quote;
        ASSERT_TRUE(find(frame, quote)) << ipv6;
        EXPECT_EQ(quote.ip_version, ipv6 ? 6 : 4);
        EXPECT_EQ(load_be16(&frame[quote.tcp]), 1000);
        EXPECT_EQ(load_be16(&frame[quote.tcp + 2]), 80);
        EXPECT_EQ(load_be32(&frame[quote.tcp + 4]), 77U);
        EXPECT_EQ(frame[quote.addresses + (ipv6 ? 0 : 3)], 1);
    }
}

TEST(IcmpQuoteTest, RefusesWhatIsTooShort) {
    for (std::size_t size = 0; size < 28; ++size) {
        IcmpQuote quote;
        EXPECT_FALSE(find(error_message(false, 3, size), quote)) << size;
    }
    for (std::size_t size = 0; size < 48; ++size) {
        IcmpQuote quote;
        EXPECT_FALSE(find(error_message(true, 2, size), quote)) << size;
    }
}

TEST(IcmpQuoteTest, RefusesWhatIsNoErrorOrQuotesNoTcp) {
    IcmpQuote quote;
    EXPECT_FALSE(find(error_message(false, 8, 40), quote));
    EXPECT_FALSE(find(error_message(true, 128, 60), quote));
    EXPECT_FALSE(find(error_message(false, 3, 28, true), quote));
}

}  // namespace
}  // namespace haka::wire
