#include "report/eve_http.h"

#include <charconv>

#include "proto/http/head.h"
#include "proto/http/uri.h"
#include "report/eve_header.h"

namespace haka::report {
namespace {

constexpr http::Limits kNoLimits{
    .head_bytes_max = UINT32_MAX - 1, .line_bytes_max = UINT32_MAX, .headers_max = UINT32_MAX};

struct Reader {
    Reader(std::string_view text, http::Kind kind) : bytes(as_bytes(text)) {
        if (!text.empty()) {
            (void)http::parse_head(bytes, kind, kNoLimits, head);
        }
    }
    [[nodiscard]] std::string_view part(http::Part part) const {
        return http::text_of(bytes, part);
    }
    // Empty when there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const {
        const std::size_t index = http::find_field(head, bytes, name);
        return index == head.fields.size() ? std::string_view() : part(head.fields[index].value);
    }

    ByteView bytes;
    http::Head head;
};

void write_text(JsonWriter& json, std::string_view key, std::string_view text) {
    if (!text.empty()) {
        json.text(key, text);
    }
}

void write_host(JsonWriter& json, std::string_view host) {
    const std::size_t colon = host.rfind(':');
    const bool has_port = colon != std::string_view::npos && !host.ends_with(']');
    write_text(json, "hostname", has_port ? host.substr(0, colon) : host);
    unsigned port = 0;
    if (has_port &&
        std::from_chars(host.data() + colon + 1, host.data() + host.size(), port).ec ==
            std::errc() &&
        port <= UINT16_MAX) {
        json.number("http_port", port);
    }
}

// Whom a request is for: a target that says so goes before Host (RFC 9112, 3.2.2 and 3.2.3).
std::string_view addressee(const Reader& request) {
    const std::string_view target = request.part(request.head.target);
    if (request.part(request.head.method) == "CONNECT") {
        return target;
    }
    const std::string_view authority = http::split_target(target).authority;
    return authority.empty() ? request.header("host")
                             : authority.substr(authority.rfind('@') + 1);  // npos + 1 is 0.
}

}  // namespace

void append_http(std::string& out, const HttpExchange& exchange, const Where& where,
                 const EveOptions& options) {
    const Reader request(exchange.request, http::Kind::Request);
    const Reader answer(exchange.answer, http::Kind::Response);
    JsonWriter json(out);
    json.begin_object();
    write_eve_header(json, "http", where, options);
    json.number("tx_id", exchange.number);
    json.begin_object("http");
    write_host(json, addressee(request));
    write_text(json, "url", request.part(request.head.target));
    write_text(json, "http_user_agent", request.header("user-agent"));
    std::string_view type = answer.header("content-type");
    type = type.substr(0, type.find(';'));
    write_text(json, "http_content_type", type);
    write_text(json, "http_refer", request.header("referer"));
    write_text(json, "http_method", request.part(request.head.method));
    write_text(json, "protocol", request.part(request.head.version));
    if (answer.head.code != 0) {
        json.number("status", answer.head.code);
        if (answer.head.code / 100 == 3) {
            write_text(json, "redirect", answer.header("location"));
        }
    }
    json.number("length", exchange.bytes);
    json.end_object();
    json.begin_object("haka");
    json.number("generation", where.generation);
    json.end_object();
    json.end_object();
    out += '\n';
}

}  // namespace haka::report
