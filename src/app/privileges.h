// What a process that reads hostile packets needs not be able to do.
#pragma once

#include <cstdint>

namespace haka::app {

// For this process and its children, as far as the system lets it: no capability but those for
// packets and files, none to be gained, and no system call that starts programs, traces others or
// changes the system. What it keeps lets it open sources and files again.
enum class Keep : std::uint8_t {
    Packets,
    PacketsAndBpf  // AF_XDP needs a program in the kernel, each time that it is opened.
};
void drop_privileges(Keep keep);

}  // namespace haka::app
