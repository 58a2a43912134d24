#include "capture/interface_watch.h"

#include <fmt/format.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <utility>

#include <sys/ioctl.h>
#include <system_error>

namespace haka::capture {
namespace {

// A property of the interface by the name in `request`; false: it is gone.
bool ask(int fd, unsigned long what, const std::string& name, ifreq& request) {
    request = {};
    name.copy(static_cast<char*>(request.ifr_name), IFNAMSIZ - 1);
    return ioctl(fd, what, &request) == 0;
}

}  // namespace

std::string InterfaceWatch::open(const std::string& name, int fd, bool speaks) {
    name_ = name;
    fd_ = fd;
    speaks_ = speaks;
    index_ = static_cast<int>(if_nametoindex(name.c_str()));
    if (index_ == 0) {
        return no_such_interface(name);
    }
    ifreq request{};
    if (!ask(fd, SIOCGIFHWADDR, name, request) ||
        (request.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
         request.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)) {
        return fmt::format("{}: not an Ethernet interface", name);
    }
    read_mtu();
    return {};
}

std::string InterfaceWatch::look(std::uint64_t lost, LiveCounts& counts,
                                 std::vector<std::string>& said) {
    look_for_lost(lost, counts, said);
    if (static_cast<int>(if_nametoindex(name_.c_str())) != index_) {
        return fmt::format("{}: the interface is gone", name_);
    }
    read_mtu();
    const bool down = is_down();
    if (down != was_down_ && speaks_) {
        said.push_back(fmt::format("{}: the interface is {}", name_,
                                   down ? "down; waiting for it" : "up again"));
    }
    was_down_ = down;
    look_for_refused(said);
    return {};
}

void InterfaceWatch::look_for_lost(std::uint64_t lost, LiveCounts& counts,
                                   std::vector<std::string>& said) {
    if (lost == 0) {
        return;
    }
    if (counts.kernel_lost.get() == 0) {
        said.push_back(
            fmt::format("{}: frames come faster than they are walked: some are lost; "
                        "more workers (-j) or live.ring_frames may help",
                        name_));
    }
    counts.kernel_lost.add(lost);
}

void InterfaceWatch::look_for_refused(std::vector<std::string>& said) {
    const int error = std::exchange(refused_, 0);
    if (error == 0 || was_down_ || has_said_refused_) {
        return;
    }
    has_said_refused_ = true;
    said.push_back(
        fmt::format("{}: the kernel doesn't take every frame that should leave: {}; "
                    "such frames are lost",
                    name_, std::generic_category().message(error)));
}

bool InterfaceWatch::is_down() const {
    ifreq request{};
    return ask(fd_, SIOCGIFFLAGS, name_, request)
               ? (static_cast<unsigned>(request.ifr_flags) & IFF_UP) == 0
               : was_down_;
}

void InterfaceWatch::read_mtu() {
    ifreq request{};
    if (ask(fd_, SIOCGIFMTU, name_, request)) {
        mtu_ = static_cast<std::uint32_t>(request.ifr_mtu);
    }
}

std::string no_such_interface(const std::string& name) {
    return fmt::format("{}: there is no such interface; `ip link` lists them", name);
}

}  // namespace haka::capture
