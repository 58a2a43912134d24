// URIs (RFC 3986): their parts, and one spelling for those that mean the same. Nothing throws and
// every text has an answer; what isn't there is empty.
#pragma once

#include <string>
#include <string_view>

namespace haka::http {

// Views into the text that was split. `has_` tells an empty part from none.
struct Uri {
    std::string_view scheme;
    std::string_view authority;  // userinfo@host:port
    std::string_view userinfo;
    std::string_view user;
    std::string_view pass;
    std::string_view host;  // An IPv6 address with its brackets.
    std::string_view port;
    std::string_view path;
    std::string_view query;
    std::string_view fragment;
    bool has_authority = false;
    bool has_query = false;
    bool has_fragment = false;
};

[[nodiscard]] Uri split_uri(std::string_view text);
// A request target: one that begins with "/" is a path, however many slashes follow.
[[nodiscard]] Uri split_target(std::string_view text);

// Escapes in upper case, and only where they are needed; scheme and host in lower case; no dot
// segments, no default port; an empty path behind a host is "/" (RFC 3986, 6.2.2 and 6.2.3). A "%"
// that begins no escape becomes "%25", so that nothing is ever decoded twice: a second call changes
// nothing.
[[nodiscard]] std::string normalize(const Uri& uri);

// Every escape replaced once; a "%" that begins none stays.
[[nodiscard]] std::string decode(std::string_view text);

}  // namespace haka::http
