// The native side of haka.alert: reads the table that lua/haka/alert.lua made of a policy's alert
// and hands it to the host.
#pragma once

#include "report/alert.h"
#include "script/host.h"

struct lua_State;

namespace haka::script {

// The function `alert(table)`, with a Host* as first upvalue: returns the alert's number or, when
// the output is full, nil.
//
// 1. What is read lives in Lua's memory, not on the stack of this function: a Lua error that leaves
//    it on the way skips no destructor.
// 2. The host hears of an alert only when all of it was read.
// 3. The table is taken as hostile: what isn't of the expected type counts as left out.
int push_alert(lua_State* lua);

// Finds the address among the values of an endpoint, and the port behind it.
void complete_endpoint(report::Node& node);

}  // namespace haka::script
