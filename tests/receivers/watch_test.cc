#include "watch.h"

#include <gtest/gtest.h>

#include "wire/build.h"
#include "wire/tcp.h"

namespace haka::receivers {
namespace {

class WatchTest : public testing::Test {
protected:
    void SetUp() override {
        came({.seq = 1000, .flags = wire::kSyn});
        left({.seq = 1000, .flags = wire::kSyn});
        left({.seq = 5000, .ack_seq = 1001, .flags = wire::kSyn | wire::kAck}, "", false);
        left({.seq = 1001, .ack_seq = 5001, .flags = wire::kAck});
    }

    static std::vector<std::uint8_t> frame_of(wire::TcpFields fields, std::string_view payload,
                                              bool from_client) {
        const Address client = Address::ipv4(1);
        const Address server = Address::ipv4(2);
        fields.srcport = from_client ? 40'000 : 80;
        fields.dstport = from_client ? 80 : 40'000;
        fields.window_size = UINT16_MAX;
        std::vector<std::uint8_t> frame;
        wire::build_tcp(
            {}, {.src = from_client ? client : server, .dst = from_client ? server : client},
            fields, as_bytes(payload), frame);
        return frame;
    }
    void came(const wire::TcpFields& fields) {
        watch_.came(1, LinkType::Raw, frame_of(fields, "", true));
    }
    void left(const wire::TcpFields& fields, std::string_view payload = "",
              bool from_client = true) {
        watch_.left(LinkType::Raw, frame_of(fields, payload, from_client));
    }
    void data(std::uint32_t seq, std::string_view payload, std::uint8_t more = 0) {
        left({.seq = seq, .ack_seq = 5001, .flags = static_cast<std::uint8_t>(wire::kAck | more)},
             payload);
    }
    void show(std::string_view hex) {
        EXPECT_TRUE(watch_.printed("witness 1 1 0 " + std::string(hex)));
    }
    [[nodiscard]] bool is_right() const { return watch_.wrong().empty(); }

    Watch watch_{stream::Mode::Live};
};

TEST_F(WatchTest, IsContentWithWhatAllReceiversDeliverAlike) {
    EXPECT_FALSE(watch_.printed("something else"));
    show("616263");
    data(1003, "c");
    data(1001, "ab");
    data(1001, "abc");
    data(1004, "", wire::kFin);
    EXPECT_TRUE(is_right()) << watch_.wrong();
    EXPECT_EQ(watch_.delivered(), 3U);
}

TEST_F(WatchTest, SeesAnotherCopyBehindAHole) {
    show("616263");
    data(1002, "bX");
    data(1002, "bc");
    EXPECT_TRUE(is_right());
    data(1001, "a");
    EXPECT_FALSE(is_right());
}

TEST_F(WatchTest, SeesBytesThatRulesDidNotSee) {
    show("61");
    data(1001, "a");
    EXPECT_TRUE(is_right());
    data(1002, "b");
    EXPECT_FALSE(is_right());
}

TEST_F(WatchTest, SeesBytesThatRulesSawOtherwise) {
    show("6162");
    data(1001, "aB");
    EXPECT_FALSE(is_right());
}

TEST_F(WatchTest, SeesAFinBeforeTheEndOfWhatRulesSaw) {
    show("6162");
    data(1001, "a", wire::kFin);
    EXPECT_FALSE(is_right());
}

TEST_F(WatchTest, SeesAnUrgentByte) {
    show("6162");
    left({.seq = 1001, .ack_seq = 5001, .flags = wire::kAck | wire::kUrg, .urgent_pointer = 1},
         "ab");
    EXPECT_FALSE(is_right());
}

TEST_F(WatchTest, SeesDataWithoutAck) {
    show("61");
    left({.seq = 1001, .flags = wire::kPsh}, "a");
    EXPECT_FALSE(is_right());
}

TEST_F(WatchTest, SeesAResetThatOnlySomeBelieve) {
    left({.seq = 1002, .flags = wire::kRst});
    EXPECT_FALSE(is_right());
}

TEST_F(WatchTest, SeesASynWithAnotherIsn) {
    left({.seq = 2000, .flags = wire::kSyn});
    EXPECT_FALSE(is_right());
}

}  // namespace
}  // namespace haka::receivers
