#include "report/flow_id.h"

#include <gtest/gtest.h>

namespace haka::report {
namespace {

flow::FlowKey key_of(std::string_view low, std::uint16_t low_port, std::string_view high,
                     std::uint16_t high_port) {
    return {.low = {.address = Address::parse(low).value().bytes, .port = low_port},
            .high = {.address = Address::parse(high).value().bytes, .port = high_port}};
}

const flow::FlowKey kKey = key_of("192.168.10.1", 48922, "192.168.20.1", 80);

// Computed apart: stored records of two runs, or of two versions, must still join.
TEST(FlowIdTest, StaysTheSameForEver) {
    EXPECT_EQ(flow_hash(kKey, 6), 238883676U);
    EXPECT_EQ(make_flow_id({1795428000123456789}, flow_hash(kKey, 6)), 248764744667996U);
}

TEST(FlowIdTest, DependsOnEveryPartOfTheTuple) {
    const std::uint32_t hash = flow_hash(kKey, 6);
    EXPECT_NE(hash, flow_hash(kKey, 17));
    EXPECT_NE(hash, flow_hash(key_of("192.168.10.2", 48922, "192.168.20.1", 80), 6));
    EXPECT_NE(hash, flow_hash(key_of("192.168.10.1", 48923, "192.168.20.1", 80), 6));
    EXPECT_NE(hash, flow_hash(key_of("192.168.10.1", 48922, "192.168.21.1", 80), 6));
    EXPECT_NE(hash, flow_hash(key_of("192.168.10.1", 48922, "192.168.20.1", 81), 6));
}

TEST(FlowIdTest, FitsIntoAJavaScriptNumber) {
    for (const std::int64_t ns : {INT64_MIN, std::int64_t{-1}, std::int64_t{0}, INT64_MAX}) {
        EXPECT_LE(make_flow_id({ns}, UINT32_MAX), kFlowIdMax);
    }
    // 3 bits of second 7, all bits of a microsecond whose low half is ones.
    EXPECT_EQ(make_flow_id({7'065'535'000}, UINT32_MAX), kFlowIdMax);
}

TEST(FlowIdTest, CountsTimeBefore1970Forward) {
    // Half a microsecond before the epoch is second -1, microsecond 999999.
    EXPECT_EQ(make_flow_id({-500}, 0),
              ((0xffffULL << 48) | (999999ULL & 0xffff) << 32) & kFlowIdMax);
}

}  // namespace
}  // namespace haka::report
