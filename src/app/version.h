// Which build this is.
#pragma once

namespace haka::app {

extern const char* const kVersion;   // 0.1.0
extern const char* const kRevision;  // Of the source, empty outside of a git checkout.

}  // namespace haka::app
