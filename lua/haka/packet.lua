-- Raw packets, and what every layer's handle stands on: a slot and a generation, compared on each
-- access, so that a handle kept past its hook raises an error and never reads what isn't its own.
local core = ...
local ffi, api, context, fail = core.ffi, core.api, core.context, core.fail
local time = core.modules.time

local layer = {}     -- shared with the other layers' files
local packets = context.packets
local CHANGED_NET, CHANGED_TRANSPORT, CHANGED_BYTES = 1, 2, 4

local function stale(name) return fail("%s is no longer valid", name) end
layer.stale = stale

local STATUS = {
    [1] = "too many packets are alive (lua.packets_max)",
    [2] = "not enough memory (lua.memory_max)",
    [3] = "larger than a packet may be (65535 bytes)",
    [4] = "a captured packet leaves by itself: send() is for packets that the policy made",
    [5] = "not possible in pass-through mode (haka.packet.PASSTHROUGH)",
    [6] = "the packet belongs to a TCP connection: use stream:insert() or stream:erase()",
    [7] = "not a packet of the right kind",
    [8] = "the connection table is full (tcp.connections_max)",
    [9] = "this event wrote more than lua.output_max",
    [10] = "there is a connection of this packet already",
    [11] = "a connection begins with a SYN, and this packet is none",
    [12] = "a packet that a policy sent may not send another one on its way down",
    [14] = "the stream has ended: its FIN has left",
    [16] = "no stream is at hand",
    [18] = "all stream memory is in use (tcp.stream_memory_max)",
    [19] = "that message is not at hand",
    [20] = "its head has left",
    [21] = "that would change where the body ends: Content-Length and Transfer-Encoding are the "
        .. "engine's (see edit_body)",
    [23] = "call edit_body() before the first wait",
    [24] = "an HTTP/1.0 peer that keeps the connection can't be sent another length",
    [25] = "the message has no body",
    [26] = "it is answered already",
    [28] = "control characters (a line end, for instance) can't stand in a head",
    [29] = "not a header's name",
    [27] = "only for the message of the hook",
    [30] = "this packet has none: marks belong to captured packets of --nfqueue",
    [17] = "too many bytes are unacknowledged (tcp.edited_bytes_max)",
}

-- Turns a status of `haka_api` into an error at the policy's line.
function layer.check(status, what)
    if status ~= 0 then return fail("%s: %s", what, STATUS[status] or "failed") end
end

local function pass_through(what)
    return fail("%s: not possible in pass-through mode (haka.packet.PASSTHROUGH)", what)
end
layer.pass_through = pass_through

-- The packet behind a handle. Written out in each getter's text as `PACKET` (see layer.getter).
function layer.packet_of(self, name)
    local p = packets[self.slot_]
    if p.generation ~= self.generation_ then stale(name) end
    return p
end
local packet_of = layer.packet_of

-- The same, for writing.
function layer.writable(self, name)
    local p = packet_of(self, name)
    if context.pass_through ~= 0 then pass_through(name) end
    return p
end
local writable = layer.writable

local NAMES = "packets, stale, pass_through, context, bit, address, check_integer, fail"
local function compile(source)
    return core.compile(source, NAMES, packets, stale, pass_through, context, bit,
        core.modules.address, core.check_integer, fail)
end

-- A getter of its own for one field: `expression` reads bytes of `b`, the layer's first byte.
function layer.getter(class, pointer, expression)
    return compile(([[function(self)
        local p = packets[self.slot_]
        if p.generation ~= self.generation_ then stale(%q) end
        local b = p.%s
        return %s
    end]]):format(class, pointer, expression))
end

-- A setter: checks low..high, then runs `statement` on `b` and `v`.
function layer.setter(class, field, pointer, range, changed, statement)
    return compile(([[function(self, v)
        local p = packets[self.slot_]
        if p.generation ~= self.generation_ then stale(%q) end
        if context.pass_through ~= 0 then pass_through(%q) end
        check_integer(%q, v, %d, %d)
        local b = p.%s
        %s
        p.changed = %s
    end]]):format(class, class, class .. "." .. field, range[1], range[2], pointer, statement,
        changed))
end

layer.MARK_NET = "bit.bor(p.changed, 1)"
layer.MARK_TRANSPORT = "bit.bor(p.changed, 2)"
layer.MARK_BOTH = "bit.bor(p.changed, 3)"
layer.KEEP_NET_CHECKSUM = "bit.bor(bit.band(p.changed, 6), 4)"
layer.KEEP_TRANSPORT_CHECKSUM = "bit.bor(bit.band(p.changed, 5), 4)"

-- Big-endian readers and writers as text.
function layer.get8(offset) return ("b[%d]"):format(offset) end
function layer.get16(o) return ("b[%d] * 256 + b[%d]"):format(o, o + 1) end
function layer.get32(o)
    return ("b[%d] * 16777216 + b[%d] * 65536 + b[%d] * 256 + b[%d]"):format(o, o + 1, o + 2, o + 3)
end
function layer.set8(o) return ("b[%d] = v"):format(o) end
function layer.set16(o)
    return ("b[%d] = bit.rshift(v, 8) b[%d] = bit.band(v, 255)"):format(o, o + 1)
end
function layer.set32(o)
    return ("local w = bit.tobit(v) b[%d] = bit.rshift(w, 24) b[%d] = bit.band(bit.rshift(w, 16), 255)"
        .. " b[%d] = bit.band(bit.rshift(w, 8), 255) b[%d] = bit.band(w, 255)")
        :format(o, o + 1, o + 2, o + 3)
end
layer.U8, layer.U16, layer.U32 = { 0, 255 }, { 0, 65535 }, { 0, 4294967295 }

-- Bytes of a part of a packet, 1-based, as `payload` and raw packets give them.
function layer.byte_access(class, pointer, size, changed)
    local index = compile(([[function(self, i)
        local p = packets[self.slot_]
        if p.generation ~= self.generation_ then stale(%q) end
        if i >= 1 and i <= p.%s and i %% 1 == 0 then return p.%s[i - 1] end
        return nil
    end]]):format(class, size, pointer))
    local newindex = compile(([[function(self, i, v)
        local p = packets[self.slot_]
        if p.generation ~= self.generation_ then stale(%q) end
        if context.pass_through ~= 0 then pass_through(%q) end
        check_integer(%q, i, 1, p.%s)
        check_integer(%q, v, 0, 255)
        p.%s[i - 1] = v
        p.changed = bit.bor(p.changed, %d)
    end]]):format(class, class, class .. ": index", size, class .. ": byte", pointer, changed))
    local length = compile(([[function(self)
        local p = packets[self.slot_]
        if p.generation ~= self.generation_ then stale(%q) end
        return p.%s
    end]]):format(class, size))
    return index, newindex, length
end

-- valid() and drop() as every layer has them.
function layer.add_common(definition)
    local name = definition.name
    definition.methods.valid = function(self)
        return packets[self.slot_].generation == self.generation_
    end
    definition.methods.drop = function(self)
        packet_of(self, name)
        api.packet_drop(context, self.slot_)
    end
    definition.methods.send = function(self)
        packet_of(self, name)
        return layer.check(api.packet_send(context, self.slot_), name .. ":send")
    end
    definition.get.dissector = function() return name end
    return definition
end

local index, newindex, length = layer.byte_access("raw", "net", "net_size",
    CHANGED_NET + CHANGED_TRANSPORT + CHANGED_BYTES)

local PROTOCOLS = { [1] = "icmp", [6] = "tcp", [17] = "udp", [58] = "icmp" }

-- Which dissector comes behind the IP layer; nil when none knows the protocol.
function layer.behind_ip(p)
    local registered = core.registered_protocols[p.protocol]
    return registered and registered.name or PROTOCOLS[p.protocol]
end

-- The kernel's mark of the packet behind a handle of `class`: a getter and a setter.
function layer.mark_access(class)
    local function get(self)
        packet_of(self, class)
        return api.packet_mark(context, self.slot_)
    end
    local function set(self, value)
        local what = class .. ".mark"
        writable(self, class)
        core.check_integer(what, value, 0, 4294967295)
        layer.check(api.packet_set_mark(context, self.slot_, value), what)
    end
    return get, set
end
local get_mark, set_mark = layer.mark_access("raw")

local raw_ref = core.class("struct haka_raw_ref", layer.add_common {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "raw",
    get = {
        length = length,
        timestamp = function(self) return time.at(packet_of(self, "raw").when) end,
        next_dissector = function(self)
            local version = packet_of(self, "raw").ip_version
            return version == 4 and "ipv4" or version == 6 and "ipv6" or nil
        end,
        number = function(self) return tonumber(packet_of(self, "raw").number) end,
        mark = get_mark,
    },
    set = { mark = set_mark },
    methods = {
        accept = function(self) packet_of(self, "raw") context.ended = 1 end,
        resize = function(self, size)
            writable(self, "raw")
            core.check_integer("raw:resize", size, 0, 65535)
            layer.check(api.packet_resize(context, self.slot_, size), "raw:resize")
        end,
    },
    index = index,
    newindex = newindex,
    len = length,
})

function layer.raw(slot) return (raw_ref(slot, packets[slot].generation)) end

local slot_out = ffi.new("uint32_t[1]")

layer.module = {
    NORMAL = "normal",
    PASSTHROUGH = "pass-through",
    mode = function() return context.pass_through == 0 and "normal" or "pass-through" end,
    new = function(size)
        size = size == nil and 0 or core.check_integer("haka.packet.new: size", size, 0, 65535)
        if context.pass_through ~= 0 then pass_through("haka.packet.new") end
        layer.check(api.packet_new(context, size, slot_out), "haka.packet.new")
        return layer.raw(slot_out[0])
    end,
}
layer.is_raw = function(value) return ffi.istype("struct haka_raw_ref", value) end

return layer
