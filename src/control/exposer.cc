#include "control/exposer.h"

#include <charconv>
#include <exception>
#include <fmt/format.h>
#include <prometheus/collectable.h>
#include <prometheus/exposer.h>

#include "base/address.h"
#include "control/metrics.h"

namespace haka::control {

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
        auto server = std::make_unique<prometheus::Exposer>(normal, 1);
        return {std::unique_ptr<Exposer>(new Exposer(std::move(server), engine)), {}};
    } catch (const std::exception&) {  // The library says only that it can't.
        return {nullptr,
                fmt::format("--metrics {}: cannot listen there: the port is in use (`ss -ltnp` "
                            "shows by whom), or the address isn't this machine's; choose another",
                            normal)};
    }
}

Exposer::Exposer(std::unique_ptr<prometheus::Exposer> server, Engine& engine)
    : server_(std::move(server)), source_(std::make_shared<Source>(engine)) {
    server_->RegisterCollectable(source_);
}

Exposer::~Exposer() = default;

int Exposer::port() const {
    return server_->GetListeningPorts().front();
}

}  // namespace haka::control
