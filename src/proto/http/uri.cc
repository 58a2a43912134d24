#include "proto/http/uri.h"

#include <algorithm>

namespace haka::http {
namespace {

constexpr std::string_view kHex = "0123456789ABCDEF";

bool is_alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_unreserved(char c) {
    return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

int hex_value(char c) {
    if (is_digit(c)) {
        return c - '0';
    }
    const char small = lower(c);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

// The byte that the escape at `at` stands for, or -1.
int escape_at(std::string_view text, std::size_t at) {
    if (at + 2 >= text.size() || text[at] != '%') {
        return -1;
    }
    const int high = hex_value(text[at + 1]);
    const int low = hex_value(text[at + 2]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

// What may stand as it is in a path, query or fragment. Everything else is escaped.
bool may_stand(char c) {
    return is_unreserved(c) ||
           std::string_view("!$&'()*+,;=:@/?[]").find(c) != std::string_view::npos;
}

void append_escape(std::string& out, char c) {
    const auto byte = static_cast<std::uint8_t>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
}

std::string normal_escapes(std::string_view text, bool lower_case) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int escaped = escape_at(text, i);
        const char c = escaped < 0 ? text[i] : static_cast<char>(escaped);
        if (escaped < 0 ? may_stand(c) : is_unreserved(c)) {
            out += lower_case ? lower(c) : c;
        } else {
            append_escape(out, c);
        }
        i += escaped < 0 ? 0 : 2;
    }
    return out;
}

// RFC 3986, 5.2.4. `path` is empty or begins with a slash.
std::string without_dots(std::string_view path) {
    std::string out;
    while (!path.empty()) {
        const std::size_t slash = path.find('/', 1);
        const std::string_view segment = path.substr(0, slash);
        path.remove_prefix(segment.size());
        if (segment == "/..") {
            const std::size_t last = out.rfind('/');
            out.resize(last == std::string::npos ? 0 : last);
        } else if (segment != "/.") {
            out += segment;
            continue;
        }
        out += path.empty() ? "/" : "";
    }
    return out;
}

void split_authority(Uri& uri) {
    std::string_view rest = uri.authority;
    const std::size_t at = rest.rfind('@');
    if (at != std::string_view::npos) {
        uri.userinfo = rest.substr(0, at);
        const std::size_t colon = uri.userinfo.find(':');
        uri.user = uri.userinfo.substr(0, colon);
        if (colon != std::string_view::npos) {
            uri.pass = uri.userinfo.substr(colon + 1);
        }
        rest.remove_prefix(at + 1);
    }
    // Colons within brackets are an IPv6 address's.
    const std::size_t bracket = rest.rfind(']');
    const std::size_t colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
        uri.port = rest.substr(colon + 1);
        rest = rest.substr(0, colon);
    }
    uri.host = rest;
}

// Path, query and fragment.
void split_rest(Uri& uri, std::string_view rest) {
    const std::size_t hash = rest.find('#');
    if (hash != std::string_view::npos) {
        uri.fragment = rest.substr(hash + 1);
        uri.has_fragment = true;
        rest = rest.substr(0, hash);
    }
    const std::size_t question = rest.find('?');
    if (question != std::string_view::npos) {
        uri.query = rest.substr(question + 1);
        uri.has_query = true;
        rest = rest.substr(0, question);
    }
    uri.path = rest;
}

bool is_scheme(std::string_view text) {
    return !text.empty() && is_alpha(text.front()) && std::ranges::all_of(text, [](char c) {
        return is_alpha(c) || is_digit(c) || c == '+' || c == '-' || c == '.';
    });
}

}  // namespace

Uri split_uri(std::string_view text) {
    Uri uri;
    const std::size_t colon = text.find(':');
    if (colon != std::string_view::npos && is_scheme(text.substr(0, colon))) {
        uri.scheme = text.substr(0, colon);
        text.remove_prefix(colon + 1);
    }
    if (text.starts_with("//")) {
        text.remove_prefix(2);
        uri.has_authority = true;
        uri.authority = text.substr(0, text.find_first_of("/?#"));
        text.remove_prefix(uri.authority.size());
        split_authority(uri);
    }
    split_rest(uri, text);
    return uri;
}

Uri split_target(std::string_view text) {
    if (!text.starts_with('/')) {
        return split_uri(text);
    }
    Uri uri;
    split_rest(uri, text);
    return uri;
}

std::string normalize(const Uri& uri) {
    std::string out;
    for (const char c : uri.scheme) {
        out += lower(c);
    }
    const std::string scheme = out;
    out += uri.scheme.empty() ? "" : ":";
    if (uri.has_authority) {
        out += "//";
        if (!uri.userinfo.empty()) {
            out += normal_escapes(uri.userinfo, false) + '@';
        }
        out += normal_escapes(uri.host, true);
        const bool is_default =
            (scheme == "http" && uri.port == "80") || (scheme == "https" && uri.port == "443");
        if (!uri.port.empty() && !is_default) {
            out += ':' + normal_escapes(uri.port, false);
        }
    }
    std::string path = normal_escapes(uri.path, false);
    path = uri.has_authority || uri.path.starts_with('/') ? without_dots(path) : path;
    if (path.empty() && uri.has_authority) {
        path += '/';
    }
    // Without a host, two slashes would name one, and a colon would end a scheme.
    if (!uri.has_authority && path.starts_with("//")) {
        out += "/.";
    } else if (!uri.has_authority && uri.scheme.empty() &&
               path.substr(0, path.find('/')).find(':') != std::string::npos) {
        out += "./";
    }
    out += path;
    if (uri.has_query) {
        out += '?' + normal_escapes(uri.query, false);
    }
    if (uri.has_fragment) {
        out += '#' + normal_escapes(uri.fragment, false);
    }
    return out;
}

std::string decode(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const int escaped = escape_at(text, i);
        out += escaped < 0 ? text[i] : static_cast<char>(escaped);
        i += escaped < 0 ? 0 : 2;
    }
    return out;
}

}  // namespace haka::http
