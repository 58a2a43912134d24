#include "control/unix_address.h"

#include <algorithm>
#include <cstddef>

namespace haka::control {

std::optional<UnixAddress> UnixAddress::of(std::string_view path) {
    if (path.empty() || path.size() > kPathMax || path.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    UnixAddress made;
    made.address_.sun_family = AF_UNIX;
    std::copy(path.begin(), path.end(), std::begin(made.address_.sun_path));
    const bool is_abstract = path.front() == '@';
    if (is_abstract) {
        made.address_.sun_path[0] = '\0';
    }
    // An abstract name has no terminator.
    made.size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() +
                                        (is_abstract ? 0 : 1));
    return made;
}

const sockaddr* UnixAddress::get() const {
    const void* address = &address_;
    return static_cast<const sockaddr*>(address);
}

}  // namespace haka::control
