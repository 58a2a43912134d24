// Whether a run would write over something that it reads, or write one file twice.
#pragma once

#include <string>

#include "app/options.h"

namespace haka::app {

// `-w in.pcap is the file that -r reads`, or empty when all files differ. Looks at the files: two
// names of one file are one file.
[[nodiscard]] std::string clashing_files(const Options& options);

}  // namespace haka::app
