// The measure of all rows: a bare libpcap loop that reads a file and touches each byte.
#include <cinttypes>
#include <cstdint>
#include <cstdio>

#include <pcap/pcap.h>

int main(int argc, char** argv) {
    char error[PCAP_ERRBUF_SIZE] = "usage: ref_libpcap FILE";
    pcap_t* file = argc == 2 ? pcap_open_offline(argv[1], error) : nullptr;
    if (file == nullptr) {
        std::fprintf(stderr, "%s\n", error);
        return 1;
    }
    std::uint64_t packets = 0;
    std::uint64_t sum = 0;
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    while (pcap_next_ex(file, &header, &bytes) == 1) {
        for (bpf_u_int32 i = 0; i < header->caplen; ++i) {
            sum += bytes[i];
        }
        ++packets;
    }
    pcap_close(file);
    std::printf("packets %" PRIu64 " sum %" PRIu64 "\n", packets, sum);
    return 0;
}
