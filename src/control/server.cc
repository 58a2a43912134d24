#include "control/server.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <fmt/format.h>
#include <poll.h>

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/respond.h"
#include "control/unix_address.h"

namespace haka::control {
namespace {

constexpr mode_t kOwnerOnly = 0600;
constexpr Duration kMayBeIdle = kSecond;  // When others want the place.

Instant clock_now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return {time.tv_sec * kSecond.ns + time.tv_nsec};
}

std::string system_error() {
    return std::strerror(errno);  // NOLINT(concurrency-mt-unsafe): glibc's is safe for known ones.
}

bool somebody_listens(const UnixAddress& address) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool connects = fd >= 0 && (connect(fd, address.get(), address.size()) == 0 ||
                                      (errno != ECONNREFUSED && errno != ENOENT));
    if (fd >= 0) {
        close(fd);
    }
    return connects;
}

// Of the path's last folder; what can't be made is told by bind().
void make_folder(const std::string& path) {
    if (const std::size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0) {
        (void)mkdir(path.substr(0, slash).c_str(), 0755);
    }
}

}  // namespace

struct Server::Client {
    int fd;
    std::string in;        // Until a newline.
    std::string out;       // Waits to be read by the client.
    Instant active;        // When something was last read or written.
    bool closing = false;  // Once `out` is written.
    bool gone = false;
};

Server::Opened Server::open(const ControlSettings& settings, Engine& engine) {
    const std::string& path = settings.socket;
    const auto fails = [&path](std::string_view what) {
        return Opened{nullptr, fmt::format("{}: {}; set control.socket to another path, or to \"\" "
                                           "for none",
                                           path, what)};
    };
    const auto address = UnixAddress::of(path);
    if (!address) {
        return fails(fmt::format("a socket's path has 1 to {} bytes", UnixAddress::kPathMax));
    }
    make_folder(path);
    struct stat there {};
    if (lstat(path.c_str(), &there) == 0) {
        if (!S_ISSOCK(there.st_mode)) {
            return fails("something else is there that is no socket");
        }
        if (somebody_listens(*address)) {
            return fails("another engine listens there");
        }
        (void)unlink(path.c_str());
    }
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const int waker = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    // The mode is the socket's before it has a name: at no time can others open it.
    if (listener < 0 || waker < 0 || fchmod(listener, kOwnerOnly) != 0 ||
        bind(listener, address->get(), address->size()) != 0 ||
        listen(listener, static_cast<int>(settings.clients_max)) != 0) {
        const std::string why = system_error();
        for (const int fd : {listener, waker}) {
            if (fd >= 0) {
                close(fd);
            }
        }
        return fails(why);
    }
    return {std::unique_ptr<Server>(new Server(settings, engine, listener, waker)), {}};
}

Server::Server(const ControlSettings& settings, Engine& engine, int listener, int waker)
    : settings_(settings), engine_(engine), listener_(listener), waker_(waker) {
    thread_ = std::thread([this] { serve(); });
}

Server::~Server() {
    ending_.store(true);
    (void)eventfd_write(waker_, 1);
    thread_.join();
    (void)unlink(settings_.socket.c_str());
    close(listener_);
    close(waker_);
    for (const auto& client : clients_) {
        close(client->fd);
    }
}

void Server::serve() {
    constexpr int kTurnMs = 500;  // So that silent clients are seen.
    std::vector<pollfd> ready;
    while (!ending_.load()) {
        ready.clear();
        ready.push_back({.fd = waker_, .events = POLLIN, .revents = 0});
        ready.push_back({.fd = listener_, .events = POLLIN, .revents = 0});
        for (const auto& client : clients_) {
            const bool writes = !client->out.empty();
            ready.push_back({.fd = client->fd,
                             .events = static_cast<short>(writes ? POLLOUT : POLLIN),
                             .revents = 0});
        }
        (void)poll(ready.data(), ready.size(), kTurnMs);
        for (std::size_t i = 0; i < clients_.size(); ++i) {
            if (ready[i + 2].revents == 0) {
                continue;
            }
            Client& client = *clients_[i];
            if (client.out.empty()) {
                read_from(client);
            } else {
                write_to(client);
                answer_lines(client);
            }
        }
        drop_silent();
        if ((ready[1].revents & POLLIN) != 0) {
            accept_one();
        }
    }
}

void Server::accept_one() {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        return;
    }
    if (clients_.size() >= settings_.clients_max) {
        drop_idlest();
    }
    clients_.push_back(
        std::make_unique<Client>(Client{.fd = fd, .in = {}, .out = {}, .active = clock_now()}));
    if (clients_.size() > settings_.clients_max) {
        Client& client = *clients_.back();
        client.out = refusal(fmt::format("control.clients_max ({}) clients are connected already; "
                                         "close one and try again",
                                         settings_.clients_max)) +
                     "\n";
        client.closing = true;
        write_to(client);
        client.gone = true;
        drop_silent();
    }
}

// The client that has had nothing to say for longest gives way, so that others never lock one out.
void Server::drop_idlest() {
    Client* idlest = nullptr;
    for (const auto& client : clients_) {
        const bool idle =
            client->in.empty() && client->out.empty() && clock_now() - client->active > kMayBeIdle;
        if (idle && (idlest == nullptr || client->active < idlest->active)) {
            idlest = client.get();
        }
    }
    if (idlest != nullptr) {
        idlest->gone = true;
        drop_silent();
    }
}

void Server::read_from(Client& client) {
    std::array<char, 4096> bytes{};
    const ssize_t count = recv(client.fd, bytes.data(), bytes.size(), 0);
    if (count <= 0) {
        client.gone = count == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    client.active = clock_now();
    client.in.append(bytes.data(), static_cast<std::size_t>(count));
    answer_lines(client);
}

// One answer at a time: who doesn't read its answers isn't asked for more.
void Server::answer_lines(Client& client) {
    while (client.out.empty() && !client.closing && !client.gone) {
        const std::size_t end = client.in.find('\n');
        if (std::min(end, client.in.size()) > settings_.line_max) {
            client.out = refusal(fmt::format("a request has at most control.line_max ({}) bytes",
                                             settings_.line_max)) +
                         "\n";
            client.closing = true;
        } else if (end == std::string::npos) {
            return;
        } else {
            client.out =
                respond(std::string_view(client.in).substr(0, end), engine_, settings_.rows_max) +
                "\n";
            client.in.erase(0, end + 1);
        }
        write_to(client);
    }
}

void Server::write_to(Client& client) const {
    while (!client.out.empty()) {
        const ssize_t count = send(client.fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
        if (count < 0) {
            client.gone = errno != EAGAIN && errno != EINTR;
            return;
        }
        client.active = clock_now();
        client.out.erase(0, static_cast<std::size_t>(count));
    }
    client.gone = client.gone || client.closing;
}

void Server::drop_silent() {
    const Instant now = clock_now();
    std::erase_if(clients_, [&](const std::unique_ptr<Client>& client) {
        const bool waits = !client->out.empty() || !client->in.empty();
        const bool silent = waits && now - client->active > settings_.timeout;
        if (client->gone || silent) {
            close(client->fd);
        }
        return client->gone || silent;
    });
}

}  // namespace haka::control
