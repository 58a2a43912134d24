-- Connections and the tcp-connection events on them.
local core = ...
local ffi, api, context, fail = core.ffi, core.api, core.context, core.fail
local layer, transport = core.modules.packet, core.modules.tcp
local stream, address = core.modules.stream, core.modules.address

local connection = {}
local handles, data = {}, {}   -- by slot: one handle a connection, so it can be a table key

local STATES = { [0] = "SYN_SENT", "SYN_RECEIVED", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT",
    "LAST_ACK", "TIME_WAIT", "CLOSED", "DROPPED" }
local REASONS = { [0] = "closed", "reset", "refused", "dropped", "timeout", "evicted", "reused",
    "end of input" }

local function of(self)
    local c = context.connections[self.slot_]
    if c.generation ~= self.generation_ then fail("connection is no longer valid") end
    return c
end

local function address_of(c, words)
    if c.ip_version == 4 then return address.v4(words[0]) end
    return address.v6(words[0], words[1], words[2], words[3])
end


local connection_ref = core.class("struct haka_connection_ref", {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "connection",
    get = {
        srcip = function(self) local c = of(self) return address_of(c, c.client) end,
        dstip = function(self) local c = of(self) return address_of(c, c.server) end,
        srcport = function(self) return of(self).client_port end,
        dstport = function(self) return of(self).server_port end,
        id = function(self) return tonumber(of(self).id) end,
        state = function(self)
            of(self)
            api.connection_refresh(context, self.slot_)
            return STATES[of(self).state]
        end,
        data = function(self) of(self) return data[self.slot_] end,
    },
    set = {
        data = function(self, value) of(self) data[self.slot_] = value end,
    },
    methods = {
        valid = function(self)
            return context.connections[self.slot_].generation == self.generation_
        end,
        stream = function(self, direction)
            of(self)
            core.check_boolean("connection:stream: direction", direction)
            if context.has_connection == 0 or api.connection_touch(context) ~= self.slot_ then
                return fail("connection:stream: only for the connection of the event at hand")
            end
            return stream.at_hand(direction and 0 or 1, context.streamed)
        end,
        drop = function(self)
            of(self)
            layer.check(api.connection_drop(context, self.slot_), "connection:drop")
        end,
        reset = function(self)
            of(self)
            layer.check(api.connection_reset(context, self.slot_), "connection:reset")
        end,
        close = function(self)
            of(self)
            layer.check(api.connection_close(context, self.slot_), "connection:close")
        end,
    },
    tostring = function(self)
        local c = of(self)
        return ("connection %s:%d -> %s:%d"):format(tostring(address_of(c, c.client)), c.client_port,
            tostring(address_of(c, c.server)), c.server_port)
    end,
})

-- The one handle of a connection that C++ gave a slot.
function connection.handle(slot)
    local handle = handles[slot]
    local generation = context.connections[slot].generation
    if handle and handle.generation_ == generation then return handle end
    handle = connection_ref(slot, generation)
    handles[slot] = handle
    return handle
end

-- Called by C++ when a connection that Lua touched is gone.
function connection.forget(slot)
    handles[slot], data[slot] = nil, nil
    stream.forget(slot)
    core.modules.rule.forget(slot)
end

local function check_event(self)
    if self.streamed_ ~= 0 then
        if context.streamed ~= self.streamed_ then fail("tcp-connection is no longer valid") end
    elseif context.event ~= self.event_ then
        fail("tcp-connection is no longer valid")
    end
end

local function at_hand() return connection.handle(api.connection_touch(context)) end

-- Ends what the rules may still see: handles of this event are stale from here on.
local function end_event()
    context.ended = 1
    context.event = context.event + 1
end

local event_ref = core.class("struct haka_event_ref", {
    fields = "const uint32_t event_; const uint32_t streamed_;",
    name = "tcp-connection",
    get = {
        dissector = function() return "tcp-connection" end,
        next_dissector = function(self) check_event(self) return core.native.next_dissector() end,
        connection = function(self) check_event(self) return (at_hand()) end,
        direction = function(self) check_event(self) return context.direction ~= 0 end,
        stream = function(self)
            check_event(self)
            return stream.at_hand(context.direction ~= 0 and 0 or 1, self.streamed_)
        end,
        tcp = function(self)
            check_event(self)
            local p = context.packets[0]
            if p.transport_ok == 0 or p.protocol ~= 6 then
                return fail("tcp-connection.tcp: a rule made the packet something else")
            end
            return (transport.tcp(0))
        end,
    },
    set = {
        next_dissector = function(self, name)
            check_event(self)
            core.check_string("tcp-connection.next_dissector", name)
            if context.hook ~= core.hooks["tcp-connection-new"] then
                return fail("tcp-connection.next_dissector: can be set on tcp-connection-new only")
            end
            if not core.dissectors[name] then
                api.connection_drop(context, api.connection_touch(context))
                return fail("no dissector is named %s (nearest: %s); the connection is dropped",
                    core.show(name), core.show(core.nearest(name, core.dissectors)))
            end
            api.dissector_choose(context, name, #name)
        end,
    },
    methods = {
        valid = function(self)
            if self.streamed_ ~= 0 then return context.streamed == self.streamed_ end
            return context.event == self.event_
        end,
        drop = function(self)
            check_event(self)
            layer.check(api.connection_drop(context, api.connection_touch(context)),
                "tcp-connection:drop")
            end_event()
        end,
        reset = function(self)
            check_event(self)
            layer.check(api.connection_reset(context, api.connection_touch(context)),
                "tcp-connection:reset")
            end_event()
        end,
        forge = function(self) check_event(self) return nil end,
    },
})

local end_ref = core.class("struct haka_end_ref", {
    fields = "const uint32_t event_;",
    name = "tcp-connection-end",
    get = {
        dissector = function() return "tcp-connection" end,
        connection = function(self)
            if context.event ~= self.event_ then fail("tcp-connection-end is no longer valid") end
            return at_hand()
        end,
        reason = function(self)
            if context.event ~= self.event_ then fail("tcp-connection-end is no longer valid") end
            return REASONS[context.end_reason]
        end,
    },
    methods = { valid = function(self) return context.event == self.event_ end },
})

function connection.event(streamed) return (event_ref(context.event, streamed or 0)) end
function connection.ended() return (end_ref(context.event)) end

return connection
