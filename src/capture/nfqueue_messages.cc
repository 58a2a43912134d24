// Tested by: nfqueue_test.cc
#include "capture/nfqueue_messages.h"

#include <array>
#include <cstring>
#include <libmnl/libmnl.h>

#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <sys/socket.h>

namespace haka::capture {
namespace {

constexpr std::size_t kBufferSize = 160 * 1024;  // More than the longest verdict.
constexpr std::size_t kSmallMessage = 256;

// To and from the order of the network.
constexpr std::uint32_t net32(std::uint32_t value) {
    return __builtin_bswap32(value);
}
constexpr std::uint16_t net16(std::uint16_t value) {
    return __builtin_bswap16(value);
}

constexpr std::uint16_t type_of(std::uint16_t message) {
    return static_cast<std::uint16_t>(NFNL_SUBSYS_QUEUE << 8 | message);
}

using Attributes = std::array<const nlattr*, NFQA_MAX + 1>;

int note_attribute(const nlattr* attribute, void* attributes) {
    const std::uint16_t type = mnl_attr_get_type(attribute);
    if (type <= NFQA_MAX) {
        static_cast<Attributes*>(attributes)->at(type) = attribute;
    }
    return MNL_CB_OK;
}

std::uint32_t number_of(const nlattr* attribute) {
    return attribute != nullptr && mnl_attr_get_payload_len(attribute) >= sizeof(std::uint32_t)
               ? net32(mnl_attr_get_u32(attribute))
               : 0;
}

}  // namespace

std::optional<QueuedPacket> read_packet(nlmsghdr* message) {
    Attributes attributes{};
    if (message->nlmsg_type != type_of(NFQNL_MSG_PACKET) ||
        mnl_attr_parse(message, sizeof(nfgenmsg), note_attribute, &attributes) < 0) {
        return std::nullopt;
    }
    const nlattr* const head = attributes[NFQA_PACKET_HDR];
    const nlattr* const payload = attributes[NFQA_PAYLOAD];
    if (head == nullptr || mnl_attr_get_payload_len(head) < sizeof(nfqnl_msg_packet_hdr)) {
        return std::nullopt;
    }
    QueuedPacket packet;
    nfqnl_msg_packet_hdr header{};
    std::memcpy(&header, mnl_attr_get_payload(head), sizeof header);
    packet.id = net32(header.packet_id);
    packet.mark = number_of(attributes[NFQA_MARK]);
    packet.out_index = number_of(attributes[NFQA_IFINDEX_OUTDEV]);
    if (payload != nullptr) {
        packet.bytes = {static_cast<std::uint8_t*>(mnl_attr_get_payload(payload)),
                        mnl_attr_get_payload_len(payload)};
    }
    const std::uint32_t whole = number_of(attributes[NFQA_CAP_LEN]);
    packet.size = whole != 0 ? whole : static_cast<std::uint32_t>(packet.bytes.size());
    const std::uint32_t info = number_of(attributes[NFQA_SKB_INFO]);
    packet.is_partial = (info & NFQA_SKB_CSUMNOTREADY) != 0;
    packet.is_unverified = (info & NFQA_SKB_CSUM_NOTVERIFIED) != 0;
    packet.is_joined = (info & NFQA_SKB_GSO) != 0;
    return packet;
}

QueueMessages::QueueMessages(std::uint16_t queue) : queue_(queue), buffer_(kBufferSize) {}

nlmsghdr* QueueMessages::begin(std::uint16_t type, std::uint16_t flags, std::size_t room) {
    if (buffer_.size() - size_ < room) {
        return nullptr;
    }
    nlmsghdr* const message = mnl_nlmsg_put_header(buffer_.data() + size_);
    message->nlmsg_type = type_of(type);
    message->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    const nfgenmsg head{
        .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = net16(queue_)};
    std::memcpy(mnl_nlmsg_put_extra_header(message, sizeof head), &head, sizeof head);
    return message;
}

void QueueMessages::end(const nlmsghdr* message) {
    constexpr std::size_t kAlignment = 4;
    size_ += (message->nlmsg_len + kAlignment - 1) / kAlignment * kAlignment;
}

bool QueueMessages::add_bind(const NfqueueSettings& settings) {
    nlmsghdr* const message = begin(NFQNL_MSG_CONFIG, NLM_F_ACK, kSmallMessage);
    if (message == nullptr) {
        return false;
    }
    const nfqnl_msg_config_cmd command{
        .command = NFQNL_CFG_CMD_BIND, ._pad = 0, .pf = net16(AF_INET)};
    mnl_attr_put(message, NFQA_CFG_CMD, sizeof command, &command);
    mnl_attr_put_u32(message, NFQA_CFG_QUEUE_MAXLEN, net32(settings.length_max));
    const std::uint32_t flags =
        NFQA_CFG_F_GSO | (settings.fail_open ? std::uint32_t{NFQA_CFG_F_FAIL_OPEN} : 0);
    mnl_attr_put_u32(message, NFQA_CFG_FLAGS, net32(flags));
    mnl_attr_put_u32(message, NFQA_CFG_MASK, net32(NFQA_CFG_F_GSO | NFQA_CFG_F_FAIL_OPEN));
    end(message);
    return true;
}

bool QueueMessages::add_copy_mode(std::uint32_t range) {
    nlmsghdr* const message = begin(NFQNL_MSG_CONFIG, 0, kSmallMessage);
    if (message == nullptr) {
        return false;
    }
    const nfqnl_msg_config_params parameters{.copy_range = net32(range),
                                             .copy_mode = NFQNL_COPY_PACKET};
    mnl_attr_put(message, NFQA_CFG_PARAMS, sizeof parameters, &parameters);
    end(message);
    return true;
}

bool QueueMessages::add_verdicts(std::uint32_t id, bool accept) {
    nlmsghdr* const message = begin(NFQNL_MSG_VERDICT_BATCH, 0, kSmallMessage);
    if (message == nullptr) {
        return false;
    }
    const nfqnl_msg_verdict_hdr verdict{
        .verdict = net32(accept ? std::uint32_t{NF_ACCEPT} : std::uint32_t{NF_DROP}),
        .id = net32(id)};
    mnl_attr_put(message, NFQA_VERDICT_HDR, sizeof verdict, &verdict);
    end(message);
    return true;
}

bool QueueMessages::add_verdict(const Verdict& verdict) {
    if (verdict.replacement.size() > kReplacementMax) {
        return false;
    }
    nlmsghdr* const message =
        begin(NFQNL_MSG_VERDICT, 0, kSmallMessage + verdict.replacement.size());
    if (message == nullptr) {
        return false;
    }
    const nfqnl_msg_verdict_hdr head{
        .verdict = net32(verdict.accept ? std::uint32_t{NF_ACCEPT} : std::uint32_t{NF_DROP}),
        .id = net32(verdict.id)};
    mnl_attr_put(message, NFQA_VERDICT_HDR, sizeof head, &head);
    if (verdict.mark) {
        mnl_attr_put_u32(message, NFQA_MARK, net32(*verdict.mark));
    }
    if (!verdict.replacement.empty()) {
        mnl_attr_put(message, NFQA_PAYLOAD, verdict.replacement.size(), verdict.replacement.data());
    }
    end(message);
    return true;
}

}  // namespace haka::capture
