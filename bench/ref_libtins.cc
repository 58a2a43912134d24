// Plain reassembly by libtins: every connection followed, every byte delivered and counted.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <tins/sniffer.h>
#include <tins/tcp_ip/stream_follower.h>

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: ref_libtins FILE\n");
        return 1;
    }
    std::uint64_t connections = 0;
    std::uint64_t stream_bytes = 0;
    try {
        Tins::TCPIP::StreamFollower follower;
        follower.new_stream_callback([&](Tins::TCPIP::Stream& stream) {
            ++connections;
            stream.client_data_callback([&](const Tins::TCPIP::Stream& one) {
                stream_bytes += one.client_payload().size();
            });
            stream.server_data_callback([&](const Tins::TCPIP::Stream& one) {
                stream_bytes += one.server_payload().size();
            });
        });
        Tins::FileSniffer sniffer(argv[1]);
        sniffer.sniff_loop([&](Tins::PDU& packet) {
            follower.process_packet(packet);
            return true;
        });
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    std::printf("connections %" PRIu64 " bytes %" PRIu64 "\n", connections, stream_bytes);
    return 0;
}
