-- tcp.stream(): a free-standing stream of segments, for dissectors written in Lua and for tests.
-- It takes packets over, gives them back in order, with what was edited, and translates sequence
-- numbers.
--
--   pushed packets:  | popped | in order: what the cursor reads and edits | hole | held |
--
-- Offsets count the sequence numbers that the sender used (SYN and FIN, too) as Lua numbers. Edits
-- are patches over them: { at =, erased =, text = }, ascending and apart from each other; `before`: the
-- text left with the byte before it.
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
    local most = context.held_segments_max
    if #state.held >= most then return fail("tcp_stream:push: at most %d packets are held", most) end
    local seq, size, syn = tcp.seq, sequence_size(tcp), tcp.flags.syn
    if not state.start then state.start, state.next = seq, seq end
    local slot = tcp.slot_
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
        size = size, skip = syn and 1 or 0 })
    state.text = nil
end

-- Puts the edits of a packet's bytes into it. An insertion behind its last byte is its own, too.
local function rebuild(state, packet)
    local p = packets[packet.slot]
    local first = packet.offset + packet.skip
    local stop = first + p.payload_size
    local parts, at = {}, first
    for _, patch in ipairs(state.patches) do
        local patch_end = patch.at + patch.erased
        if patch.at == stop and patch.erased == 0 and stop > first then patch.before = true end
        local brings = patch.at >= first and patch.at < stop and not patch.before
            or patch.at == stop and patch.before and stop > first
        if brings or patch.at < stop and patch_end > first then
            parts[#parts + 1] = ffi.string(p.payload + (at - first), math.max(patch.at - at, 0))
            if brings then parts[#parts + 1] = patch.text end
            at = math.min(math.max(at, patch_end), stop)
        end
    end
    if #parts == 0 then return end
    parts[#parts + 1] = ffi.string(p.payload + (at - first), stop - at)
    local bytes = table.concat(parts)
    layer.check(api.packet_resize(context, packet.slot, p.net_size - p.payload_size + #bytes),
        "tcp_stream:pop")
    ffi.copy(packets[packet.slot].payload, bytes, #bytes)
    p.changed = 7   -- Network, transport, bytes.
end

-- Of too many edits the oldest that have left become part of the shift.
local function prune(state)
    while #state.patches > context.edits_max / 2 do
        local patch = state.patches[1]
        if patch.at + patch.erased >= state.offset then return end
        state.shift = state.shift + #patch.text - patch.erased
        table.remove(state.patches, 1)
    end
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
            rebuild(state, first)
            if stop > state.offset then
                state.next = (state.next + (stop - state.offset)) % SPACE
                state.offset = stop
            end
            if state.cursor < state.offset then state.cursor = state.offset end
            state.text = nil
            prune(state)
            api.packet_keep(context, first.slot, 0)
            return transport.tcp(first.slot)
        end
    end
end

-- Where the output of everything before offset `input` ends.
local function to_output(state, input)
    local shift = state.shift
    for _, patch in ipairs(state.patches) do
        if patch.at > input or patch.at == input and not patch.before then break end
        local inside = input - patch.at
        if inside < patch.erased then
            return patch.at + shift + math.min(inside, #patch.text)
        end
        shift = shift + #patch.text - patch.erased
    end
    return input + shift
end

-- The largest offset whose output lies below `output`.
local function to_input(state, output)
    local shift = state.shift
    for _, patch in ipairs(state.patches) do
        local inside = output - (patch.at + shift)
        if inside < 0 then break end
        if inside < #patch.text then
            return patch.at + math.min(inside, math.max(patch.erased - 1, 0))
        end
        shift = shift + #patch.text - patch.erased
    end
    return output - shift
end

-- Translates a packet's sequence number into the space of the receiver, in place.
function methods.seq(self, tcp)
    local state = state_of(self)
    segment_of(self, tcp, "seq")
    if not state.start then return end
    local input = state.offset + distance(state.next, tcp.seq)
    local moved = to_output(state, input) - input
    if moved ~= 0 then tcp.seq = (tcp.seq + moved) % SPACE end
end

-- Translates a packet's ACK number into the space of the sender, in place.
function methods.ack(self, tcp)
    local state = state_of(self)
    segment_of(self, tcp, "ack")
    if not state.start then return end
    local output = to_output(state, state.offset) +
        distance((state.next + to_output(state, state.offset) - state.offset) % SPACE, tcp.ack_seq)
    local moved = to_input(state, output) - output
    if moved ~= 0 then tcp.ack_seq = (tcp.ack_seq + moved) % SPACE end
end

-- The bytes in order from the cursor on, as a string.
local function readable(state)
    if state.text then return state.text end
    local parts, at = {}, state.cursor
    for _, packet in ipairs(state.held) do
        local p = packets[packet.slot]
        local first = packet.offset + packet.skip
        local stop = first + p.payload_size
        if p.generation ~= packet.generation or packet.offset > math.max(at, state.offset) then
            break
        end
        if stop > at and first <= at then
            parts[#parts + 1] = ffi.string(p.payload + (at - first), stop - at)
            at = stop
        end
    end
    state.text = table.concat(parts)
    return state.text
end

local function check_count(what, n, left)
    if n == nil then return left end
    core.check_integer(what, n, 0, 2 ^ 53)
    return math.min(n, left)
end

local function move(state, n)
    state.text = state.text:sub(n + 1)
    state.cursor = state.cursor + n
end

function methods.available(self) return #readable(state_of(self)) end

function methods.peek(self, n)
    local text = readable(state_of(self))
    return text:sub(1, check_count("tcp_stream:peek", n, #text))
end

function methods.read(self, n)
    local state = state_of(self)
    local text = readable(state)
    n = check_count("tcp_stream:read", n, #text)
    if n == 0 then return nil end
    move(state, n)
    return core.modules.buffer.new(text:sub(1, n))
end

function methods.getchar(self)
    local state = state_of(self)
    local byte = readable(state):byte()
    if not byte then return -1 end
    move(state, 1)
    return byte
end

function methods.advance(self, n)
    local state = state_of(self)
    if n == nil then return fail("tcp_stream:advance: expected a number of bytes, got nil") end
    n = check_count("tcp_stream:advance", n, #readable(state))
    move(state, n)
    return n
end

function methods.find(self, text)
    if type(text) ~= "string" or #text == 0 then
        return fail("tcp_stream:find: expected a text of at least one byte, got %s", core.show(text))
    end
    local at = readable(state_of(self)):find(text, 1, true)
    return at and at - 1
end

local function edit(self, what, erased, text)
    local state = state_of(self)
    if context.pass_through ~= 0 then layer.pass_through(what) end
    if type(text) ~= "string" then
        if not core.modules.buffer.is(text) then
            return fail("%s: expected a string or a buffer, got %s", what, core.show(text))
        end
        text = tostring(text)
    end
    if erased == nil then return fail("%s: expected a number of bytes, got nil", what) end
    erased = check_count(what, erased, #readable(state))
    if erased == 0 and #text == 0 then return 0 end
    local patches = state.patches
    local last = patches[#patches]
    if last and last.at + last.erased == state.cursor then
        last.erased, last.text = last.erased + erased, last.text .. text
    elseif #patches >= context.edits_max then
        return fail("%s: at most %d edits that no ACK has passed", what, context.edits_max)
    else
        patches[#patches + 1] = { at = state.cursor, erased = erased, text = text }
    end
    move(state, erased)
    return erased
end

---Puts bytes before the cursor: they leave with the packet that carries the byte before it.
function methods.insert(self, text) edit(self, "tcp_stream:insert", 0, text) end

---Takes away at most the next n bytes; returns how many.
function methods.erase(self, n) return edit(self, "tcp_stream:erase", n, "") end

---Puts a text in the place of at most the next n bytes; returns how many.
function methods.replace(self, n, text) return edit(self, "tcp_stream:replace", n, text) end

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

local names = { lastseq = 1 }
for name in pairs(methods) do names[name] = 1 end

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
                core.show(core.nearest(tostring(key), names)))
        end,
        __newindex = function(_, key)
            return fail("tcp_stream.%s can't be written", tostring(key))
        end,
    })
    local held = {}
    states[self] = { held = held, offset = 0, cursor = 0, shift = 0, patches = {},
        guard = guard_of(held) }
    return self
end

return tcp_stream
