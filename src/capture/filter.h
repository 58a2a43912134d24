// A BPF filter expression (pcap-filter(7)), compiled by libpcap for each link type that appears.
#pragma once

#include <memory>
#include <string>

#include "packet/packet.h"

namespace haka::capture {

class Filter {
public:
    struct Compiled {
        std::unique_ptr<Filter> filter;  // Null on failure.
        std::string error;               // libpcap's complaint, with the expression.
    };
    [[nodiscard]] static Compiled compile(const std::string& expression);

    ~Filter();
    Filter(const Filter&) = delete;
    Filter& operator=(const Filter&) = delete;

    // Not thread-safe: a link type seen for the first time is compiled here. An expression that
    // makes no sense for a link type matches nothing there.
    [[nodiscard]] bool matches(const Frame& frame);

private:
    struct Impl;
    explicit Filter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace haka::capture
