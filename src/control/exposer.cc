#include "control/exposer.h"

#include <atomic>
#include <charconv>
#include <chrono>
#include <cstring>
#include <exception>
#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>
#include <string>
#include <thread>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/address.h"
#include "control/metrics.h"

namespace haka::control {

namespace {

constexpr const char* kThreads = "4";
constexpr const char* kPatienceMs = "1000";
constexpr std::chrono::milliseconds kKnockEvery{5};

// Of an address that is right.
Address host_of(const std::string& normal) {
    const std::string host = normal.substr(0, normal.rfind(':'));
    const bool in_brackets = host.starts_with('[');
    return Address::parse(in_brackets ? host.substr(1, host.size() - 2) : host).value_or(Address());
}

}  // namespace

class Exposer::Source final : public prometheus::Collectable {
public:
    explicit Source(Engine& engine) : engine_(engine) {}

    [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override {
        return metric_families(engine_.status(), engine_.figures(), process_figures());
    }

private:
    Engine& engine_;
};

std::string check_metrics_address(const std::string& address, std::string& normal) {
    const std::size_t colon = address.rfind(':');
    const std::string port_text = colon == std::string::npos ? address : address.substr(colon + 1);
    std::string host = colon == std::string::npos ? "127.0.0.1" : address.substr(0, colon);
    std::uint16_t port = 0;
    const char* end = port_text.data() + port_text.size();
    const auto [rest, error] = std::from_chars(port_text.data(), end, port);
    const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    const auto parsed = Address::parse(in_brackets ? host.substr(1, host.size() - 2) : host);
    const bool right = error == std::errc() && rest == end && parsed &&
                       in_brackets == (parsed->family == Family::Ipv6);
    if (!right) {
        return fmt::format(
            "--metrics takes ADDRESS:PORT, such as 127.0.0.1:9477 or [::1]:9477, "
            "not \"{}\"",
            address);
    }
    normal = fmt::format("{}:{}", host, port);
    return {};
}

Exposer::Opened Exposer::open(const std::string& address, Engine& engine) {
    std::string normal;
    if (std::string wrong = check_metrics_address(address, normal); !wrong.empty()) {
        return {nullptr, std::move(wrong)};
    }
    try {
        // Who connects and is silent has a thread for that long, and no more.
        auto server = std::make_unique<prometheus::Exposer>(std::vector<std::string>{
            "listening_ports", normal, "num_threads", kThreads, "request_timeout_ms", kPatienceMs});
        return {std::unique_ptr<Exposer>(new Exposer(std::move(server), engine, host_of(normal))),
                {}};
    } catch (const std::exception&) {  // The library says only that it can't.
        return {nullptr,
                fmt::format("--metrics {}: cannot listen there: the port is in use (`ss -ltnp` "
                            "shows by whom), or the address isn't this machine's; choose another",
                            normal)};
    }
}

Exposer::Exposer(std::unique_ptr<prometheus::Exposer> server, Engine& engine, Address address)
    : server_(std::move(server)), address_(address), source_(std::make_shared<Source>(engine)) {
    server_->RegisterCollectable(source_);
}

// The library looks only now and then whether it shall end, seconds apart; but also when somebody
// connects.
Exposer::~Exposer() {
    const int port = this->port();
    std::atomic<bool> ended{false};
    std::thread ending([this, &ended] {
        server_.reset();
        ended.store(true);
    });
    while (!ended.load()) {
        knock(port);
        std::this_thread::sleep_for(kKnockEvery);
    }
    ending.join();
}

void Exposer::knock(int port) const {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;  // IPv4 in its mapped form.
    to.sin6_port = htons(static_cast<std::uint16_t>(port));
    std::memcpy(&to.sin6_addr, address_.bytes.data(), sizeof to.sin6_addr);
    const void* const address = &to;
    const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        (void)connect(fd, static_cast<const sockaddr*>(address), sizeof to);
        close(fd);
    }
}

int Exposer::port() const {
    return server_->GetListeningPorts().front();
}

}  // namespace haka::control
