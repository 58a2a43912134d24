// Word to the service manager, as sd_notify(3) has it: datagrams to the socket NOTIFY_SOCKET names.
// Without that variable every call does nothing.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace haka::control {

class Notifier {
public:
    // `socket_path`: of NOTIFY_SOCKET, empty when nobody listens; `watchdog_us`: of WATCHDOG_USEC.
    explicit Notifier(std::string_view socket_path, std::string_view watchdog_us = {});
    // From the environment.
    [[nodiscard]] static Notifier of_environment();
    ~Notifier();
    Notifier(Notifier&& other) noexcept;
    Notifier(const Notifier&) = delete;
    Notifier& operator=(const Notifier&) = delete;

    // Each returns at once and fails silently: the manager has timeouts of its own.
    void ready(std::string_view status) const;
    void reloading(Instant monotonic) const;
    void stopping(std::string_view status) const;
    void alive() const;
    void status(std::string_view text) const;

    // How often alive() is expected: half of what the manager waits. Nothing: never.
    [[nodiscard]] std::optional<Duration> watchdog() const { return watchdog_; }

private:
    void send(std::string_view text) const;

    int fd_ = -1;
    std::optional<Duration> watchdog_;
};

}  // namespace haka::control
