// URIs of any bytes: parts lie in the text, normalising twice is normalising once, and nothing is
// decoded twice.
#include <cstdint>
#include <cstdlib>

#include "base/bytes.h"
#include "proto/http/uri.h"

namespace haka {
namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

void check(std::string_view text, http::Uri (*split)(std::string_view)) {
    const http::Uri uri = split(text);
    std::size_t sum = uri.scheme.size() + uri.authority.size() + uri.path.size() +
                      uri.query.size() + uri.fragment.size();
    require(sum <= text.size());
    require(uri.userinfo.size() + uri.host.size() + uri.port.size() <= uri.authority.size());
    const std::string once = http::normalize(uri);
    require(http::normalize(split(once)) == once);
    require(http::decode(text).size() <= text.size());
}

}  // namespace
}  // namespace haka

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = haka::as_text({data, size});
    haka::check(text, haka::http::split_uri);
    haka::check(text, haka::http::split_target);
    return 0;
}
