local t = ...
local test, equal, contains, policy, failure = t.test, t.equal, t.contains, t.policy, t.failure

test("a buffer of a size is all zero", function()
    equal(policy "local b = haka.buffer(5) return #b .. tostring(b)", "5\0\0\0\0\0")
    equal(policy "return #haka.buffer(0)", 0)
end)

test("a buffer keeps a text with all its bytes", function()
    equal(policy "return tostring(haka.buffer('a\\0b\\255'))", "a\0b\255")
    equal(policy "return haka.buffer('a\\0b\\255')[4]", 255)
    equal(policy "return #haka.buffer('')", 0)
end)

test("bytes are read and written from 1", function()
    equal(policy "local b = haka.buffer('abc') b[1] = 65 b[3] = 0 return tostring(b)", "Ab\0")
    contains(failure "return haka.buffer('abc')[0]", "index 0 is not an integer from 1 to 3")
    contains(failure "return haka.buffer('abc')[4]", "index 4 is not")
    contains(failure "return haka.buffer('abc')[-1]", "index -1 is not")
    contains(failure "return haka.buffer('abc')[1.5]", "index 1.5 is not")
    contains(failure "return haka.buffer('abc')[0/0]", "is not an integer")
    contains(failure "return haka.buffer('abc')[1e300]", "is not an integer")
    contains(failure "haka.buffer('abc')[4] = 1", "index 4 is not")
    contains(failure "haka.buffer('abc')[1] = 256", "byte: expected an integer from 0 to 255, got 256")
    contains(failure "haka.buffer('abc')[1] = 'x'", "byte: expected an integer")
    contains(failure "haka.buffer('abc')[1] = nil", "byte: expected an integer")
end)

test("sub takes what string.sub takes", function()
    -- LuaJIT 2.1 beta 3 compiles string.sub wrongly for some negative ends: it is only interpreted.
    local text, expected = "hello", {}
    jit.off()
    for i = -7, 7 do
        expected[i] = { open = text:sub(i) }
        for j = -7, 7 do expected[i][j] = text:sub(i, j) end
    end
    jit.on()
    local b = policy("return haka.buffer(...)", text)
    for _ = 1, 50 do
        for i = -7, 7 do
            equal(tostring(b:sub(i)), expected[i].open)
            for j = -7, 7 do equal(tostring(b:sub(i, j)), expected[i][j]) end
        end
    end
    contains(failure "haka.buffer('x'):sub('a')", "buffer:sub: first: expected an integer")
    contains(failure "haka.buffer('x'):sub()", "buffer:sub: first")
    contains(failure "haka.buffer('x').sub(1, 2)", "buffer:sub(...)")
end)

test("sub copies", function()
    equal(policy "local b = haka.buffer('abc') local c = b:sub(1, 2) c[1] = 88 return tostring(b)", "abc")
end)

test("buffers with the same bytes are equal", function()
    policy [[
        local b = haka.buffer("abc")
        assert(b == haka.buffer("abc") and b ~= haka.buffer("abd") and b ~= haka.buffer("ab"))
        assert(b ~= "abc" and b ~= nil and nil ~= b)
    ]]
end)

test("a size beyond lua.memory_max is refused with the limit", function()
    equal(policy "return #haka.buffer(1048576)", 1048576)
    contains(failure "haka.buffer(1048577)", "from 0 to 1048576 (lua.memory_max), got 1048577")
    contains(failure "haka.buffer(-1)", "expected a size from 0")
    contains(failure "haka.buffer(0/0)", "expected a size from 0")
    contains(failure "haka.buffer()", "got nil")
    contains(failure "haka.buffer({})", "expected a size from 0")
end)

test("the bytes are out of a policy's reach", function()
    contains(failure "return haka.buffer('abc').bytes", "buffer has no field \"bytes\"")
    contains(failure "haka.buffer('abc').size = 100", "buffer has no field \"size\"")
end)

test("forgotten buffers give their memory back", function()
    collectgarbage()
    local before = collectgarbage("count")
    for _ = 1, 300 do policy "haka.buffer(100000)" end
    collectgarbage()
    collectgarbage()
    equal(collectgarbage("count") - before < 1000, true)
end)

test("bytes from memory become a buffer", function()
    local ffi = require("ffi")
    local bytes = ffi.new("uint8_t[3]", { 1, 2, 3 })
    equal(tostring(t.modules.buffer.from(bytes, 2)), "\1\2")
    equal(t.modules.buffer.is(t.modules.buffer.from(bytes, 0)), true)
    equal(t.modules.buffer.is("x"), false)
    equal(t.modules.buffer.is(nil), false)
end)
