#include "app/system_facts.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <ifaddrs.h>
#include <libmnl/libmnl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sstream>

#include <linux/capability.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/interface_claim.h"
#include "base/address.h"
#include "base/settings.h"
#include "capture/xdp_pair.h"

namespace haka::app {
namespace {

class Socket {
public:
    Socket(int family, int type, int protocol)
        : fd_(socket(family, type | SOCK_CLOEXEC, protocol)) {}
    ~Socket() {
        if (fd_ >= 0) {
            close(fd_);
        }
    }
    Socket(const Socket&) = delete;
    Socket& operator=(const Socket&) = delete;
    [[nodiscard]] int fd() const { return fd_; }

private:
    int fd_;
};

bool file_says_one(const char* path) {
    std::ifstream file(path);
    int value = 0;
    return file >> value && value != 0;
}

std::uint64_t effective_capabilities() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.starts_with("CapEff:")) {
            return std::strtoull(line.c_str() + 7, nullptr, 16);
        }
    }
    return 0;
}

bool has_packet_sockets() {
    const Socket packets(AF_PACKET, SOCK_RAW, 0);  // Protocol 0: nothing comes.
    const int version = TPACKET_V2;
    const int yes = 1;
    return packets.fd() >= 0 &&
           setsockopt(packets.fd(), SOL_PACKET, PACKET_VERSION, &version, sizeof version) == 0 &&
           setsockopt(packets.fd(), SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) == 0;
}

// A request for a queue's part of netlink loads the kernel's module, if there is one. What it asks
// for has done nothing since Linux 3.8.
bool has_queues() {
    const Socket netlink(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
    struct {
        nlmsghdr head;
        nfgenmsg family;
        nlattr attribute;
        nfqnl_msg_config_cmd command;
    } request{};
    static_assert(sizeof request == 28);
    request.head.nlmsg_len = sizeof request;
    request.head.nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_CONFIG;
    request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    request.attribute = {.nla_len = sizeof request.attribute + sizeof request.command,
                         .nla_type = NFQA_CFG_CMD};
    request.command.command = NFQNL_CFG_CMD_PF_UNBIND;
    request.command.pf = htons(AF_INET);
    if (netlink.fd() < 0 || send(netlink.fd(), &request, sizeof request, 0) != sizeof request) {
        return false;
    }
    struct {
        nlmsghdr head;
        nlmsgerr answer;
    } reply{};
    const ssize_t count = recv(netlink.fd(), &reply, sizeof reply, 0);
    // EINVAL: the kernel has no such part. EPERM: it has one, for others.
    return count >= static_cast<ssize_t>(sizeof reply) && reply.head.nlmsg_type == NLMSG_ERROR &&
           reply.answer.error != -EINVAL && reply.answer.error != -EOPNOTSUPP;
}

bool has_xdp_sockets() {
    const Socket xdp(AF_XDP, SOCK_RAW, 0);
    return xdp.fd() >= 0;
}

std::map<std::uint16_t, std::uint32_t> queue_owners() {
    std::map<std::uint16_t, std::uint32_t> owners;
    std::ifstream file("/proc/net/netfilter/nfnetlink_queue");
    for (std::string line; std::getline(file, line);) {
        std::istringstream words(line);
        std::uint16_t queue = 0;
        std::uint32_t owner = 0;
        if (words >> queue >> owner) {
            owners[queue] = owner;
        }
    }
    return owners;
}

class InterfaceLook {
public:
    explicit InterfaceLook(const std::string& name) : any_(AF_INET, SOCK_DGRAM, 0) {
        name.copy(request_.ifr_name, IFNAMSIZ - 1);
    }
    bool ask(unsigned long what) { return ioctl(any_.fd(), what, &request_) == 0; }
    [[nodiscard]] const ifreq& answer() const { return request_; }
    // Of the card: 0 when it has no such thing.
    std::uint32_t ethtool(std::uint32_t command) {
        ethtool_value value{.cmd = command, .data = 0};
        void* data = &value;
        request_.ifr_data = static_cast<char*>(data);
        return ask(SIOCETHTOOL) ? value.data : 0;
    }
    // Of cards that can't say: one.
    unsigned receive_queues() {
        ethtool_channels channels{};
        channels.cmd = ETHTOOL_GCHANNELS;
        void* data = &channels;
        request_.ifr_data = static_cast<char*>(data);
        return ask(SIOCETHTOOL) ? std::max(1U, channels.rx_count + channels.combined_count) : 1;
    }

private:
    Socket any_;
    ifreq request_{};
};

std::vector<std::string> addresses_of(const std::string& name) {
    std::vector<std::string> texts;
    ifaddrs* list = nullptr;
    if (getifaddrs(&list) != 0) {
        return texts;
    }
    for (const ifaddrs* each = list; each != nullptr; each = each->ifa_next) {
        if (each->ifa_addr == nullptr || name != each->ifa_name) {
            continue;
        }
        const void* address = each->ifa_addr;
        if (each->ifa_addr->sa_family == AF_INET) {
            const auto& ipv4 = static_cast<const sockaddr_in*>(address)->sin_addr;
            texts.push_back(Address::ipv4(ntohl(ipv4.s_addr)).text());
        } else if (each->ifa_addr->sa_family == AF_INET6) {
            const auto& ipv6 = static_cast<const sockaddr_in6*>(address)->sin6_addr;
            if (!IN6_IS_ADDR_LINKLOCAL(&ipv6)) {
                texts.push_back(Address::ipv6(std::begin(ipv6.s6_addr)).text());
            }
        }
    }
    freeifaddrs(list);
    return texts;
}

// The bridge, bond or the like that an interface belongs to, in our own network namespace: /sys may
// show another one's.
std::string master_of(const std::string& name) {
    std::array<char, 256> request{};
    nlmsghdr* const message = mnl_nlmsg_put_header(request.data());
    message->nlmsg_type = RTM_GETLINK;
    message->nlmsg_flags = NLM_F_REQUEST;
    (void)mnl_nlmsg_put_extra_header(message, sizeof(ifinfomsg));
    mnl_attr_put_strz(message, IFLA_IFNAME, name.c_str());
    const Socket netlink(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    std::vector<std::uint8_t> answer(std::size_t{64} << 10);
    if (netlink.fd() < 0 || send(netlink.fd(), message, message->nlmsg_len, 0) < 0) {
        return {};
    }
    const ssize_t size = recv(netlink.fd(), answer.data(), answer.size(), 0);
    unsigned master = 0;
    const auto note_master = [](const nlattr* attribute, void* data) {
        if (mnl_attr_get_type(attribute) == IFLA_MASTER) {
            *static_cast<unsigned*>(data) = mnl_attr_get_u32(attribute);
        }
        return MNL_CB_OK;
    };
    const void* const bytes = answer.data();
    const auto* const link = static_cast<const nlmsghdr*>(bytes);
    if (size > 0 && mnl_nlmsg_ok(link, static_cast<int>(size)) && link->nlmsg_type == RTM_NEWLINK) {
        (void)mnl_attr_parse(link, sizeof(ifinfomsg), note_master, &master);
    }
    std::array<char, IF_NAMESIZE> text{};
    return master != 0 && if_indextoname(master, text.data()) != nullptr ? text.data()
                                                                         : std::string();
}

InterfaceFacts look_at_interface(const std::string& name) {
    InterfaceFacts facts;
    InterfaceLook look(name);
    if (name.size() >= IFNAMSIZ || name.find('/') != std::string::npos || !look.ask(SIOCGIFFLAGS)) {
        return facts;
    }
    facts.exists = true;
    const auto flags = static_cast<unsigned>(static_cast<unsigned short>(look.answer().ifr_flags));
    facts.up = (flags & IFF_UP) != 0;
    facts.carrier = (flags & IFF_RUNNING) != 0;
    if (look.ask(SIOCGIFMTU)) {
        facts.mtu = static_cast<unsigned>(look.answer().ifr_mtu);
    }
    if (look.ask(SIOCGIFHWADDR)) {
        const auto family = look.answer().ifr_hwaddr.sa_family;
        facts.ethernet = family == ARPHRD_ETHER || family == ARPHRD_LOOPBACK;  // Alike in a socket.
    }
    const std::uint32_t card_flags = look.ethtool(ETHTOOL_GFLAGS);
    facts.lro = (card_flags & ETH_FLAG_LRO) != 0;
    facts.takes_tags = (card_flags & ETH_FLAG_RXVLAN) != 0;
    facts.queues = look.receive_queues();
    facts.gro = look.ethtool(ETHTOOL_GGRO) != 0;
    facts.tso = look.ethtool(ETHTOOL_GTSO) != 0;
    facts.master = master_of(name);
    facts.addresses = addresses_of(name);
    facts.engine = claimed_by(name);
    return facts;
}

constexpr int kNotThere = 127;

struct Output {
    int status = kNotThere;
    std::string text;
};

// What a program says on its standard output, and how it ends.
Output output_of(std::vector<std::string> words) {
    constexpr std::size_t kOutputMax = std::size_t{16} << 20;
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) {
        return {};
    }
    std::vector<char*> arguments;
    arguments.reserve(words.size() + 1);
    for (std::string& word : words) {
        arguments.push_back(word.data());
    }
    arguments.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        const int nothing = open("/dev/null", O_RDWR);
        dup2(nothing, STDIN_FILENO);
        dup2(ends[1], STDOUT_FILENO);
        dup2(nothing, STDERR_FILENO);
        setenv("PATH", "/usr/sbin:/sbin:/usr/bin:/bin", 1);  // Users' own often lacks sbin.
        execvp(arguments[0], arguments.data());
        _exit(kNotThere);
    }
    close(ends[1]);
    std::string text;
    std::array<char, 16'384> bytes{};
    ssize_t count = 0;
    while (child > 0 && text.size() < kOutputMax &&
           (count = read(ends[0], bytes.data(), bytes.size())) > 0) {
        text.append(bytes.data(), static_cast<std::size_t>(count));
    }
    close(ends[0]);
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child) {
        return {};
    }
    return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1, .text = std::move(text)};
}

void look_at_rules(SystemFacts& facts) {
    struct Tool {
        const char* name;
        bool ipv6;
    };
    const auto listing_of = [&facts](std::vector<std::string> words) {
        const Output output = output_of(std::move(words));
        facts.has_rule_tools = facts.has_rule_tools || output.status != kNotThere;
        facts.rules_listed = facts.rules_listed || output.status == 0;
        return output.status == 0 ? output.text : std::string();
    };
    for (const Tool& tool :
         {Tool{"iptables-legacy-save", false}, Tool{"ip6tables-legacy-save", true},
          Tool{"iptables-nft-save", false}, Tool{"ip6tables-nft-save", true}}) {
        const std::string listing = listing_of({tool.name});
        append_iptables_rules(facts.queue_rules, listing, tool.ipv6);
        append_iptables_translations(facts.translations, listing, tool.ipv6,
                                     NfqueueSettings().mark);
    }
    const std::string listing = listing_of({"nft", "list", "ruleset"});
    append_nft_rules(facts.queue_rules, listing);
    append_nft_translations(facts.translations, listing);
}

}  // namespace

SystemFacts look_at_system(const std::vector<std::string>& interfaces, Look look) {
    SystemFacts facts;
    const std::uint64_t capabilities = effective_capabilities();
    facts.net_admin = (capabilities >> CAP_NET_ADMIN & 1U) != 0;
    facts.net_raw = (capabilities >> CAP_NET_RAW & 1U) != 0;
    facts.bpf = (capabilities >> CAP_BPF & 1U) != 0;
    facts.ipc_lock = (capabilities >> CAP_IPC_LOCK & 1U) != 0;
    facts.packet_sockets = has_packet_sockets();
    facts.xdp_sockets = has_xdp_sockets();
    facts.built_with_xdp = capture::has_af_xdp();
    facts.queues = has_queues();
    facts.queue_owners = queue_owners();
    facts.ipv4_forwarding = file_says_one("/proc/sys/net/ipv4/ip_forward");
    facts.ipv6_forwarding = file_says_one("/proc/sys/net/ipv6/conf/all/forwarding");
    facts.tracks_liberally = file_says_one("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal");
    for (const std::string& name : interfaces) {
        facts.interfaces[name] = look_at_interface(name);
    }
    if (look == Look::WithRules) {
        look_at_rules(facts);
    }
    return facts;
}

}  // namespace haka::app
