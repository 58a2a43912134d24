-- IPv4 (RFC 791) and IPv6 (RFC 8200) as rules see them.
local core = ...
local ffi, api, context, fail = core.ffi, core.api, core.context, core.fail
local layer, address = core.modules.packet, core.modules.address
local packets, packet_of, writable = context.packets, layer.packet_of, layer.writable
local getter, setter = layer.getter, layer.setter
local get_mark_v4, set_mark_v4 = layer.mark_access("ipv4")
local get_mark_v6, set_mark_v6 = layer.mark_access("ipv6")
local U8, U16 = layer.U8, layer.U16

local ip = {}

-- payload: what lies behind the IP header and its extensions.
local index, newindex, length = layer.byte_access("ip.payload", "transport", "transport_size", 2)
local payload_ref = core.class("struct haka_ip_payload", {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "ip.payload",
    methods = {
        resize = function(self, size)
            local p = writable(self, "ip.payload")
            core.check_integer("ip.payload:resize", size, 0, 65535)
            local header = p.net_size - p.transport_size
            layer.check(api.packet_resize(context, self.slot_, header + size), "ip.payload:resize")
        end,
    },
    index = index, newindex = newindex, len = length,
})

local function flag_get(mask)
    return getter("ipv4.flags", "net", ("bit.band(b[6], %d) ~= 0"):format(mask))
end

local function flag_set(name, mask)
    return function(self, value)
        local p = writable(self, "ipv4.flags")
        core.check_boolean("ipv4.flags." .. name, value)
        p.net[6] = value and bit.bor(p.net[6], mask) or bit.band(p.net[6], 255 - mask)
        p.changed = bit.bor(p.changed, 1)
    end
end

local flags_ref = core.class("struct haka_ipv4_flags", {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "ipv4.flags",
    get = {
        rb = flag_get(0x80), df = flag_get(0x40), mf = flag_get(0x20),
        all = getter("ipv4.flags", "net", "bit.rshift(b[6], 5)"),
    },
    set = {
        rb = flag_set("rb", 0x80), df = flag_set("df", 0x40), mf = flag_set("mf", 0x20),
        all = setter("ipv4.flags", "all", "net", { 0, 7 }, layer.MARK_NET,
            "b[6] = bit.bor(bit.band(b[6], 31), v * 32)"),
    },
})

local function common(name)
    return {
        verify_checksum = function(self)
            packet_of(self, name)
            return api.checksum_ok(context, self.slot_, 0) ~= 0
        end,
        compute_checksum = function(self)
            writable(self, name)
            api.checksum_set(context, self.slot_, 0)
        end,
        -- For dissectors in Lua: nothing lies below that has to be rebuilt by hand.
        forge = function(self) packet_of(self, name) return nil end,
    }
end

local function set_v4(field, offset)
    return function(self, value)
        local p = writable(self, "ipv4")
        if not address.is_v4(value) then
            return fail("ipv4.%s: expected an IPv4 address, got %s", field, core.show(value))
        end
        local n, b = value.w0_, p.net + offset
        b[0], b[1] = bit.rshift(n, 24), bit.band(bit.rshift(n, 16), 255)
        b[2], b[3] = bit.band(bit.rshift(n, 8), 255), bit.band(n, 255)
        p.changed = bit.bor(p.changed, 3)
    end
end

-- A length field may shorten the packet, never lengthen it beyond the bytes that are there.
local function set_length(class, field, offset, low_of, base_of)
    return function(self, value)
        local p = writable(self, class)
        local base = base_of(p)
        core.check_integer(class .. "." .. field, value, low_of(p), p.net_size - base)
        p.net[offset], p.net[offset + 1] = bit.rshift(value, 8), bit.band(value, 255)
        p.changed = bit.bor(p.changed, 3)
        api.packet_parse(context, self.slot_)
    end
end

local ipv4_ref = core.class("struct haka_ipv4_ref", layer.add_common {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "ipv4",
    get = {
        version = getter("ipv4", "net", "bit.rshift(b[0], 4)"),
        hdr_len = getter("ipv4", "net", "bit.band(b[0], 15) * 4"),
        tos = getter("ipv4", "net", layer.get8(1)),
        len = getter("ipv4", "net", layer.get16(2)),
        id = getter("ipv4", "net", layer.get16(4)),
        frag_offset = getter("ipv4", "net", "(bit.band(b[6], 31) * 256 + b[7]) * 8"),
        ttl = getter("ipv4", "net", layer.get8(8)),
        mark = get_mark_v4,
        proto = getter("ipv4", "net", layer.get8(9)),
        checksum = getter("ipv4", "net", layer.get16(10)),
        src = getter("ipv4", "net", "address.v4(" .. layer.get32(12) .. ")"),
        dst = getter("ipv4", "net", "address.v4(" .. layer.get32(16) .. ")"),
        flags = function(self) packet_of(self, "ipv4") return (flags_ref(self.slot_, self.generation_)) end,
        payload = function(self) packet_of(self, "ipv4") return (payload_ref(self.slot_, self.generation_)) end,
        raw = function(self) packet_of(self, "ipv4") return (layer.raw(self.slot_)) end,
        next_dissector = function(self) return layer.behind_ip(packet_of(self, "ipv4")) end,
    },
    set = {
        version = setter("ipv4", "version", "net", { 0, 15 }, layer.MARK_NET,
            "b[0] = bit.bor(bit.band(b[0], 15), v * 16)"),
        hdr_len = function(self, value)
            local p = writable(self, "ipv4")
            core.check_integer("ipv4.hdr_len", value, 20, math.min(60, p.net_size))
            if value % 4 ~= 0 then return fail("ipv4.hdr_len: expected a multiple of 4, got %d", value) end
            p.net[0] = bit.bor(bit.band(p.net[0], 0xf0), value / 4)
            p.changed = bit.bor(p.changed, 3)
            api.packet_parse(context, self.slot_)
        end,
        tos = setter("ipv4", "tos", "net", U8, layer.MARK_NET, layer.set8(1)),
        len = set_length("ipv4", "len", 2,
            function(p) return bit.band(p.net[0], 15) * 4 end, function() return 0 end),
        id = setter("ipv4", "id", "net", U16, layer.MARK_NET, layer.set16(4)),
        frag_offset = setter("ipv4", "frag_offset", "net", { 0, 65528 }, layer.MARK_NET, [[
            if v % 8 ~= 0 then fail("ipv4.frag_offset: expected a multiple of 8, got %d", v) end
            v = v / 8
            b[6] = bit.bor(bit.band(b[6], 0xe0), bit.rshift(v, 8))
            b[7] = bit.band(v, 255)]]),
        mark = set_mark_v4,
        ttl = setter("ipv4", "ttl", "net", U8, layer.MARK_NET, layer.set8(8)),
        proto = setter("ipv4", "proto", "net", U8, layer.MARK_BOTH, layer.set8(9)),
        checksum = setter("ipv4", "checksum", "net", U16, layer.KEEP_NET_CHECKSUM, layer.set16(10)),
        src = set_v4("src", 12),
        dst = set_v4("dst", 16),
    },
    methods = common("ipv4"),
})

local function words(offset)
    local text = {}
    for word = 0, 3 do text[#text + 1] = layer.get32(offset + word * 4) end
    return table.concat(text, ", ")
end

local function set_v6(field, offset)
    return function(self, value)
        local p = writable(self, "ipv6")
        if not address.is_v6(value) then
            return fail("ipv6.%s: expected an IPv6 address, got %s", field, core.show(value))
        end
        local b = p.net + offset
        for i, n in ipairs({ value.w0_, value.w1_, value.w2_, value.w3_ }) do
            local at = (i - 1) * 4
            b[at], b[at + 1] = bit.rshift(n, 24), bit.band(bit.rshift(n, 16), 255)
            b[at + 2], b[at + 3] = bit.band(bit.rshift(n, 8), 255), bit.band(n, 255)
        end
        p.changed = bit.bor(p.changed, 3)
    end
end

local ipv6_methods = common("ipv6")
ipv6_methods.verify_checksum, ipv6_methods.compute_checksum = nil, nil  -- IPv6 has none.

local ipv6_ref = core.class("struct haka_ipv6_ref", layer.add_common {
    fields = "const uint32_t slot_; const uint32_t generation_;",
    name = "ipv6",
    get = {
        version = getter("ipv6", "net", "bit.rshift(b[0], 4)"),
        traffic_class = getter("ipv6", "net", "bit.band(b[0], 15) * 16 + bit.rshift(b[1], 4)"),
        flow_label = getter("ipv6", "net", "bit.band(b[1], 15) * 65536 + b[2] * 256 + b[3]"),
        payload_len = getter("ipv6", "net", layer.get16(4)),
        next_header = getter("ipv6", "net", layer.get8(6)),
        hop_limit = getter("ipv6", "net", layer.get8(7)),
        src = getter("ipv6", "net", "address.v6(" .. words(8) .. ")"),
        dst = getter("ipv6", "net", "address.v6(" .. words(24) .. ")"),
        payload = function(self) packet_of(self, "ipv6") return (payload_ref(self.slot_, self.generation_)) end,
        mark = get_mark_v6,
        raw = function(self) packet_of(self, "ipv6") return (layer.raw(self.slot_)) end,
        next_dissector = function(self) return layer.behind_ip(packet_of(self, "ipv6")) end,
    },
    set = {
        version = setter("ipv6", "version", "net", { 0, 15 }, layer.MARK_NET,
            "b[0] = bit.bor(bit.band(b[0], 15), v * 16)"),
        traffic_class = setter("ipv6", "traffic_class", "net", U8, layer.MARK_NET, [[
            b[0] = bit.bor(bit.band(b[0], 0xf0), bit.rshift(v, 4))
            b[1] = bit.bor(bit.band(b[1], 15), bit.band(v, 15) * 16)]]),
        flow_label = setter("ipv6", "flow_label", "net", { 0, 1048575 }, layer.MARK_NET, [[
            b[1] = bit.bor(bit.band(b[1], 0xf0), bit.rshift(v, 16))
            b[2] = bit.band(bit.rshift(v, 8), 255)
            b[3] = bit.band(v, 255)]]),
        payload_len = set_length("ipv6", "payload_len", 4,
            function() return 0 end, function() return 40 end),
        next_header = setter("ipv6", "next_header", "net", U8, layer.MARK_BOTH, layer.set8(6)),
        mark = set_mark_v6,
        hop_limit = setter("ipv6", "hop_limit", "net", U8, layer.MARK_NET, layer.set8(7)),
        src = set_v6("src", 8),
        dst = set_v6("dst", 24),
    },
    methods = ipv6_methods,
})

function ip.v4(slot) return (ipv4_ref(slot, packets[slot].generation)) end
function ip.v6(slot) return (ipv6_ref(slot, packets[slot].generation)) end
-- The IP object of a handle's packet, of whichever family.
function ip.of(self, p)
    if p.ip_version == 4 then return (ipv4_ref(self.slot_, self.generation_)) end
    return ipv6_ref(self.slot_, self.generation_)
end
function ip.is(value)
    return ffi.istype("struct haka_ipv4_ref", value) or ffi.istype("struct haka_ipv6_ref", value)
end

-- Writes a fresh IP header into a raw packet that the policy made: version, length, ttl 64.
local function create(name, header_size, write)
    return function(raw)
        if not layer.is_raw(raw) then
            return fail("%s.create: expected a raw packet (haka.packet.new()), got %s", name,
                core.show(raw))
        end
        local p = writable(raw, "raw")
        if p.made == 0 then return fail("%s.create: not on a captured packet", name) end
        if p.net_size < header_size then
            layer.check(api.packet_resize(context, raw.slot_, header_size), name .. ".create")
        end
        ffi.fill(p.net, header_size)
        write(p)
        p.changed = 3
        api.packet_parse(context, raw.slot_)
        return name == "ipv4" and ip.v4(raw.slot_) or ip.v6(raw.slot_)
    end
end

ip.create_v4 = create("ipv4", 20, function(p)
    local b = p.net
    b[0], b[8] = 0x45, 64
    b[2], b[3] = bit.rshift(p.net_size, 8), bit.band(p.net_size, 255)
end)

ip.create_v6 = create("ipv6", 40, function(p)
    local b, size = p.net, p.net_size - 40
    b[0], b[6], b[7] = 0x60, 59, 64   -- 59: no next header
    b[4], b[5] = bit.rshift(size, 8), bit.band(size, 255)
end)

return ip
