// The Lua library that policies see, embedded in the program (see cmake/embed_lua.cmake).
#pragma once

#include <string_view>
#include <vector>

namespace haka::script {

struct LibraryFile {
    std::string_view name;  // "core", "tcp" ...: file lua/haka/NAME.lua, chunk "=haka/NAME.lua".
    std::string_view source;
};

// In the order in which they load.
[[nodiscard]] const std::vector<LibraryFile>& library();

// The C declarations of abi.h, for ffi.cdef.
extern const char* const kAbiText;

}  // namespace haka::script
