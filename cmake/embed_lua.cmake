# Writes OUTPUT: the Lua library and the shared structs as C++ strings, in the order they load.
# cmake -DOUTPUT=... -DABI=... -DFOLDER=... -P embed_lua.cmake
set(order core address time buffer log alert exit sandbox packet ip tcp stream connection uri http
    rule dissector tcp_stream init)
file(READ ${ABI} abi)
string(REGEX REPLACE "^.*// \\[abi\n(.*)// abi\\].*$" "\\1" abi "${abi}")
if(abi MATCHES "uint[0-9]+_t \\(\\*")
    message(FATAL_ERROR "${ABI}: a function returns an unsigned integer, of which compiled Lua takes "
        "undefined upper bits; return double instead")
endif()
set(text "// Made by embed_lua.cmake from lua/haka.\n#include \"script/library.h\"\n\n")
string(APPEND text "namespace haka::script {\n\nconst char* const kAbiText = R\"cdef(${abi})cdef\";\n\n")
string(APPEND text "const std::vector<LibraryFile>& library() {\n")
string(APPEND text "    static const std::vector<LibraryFile> files = {\n")
foreach(name IN LISTS order)
    file(READ ${FOLDER}/${name}.lua source)
    string(APPEND text "        {\"${name}\", R\"haka_lua(${source})haka_lua\"},\n")
endforeach()
string(APPEND text "    };\n    return files;\n}\n\n}  // namespace haka::script\n")
file(WRITE ${OUTPUT} "${text}")
