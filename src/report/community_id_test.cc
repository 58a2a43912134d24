#include "report/community_id.h"

#include <string>

#include <gtest/gtest.h>

namespace haka::report {
namespace {

Address address(std::string_view text) {
    return Address::parse(text).value();
}

std::string id(const FiveTuple& flow, std::uint16_t seed = 0) {
    std::string out;
    append_community_id(out, flow, seed);
    return out;
}

FiveTuple tuple(std::uint8_t protocol, std::string_view source, std::string_view destination,
                std::uint16_t source_port = 0, std::uint16_t destination_port = 0) {
    return {.source = address(source),
            .destination = address(destination),
            .source_port = source_port,
            .destination_port = destination_port,
            .protocol = protocol};
}

FiveTuple reversed(const FiveTuple& flow) {
    return {.source = flow.destination,
            .destination = flow.source,
            .source_port = flow.destination_port,
            .destination_port = flow.source_port,
            .protocol = flow.protocol};
}

std::string hex(const std::array<std::uint8_t, 20>& digest) {
    std::string out;
    for (const std::uint8_t byte : digest) {
        out += "0123456789abcdef"[byte >> 4];
        out += "0123456789abcdef"[byte & 15];
    }
    return out;
}

std::string base64(std::string_view text) {
    std::string out;
    append_base64(out, as_bytes(text));
    return out;
}

// Expected texts were computed with another implementation of SHA-1 and base64.
TEST(CommunityIdTest, NamesBothDirectionsAlike) {
    struct Case {
        FiveTuple flow;
        std::string_view expected;
    };
    const Case cases[] = {
        {tuple(6, "1.2.3.4", "5.6.7.8", 1122, 3344), "1:wCb3OG7yAFWelaUydu0D+125CLM="},
        {tuple(17, "192.168.1.52", "8.8.8.8", 54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="},
        {tuple(132, "192.168.170.8", "192.168.170.56", 7, 80), "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ="},
        {tuple(6, "2001:db8::1", "2001:db8::2", 40000, 443), "1:RYG3Msb11GthNt1OYXJouPzmrvA="},
        {tuple(6, "10.0.0.1", "10.0.0.1", 9, 5), "1:n8YIsyd6FjUbQ7cJZcY75bi6O98="},
    };
    for (const Case& c : cases) {
        EXPECT_EQ(id(c.flow), c.expected);
        EXPECT_EQ(id(reversed(c.flow)), c.expected);
    }
}

TEST(CommunityIdTest, DependsOnItsSeed) {
    EXPECT_EQ(id(tuple(6, "1.2.3.4", "5.6.7.8", 1122, 3344), 1), "1:HhA1B+6CoLbiKPEs5nhNYN4XWfk=");
}

TEST(CommunityIdTest, JoinsIcmpQuestionAndAnswer) {
    EXPECT_EQ(id(tuple(1, "192.168.0.89", "192.168.0.1", 8, 0)), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    EXPECT_EQ(id(tuple(1, "192.168.0.1", "192.168.0.89", 0, 0)), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    constexpr std::string_view kNeighbour = "1:dGHyGvjMfljg6Bppwm3bg0LO8TY=";
    EXPECT_EQ(id(tuple(58, "fe80::200:86ff:fe05:80da", "fe80::260:97ff:fe07:69ea", 135, 0)),
              kNeighbour);
    EXPECT_EQ(id(tuple(58, "fe80::260:97ff:fe07:69ea", "fe80::200:86ff:fe05:80da", 136, 0)),
              kNeighbour);
}

TEST(CommunityIdTest, KnowsEveryIcmpCounterpart) {
    const std::pair<std::uint16_t, std::uint16_t> v4[] = {
        {8, 0}, {10, 9}, {13, 14}, {15, 16}, {17, 18}};
    for (const auto& [ask, answer] : v4) {
        EXPECT_EQ(id(tuple(1, "10.0.0.1", "10.0.0.2", ask, 7)),
                  id(tuple(1, "10.0.0.2", "10.0.0.1", answer, 3)))
            << ask;
    }
    const std::pair<std::uint16_t, std::uint16_t> v6[] = {{128, 129}, {130, 131}, {133, 134},
                                                          {135, 136}, {139, 140}, {144, 145}};
    for (const auto& [ask, answer] : v6) {
        EXPECT_EQ(id(tuple(58, "fe80::1", "fe80::2", ask, 7)),
                  id(tuple(58, "fe80::2", "fe80::1", answer, 3)))
            << ask;
    }
}

TEST(CommunityIdTest, KeepsTheDirectionOfOneWayIcmp) {
    EXPECT_EQ(id(tuple(1, "192.168.0.89", "192.168.0.1", 3, 1)), "1:LXCfhMUFbYXe+CEMrQuZCbiLY3o=");
    EXPECT_EQ(id(tuple(1, "192.168.0.1", "192.168.0.89", 3, 1)), "1:o3zT92uTgnRWv/YrDVeXcWumpC4=");
    EXPECT_EQ(id(tuple(58, "3ffe:501::1", "2001:db8::2", 1, 4)), "1:0rmQF4R2KurMkeYHOSMQOint/IY=");
}

TEST(CommunityIdTest, LeavesPortsOutOfOtherProtocols) {
    const FiveTuple gre = tuple(47, "10.1.2.3", "10.1.2.2", 77, 88);
    EXPECT_EQ(id(gre), "1:n0rB1ghew1RbBjt5+q5evMtSMPI=");
    EXPECT_EQ(id(reversed(gre)), "1:n0rB1ghew1RbBjt5+q5evMtSMPI=");
    EXPECT_EQ(id(tuple(50, "2001:db8::9", "2001:db8::2")), "1:2pIvLTVOshhCZUNUHNaBlw0AHHM=");
}

TEST(Sha1Test, AgreesWithTheStandardsExamples) {
    EXPECT_EQ(hex(sha1({})), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(hex(sha1(as_bytes("abc"))), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(hex(sha1(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(hex(sha1(as_bytes(std::string(1000000, 'a')))),
              "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(Base64Test, PadsToFour) {
    EXPECT_EQ(base64(""), "");
    EXPECT_EQ(base64("f"), "Zg==");
    EXPECT_EQ(base64("fo"), "Zm8=");
    EXPECT_EQ(base64("foo"), "Zm9v");
    EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
    EXPECT_EQ(base64("\xff\xfe\xfd"), "//79");
}

}  // namespace
}  // namespace haka::report
