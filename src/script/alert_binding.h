// The native side of haka.alert: reads the table that lua/haka/alert.lua made of a policy's alert
// and hands it to the host.
#pragma once

#include "report/alert.h"
#include "script/host.h"

struct lua_State;

namespace haka::script {

// 1. What is read lives in this object, not on the stack of the Lua function: a Lua error that
//    leaves it on the way skips no destructor.
// 2. The host hears of an alert only when all of it was read.
// 3. The table is taken as hostile: what isn't of the expected type counts as left out.
class AlertBinding {
public:
    explicit AlertBinding(Host& host) : host_(&host) {}
    AlertBinding(const AlertBinding&) = delete;
    AlertBinding& operator=(const AlertBinding&) = delete;
    ~AlertBinding() = default;

    void serve(Host& host) { host_ = &host; }

    // Pushes the function `alert(table)`, which returns the alert's number or, when the output is
    // full, nil. This object must outlive the Lua state.
    void push_alert(lua_State* lua);

private:
    static int raise(lua_State* lua);

    Host* host_;
    report::Alert alert_;  // The alert being read; empty between calls.
};

// Finds the address among the values of an endpoint, and the port behind it.
void complete_endpoint(report::Node& node);

}  // namespace haka::script
