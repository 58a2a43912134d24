#include "output/forge.h"

#include <gtest/gtest.h>

#include "script/abi.h"
#include "wire/build.h"
#include "wire/checksum.h"
#include "wire/segment.h"

namespace haka::output {
namespace {

std::vector<std::uint8_t> segment_with(std::string_view payload) {
    std::vector<std::uint8_t> bytes;
    wire::build_tcp({}, {.src = Address::ipv4(0x0a000001), .dst = Address::ipv4(0x0a000002)},
                    {.srcport = 1000, .dstport = 80, .seq = 500, .flags = 0x10}, as_bytes(payload),
                    bytes);
    return bytes;
}

TEST(ForgeTest, FixesOnlyWhatIsAskedFor) {
    auto bytes = segment_with("hello");
    bytes[8] -= 1;    // ttl
    bytes[40] = 'H';  // payload
    auto headers = wire::find_headers(LinkType::Raw, bytes);
    fix_checksums(headers, bytes, HAKA_CHANGED_NET);
    EXPECT_TRUE(wire::verify_ipv4_header(ByteView(bytes).first(20)));
    EXPECT_EQ(wire::verify_transport(headers, bytes), wire::ChecksumCheck::Wrong);
    fix_checksums(headers, bytes, HAKA_CHANGED_TRANSPORT);
    EXPECT_EQ(wire::verify_transport(headers, bytes), wire::ChecksumCheck::Right);
}

TEST(ForgeTest, TrimsBothEndsOfAPayload) {
    auto bytes = segment_with("0123456789");
    auto headers = wire::find_headers(LinkType::Raw, bytes);
    const std::uint32_t size = trim_payload(headers, bytes, {.skip = 3, .size = 4});
    bytes.resize(size);
    headers = wire::find_headers(LinkType::Raw, bytes);
    EXPECT_EQ(headers.malformed, Event::None);
    EXPECT_EQ(as_text(ByteView(bytes).subspan(headers.payload)), "3456");
    EXPECT_EQ(wire::read_segment(headers, bytes).seq, 503U);
    EXPECT_TRUE(wire::verify_ipv4_header(ByteView(bytes).first(20)));
    EXPECT_EQ(wire::verify_transport(headers, bytes), wire::ChecksumCheck::Right);
}

TEST(ForgeTest, LeavesAnEmptyProbeWhereItWas) {
    auto bytes = segment_with("0");
    auto headers = wire::find_headers(LinkType::Raw, bytes);
    bytes.resize(trim_payload(headers, bytes, {.skip = 1, .size = 0}));
    EXPECT_EQ(wire::read_segment(headers, bytes).seq, 500U);
    EXPECT_EQ(wire::verify_transport(headers, bytes), wire::ChecksumCheck::Right);
}

TEST(ForgeTest, CountsOnlyTheCutBytesThatStay) {
    auto bytes = segment_with("0123456789");
    bytes.resize(bytes.size() - 4);
    auto headers = wire::find_headers(LinkType::Raw, bytes);
    ASSERT_EQ(headers.cut, 4U);
    auto stripped = bytes;
    auto stripped_headers = headers;
    stripped.resize(trim_payload(stripped_headers, stripped, {.skip = 0, .size = 0}));
    EXPECT_EQ(stripped_headers.cut, 0U);
    EXPECT_EQ(wire::verify_transport(stripped_headers, stripped), wire::ChecksumCheck::Right);

    bytes.resize(trim_payload(headers, bytes, {.skip = 3, .size = 3, .cut = 4}));
    headers = wire::find_headers(LinkType::Raw, bytes);
    EXPECT_EQ(headers.cut, 4U);
    EXPECT_EQ(wire::read_segment(headers, bytes).seq, 503U);
    EXPECT_EQ(wire::read_segment(headers, bytes).payload_size, 7U);
}

}  // namespace
}  // namespace haka::output
