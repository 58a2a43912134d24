#include "control/notify.h"

#include <charconv>
#include <cstdlib>
#include <fmt/format.h>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include "control/unix_address.h"

namespace haka::control {

namespace {

// A status is one line.
std::string one_line(std::string_view text) {
    std::string line(text.substr(0, 1000));
    for (char& c : line) {
        c = c == '\n' || c == '\r' ? ' ' : c;
    }
    return line;
}

std::string_view variable(const char* name) {
    const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): at the start.
    return value == nullptr ? std::string_view() : std::string_view(value);
}

}  // namespace

Notifier::Notifier(std::string_view socket_path, std::string_view watchdog_us) {
    std::int64_t us = 0;
    const char* end = watchdog_us.data() + watchdog_us.size();
    if (const auto [rest, error] = std::from_chars(watchdog_us.data(), end, us);
        error == std::errc() && rest == end && us > 0 && us < INT64_MAX / 1000) {
        watchdog_ = Duration{us * 1000 / 2};
    }
    const auto address = UnixAddress::of(socket_path);
    if (!address) {
        return;
    }
    fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd_ >= 0 && connect(fd_, address->get(), address->size()) != 0) {
        close(fd_);
        fd_ = -1;
    }
}

Notifier Notifier::of_environment() {
    const std::string_view pid = variable("WATCHDOG_PID");
    const bool for_us = pid.empty() || pid == std::to_string(getpid());
    return Notifier(variable("NOTIFY_SOCKET"), for_us ? variable("WATCHDOG_USEC") : "");
}

Notifier::Notifier(Notifier&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), watchdog_(other.watchdog_) {}

Notifier::~Notifier() {
    if (fd_ >= 0) {
        close(fd_);
    }
}

void Notifier::ready(std::string_view status) const {
    send(fmt::format("READY=1\nSTATUS={}\n", one_line(status)));
}

void Notifier::reloading(Instant monotonic) const {
    send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}\n", monotonic.ns / 1000));
}

void Notifier::stopping(std::string_view status) const {
    send(fmt::format("STOPPING=1\nSTATUS={}\n", one_line(status)));
}

void Notifier::alive() const {
    send("WATCHDOG=1\n");
}

void Notifier::status(std::string_view text) const {
    send(fmt::format("STATUS={}\n", one_line(text)));
}

void Notifier::send(std::string_view text) const {
    if (fd_ >= 0) {
        (void)::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
    }
}

}  // namespace haka::control
