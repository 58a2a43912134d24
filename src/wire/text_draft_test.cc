#include "wire/text_draft.h"

#include <gtest/gtest.h>

#include "wire/checksum.h"

namespace haka::wire::detail {
namespace {

Draft draft_of(Draft::Kind kind) {
    Draft draft;
    draft.kind = kind;
    draft.payload = {1, 2, 3};
    draft.tcp_options = {1};
    return draft;
}

TEST(DraftTest, LaysTagsOutermostFirst) {
    Draft draft = draft_of(Draft::Kind::Udp);
    draft.tags = {{.type = 0x88a8, .id = 7}, {.type = 0x8100, .id = 8}};
    const auto frame = make_frame(draft, LinkType::Ethernet);
    const Headers headers = find_headers(LinkType::Ethernet, frame);
    EXPECT_EQ(headers.vlan, 7);
    EXPECT_EQ(headers.vlan_count, 2);
    EXPECT_EQ(load_be16(&frame[18]), 8);
    EXPECT_EQ(headers.ether_type, 0x0800);
}

// The checksum that is spoilt must be the checksum, in every protocol.
TEST(DraftTest, SpoilsTheChecksumAndNothingElse) {
    for (const auto kind : {Draft::Kind::Tcp, Draft::Kind::Udp, Draft::Kind::Icmp}) {
        Draft draft = draft_of(kind);
        const auto right = make_frame(draft, LinkType::Raw);
        draft.has_bad_checksum = true;
        auto bad = make_frame(draft, LinkType::Raw);
        const Headers headers = find_headers(LinkType::Raw, bad);
        EXPECT_EQ(verify_transport(headers, right), ChecksumCheck::Right);
        EXPECT_EQ(verify_transport(headers, bad), ChecksumCheck::Wrong);
        ASSERT_TRUE(compute_transport(headers, bad));
        EXPECT_EQ(bad, right);
    }
}

TEST(DraftTest, TakesALinkHeaderAsItIs) {
    Draft draft = draft_of(Draft::Kind::Other);
    draft.link_header = std::vector<std::uint8_t>{9, 9};
    draft.padding = 5;
    const auto frame = make_frame(draft, LinkType::Ethernet);
    EXPECT_EQ(frame.size(), 2U + 20 + 3 + 5);
    EXPECT_EQ(frame[1], 9);
    EXPECT_EQ(frame.back(), 0);
}

}  // namespace
}  // namespace haka::wire::detail
