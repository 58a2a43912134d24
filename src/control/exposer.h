// The page of --metrics ADDRESS:PORT: http://ADDRESS:PORT/metrics, in threads of its own.
#pragma once

#include <memory>
#include <string>

#include "base/address.h"
#include "control/engine.h"

namespace prometheus {
class Exposer;
}

namespace haka::control {

class Exposer {
public:
    struct Opened {
        std::unique_ptr<Exposer> exposer;  // Null on failure.
        std::string error;
    };
    // `address` as ADDRESS:PORT, [IPV6]:PORT or PORT alone for the loopback address; port 0 takes
    // any free one. `engine` must outlive the page.
    [[nodiscard]] static Opened open(const std::string& address, Engine& engine);

    ~Exposer();
    Exposer(const Exposer&) = delete;
    Exposer& operator=(const Exposer&) = delete;

    [[nodiscard]] int port() const;

private:
    class Source;

    Exposer(std::unique_ptr<prometheus::Exposer> server, Engine& engine, Address address);
    void knock(int port) const;

    std::unique_ptr<prometheus::Exposer> server_;
    Address address_;  // Where it listens.
    std::shared_ptr<Source> source_;
};

// What is wrong with an ADDRESS:PORT, empty when nothing; `normal` is then how it is bound.
[[nodiscard]] std::string check_metrics_address(const std::string& address, std::string& normal);

}  // namespace haka::control
