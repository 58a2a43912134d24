// What `--help` teaches.
#pragma once

#include <string_view>

namespace haka::app {

extern const std::string_view kHelp;       // haka
extern const std::string_view kRunHelp;    // haka run --help
extern const std::string_view kCheckHelp;  // haka check --help
extern const std::string_view kCtlHelp;
extern const std::string_view kDoctorHelp;

}  // namespace haka::app
