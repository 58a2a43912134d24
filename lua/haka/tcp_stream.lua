-- tcp.stream(): a free-standing stream of segments, for dissectors written in Lua and for tests.
-- It takes packets over, gives them back in order, and translates sequence numbers.
local core = ...
local ffi, api, context, fail = core.ffi, core.api, core.context, core.fail
local layer, transport = core.modules.packet, core.modules.tcp
local packets = context.packets

local SPACE = 4294967296

-- Signed distance from sequence number `from` to `to` (RFC 9293, 3.4).
local function distance(from, to)
    local d = (to - from) % SPACE
    return d >= SPACE / 2 and d - SPACE or d
end

local taken_out = ffi.new("uint32_t[1]")

local function segment_of(self, tcp, what)
    if not transport.is_tcp(tcp) then
        return fail("tcp_stream:%s: expected a tcp packet, got %s", what, core.show(tcp))
    end
    return layer.packet_of(tcp, "tcp")
end

local methods = {}
local states = setmetatable({}, { __mode = "k" })

local function state_of(self)
    local state = states[self]
    if not state then return fail("expected a tcp_stream (a method called with a dot?)") end
    return state
end

-- The sequence number of the first byte (of the SYN, when there is one).
function methods.init(self, seq)
    local state = state_of(self)
    core.check_integer("tcp_stream:init: seq", seq, 0, SPACE - 1)
    if #state.held > 0 then return fail("tcp_stream:init: packets are held already") end
    state.start, state.next = seq, seq
end

local function sequence_size(tcp)
    local flags = tcp.flags
    return #tcp.payload + (flags.syn and 1 or 0) + (flags.fin and 1 or 0)
end

-- Takes the packet over. Segments that lie wholly before what was popped are retransmissions: they
-- come out at once.
function methods.push(self, tcp)
    local state = state_of(self)
    local p = segment_of(self, tcp, "push")
    if context.pass_through ~= 0 then layer.pass_through("tcp_stream:push") end
    if #state.held >= 1024 then return fail("tcp_stream:push: at most 1024 packets are held") end
    local seq, size = tcp.seq, sequence_size(tcp)
    if not state.start then state.start, state.next = seq, seq end
    local slot = tcp.slot
    if p.made == 0 then
        layer.check(api.packet_take(context, slot, taken_out), "tcp_stream:push")
        slot = taken_out[0]
    else
        api.packet_keep(context, slot, 1)
    end
    local offset = state.offset + distance(state.next, seq)
    local held, at = state.held, #state.held + 1
    while at > 1 and held[at - 1].offset > offset do at = at - 1 end
    table.insert(held, at, { slot = slot, generation = packets[slot].generation, offset = offset,
        size = size })
end

-- The next packet that may leave, in order; nil when the next one is missing.
function methods.pop(self)
    local state = state_of(self)
    while true do
        local first = state.held[1]
        if not first or first.offset > state.offset then return nil end
        table.remove(state.held, 1)
        local p = packets[first.slot]
        if p.generation == first.generation then
            local stop = first.offset + first.size
            if stop > state.offset then
                state.next = (state.next + (stop - state.offset)) % SPACE
                state.offset = stop
            end
            api.packet_keep(context, first.slot, 0)
            return transport.tcp(first.slot)
        end
    end
end

-- Translates a packet's sequence number into the space of the receiver, in place. While streams
-- can't be edited both spaces are the same.
function methods.seq(self, tcp)
    state_of(self)
    segment_of(self, tcp, "seq")
end

-- Translates a packet's ACK number into the space of the sender, in place.
function methods.ack(self, tcp)
    state_of(self)
    segment_of(self, tcp, "ack")
end

-- Nobody can pop the packets of a stream that is forgotten: they are dropped with it.
local function guard_of(held)
    local guard = newproxy(true)
    getmetatable(guard).__gc = function()
        if context.host == nil then return end   -- The engine is ending.
        for _, packet in ipairs(held) do
            if packets[packet.slot].generation == packet.generation then
                api.packet_drop(context, packet.slot)
            end
        end
    end
    return guard
end

local tcp_stream = {}

function tcp_stream.new()
    local self = setmetatable({}, {
        __metatable = "tcp_stream",
        __tostring = function() return "tcp_stream" end,
        __index = function(self, key)
            if methods[key] then return methods[key] end
            if key == "lastseq" then
                local state = state_of(self)
                return state.next and (state.next - 1) % SPACE or nil
            end
            return fail("tcp_stream has no field %s (nearest: %s)", core.show(key),
                core.show(core.nearest(tostring(key), { init = 1, push = 1, pop = 1, seq = 1,
                    ack = 1, lastseq = 1 })))
        end,
        __newindex = function(_, key)
            return fail("tcp_stream.%s can't be written", tostring(key))
        end,
    })
    local held = {}
    states[self] = { held = held, offset = 0, guard = guard_of(held) }
    return self
end

return tcp_stream
