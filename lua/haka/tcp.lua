-- TCP segments (RFC 9293), UDP (RFC 768) and ICMP (RFC 792, RFC 4443) as rules see them.
local core = ...
local ffi, api, context, fail = core.ffi, core.api, core.context, core.fail
local layer, ip = core.modules.packet, core.modules.ip
local packets, packet_of, writable = context.packets, layer.packet_of, layer.writable
local getter, setter = layer.getter, layer.setter
local U8, U16, U32 = layer.U8, layer.U16, layer.U32
local MARK, KEEP = layer.MARK_TRANSPORT, layer.KEEP_TRANSPORT_CHECKSUM

local transport = {}

local index, newindex, length = layer.byte_access("payload", "payload", "payload_size", 2)
local payload_ref = core.class("struct haka_payload_ref", {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "payload",
    methods = {
        resize = function(self, size)
            local p = writable(self, "payload")
            core.check_integer("payload:resize", size, 0, 65535)
            layer.check(api.packet_resize(context, self.slot_, p.net_size - p.payload_size + size),
                "payload:resize")
        end,
    },
    index = index, newindex = newindex, len = length,
})

local function checksums(name)
    return {
        verify_checksum = function(self)
            packet_of(self, name)
            return api.checksum_ok(context, self.slot_, 1) ~= 0
        end,
        compute_checksum = function(self)
            writable(self, name)
            api.checksum_set(context, self.slot_, 1)
        end,
        forge = function(self) return (ip.of(self, packet_of(self, name))) end,
    }
end

local function payload(name)
    return function(self) packet_of(self, name) return (payload_ref(self.slot_, self.generation_)) end
end

local function ip_of(name)
    return function(self) return (ip.of(self, packet_of(self, name))) end
end

-- TCP flags: byte 13.
local FLAGS = { fin = 1, syn = 2, rst = 4, psh = 8, ack = 16, urg = 32, ecn = 64, cwr = 128 }
local flags_get = { all = getter("tcp.flags", "transport", "b[13]") }
local flags_set = {
    all = setter("tcp.flags", "all", "transport", U8, MARK, layer.set8(13)),
}
for name, mask in pairs(FLAGS) do
    flags_get[name] = getter("tcp.flags", "transport", ("bit.band(b[13], %d) ~= 0"):format(mask))
    flags_set[name] = function(self, value)
        local p = writable(self, "tcp.flags")
        core.check_boolean("tcp.flags." .. name, value)
        local old = p.transport[13]
        p.transport[13] = value and bit.bor(old, mask) or bit.band(old, 255 - mask)
        p.changed = bit.bor(p.changed, 2)
    end
end
local flags_ref = core.class("struct haka_tcp_flags", {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "tcp.flags",
    get = flags_get,
    set = flags_set,
})

-- Options: calls visit(kind, offset of the value, size of the value); stops at the first that
-- can't be right, at the end of the list, or when visit returns true.
local function each_option(p, visit)
    local b, at, stop = p.transport, 20, p.transport_size - p.payload_size
    while at < stop do
        local kind = b[at]
        if kind == 0 then return end
        if kind == 1 then
            if visit(1, at + 1, 0) then return end
            at = at + 1
        else
            local size = at + 1 < stop and b[at + 1] or 0
            if size < 2 or at + size > stop then return end
            if visit(kind, at + 2, size - 2) then return end
            at = at + size
        end
    end
end

local function find_option(p, wanted, size)
    local found
    each_option(p, function(kind, at, value_size)
        if kind == wanted and value_size == size then found = at return true end
    end)
    return found
end

local function be32(b, at)
    return b[at] * 16777216 + b[at + 1] * 65536 + b[at + 2] * 256 + b[at + 3]
end

local OPTION_FIELDS = {
    mss = function(p)
        local at = find_option(p, 2, 2)
        return at and p.transport[at] * 256 + p.transport[at + 1]
    end,
    window_scale = function(p)
        local at = find_option(p, 3, 1)
        return at and p.transport[at]
    end,
    sack_permitted = function(p) return find_option(p, 4, 0) ~= nil end,
    timestamp = function(p)
        local at = find_option(p, 8, 8)
        if not at then return nil end
        return { value = be32(p.transport, at), echo = be32(p.transport, at + 4) }
    end,
}

-- `for kind, value in tcp.options do`: kind a number, value its bytes as a string.
local function options_of(handle)
    local list, position = nil, 0
    local function start()
        local p = packet_of(handle, "tcp.options")
        list, position = {}, 0
        each_option(p, function(kind, at, size)
            list[#list + 1] = { kind, ffi.string(p.transport + at, size) }
        end)
    end
    local function next_option(_, _, last)
        if last == nil or not list then start() end
        position = position + 1
        local option = list[position]
        if not option then list = nil return nil end
        return option[1], option[2]
    end
    return setmetatable({}, {
        __metatable = "tcp.options",
        __call = next_option,
        __index = function(_, key)
            local field = OPTION_FIELDS[key]
            if field then return field(packet_of(handle, "tcp.options")) end
            return fail("tcp.options has no field %s (mss, window_scale, timestamp, sack_permitted)",
                core.show(key))
        end,
        __newindex = function() return fail("tcp.options can't be written") end,
        __tostring = function() return "tcp.options" end,
    })
end

local connection_slot, direction_out, tombstone_out =
    ffi.new("uint32_t[1]"), ffi.new("uint32_t[1]"), ffi.new("uint32_t[1]")

local methods = checksums("tcp")

-- The connection of this packet, its direction (true: client to server), and whether it is part of
-- a dropped connection.
function methods.getconnection(self)
    packet_of(self, "tcp")
    local slot = api.connection_of(context, self.slot_, direction_out, tombstone_out)
    if tombstone_out[0] ~= 0 then return nil, nil, true end
    if slot == 0xffffffff then return nil, nil, false end
    return core.modules.connection.handle(slot), direction_out[0] ~= 0, false
end

function methods.newconnection(self)
    writable(self, "tcp")
    layer.check(api.connection_new(context, self.slot_, connection_slot), "tcp:newconnection")
    return core.modules.connection.handle(connection_slot[0])
end

local tcp_ref = core.class("struct haka_tcp_ref", layer.add_common {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "tcp",
    get = {
        srcport = getter("tcp", "transport", layer.get16(0)),
        dstport = getter("tcp", "transport", layer.get16(2)),
        seq = getter("tcp", "transport", layer.get32(4)),
        ack_seq = getter("tcp", "transport", layer.get32(8)),
        hdr_len = getter("tcp", "transport", "bit.rshift(b[12], 4) * 4"),
        res = getter("tcp", "transport", "bit.band(b[12], 15)"),
        window_size = getter("tcp", "transport", layer.get16(14)),
        checksum = getter("tcp", "transport", layer.get16(16)),
        urgent_pointer = getter("tcp", "transport", layer.get16(18)),
        flags = function(self) packet_of(self, "tcp") return (flags_ref(self.slot_, self.generation_)) end,
        payload = payload("tcp"),
        ip = ip_of("tcp"),
        options = function(self) packet_of(self, "tcp") return options_of(self) end,
        next_dissector = function(self) packet_of(self, "tcp") return "tcp-connection" end,
    },
    set = {
        srcport = setter("tcp", "srcport", "transport", U16, MARK, layer.set16(0)),
        dstport = setter("tcp", "dstport", "transport", U16, MARK, layer.set16(2)),
        seq = setter("tcp", "seq", "transport", U32, MARK, layer.set32(4)),
        ack_seq = setter("tcp", "ack_seq", "transport", U32, MARK, layer.set32(8)),
        hdr_len = function(self, value)
            local p = writable(self, "tcp")
            core.check_integer("tcp.hdr_len", value, 20, math.min(60, p.transport_size))
            if value % 4 ~= 0 then return fail("tcp.hdr_len: expected a multiple of 4, got %d", value) end
            p.transport[12] = bit.bor(bit.band(p.transport[12], 15), value * 4)
            p.changed = bit.bor(p.changed, 2)
            api.packet_parse(context, self.slot_)
        end,
        res = setter("tcp", "res", "transport", { 0, 15 }, MARK,
            "b[12] = bit.bor(bit.band(b[12], 0xf0), v)"),
        window_size = setter("tcp", "window_size", "transport", U16, MARK, layer.set16(14)),
        checksum = setter("tcp", "checksum", "transport", U16, KEEP, layer.set16(16)),
        urgent_pointer = setter("tcp", "urgent_pointer", "transport", U16, MARK, layer.set16(18)),
    },
    methods = methods,
})

local udp_ref = core.class("struct haka_udp_ref", layer.add_common {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "udp",
    get = {
        srcport = getter("udp", "transport", layer.get16(0)),
        dstport = getter("udp", "transport", layer.get16(2)),
        length = getter("udp", "transport", layer.get16(4)),
        checksum = getter("udp", "transport", layer.get16(6)),
        payload = payload("udp"),
        ip = ip_of("udp"),
        next_dissector = function(self) packet_of(self, "udp") return nil end,
    },
    set = {
        srcport = setter("udp", "srcport", "transport", U16, MARK, layer.set16(0)),
        dstport = setter("udp", "dstport", "transport", U16, MARK, layer.set16(2)),
        length = setter("udp", "length", "transport", U16, MARK, layer.set16(4)),
        checksum = setter("udp", "checksum", "transport", U16, KEEP, layer.set16(6)),
    },
    methods = checksums("udp"),
})

local icmp_ref = core.class("struct haka_icmp_ref", layer.add_common {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "icmp",
    get = {
        type = getter("icmp", "transport", layer.get8(0)),
        code = getter("icmp", "transport", layer.get8(1)),
        checksum = getter("icmp", "transport", layer.get16(2)),
        payload = payload("icmp"),
        ip = ip_of("icmp"),
        next_dissector = function(self) packet_of(self, "icmp") return nil end,
    },
    set = {
        type = setter("icmp", "type", "transport", U8, MARK, layer.set8(0)),
        code = setter("icmp", "code", "transport", U8, MARK, layer.set8(1)),
        checksum = setter("icmp", "checksum", "transport", U16, KEEP, layer.set16(2)),
    },
    methods = checksums("icmp"),
})

function transport.tcp(slot) return (tcp_ref(slot, packets[slot].generation)) end
function transport.udp(slot) return (udp_ref(slot, packets[slot].generation)) end
function transport.icmp(slot) return (icmp_ref(slot, packets[slot].generation)) end
function transport.is_tcp(value) return ffi.istype("struct haka_tcp_ref", value) end

-- Writes a fresh transport header into an IP packet that the policy made.
local function create(name, protocol, header_size, write)
    return function(on)
        if not ip.is(on) then
            return fail("%s.create: expected an ipv4 or ipv6 packet, got %s", name, core.show(on))
        end
        local p = writable(on, "ip")
        if p.made == 0 then return fail("%s.create: not on a captured packet", name) end
        local ip_size = p.net_size - p.transport_size
        if p.transport_size < header_size then
            layer.check(api.packet_resize(context, on.slot_, ip_size + header_size),
                name .. ".create")
        end
        ffi.fill(p.transport, header_size)
        p.net[p.ip_version == 4 and 9 or 6] = protocol(p)
        write(p)
        p.changed = 3
        api.packet_parse(context, on.slot_)
        return transport[name](on.slot_)
    end
end

transport.create_tcp = create("tcp", function() return 6 end, 20,
    function(p) p.transport[12] = 0x50 end)
transport.create_udp = create("udp", function() return 17 end, 8, function(p)
    p.transport[4] = bit.rshift(p.transport_size, 8)
    p.transport[5] = bit.band(p.transport_size, 255)
end)
transport.create_icmp = create("icmp", function(p) return p.ip_version == 4 and 1 or 58 end, 8,
    function() end)

return transport
