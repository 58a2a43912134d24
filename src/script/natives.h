// The table that the Lua library starts from: the shared structs, settings, and the classic C
// functions, which run while a policy loads, alerts or prints, never per packet.
#pragma once

#include "script/abi.h"

struct lua_State;

namespace haka::script {

class AlertBinding;
class Script;
struct Options;

// Pushes the table. `script`, `alerts` and `context` must outlive the Lua state.
void push_natives(lua_State* lua, Script& script, AlertBinding& alerts, haka_context& context,
                  const Options& options);

}  // namespace haka::script
