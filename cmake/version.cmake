# Writes OUTPUT: version and git revision as C++ strings; leaves it alone when nothing changed.
# cmake -DOUTPUT=... -DVERSION=... -DSOURCE=... -P version.cmake
execute_process(COMMAND git describe --always --dirty --exclude=* WORKING_DIRECTORY ${SOURCE}
    OUTPUT_VARIABLE revision OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
file(CONFIGURE OUTPUT ${OUTPUT} @ONLY CONTENT [[// Made by version.cmake.
#include "app/version.h"

namespace haka::app {

const char* const kVersion = "@VERSION@";
const char* const kRevision = "@revision@";

}  // namespace haka::app
]])
