// What a process that reads hostile packets needs not be able to do.
#pragma once

namespace haka::app {

// For this process and its children, as far as the system lets it: no capability but those for
// packets and files, none to be gained, and no system call that starts programs, traces others or
// changes the system. What it keeps lets it open sources and files again.
void drop_privileges();

}  // namespace haka::app
