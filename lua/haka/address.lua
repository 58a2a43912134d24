-- IPv4 and IPv6 addresses and networks as values that policies compare, print and use as table
-- keys. Equal addresses are one object: every address comes from a cache that holds it weakly, so
-- identity is equality and forgotten addresses are collected.
local core = ...

local ffi, bit = core.ffi, require("bit")
local fail, show, check_integer = core.fail, core.show, core.check_integer
local band, rshift, lshift, tobit = bit.band, bit.rshift, bit.lshift, bit.tobit
local istype, new_string = ffi.istype, ffi.string

local V4, V6 = 4, 6
local MAX4 = 0xffffffff

-- Text ---------------------------------------------------------------------------------------

local function text4(word)
    return ("%d.%d.%d.%d"):format(rshift(word, 24), band(rshift(word, 16), 255),
        band(rshift(word, 8), 255), band(word, 255))
end

-- The longest run of two or more zero groups, the first among equals (RFC 5952, 4.2).
local function zero_run(groups)
    local best, best_count, start = nil, 1, nil
    for i = 1, 9 do
        if groups[i] == 0 then
            start = start or i
        elseif start then
            if i - start > best_count then best, best_count = start, i - start end
            start = nil
        end
    end
    return best, best_count
end

local function text6(w0, w1, w2, w3)
    if w0 == 0 and w1 == 0 and w2 == 0xffff then return "::ffff:" .. text4(w3) end
    local groups = {}
    for i, word in ipairs { w0, w1, w2, w3 } do
        groups[2 * i - 1], groups[2 * i] = rshift(word, 16), band(word, 0xffff)
    end
    local first, count = zero_run(groups)
    local function join(from, to)
        local parts = {}
        for i = from, to do parts[#parts + 1] = ("%x"):format(groups[i]) end
        return table.concat(parts, ":")
    end
    if not first then return join(1, 8) end
    return join(1, first - 1) .. "::" .. join(first + count, 8)
end

-- The word of dotted text; nil when it isn't one. A leading zero is refused: some read it octal.
local function parse4(text)
    local word = 0
    local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
    if not a then return nil end
    for _, part in ipairs { a, b, c, d } do
        if #part > 3 or (#part > 1 and part:byte() == 48) or tonumber(part) > 255 then return nil end
        word = word * 256 + tonumber(part)
    end
    return word
end

-- Appends the groups of "a:b:c" to `groups`; nil when one is malformed. Empty text has none.
local function parse_groups(text, groups)
    if text == "" then return groups end
    for part in (text .. ":"):gmatch("([^:]*):") do
        if #part > 4 or not part:find("^%x+$") then return nil end
        groups[#groups + 1] = tonumber(part, 16)
    end
    return groups
end

-- The four words of text as in RFC 4291, 2.2, without a zone; nil when it isn't one.
local function parse6(text)
    if #text > 45 then return nil end
    local before, dotted = text:match("^(.*:)([^:]*%.[^:]*)$")
    if dotted then
        local word = parse4(dotted)
        if not word then return nil end
        text = ("%s%x:%x"):format(before, rshift(word, 16), band(word, 0xffff))
    end
    local left, right = text, nil
    local from, to = text:find("::", 1, true)
    if from then left, right = text:sub(1, from - 1), text:sub(to + 1) end
    local groups = parse_groups(left, {})
    if not groups then return nil end
    if right then
        local tail = parse_groups(right, {})
        if not tail or #groups + #tail > 7 then return nil end
        while #groups + #tail < 8 do groups[#groups + 1] = 0 end
        for i = 1, #tail do groups[#groups + 1] = tail[i] end
    end
    if #groups ~= 8 then return nil end
    return groups[1] * 65536 + groups[2], groups[3] * 65536 + groups[4],
        groups[5] * 65536 + groups[6], groups[7] * 65536 + groups[8]
end

-- Addresses ----------------------------------------------------------------------------------

local address_t

local function check_pair(a, b, operator)
    if not (istype(address_t, a) and istype(address_t, b)) then
        return fail("address %s: expected two addresses, got %s and %s", operator, show(a), show(b))
    end
    if a.family_ ~= b.family_ then
        return fail("address %s: an IPv4 and an IPv6 address have no order (%s, %s)", operator,
            tostring(a), tostring(b))
    end
end

local function less(a, b)
    if a.w0_ ~= b.w0_ then return a.w0_ < b.w0_ end
    if a.w1_ ~= b.w1_ then return a.w1_ < b.w1_ end
    if a.w2_ ~= b.w2_ then return a.w2_ < b.w2_ end
    return a.w3_ < b.w3_
end

address_t = core.class("struct haka_address", {
    fields = "const uint32_t family_; const uint32_t w0_, w1_, w2_, w3_;",
    name = "address",
    eq = function(a, b) return rawequal(a, b) end,
    lt = function(a, b)
        check_pair(a, b, "<")
        return less(a, b)
    end,
    le = function(a, b)
        check_pair(a, b, "<=")
        return not less(b, a)
    end,
    tostring = function(self)
        if self.family_ == V4 then return text4(self.w0_) end
        return text6(self.w0_, self.w1_, self.w2_, self.w3_)
    end,
})

-- Whoever sends packets chooses addresses, so a cache keyed by them as they are could be made one
-- long chain. The key is the word times an odd secret modulo 2^32: unique, and unknown outside. The
-- half keeps keys out of a table's array part: the JIT compiler gives up on tables with both parts.
local secret = 2 * ((core.native.seed or 0x3c6ef372) % 0x40000000) + 0x80000001

local cache4 = setmetatable({}, { __mode = "v" })

-- The IPv4 address of a host-order word, given signed or unsigned.
local function v4(word)
    local low = band(word, 0xffff) * secret
    local high = band(rshift(word, 16) * secret, 0xffff)
    local key = tobit(low + lshift(high, 16)) + 0.5
    local address = cache4[key]
    if not address then
        address = address_t(V4, word % 0x100000000)
        cache4[key] = address
    end
    return address
end

-- Strings are hashed by LuaJIT, which guards itself against chosen collisions. The small table in
-- front spares the string for addresses just seen.
local cache6 = setmetatable({}, { __mode = "v" })
local recent6 = {}
local key6 = ffi.new("uint32_t[4]")

local function intern6(w0, w1, w2, w3)
    key6[0], key6[1], key6[2], key6[3] = w0, w1, w2, w3
    local key = new_string(key6, 16)
    local address = cache6[key]
    if not address then
        address = address_t(V6, w0, w1, w2, w3)
        cache6[key] = address
    end
    return address
end
for i = 0, 255 do recent6[i] = intern6(0, 0, 0, 0) end

-- The IPv6 address of four host-order words, each given signed or unsigned.
local function v6(w0, w1, w2, w3)
    w0, w1, w2, w3 = w0 % 0x100000000, w1 % 0x100000000, w2 % 0x100000000, w3 % 0x100000000
    local slot = band(w3 + rshift(w3, 16) + w1, 255)
    local address = recent6[slot]
    if address.w3_ ~= w3 or address.w2_ ~= w2 or address.w1_ ~= w1 or address.w0_ ~= w0 then
        address = intern6(w0, w1, w2, w3)
        recent6[slot] = address
    end
    return address
end

-- What policies call -------------------------------------------------------------------------

local function is_address(value, family)
    return istype(address_t, value) and value.family_ == family
end

---An IPv4 address from dotted text, a number (0 to 2^32-1) or four numbers (0 to 255).
---@param a string|number
---@return address
local function addr4(a, b, c, d)
    if b ~= nil or c ~= nil or d ~= nil then
        local word = 0
        local parts = { a, b, c, d }
        for i = 1, 4 do
            word = word * 256 + check_integer("ipv4.addr: argument " .. i, parts[i], 0, 255)
        end
        return v4(word)
    end
    if type(a) == "number" then return v4(check_integer("ipv4.addr: number", a, 0, MAX4)) end
    if is_address(a, V4) then return a end
    local word = type(a) == "string" and parse4(a)
    if not word then
        return fail("ipv4.addr: expected dotted text such as \"192.0.2.1\", a number from 0 to " ..
            "4294967295 or four numbers from 0 to 255, got %s", show(a))
    end
    return v4(word)
end

---An IPv6 address from text such as "2001:db8::1".
---@param text string
---@return address
local function addr6(text)
    if is_address(text, V6) then return text end
    local w0, w1, w2, w3
    if type(text) == "string" then w0, w1, w2, w3 = parse6(text) end
    if not w0 then
        return fail("ipv6.addr: expected text such as \"2001:db8::1\", got %s", show(text))
    end
    return v6(w0, w1, w2, w3)
end

-- Networks -----------------------------------------------------------------------------------

local network_t

local function net_of(self)
    if self.family_ == V4 then return v4(self.n0_) end
    return v6(self.n0_, self.n1_, self.n2_, self.n3_)
end

local function mask_of(self)
    if self.family_ == V4 then return v4(self.m0_) end
    return v6(self.m0_, self.m1_, self.m2_, self.m3_)
end

network_t = core.class("struct haka_network", {
    fields = "const uint32_t family_, bits_; const int32_t n0_, n1_, n2_, n3_, m0_, m1_, m2_, m3_;",
    name = "network",
    get = { net = net_of, mask = mask_of },
    methods = {
        -- Whether `address` lies in this network; false for one of the other family.
        contains = function(self, address)
            if not istype(address_t, address) then
                return fail("network:contains: expected an address, got %s", show(address))
            end
            if address.family_ ~= self.family_ or band(address.w0_, self.m0_) ~= self.n0_ then
                return false
            end
            return self.family_ == V4 or (band(address.w1_, self.m1_) == self.n1_ and
                band(address.w2_, self.m2_) == self.n2_ and band(address.w3_, self.m3_) == self.n3_)
        end,
    },
    eq = function(a, b)
        if not (istype(network_t, a) and istype(network_t, b)) then return false end
        return a.family_ == b.family_ and a.bits_ == b.bits_ and net_of(a) == net_of(b)
    end,
    tostring = function(self) return tostring(net_of(self)) .. "/" .. self.bits_ end,
})

-- The mask of word number `i` of an address whose first `bits` bits are the network's.
local function mask_word(bits, i)
    local here = math.max(0, math.min(32, bits - 32 * i))
    return here == 0 and 0 or tobit(lshift(-1, 32 - here))
end

local function network_maker(module, family, width, to_address)
    local name = module .. ".network"
    return function(address, bits)
        if bits == nil then
            local text, length
            if type(address) == "string" then text, length = address:match("^([^/]*)/(%d+)$") end
            if not text or #length > 3 then
                return fail("%s: expected text such as %s or an address and its bits, got %s", name,
                    family == V4 and "\"10.0.0.0/8\"" or "\"2001:db8::/32\"", show(address))
            end
            address, bits = text, tonumber(length)
        end
        local given = to_address(address)
        check_integer(name .. ": bits", bits, 0, width)
        local m0, m1, m2, m3 = mask_word(bits, 0), mask_word(bits, 1), mask_word(bits, 2),
            mask_word(bits, 3)
        local network = network_t(family, bits, band(given.w0_, m0), band(given.w1_, m1),
            band(given.w2_, m2), band(given.w3_, m3), m0, m1, m2, m3)
        if net_of(network) ~= given then
            core.modules.log.warning(module, "network %s/%d has host bits set, taken as %s",
                tostring(given), bits, tostring(network))
        end
        return network
    end
end

return {
    v4 = v4,
    v6 = v6,
    is = function(value) return istype(address_t, value) end,
    is_v4 = function(value) return is_address(value, V4) end,
    is_v6 = function(value) return is_address(value, V6) end,
    ipv4 = { addr = addr4, network = network_maker("ipv4", V4, 32, addr4) },
    ipv6 = { addr = addr6, network = network_maker("ipv6", V6, 128, addr6) },
}
