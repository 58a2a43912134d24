// capture_text FILE: prints each packet of a capture as one line, `SECONDS TEXT`, so that captures
// can be compared by eye and by diff. Exit status 1 when the file is damaged.
#include <cstdio>
#include <fmt/format.h>
#include <string>

#include "capture/file_reader.h"
#include "wire/text.h"

namespace {

constexpr std::int64_t kNanoseconds = 1'000'000'000;

int print_all(haka::capture::FileReader& reader) {
    haka::capture::Block block;
    while (reader.read(block)) {
        for (const haka::Frame& frame : block.frames) {
            fmt::print("{}.{:09} {}{}\n", frame.when.ns / kNanoseconds,
                       frame.when.ns % kNanoseconds, haka::wire::to_text(frame.bytes(), frame.link),
                       frame.size == frame.original_size ? "" : " (cut)");
        }
    }
    if (reader.damage()) {
        fmt::print(stderr, "{}\n", *reader.damage());
        return 1;
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        fmt::print(stderr, "usage: capture_text FILE\n");
        return 2;
    }
    const auto opened = haka::capture::FileReader::open(argv[1]);
    if (!opened.reader) {
        fmt::print(stderr, "{}\n", opened.error);
        return 2;
    }
    return print_all(*opened.reader);
}
