#include "capture/nfqueue.h"

#include <algorithm>
#include <cerrno>
#include <fmt/format.h>
#include <fstream>
#include <libmnl/libmnl.h>
#include <map>
#include <net/if.h>

#include <linux/netlink.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

#include "capture/nfqueue_messages.h"
#include "capture/queue_facts.h"
#include "capture/raw_sender.h"
#include "capture/segment_cut.h"

namespace haka::capture {
namespace {

constexpr std::size_t kBatch = 64;
constexpr std::size_t kMessageHead = 4096;  // What a message holds besides the packet, and more.
constexpr std::size_t kCopiesMax = 4U << 20;
constexpr int kSendBuffer = 4 << 20;  // The kernel takes no message that is longer than this.

enum class Fate : std::uint8_t { Drop, Pass, Replace };

class Nfqueue final : public LiveSource {
public:
    Nfqueue(const NfqueueOptions& options, std::uint32_t worker);
    ~Nfqueue() override;
    Nfqueue(const Nfqueue&) = delete;
    Nfqueue& operator=(const Nfqueue&) = delete;

    [[nodiscard]] std::string open();

    std::span<Frame> receive(Instant wall) override;
    void pass(const Frame& frame) override;
    void send(const Frame& frame, Leaving leaving) override;
    std::optional<std::uint32_t> mark(const Frame& frame) const override;
    bool set_mark(const Frame& frame, std::uint32_t mark) override;
    void finish_batch() override;
    std::span<const pollfd> ready_fds() const override { return {&ready_, 1}; }
    std::vector<std::string> look_after() override;
    const std::string& failure() const override { return failure_; }

private:
    struct Queued {
        QueuedPacket packet;
        Fate fate = Fate::Drop;
        ByteView replacement{};
        std::optional<std::uint32_t> mark{};  // A new one.
    };
    // Leaves by the raw socket, behind the verdict of packet `behind` of the batch; SIZE_MAX:
    // first.
    struct Raw {
        std::size_t behind = SIZE_MAX;
        Frame frame;
        std::uint32_t payload_max = 0;
    };

    [[nodiscard]] std::string bind_queue();
    void take_message(nlmsghdr* message, Instant wall);
    [[nodiscard]] std::size_t place_of(const Frame& frame) const;
    [[nodiscard]] MutableByteView copy(ByteView bytes);
    void send_raw(const Raw& raw);
    void give_verdicts(std::size_t from, std::size_t to);
    void tell_kernel();

    NfqueueSettings settings_;
    std::uint16_t queue_;
    std::uint64_t stride_;
    std::uint8_t worker_;
    std::uint64_t number_;  // Of the batch's first frame.
    mnl_socket* socket_ = nullptr;
    pollfd ready_{};
    RawSender raw_sender_;
    QueueMessages messages_;
    std::vector<std::vector<std::uint8_t>> buffers_;
    std::vector<iovec> parts_;
    std::vector<mmsghdr> heads_;
    std::vector<Frame> frames_;
    std::vector<Queued> queued_;
    std::vector<Raw> raw_;
    std::size_t at_hand_ = SIZE_MAX;  // Place of the last packet that something left for.
    std::unique_ptr<std::uint8_t[]> copies_;
    std::size_t copied_ = 0;
    std::vector<std::uint8_t> segment_;
    InterfaceSizes sizes_;
    int refused_ = 0;  // Why the kernel didn't take a packet of ours, an errno; 0: it did.
    bool has_said_refused_ = false;
    bool has_said_overflow_ = false;
    bool overflow_ = false;
    std::string failure_;
};

Nfqueue::Nfqueue(const NfqueueOptions& options, std::uint32_t worker)
    : settings_(options.settings),
      queue_(static_cast<std::uint16_t>(options.first + worker)),
      stride_(options.workers),
      worker_(static_cast<std::uint8_t>(worker)),
      number_(1 + worker),
      messages_(queue_),
      buffers_(kBatch),
      parts_(kBatch),
      heads_(kBatch),
      copies_(std::make_unique<std::uint8_t[]>(kCopiesMax)) {
    for (std::size_t i = 0; i < kBatch; ++i) {
        buffers_[i].resize(settings_.copy_range + kMessageHead);
        parts_[i] = {.iov_base = buffers_[i].data(), .iov_len = buffers_[i].size()};
        heads_[i].msg_hdr.msg_iov = &parts_[i];
        heads_[i].msg_hdr.msg_iovlen = 1;
    }
    frames_.reserve(kBatch);
    queued_.reserve(kBatch);
}

Nfqueue::~Nfqueue() {
    if (socket_ != nullptr) {
        mnl_socket_close(socket_);
    }
}

std::string Nfqueue::open() {
    if (std::string error = raw_sender_.open(settings_.mark); !error.empty()) {
        return error;
    }
    socket_ = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    if (socket_ == nullptr || mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) != 0) {
        return fmt::format(
            "no netlink socket for packet queues: {}; is the kernel module "
            "nfnetlink_queue there? (`modprobe nfnetlink_queue`)",
            std::generic_category().message(errno));
    }
    const int fd = mnl_socket_get_fd(socket_);
    ready_ = {.fd = fd, .events = POLLIN, .revents = 0};
    const auto buffer = static_cast<int>(settings_.socket_buffer);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof buffer) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &kSendBuffer, sizeof kSendBuffer) != 0) {
        return fmt::format(
            "queue {}: socket buffer: {}; run as root, or with the capability "
            "CAP_NET_ADMIN",
            queue_, std::generic_category().message(errno));
    }
    return bind_queue();
}

// Nothing comes before the copy mode is set, so the answer is the first message.
std::string Nfqueue::bind_queue() {
    (void)messages_.add_bind(settings_);
    const ByteView bind = messages_.bytes();
    int answer = static_cast<int>(mnl_socket_sendto(socket_, bind.data(), bind.size()));
    if (answer > 0) {
        const ssize_t size = mnl_socket_recvfrom(socket_, buffers_[0].data(), buffers_[0].size());
        answer = size <= 0 ? -1
                           : mnl_cb_run(buffers_[0].data(), static_cast<std::size_t>(size), 0,
                                        mnl_socket_get_portid(socket_), nullptr, nullptr);
    }
    messages_.clear();
    if (answer < 0) {
        // Who may not bind at all has been told so before.
        const bool busy = errno == EBUSY || errno == EPERM;
        return busy ? fmt::format(
                          "queue {}: another program reads it: end that one, or use "
                          "another queue (the rule's --queue-num)",
                          queue_)
                    : fmt::format("queue {}: {}", queue_, std::generic_category().message(errno));
    }
    (void)messages_.add_copy_mode(settings_.copy_range);
    tell_kernel();
    return failure_;
}

std::span<Frame> Nfqueue::receive(Instant wall) {
    const int count = recvmmsg(ready_.fd, heads_.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count < 0) {
        overflow_ = overflow_ || errno == ENOBUFS;
        return {};
    }
    for (int i = 0; i < count; ++i) {
        const auto at = static_cast<std::size_t>(i);
        int left = static_cast<int>(heads_[at].msg_len);
        auto* message = static_cast<nlmsghdr*>(static_cast<void*>(buffers_[at].data()));
        while (mnl_nlmsg_ok(message, left)) {
            take_message(message, wall);
            message = mnl_nlmsg_next(message, &left);
        }
    }
    return frames_;
}

void Nfqueue::take_message(nlmsghdr* message, Instant wall) {
    if (message->nlmsg_type == NLMSG_ERROR) {
        counts_.refused.add(1);  // A verdict of a packet that is gone.
        return;
    }
    const std::optional<QueuedPacket> packet = read_packet(message);
    if (!packet) {
        return;
    }
    frames_.push_back({.data = packet->bytes.data(),
                       .size = static_cast<std::uint32_t>(packet->bytes.size()),
                       .original_size = packet->size,
                       .when = wall,
                       .number = number_ + frames_.size() * stride_,
                       .link = LinkType::Raw,
                       .worker = worker_,
                       .checksum = packet->is_partial      ? FrameChecksum::Partial
                                   : packet->is_unverified ? FrameChecksum::Unknown
                                                           : FrameChecksum::Verified});
    queued_.push_back({.packet = *packet});
    counts_.packets.add(1);
    counts_.bytes.add(packet->size);
}

std::size_t Nfqueue::place_of(const Frame& frame) const {
    const std::size_t place =
        frame.number < number_ ? SIZE_MAX : (frame.number - number_) / stride_;
    return place < frames_.size() ? place : SIZE_MAX;
}

void Nfqueue::pass(const Frame& frame) {
    const std::size_t place = place_of(frame);
    if (place == SIZE_MAX || frames_[place].data != frame.data) {
        send(frame, {});
        return;
    }
    queued_[place].fate = Fate::Pass;
    at_hand_ = place;
    counts_.passed.add(1);
}

void Nfqueue::send(const Frame& frame, Leaving leaving) {
    const std::size_t place = place_of(frame);
    at_hand_ = place != SIZE_MAX ? place : at_hand_;
    if (frame.size < frame.original_size) {
        counts_.cut.add(1);  // Its end is not known, so it can't be sent anew.
        return;
    }
    counts_.sent.add(1);
    const bool in_place = place != SIZE_MAX && frames_[place].data == frame.data;
    Frame kept = frame;
    if (!in_place) {
        const MutableByteView bytes = copy(frame.bytes());
        if (bytes.empty()) {
            counts_.refused.add(1);
            return;
        }
        kept.data = bytes.data();
    }
    const wire::Headers headers = wire::find_headers(kept.link, kept.bytes());
    if (leaving.origin == Origin::Packet && place != SIZE_MAX &&
        queued_[place].fate == Fate::Drop && !queued_[place].packet.is_joined &&
        kept.size <= QueueMessages::kReplacementMax) {
        if (kept.checksum == FrameChecksum::Partial) {
            complete_checksum(headers, kept.mutable_bytes());
        }
        queued_[place].fate = Fate::Replace;
        queued_[place].replacement = kept.bytes();
        return;
    }
    const std::uint32_t out = place != SIZE_MAX ? queued_[place].packet.out_index : 0;
    const std::uint32_t most = payload_max_of(headers, sizes_.mtu_of(out), leaving.segment_size);
    raw_.push_back({.behind = at_hand_, .frame = kept, .payload_max = most});
}

std::optional<std::uint32_t> Nfqueue::mark(const Frame& frame) const {
    const std::size_t place = place_of(frame);
    if (place == SIZE_MAX) {
        return std::nullopt;
    }
    return queued_[place].mark.value_or(queued_[place].packet.mark);
}

bool Nfqueue::set_mark(const Frame& frame, std::uint32_t mark) {
    const std::size_t place = place_of(frame);
    if (place == SIZE_MAX) {
        return false;
    }
    queued_[place].mark = mark;
    return true;
}

// Bytes that stay until the batch is finished; empty: there is no room.
MutableByteView Nfqueue::copy(ByteView bytes) {
    if (kCopiesMax - copied_ < bytes.size()) {
        return {};
    }
    std::uint8_t* const to = copies_.get() + copied_;
    std::ranges::copy(bytes, to);
    copied_ += bytes.size();
    return {to, bytes.size()};
}

void Nfqueue::send_raw(const Raw& raw) {
    cut_segments(raw.frame, raw.payload_max, segment_, [this](ByteView packet) {
        if (const int error = raw_sender_.send(packet); error != 0) {
            counts_.refused.add(1);
            refused_ = error;
        }
    });
}

// Runs of packets that share a verdict get it by one message.
void Nfqueue::give_verdicts(std::size_t from, std::size_t to) {
    for (std::size_t i = from; i < to; ++i) {
        const Queued& queued = queued_[i];
        const bool is_alone = queued.fate == Fate::Replace || queued.mark;
        const bool goes_on =
            i + 1 < to && !queued_[i + 1].mark && queued_[i + 1].fate == queued.fate;
        if (!is_alone && goes_on) {
            continue;
        }
        const auto add = [this, &queued, is_alone] {
            return is_alone ? messages_.add_verdict({.id = queued.packet.id,
                                                     .accept = queued.fate != Fate::Drop,
                                                     .mark = queued.mark,
                                                     .replacement = queued.replacement})
                            : messages_.add_verdicts(queued.packet.id, queued.fate == Fate::Pass);
        };
        if (!add()) {
            tell_kernel();
            (void)add();
        }
    }
}

void Nfqueue::tell_kernel() {
    const ByteView bytes = messages_.bytes();
    if (!bytes.empty() && mnl_socket_sendto(socket_, bytes.data(), bytes.size()) < 0) {
        counts_.refused.add(1);
    }
    messages_.clear();
}

void Nfqueue::finish_batch() {
    std::size_t done = 0;
    for (const Raw& raw : raw_) {
        const std::size_t until = raw.behind == SIZE_MAX ? 0 : raw.behind + 1;
        if (until > done) {
            give_verdicts(done, until);
            done = until;
        }
        tell_kernel();
        send_raw(raw);
    }
    give_verdicts(done, queued_.size());
    tell_kernel();
    number_ += frames_.size() * stride_;
    frames_.clear();
    queued_.clear();
    raw_.clear();
    copied_ = 0;
    at_hand_ = SIZE_MAX;
}

std::vector<std::string> Nfqueue::look_after() {
    sizes_.forget();
    if (const std::optional<QueueFacts> facts = read_queue_facts(queue_)) {
        counts_.waiting.set(facts->waiting);
        counts_.kernel_lost.set(facts->lost);
    }
    std::vector<std::string> said;
    if (refused_ != 0 && !has_said_refused_) {
        has_said_refused_ = true;
        said.push_back(
            fmt::format("queue {}: the kernel doesn't take every packet that should "
                        "leave: {}; such packets are lost",
                        queue_, std::generic_category().message(refused_)));
    }
    if ((overflow_ || counts_.kernel_lost.get() != 0) && !has_said_overflow_) {
        has_said_overflow_ = true;
        said.push_back(
            fmt::format("queue {}: packets come faster than they are walked: {} {}; more "
                        "queues, nfqueue.length_max or nfqueue.socket_buffer may help",
                        queue_, counts_.kernel_lost.get(),
                        settings_.fail_open ? "passed unlooked or were lost" : "are lost"));
    }
    return said;
}

}  // namespace

LiveSources open_nfqueues(const NfqueueOptions& options) {
    LiveSources made;
    for (std::uint32_t worker = 0; worker < options.workers; ++worker) {
        auto queue = std::make_unique<Nfqueue>(options, worker);
        if (made.error = queue->open(); !made.error.empty()) {
            made.sources.clear();
            return made;
        }
        made.sources.push_back(std::move(queue));
    }
    made.interfaces.push_back(
        {.link = LinkType::Raw, .name = fmt::format("nfqueue:{}", options.first)});
    return made;
}

}  // namespace haka::capture
