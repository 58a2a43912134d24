// bare_live pair IF1 IF2 | queue N: lets everything through, by the same rings and verdicts as
// `haka run`, and looks at nothing. What the engine costs is measured against it.
#include <cstdio>
#include <cstdlib>
#include <poll.h>
#include <string>

#include "capture/nfqueue.h"
#include "capture/packet_pair.h"

namespace haka::bench {
namespace {

void forward(capture::LiveSource& source) {
    constexpr int kPatience_ms = 1000;
    std::vector<pollfd> ready(source.ready_fds().begin(), source.ready_fds().end());
    while (source.failure().empty()) {
        const std::span<Frame> frames = source.receive({});
        for (const Frame& frame : frames) {
            source.pass(frame);
        }
        source.finish_batch();
        if (frames.empty() && poll(ready.data(), ready.size(), kPatience_ms) <= 0) {
            (void)source.look_after();
        }
    }
}

int main_of(int argc, char** argv) {
    capture::LiveSources made;
    if (argc == 4 && std::string(argv[1]) == "pair") {
        made = capture::open_packet_pair(
            {.interface = argv[2], .peer = argv[3], .settings = {}, .workers = 1});
    } else if (argc == 3 && std::string(argv[1]) == "queue") {
        const auto queue = static_cast<std::uint16_t>(std::strtoul(argv[2], nullptr, 10));
        made = capture::open_nfqueues({.first = queue, .workers = 1, .settings = {}});
    } else {
        made.error = "bare_live pair IF1 IF2 | queue N";
    }
    if (!made.error.empty()) {
        std::fprintf(stderr, "%s\n", made.error.c_str());
        return 2;
    }
    std::fprintf(stderr, "live on\n");
    forward(*made.sources.front());
    return 0;
}

}  // namespace
}  // namespace haka::bench

int main(int argc, char** argv) {
    return haka::bench::main_of(argc, argv);
}
