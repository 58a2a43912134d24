#include "capture/xdp_pair.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <thread>

#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "wire/checksum.h"
#include "wire/headers.h"

namespace haka::capture {
namespace {

// An end of a cable whose other end the pair has.
class Far {
public:
    explicit Far(const char* interface) : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0)) {
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_IP);
        address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        const void* const bytes = &address;
        ready_ = bind(fd_, static_cast<const sockaddr*>(bytes), sizeof address) == 0;
    }
    ~Far() { close(fd_); }
    Far(const Far&) = delete;
    Far& operator=(const Far&) = delete;

    [[nodiscard]] bool ready() const { return ready_; }
    [[nodiscard]] bool send(ByteView frame) const {
        return ::send(fd_, frame.data(), frame.size(), 0) == static_cast<ssize_t>(frame.size());
    }
    [[nodiscard]] std::vector<std::uint8_t> receive(int patience_ms = 1000) const {
        std::vector<std::uint8_t> frame(65'536);
        pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
        const ssize_t size =
            poll(&ready, 1, patience_ms) == 1 ? recv(fd_, frame.data(), frame.size(), 0) : 0;
        frame.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
        return frame;
    }

private:
    int fd_;
    bool ready_ = false;
};

class XdpPairTest : public testing::Test {
protected:
    void SetUp() override {
        if (unshare(CLONE_NEWNET) != 0) {
            GTEST_SKIP() << "no network namespaces here";
        }
        for (const char* command :
             {"ip link add left type veth peer name left-end",
              "ip link add right type veth peer name right-end", "ip link set left up",
              "ip link set left-end up", "ip link set right up", "ip link set right-end up"}) {
            const std::string quiet =
                std::string("PATH=$PATH:/sbin:/usr/sbin ") + command + " 2>/dev/null";
            if (std::system(quiet.c_str()) != 0) {  // NOLINT(concurrency-mt-unsafe)
                GTEST_SKIP() << "no " << command;
            }
        }
        const int socket_fd = socket(AF_XDP, SOCK_RAW, 0);
        if (socket_fd < 0) {
            GTEST_SKIP() << "no AF_XDP in this kernel";
        }
        close(socket_fd);
        LiveSources opened =
            open_xdp_pair({.interface = "left", .peer = "right", .settings = {.ring_frames = 16}});
        ASSERT_EQ(opened.error, "");
        pair_ = std::move(opened.sources.front());
        left_.emplace("left-end");
        right_.emplace("right-end");
        ASSERT_TRUE(left_->ready() && right_->ready());
    }

    // TCP with `size` bytes of payload, marked by `mark`.
    static std::vector<std::uint8_t> make_frame(std::size_t size, std::uint8_t mark) {
        std::vector<std::uint8_t> frame(54 + size, mark);
        store_be16(&frame[12], ETH_P_IP);
        frame[14] = 0x45;
        store_be16(&frame[16], static_cast<std::uint16_t>(40 + size));
        store_be16(&frame[20], 0);
        frame[23] = 6;
        frame[46] = 0x50;
        frame[47] = 0x10;
        const wire::Headers headers = wire::find_headers(LinkType::Ethernet, frame);
        wire::compute_ipv4_header(headers, frame);
        (void)wire::compute_transport(headers, frame);
        return frame;
    }

    // The next frames of ours; those of the kernel (IPv6 neighbours and the like) are let go.
    std::vector<Frame> receive() {
        for (int tries = 0; tries < 200; ++tries) {
            std::vector<Frame> ours;
            for (const Frame& frame : pair_->receive(Instant{})) {
                if (frame.size > 54 && load_be16(frame.data + 12) == ETH_P_IP) {
                    ours.push_back(frame);
                }
            }
            if (!ours.empty()) {
                return ours;
            }
            pair_->finish_batch();
            std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
        ADD_FAILURE() << "no frame came";
        return {};
    }

    std::unique_ptr<LiveSource> pair_;
    std::optional<Far> left_;
    std::optional<Far> right_;
};

TEST_F(XdpPairTest, PassesBothWaysByteForByte) {
    for (const std::size_t size : {1U, 100U, 1460U}) {
        for (const std::uint32_t side : {0U, 1U}) {
            const auto sent = make_frame(size, static_cast<std::uint8_t>(side));
            ASSERT_TRUE((side == 0 ? left_ : right_)->send(sent));
            for (const Frame& frame : receive()) {
                EXPECT_EQ(frame.interface, side);
                pair_->pass(frame);
            }
            pair_->finish_batch();
            EXPECT_EQ((side == 0 ? right_ : left_)->receive(), sent);
        }
    }
}

// With rings of 16 frames every place is used many times.
TEST_F(XdpPairTest, NoPlaceIsLostWhetherFramesPassChangeOrAreDropped) {
    int expected = 0;
    for (int i = 0; i < 3000; ++i) {
        ASSERT_TRUE(left_->send(make_frame(100, static_cast<std::uint8_t>(i))));
        for (const Frame& frame : receive()) {
            if (i % 3 == 0) {
                pair_->pass(frame);
                expected += 1;
            } else if (i % 3 == 1) {
                frame.data[60] ^= 0xff;
                pair_->send(frame, {});
                expected += 1;
            }
        }
        pair_->finish_batch();
        if (i % 3 != 2) {
            const auto came = right_->receive();
            ASSERT_EQ(came.size(), 154U) << i;
            EXPECT_EQ(came[60], static_cast<std::uint8_t>(i % 3 == 0 ? i : i ^ 0xff));
        }
    }
    EXPECT_EQ(pair_->counts().passed.get() + pair_->counts().sent.get(),
              static_cast<std::uint64_t>(expected));
    EXPECT_EQ(pair_->counts().refused.get(), 0U);
}

TEST_F(XdpPairTest, WhatPassesTwiceLeavesTwice) {
    const auto sent = make_frame(100, 7);
    ASSERT_TRUE(left_->send(sent));
    for (const Frame& frame : receive()) {
        pair_->pass(frame);
        pair_->pass(frame);
    }
    pair_->finish_batch();
    EXPECT_EQ(right_->receive(), sent);
    EXPECT_EQ(right_->receive(), sent);
}

TEST_F(XdpPairTest, LongSegmentsAreCutToTheMtuAndTheReceiver) {
    std::vector<std::uint8_t> joined = make_frame(4000, 9);
    const Frame frame{.data = joined.data(),
                      .size = static_cast<std::uint32_t>(joined.size()),
                      .original_size = static_cast<std::uint32_t>(joined.size()),
                      .when = {}};
    pair_->send(frame, {.origin = Origin::Ours, .segment_size = 0});
    pair_->send(frame, {.origin = Origin::Ours, .segment_size = 1000});
    pair_->finish_batch();
    for (const std::size_t size : {1460U, 1460U, 1080U, 1000U, 1000U, 1000U, 1000U}) {
        const auto came = right_->receive();
        ASSERT_EQ(came.size(), 54 + size);
        const wire::Headers headers = wire::find_headers(LinkType::Ethernet, came);
        EXPECT_EQ(wire::verify_transport(headers, came), wire::ChecksumCheck::Right);
    }
}

// More than the rings take at once; nothing waits for ever and what doesn't go is counted.
TEST_F(XdpPairTest, AFloodOfOursLeavesOrIsCounted) {
    std::vector<std::uint8_t> ours = make_frame(10, 3);
    const Frame frame{.data = ours.data(),
                      .size = static_cast<std::uint32_t>(ours.size()),
                      .original_size = static_cast<std::uint32_t>(ours.size()),
                      .when = {}};
    for (int i = 0; i < 1000; ++i) {
        pair_->send(frame, {.origin = Origin::Ours});
    }
    pair_->finish_batch();
    std::uint64_t came = 0;
    while (right_->receive(100).size() == 64) {
        came += 1;
    }
    EXPECT_EQ(came + pair_->counts().refused.get(), 1000U);
    EXPECT_GT(came, 16U);
    const auto sent = make_frame(100, 4);
    ASSERT_TRUE(left_->send(sent));
    for (const Frame& passing : receive()) {
        pair_->pass(passing);
    }
    pair_->finish_batch();
    EXPECT_EQ(right_->receive(), sent);
}

TEST_F(XdpPairTest, OneWorkerOnly) {
    const LiveSources two =
        open_xdp_pair({.interface = "left", .peer = "right", .settings = {}, .workers = 2});
    EXPECT_NE(two.error.find("-j 1"), std::string::npos) << two.error;
}

TEST_F(XdpPairTest, ASecondProgramIsRefused) {
    const LiveSources second =
        open_xdp_pair({.interface = "left", .peer = "right", .settings = {}});
    EXPECT_TRUE(second.sources.empty());
    EXPECT_NE(second.error, "");
}

}  // namespace
}  // namespace haka::capture
