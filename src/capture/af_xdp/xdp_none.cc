// Of a build without AF_XDP.
// Tested by: xdp_none_test.cc
#include "capture/xdp_pair.h"

namespace haka::capture {

bool has_af_xdp() {
    return false;
}

LiveSources open_xdp_pair(const XdpPairOptions& /*options*/) {
    LiveSources none;
    none.error =
        "live.af_xdp: this haka was built without AF_XDP; build it with -DHAKA_AF_XDP=ON, or leave "
        "the setting";
    return none;
}

}  // namespace haka::capture
