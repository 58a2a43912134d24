// Tested by: nfqueue_test.cc
#include "capture/queue_facts.h"

#include <array>
#include <fstream>
#include <net/if.h>
#include <string>

#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace haka::capture {
namespace {

constexpr std::uint32_t kUsualMtu = 1500;

std::optional<std::uint32_t> ask_mtu(std::uint32_t interface) {
    ifreq request{};
    if (if_indextoname(interface, static_cast<char*>(request.ifr_name)) == nullptr) {
        return std::nullopt;
    }
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd == -1) {
        return std::nullopt;
    }
    const bool answered = ioctl(fd, SIOCGIFMTU, &request) == 0;
    close(fd);
    return answered ? std::optional(static_cast<std::uint32_t>(request.ifr_mtu)) : std::nullopt;
}

}  // namespace

// The columns are: queue, port, waiting, copy mode, copy range, lost (queue full), lost (our
// socket full), id, 1.
std::optional<QueueFacts> read_queue_facts(std::uint16_t queue) {
    std::ifstream file("/proc/net/netfilter/nfnetlink_queue");
    std::string line;
    std::array<std::uint64_t, 7> columns{};
    while (file) {
        for (std::uint64_t& column : columns) {
            file >> column;
        }
        if (!std::getline(file, line)) {
            break;
        }
        if (columns[0] == queue) {
            return QueueFacts{.waiting = columns[2], .lost = columns[5] + columns[6]};
        }
    }
    return std::nullopt;
}

std::uint32_t InterfaceSizes::mtu_of(std::uint32_t interface) {
    if (interface == 0) {
        return kUsualMtu;
    }
    const auto known = known_.find(interface);
    if (known != known_.end()) {
        return known->second;
    }
    return known_[interface] = ask_mtu(interface).value_or(kUsualMtu);
}

}  // namespace haka::capture
