-- haka.buffer: bytes that policies may write. A handle carries only its size; the bytes lie in a
-- side table that policies can't reach, for a field of a cdata is open to whoever knows its name.
local core = ...

local ffi = core.ffi
local fail, show, check_integer = core.fail, core.show, core.check_integer
local istype, new, copy, to_string = ffi.istype, ffi.new, ffi.copy, ffi.string

-- Bytes of each live handle. Collected with it, and counted as Lua's memory until then.
local bytes_of = setmetatable({}, { __mode = "k" })
local SIZE_MAX = math.min(core.native.memory_max or 256 * 1048576, 0x7fffffff)
local bytes_t = ffi.typeof("uint8_t[?]")
local buffer_t

local function check_index(self, i)
    if i % 1 ~= 0 or i < 1 or i > self.size_ then
        return fail("buffer: index %s is not an integer from 1 to %d", tostring(i), self.size_)
    end
    return i - 1
end

-- A buffer of `size` zero bytes; `what` names the caller in errors.
local function allocate(what, size)
    if type(size) ~= "number" or size % 1 ~= 0 or size < 0 or size > SIZE_MAX then
        return fail("%s: expected a size from 0 to %d (lua.memory_max), got %s", what, SIZE_MAX,
            show(size))
    end
    local buffer = buffer_t(size)
    bytes_of[buffer] = new(bytes_t, size)
    return buffer
end

-- A buffer with a copy of the `size` bytes at `source`.
local function from(source, size)
    local buffer = allocate("haka.buffer", size)
    copy(bytes_of[buffer], source, size)
    return buffer
end

buffer_t = core.class("struct haka_buffer", {
    fields = "const uint32_t size_;",
    name = "buffer",
    len = function(self) return self.size_ end,
    index = function(self, i)
        local at = check_index(self, i)
        return bytes_of[self][at]
    end,
    newindex = function(self, i, value)
        local at = check_index(self, i)
        check_integer("buffer: byte", value, 0, 255)
        bytes_of[self][at] = value
    end,
    eq = function(a, b)
        if not (istype(buffer_t, a) and istype(buffer_t, b)) then return false end
        return a.size_ == b.size_ and to_string(bytes_of[a], a.size_) == to_string(bytes_of[b], b.size_)
    end,
    tostring = function(self) return to_string(bytes_of[self], self.size_) end,
    methods = {
        ---Bytes i to j as a new buffer; negative numbers count from the end, as in string.sub.
        sub = function(self, i, j)
            local size = self.size_
            i = check_integer("buffer:sub: first", i, -2 ^ 53, 2 ^ 53)
            j = j == nil and -1 or check_integer("buffer:sub: last", j, -2 ^ 53, 2 ^ 53)
            if i < 0 then i = math.max(size + i + 1, 1) elseif i == 0 then i = 1 end
            if j < 0 then j = size + j + 1 elseif j > size then j = size end
            if i > j then return allocate("buffer:sub", 0) end
            return from(bytes_of[self] + (i - 1), j - i + 1)
        end,
    },
})

return {
    ---A buffer of `value` zero bytes, or with the bytes of the string `value`.
    ---@param value integer|string
    new = function(value)
        if type(value) == "string" then return from(value, #value) end
        return allocate("haka.buffer", value)
    end,
    from = from,
    is = function(value) return istype(buffer_t, value) end,
    is = function(value) return istype(buffer_t, value) end,
    -- The bytes and their number. Valid as long as the buffer is referenced.
    bytes = function(buffer) return bytes_of[buffer], buffer.size_ end,
}
