// Chunked framing, whole and in pieces of one byte: the same data, the same end, the same refusal.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "proto/http/chunk.h"

namespace haka {
namespace {

struct Outcome {
    std::string data;
    std::size_t used = 0;
    Event refused = Event::None;
    bool done = false;

    friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(ByteView bytes, std::size_t step) {
    const http::Limits limits{.head_bytes_max = 256, .line_bytes_max = 64, .headers_max = 4};
    http::ChunkReader reader;
    Outcome outcome;
    for (std::size_t known = 0; known < bytes.size() && !reader.is_done();) {
        known = std::min(bytes.size(), known + step);
        while (outcome.used < known && !reader.is_done()) {
            const ByteView rest = bytes.subspan(outcome.used, known - outcome.used);
            const http::ChunkReader::Step taken = reader.next(rest, limits);
            if (taken.refused != Event::None) {
                outcome.refused = taken.refused;
                return outcome;
            }
            if (taken.used == 0 || taken.used > rest.size()) {
                std::abort();
            }
            if (taken.piece == http::ChunkReader::Piece::Data) {
                outcome.data += as_text(rest.first(taken.used));
            }
            outcome.used += taken.used;
        }
    }
    outcome.done = reader.is_done();
    return outcome;
}

}  // namespace
}  // namespace haka

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const haka::ByteView bytes(data, size);
    const haka::Outcome whole = haka::read(bytes, size == 0 ? 1 : size);
    haka::Outcome pieces = haka::read(bytes, 1);
    if (whole.refused != haka::Event::None) {
        pieces.used = whole.used;  // How far it got before depends on the pieces.
    }
    if (whole != pieces) {
        std::abort();
    }
    return 0;
}
