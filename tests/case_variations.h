// The other captures that a case stands for: every order of a block of packets, every cut of a
// segment. Prints and stream results must not depend on them.
#pragma once

#include <functional>
#include <vector>

#include "case_file.h"

namespace haka::test {

// Calls `visit` with the packets of each variation, the written one excepted; stops when it
// returns false.
void for_each_variation(const Case& written,
                        const std::function<bool(const std::vector<Packet>&)>& visit);

}  // namespace haka::test
