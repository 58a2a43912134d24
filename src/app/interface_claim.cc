#include "app/interface_claim.h"

#include <cerrno>
#include <fmt/format.h>
#include <net/if.h>

#include <sys/socket.h>
#include <unistd.h>

#include "control/unix_address.h"

namespace haka::app {
namespace {

// An abstract name: each network namespace has its own, and it ends with the processes.
std::optional<control::UnixAddress> name_of_claim(const std::string& interface) {
    const unsigned index = if_nametoindex(interface.c_str());
    return index == 0 ? std::nullopt
                      : control::UnixAddress::of(fmt::format("@haka-between-interfaces-{}", index));
}

int claim(const std::string& interface) {
    const auto name = name_of_claim(interface);
    if (!name) {
        return -1;
    }
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (bind(fd, name->get(), name->size()) != 0 || listen(fd, SOMAXCONN) != 0)) {
        close(fd);
        return -1;
    }
    return fd;
}

}  // namespace

InterfaceClaim::InterfaceClaim(const engine::LiveInput& input) {
    if (!input.peer.empty()) {
        fds_ = {claim(input.interface), claim(input.peer)};
    }
}

InterfaceClaim::~InterfaceClaim() {
    for (const int fd : fds_) {
        if (fd >= 0) {
            close(fd);
        }
    }
}

std::optional<pid_t> claimed_by(const std::string& interface) {
    const auto name = name_of_claim(interface);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    ucred owner{};
    socklen_t size = sizeof owner;
    bool is_claimed = false;
    if (name && fd >= 0) {
        // Nobody takes those who ask from the row, which may get full.
        const bool connects = connect(fd, name->get(), name->size()) == 0;
        is_claimed = connects ? getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &size) == 0
                              : errno == EAGAIN;
    }
    if (fd >= 0) {
        close(fd);
    }
    // Anybody may take a name; that of somebody with no privileges counts for nothing.
    const bool is_ours = owner.pid != 0 && (owner.pid == getpid() || owner.pid == getppid());
    return is_claimed && !is_ours && (owner.uid == 0 || owner.uid == geteuid())
               ? std::optional(owner.pid)
               : std::nullopt;
}

}  // namespace haka::app
