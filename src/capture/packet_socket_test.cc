#include "capture/packet_socket.h"

#include <algorithm>
#include <array>
#include <net/if.h>
#include <poll.h>
#include <sched.h>

#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "capture/packet_pair.h"
#include "capture/packet_spread.h"

namespace haka::capture {
namespace {

// In a network of its own, whose loopback interface brings back what is sent.
class PacketSocketTest : public testing::Test {
protected:
    void SetUp() override {
        if (unshare(CLONE_NEWNET) != 0) {
            GTEST_SKIP() << "no network namespaces here";
        }
        const int fd = socket(AF_INET, SOCK_DGRAM, 0);
        ifreq request{};
        std::string("lo").copy(static_cast<char*>(request.ifr_name), IFNAMSIZ - 1);
        request.ifr_flags = IFF_UP;
        ASSERT_EQ(ioctl(fd, SIOCSIFFLAGS, &request), 0);
        close(fd);
    }

    static std::vector<std::uint8_t> make_frame(std::size_t size, std::uint8_t last_of_source) {
        std::vector<std::uint8_t> frame(size, 0xaa);
        store_be16(&frame[12], 0x0800);
        frame[14] = 0x45;
        store_be16(&frame[16], static_cast<std::uint16_t>(size - 14));
        store_be16(&frame[20], 0);
        frame[23] = 17;
        store_be32(&frame[26], 0x0a000000U + last_of_source);
        store_be32(&frame[30], 0x0a000100U);
        return frame;
    }

    static RingFrame wait_for_frame(PacketSocket& socket) {
        for (int tries = 0; tries < 100; ++tries) {
            if (const auto frame = socket.next()) {
                return *frame;
            }
            pollfd ready{.fd = socket.fd(), .events = POLLIN, .revents = 0};
            (void)poll(&ready, 1, 100);
        }
        ADD_FAILURE() << "no frame came";
        return {};
    }
};

TEST_F(PacketSocketTest, FramesOfAnySizeComeWhole) {
    PacketSocket sender;
    ASSERT_EQ(sender.open({.interface = "lo", .settings = {}}), "");
    PacketSocket receiver;
    ASSERT_EQ(receiver.open({.interface = "lo", .settings = {.ring_frames = 15}}), "");
    receiver.begin();
    for (const std::size_t size : {60U, 1514U, 65'549U}) {
        const auto frame = make_frame(size, 1);
        sender.send_copy(frame, {});
        ASSERT_EQ(sender.flush().count, 0U);
        const RingFrame came = wait_for_frame(receiver);
        EXPECT_EQ(came.size_on_wire, size);
        EXPECT_EQ(std::vector<std::uint8_t>(came.bytes.begin(), came.bytes.end()), frame);
        receiver.release();
    }
}

TEST_F(PacketSocketTest, ARingThatIsFullLosesAndCounts) {
    PacketSocket sender;
    ASSERT_EQ(sender.open({.interface = "lo", .settings = {}}), "");
    PacketSocket receiver;
    ASSERT_EQ(receiver.open({.interface = "lo", .settings = {.ring_frames = 15}}), "");
    receiver.begin();
    const auto frame = make_frame(100, 1);
    for (int i = 0; i < 20; ++i) {
        sender.send(frame, {});
    }
    ASSERT_EQ(sender.flush().count, 0U);
    for (int i = 0; i < 15; ++i) {
        (void)wait_for_frame(receiver);
    }
    EXPECT_FALSE(receiver.next());
    EXPECT_EQ(receiver.take_lost(), 5U);
    receiver.release();
    sender.send(frame, {});
    ASSERT_EQ(sender.flush().count, 0U);
    EXPECT_EQ(wait_for_frame(receiver).bytes.size(), 100U);
}

TEST_F(PacketSocketTest, AFrameThatTheKernelRefusesIsCounted) {
    PacketSocket sender;
    ASSERT_EQ(sender.open({.interface = "lo", .settings = {}}), "");
    const auto good = make_frame(100, 1);
    const std::vector<std::uint8_t> stub(3);
    sender.send(stub, {});
    sender.send(good, {});
    const PacketSocket::Refused refused = sender.flush();
    EXPECT_EQ(refused.count, 1U);
    EXPECT_EQ(refused.error, EINVAL);
    EXPECT_EQ(sender.flush().count, 0U);
}

// Both directions, and fragments without ports, reach the same of three workers; not all flows do.
TEST_F(PacketSocketTest, TheKernelSpreadsByAddressPair) {
    PacketSocket sender;
    ASSERT_EQ(sender.open({.interface = "lo", .settings = {}}), "");
    std::array<PacketSocket, 3> workers;
    for (PacketSocket& worker : workers) {
        ASSERT_EQ(worker.open({.interface = "lo",
                               .settings = {.ring_frames = 60},
                               .workers = 3,
                               .first = &worker == workers.data() ? nullptr : workers.data()}),
                  "");
    }
    for (const PacketSocket& worker : workers) {
        worker.begin();
    }
    std::array<int, 3> shares{};
    for (std::uint8_t host = 1; host < 12; ++host) {
        std::array<std::vector<std::uint8_t>, 3> frames;
        frames.fill(make_frame(100, host));
        std::swap_ranges(&frames[1][26], &frames[1][30], &frames[1][30]);
        store_be16(&frames[2][20], 0x0010);  // A fragment's offset.
        for (const auto& frame : frames) {
            sender.send_copy(frame, {});
        }
        ASSERT_EQ(sender.flush().count, 0U);
        std::array<int, 3> counts{};
        int came = 0;
        for (int tries = 0; tries < 100 && came < 3; ++tries) {
            for (std::size_t i = 0; i < workers.size(); ++i) {
                while (workers.at(i).next()) {
                    counts.at(i) += 1;
                    came += 1;
                }
                workers.at(i).release();
            }
        }
        EXPECT_EQ(*std::ranges::max_element(counts), 3) << int{host};
        shares.at(static_cast<std::size_t>(std::ranges::max_element(counts) - counts.begin())) += 1;
    }
    EXPECT_LT(*std::ranges::max_element(shares), 11);
}

TEST_F(PacketSocketTest, WhoLooksAtTheLoopbackInterfaceSeesEachFrameOnce) {
    PacketSocket sender;
    PacketSocket looks;
    ASSERT_EQ(sender.open({.interface = "lo", .settings = {}}), "");
    ASSERT_EQ(looks.open({.interface = "lo", .settings = {}, .sends = false}), "");
    looks.begin();
    for (const std::size_t size : {100U, 101U}) {
        sender.send_copy(make_frame(size, 1), {});
    }
    ASSERT_EQ(sender.flush().count, 0U);
    EXPECT_EQ(wait_for_frame(looks).bytes.size(), 100U);
    EXPECT_EQ(wait_for_frame(looks).bytes.size(), 101U);
}

TEST_F(PacketSocketTest, AnInterfaceThatIsNotThereIsNamed) {
    const LiveSources sources =
        open_packet_pair({.interface = "lo", .peer = "nowhere", .settings = {}});
    EXPECT_EQ(sources.error, "nowhere: there is no such interface; `ip link` lists them");
    EXPECT_TRUE(sources.sources.empty());
}

}  // namespace
}  // namespace haka::capture
