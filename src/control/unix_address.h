// A unix socket's path as the system wants it.
#pragma once

#include <optional>
#include <string_view>

#include <sys/socket.h>
#include <sys/un.h>

namespace haka::control {

class UnixAddress {
public:
    static constexpr std::size_t kPathMax = sizeof(sockaddr_un::sun_path) - 1;

    // Nothing when the path is empty or too long. A path that begins with @ is an abstract name.
    [[nodiscard]] static std::optional<UnixAddress> of(std::string_view path);

    // Valid as long as this.
    [[nodiscard]] const sockaddr* get() const;
    [[nodiscard]] socklen_t size() const { return size_; }

private:
    sockaddr_un address_{};
    socklen_t size_ = 0;
};

}  // namespace haka::control
