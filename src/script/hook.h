// The hooks that C++ runs, in the order in which a packet meets them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace haka::script {

enum class Hook : std::uint8_t {
    RawUp,
    Ipv4Up,
    Ipv6Up,
    TcpUp,
    UdpUp,
    IcmpUp,
    TcpConnectionNew,
    TcpConnectionUp,
    TcpConnectionEnd,
    HttpUp,
    HttpRequest,
    HttpResponse,
    HttpDown,
    TcpConnectionDown,
    TcpDown,
    UdpDown,
    IcmpDown,
    Ipv4Down,
    Ipv6Down,
    RawDown
};

constexpr std::size_t kHookCount = static_cast<std::size_t>(Hook::RawDown) + 1;

[[nodiscard]] constexpr std::string_view hook_name(Hook hook) {
    using enum Hook;
    switch (hook) {
        case RawUp:
            return "raw-up";
        case Ipv4Up:
            return "ipv4-up";
        case Ipv6Up:
            return "ipv6-up";
        case TcpUp:
            return "tcp-up";
        case UdpUp:
            return "udp-up";
        case IcmpUp:
            return "icmp-up";
        case TcpConnectionNew:
            return "tcp-connection-new";
        case TcpConnectionUp:
            return "tcp-connection-up";
        case TcpConnectionEnd:
            return "tcp-connection-end";
        case HttpUp:
            return "http-up";
        case HttpRequest:
            return "http-request";
        case HttpResponse:
            return "http-response";
        case HttpDown:
            return "http-down";
        case TcpConnectionDown:
            return "tcp-connection-down";
        case TcpDown:
            return "tcp-down";
        case UdpDown:
            return "udp-down";
        case IcmpDown:
            return "icmp-down";
        case Ipv4Down:
            return "ipv4-down";
        case Ipv6Down:
            return "ipv6-down";
        case RawDown:
            return "raw-down";
    }
    return "";
}

}  // namespace haka::script
