// Plain reassembly by libnids: every connection followed, every byte delivered and counted.
// Its checksum verification stays on, as by default; ours is on too.
#include <bit>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <nids.h>

namespace {

std::uint64_t connections = 0;
std::uint64_t stream_bytes = 0;

void on_tcp(tcp_stream* stream, void** /*state*/) {
    if (stream->nids_state == NIDS_JUST_EST) {
        ++connections;
        stream->client.collect = 1;
        stream->server.collect = 1;
    } else if (stream->nids_state == NIDS_DATA) {
        const half_stream& half = stream->client.count_new != 0 ? stream->client : stream->server;
        stream_bytes += static_cast<std::uint64_t>(half.count_new);
    }
}

// Its complaints about packets go nowhere; it declares the arguments of this hook only to C.
void silent() {}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: ref_libnids FILE\n");
        return 1;
    }
    nids_params.filename = argv[1];
    nids_params.device = nullptr;
    nids_params.scan_num_hosts = 0;       // No scan detection.
    nids_params.n_tcp_streams = 1 << 18;  // Room for the connections of all our files but one.
    nids_params.tcp_workarounds = 1;
    nids_params.syslog = silent;
    nids_params.multiproc = 0;
    if (nids_init() == 0) {
        std::fprintf(stderr, "%s\n", nids_errbuf);
        return 1;
    }
    nids_register_tcp(std::bit_cast<void*>(&on_tcp));
    nids_run();
    std::printf("connections %" PRIu64 " bytes %" PRIu64 "\n", connections, stream_bytes);
    return 0;
}
