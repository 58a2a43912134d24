// bare_live pair IF1 IF2 | queue N: lets everything through and looks at nothing, by means of its
// own: no code of the engine is in it. The same ring (TPACKET_V2, as many places) or batches of
// verdicts over libmnl (64) as `haka run`. What the engine costs is measured against it.
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <libmnl/libmnl.h>
#include <net/if.h>
#include <poll.h>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sys/mman.h>
#include <sys/socket.h>

namespace haka::bench {
namespace {

constexpr std::size_t kBatch = 64;
constexpr int kPatience_ms = 1000;

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "%s: %s\n", what, std::strerror(errno));
    std::exit(2);
}

template <typename T>
void set(int fd, int level, int name, const T& value) {
    if (setsockopt(fd, level, name, &value, sizeof value) != 0) {
        fail("setsockopt");
    }
}

// What stands before each frame (virtio 1.2, 5.1.6): of its flags only the first concerns senders.
constexpr std::size_t kOffloadSize = 10;
constexpr std::uint8_t kNeedsChecksum = 1;

// One interface: what comes in stands in a ring, what goes out is sent from the other one's.
struct Side {
    static constexpr unsigned kPlaceSize = 66'048;
    static constexpr unsigned kBlockSize = 1U << 20;
    static constexpr unsigned kPerBlock = kBlockSize / kPlaceSize;
    static constexpr unsigned kBlocks = 35;
    static constexpr unsigned kPlaces = kBlocks * kPerBlock;

    int fd = -1;
    std::uint8_t* ring = nullptr;
    unsigned next = 0;
    unsigned taken = 0;
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> heads{};

    void open(const char* interface) {
        fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0);
        if (fd < 0) {
            fail("socket");
        }
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        packet_mreq promiscuous{};
        promiscuous.mr_ifindex = address.sll_ifindex;
        promiscuous.mr_type = PACKET_MR_PROMISC;
        set(fd, SOL_PACKET, PACKET_VERSION, int{TPACKET_V2});
        set(fd, SOL_PACKET, PACKET_VNET_HDR, 1);
        set(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
        set(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous);
        set(fd, SOL_SOCKET, SO_SNDBUFFORCE, 32 << 20);
        set(fd, SOL_PACKET, PACKET_RX_RING,
            tpacket_req{.tp_block_size = kBlockSize,
                        .tp_block_nr = kBlocks,
                        .tp_frame_size = kPlaceSize,
                        .tp_frame_nr = kPlaces});
        void* const memory = mmap(nullptr, std::size_t{kBlockSize} * kBlocks,
                                  PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        const void* const bytes = &address;
        if (memory == MAP_FAILED ||
            bind(fd, static_cast<const sockaddr*>(bytes), sizeof address) != 0) {
            fail(interface);
        }
        ring = static_cast<std::uint8_t*>(memory);
    }

    [[nodiscard]] tpacket2_hdr* place(unsigned number) const {
        return static_cast<tpacket2_hdr*>(static_cast<void*>(
            ring + std::size_t{number / kPerBlock} * kBlockSize + number % kPerBlock * kPlaceSize));
    }

    // Everything that stands in the ring, 64 frames at most; how many.
    unsigned forward(const Side& to) {
        unsigned count = 0;
        for (; count < kBatch; ++count) {
            tpacket2_hdr* const head = place((next + count) % kPlaces);
            if ((__atomic_load_n(&head->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0) {
                break;
            }
            auto* const bytes =
                static_cast<std::uint8_t*>(static_cast<void*>(head)) + head->tp_mac - kOffloadSize;
            // "Verified" is told of what came in and may not stand in what goes out.
            bytes[0] &= kNeedsChecksum;
            parts[count] = {.iov_base = bytes, .iov_len = head->tp_snaplen + kOffloadSize};
            heads[count].msg_hdr.msg_iov = &parts[count];
            heads[count].msg_hdr.msg_iovlen = 1;
        }
        for (unsigned at = 0; at < count;) {
            const int sent = sendmmsg(to.fd, &heads[at], count - at, MSG_DONTWAIT);
            at += sent > 0 ? static_cast<unsigned>(sent) : 1;  // What doesn't fit is lost.
        }
        for (unsigned i = 0; i < count; ++i) {
            __atomic_store_n(&place((next + i) % kPlaces)->tp_status, TP_STATUS_KERNEL,
                             __ATOMIC_RELEASE);
        }
        next = (next + count) % kPlaces;
        return count;
    }
};

[[noreturn]] void forward_pair(const char* first, const char* second) {
    std::array<Side, 2> sides;
    sides[0].open(first);
    sides[1].open(second);
    std::fprintf(stderr, "live on\n");
    while (true) {
        const unsigned there = sides[0].forward(sides[1]);
        const unsigned back = sides[1].forward(sides[0]);
        if (there + back == 0) {
            std::array<pollfd, 2> ready = {pollfd{sides[0].fd, POLLIN, 0},
                                           pollfd{sides[1].fd, POLLIN, 0}};
            (void)poll(ready.data(), ready.size(), kPatience_ms);
        }
    }
}

nlmsghdr* begin_message(void* buffer, unsigned type, std::uint16_t queue) {
    nlmsghdr* const message = mnl_nlmsg_put_header(buffer);
    message->nlmsg_type = static_cast<std::uint16_t>(NFNL_SUBSYS_QUEUE << 8 | type);
    message->nlmsg_flags = NLM_F_REQUEST;
    const nfgenmsg head{.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(queue)};
    std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof head), &head, sizeof head);
    return message;
}

int note_head(const nlattr* attribute, void* found) {
    if (mnl_attr_get_type(attribute) == NFQA_PACKET_HDR) {
        *static_cast<const nlattr**>(found) = attribute;
    }
    return MNL_CB_OK;
}

[[noreturn]] void accept_queue(std::uint16_t queue) {
    constexpr std::size_t kMessageSize = 70'000;
    constexpr std::uint32_t kCopyRange = 65'531;
    mnl_socket* const socket = mnl_socket_open(NETLINK_NETFILTER);
    if (socket == nullptr || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        fail("netlink");
    }
    const int fd = mnl_socket_get_fd(socket);
    set(fd, SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20);
    std::array<std::uint8_t, 512> out{};
    const auto tell = [&](const nlmsghdr* message) {
        if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0) {
            fail("verdict");
        }
    };
    const nfqnl_msg_config_cmd bind{.command = NFQNL_CFG_CMD_BIND, ._pad = 0, .pf = htons(AF_INET)};
    nlmsghdr* message = begin_message(out.data(), NFQNL_MSG_CONFIG, queue);
    mnl_attr_put(message, NFQA_CFG_CMD, sizeof bind, &bind);
    mnl_attr_put_u32(message, NFQA_CFG_QUEUE_MAXLEN, htonl(4096));
    mnl_attr_put_u32(message, NFQA_CFG_FLAGS, htonl(NFQA_CFG_F_GSO));
    mnl_attr_put_u32(message, NFQA_CFG_MASK, htonl(NFQA_CFG_F_GSO));
    tell(message);
    const nfqnl_msg_config_params copy{.copy_range = htonl(kCopyRange),
                                       .copy_mode = NFQNL_COPY_PACKET};
    message = begin_message(out.data(), NFQNL_MSG_CONFIG, queue);
    mnl_attr_put(message, NFQA_CFG_PARAMS, sizeof copy, &copy);
    tell(message);
    std::vector<std::uint8_t> buffers(kBatch * kMessageSize);
    std::array<iovec, kBatch> parts{};
    std::array<mmsghdr, kBatch> heads{};
    for (std::size_t i = 0; i < kBatch; ++i) {
        parts[i] = {.iov_base = &buffers[i * kMessageSize], .iov_len = kMessageSize};
        heads[i].msg_hdr.msg_iov = &parts[i];
        heads[i].msg_hdr.msg_iovlen = 1;
    }
    std::fprintf(stderr, "live on\n");
    while (true) {
        const int count = recvmmsg(fd, heads.data(), kBatch, MSG_WAITFORONE, nullptr);
        if (count <= 0) {
            continue;  // More came than the socket holds.
        }
        nfqnl_msg_verdict_hdr verdict{.verdict = htonl(NF_ACCEPT), .id = 0};
        for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
            const nlattr* head = nullptr;
            const auto* const packet =
                static_cast<const nlmsghdr*>(static_cast<void*>(&buffers[i * kMessageSize]));
            if (mnl_nlmsg_ok(packet, static_cast<int>(heads[i].msg_len)) &&
                packet->nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)) {
                mnl_attr_parse(packet, sizeof(nfgenmsg), note_head, &head);
            }
            if (head != nullptr) {  // Its number comes first, in the network's order.
                std::memcpy(&verdict.id, mnl_attr_get_payload(head), sizeof verdict.id);
            }
        }
        message = begin_message(out.data(), NFQNL_MSG_VERDICT_BATCH, queue);
        mnl_attr_put(message, NFQA_VERDICT_HDR, sizeof verdict, &verdict);
        tell(message);
    }
}

}  // namespace
}  // namespace haka::bench

int main(int argc, char** argv) {
    using namespace haka::bench;
    if (argc == 4 && std::string(argv[1]) == "pair") {
        forward_pair(argv[2], argv[3]);
    }
    if (argc == 3 && std::string(argv[1]) == "queue") {
        accept_queue(static_cast<std::uint16_t>(std::strtoul(argv[2], nullptr, 10)));
    }
    std::fprintf(stderr, "bare_live pair IF1 IF2 | queue N\n");
    return 2;
}
