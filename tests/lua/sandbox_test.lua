local t = ...
local test, equal, contains, policy, failure = t.test, t.equal, t.contains, t.policy, t.failure

test("what reaches the machine or other code is absent", function()
    for _, name in ipairs { "ffi", "debug", "io", "newproxy", "package", "dofile", "loadfile", "jit",
        "getfenv", "setfenv", "module", "gcinfo", "os.execute", "os.exit", "os.remove", "os.rename",
        "os.tmpname", "os.setlocale", "string.dump" } do
        equal(policy("return " .. name), nil)
    end
    for _, name in ipairs { "os.time", "os.date", "os.getenv", "os.clock", "os.difftime", "bit.band",
        "coroutine.wrap", "string.format", "table.concat", "math.floor", "pcall", "xpcall", "unpack",
        "select", "setmetatable", "rawequal", "rawget", "rawset", "next", "assert", "error" } do
        equal(type(policy("return " .. name)), "function")
    end
    contains(failure "require('ffi')", "module \"ffi\" not found")
    contains(failure "require('jit.opt')", "not found")
    equal(policy "return _G._G == _G and _G.haka == haka", true)
end)

test("nothing of the library can be reached through what remains", function()
    equal(policy "return ('').dump", nil)
    equal(policy "return getmetatable('')", "string")
    equal(policy "return pcall(setmetatable, haka, {})", false)
    equal(type(policy "return getmetatable(haka)"), "string")
    equal(type(policy "return getmetatable(ipv4.addr(1))"), "string")
    equal(policy "return rawget(haka, 'log')", nil)
    equal(policy "return next(haka)", nil)
end)

test("what a policy writes stays in its own world", function()
    policy "table.concat = nil math.floor = nil os.time = nil bit.band = nil kept = 5"
    equal(type(table.concat) .. type(math.floor) .. type(os.time) .. type(bit.band),
        "functionfunctionfunctionfunction")
    equal(kept, nil)
    equal(policy "return kept", 5)
    t.policy_environment = t.environment(t.root .. "/tests/lua/modules")
end)

test("a policy adds string methods but can't replace the library's", function()
    equal(policy "function string.twice(s) return s .. s end return ('ab'):twice()", "abab")
    policy "string.format = function() return 'mine' end"
    equal(policy "return string.format('x')", "mine")
    contains(failure "ipv4.addr('x')", "ipv4.addr: expected dotted text")
    t.policy_environment = t.environment(t.root .. "/tests/lua/modules")
end)

test("library tables can't be changed and name what they lack", function()
    contains(failure "haka.foo = 1", "haka has no field \"foo\"")
    contains(failure "haka.tiem()", "haka has no field \"tiem\" (nearest: \"time\")")
    contains(failure "haka.log = print", "haka.log can't be written")
    contains(failure "ipv4.addrs('x')", "ipv4 has no field \"addrs\" (nearest: \"addr\")")
    contains(failure "return haka[1]", "haka has no field 1")
    equal(policy "return tostring(haka.log)", "haka.log")
end)

test("bytecode is not loaded", function()
    local bytecode = string.dump(function() return 1 end)
    for _, code in ipairs { "return load(...)", "return loadstring(...)",
        "return load(..., 'x', 'b')", "return load(..., 'x', 'bt')",
        "local s = ... return load(function() local r = s s = nil return r end)" } do
        local chunk, problem = policy(code, bytecode)
        equal(chunk, nil)
        contains(problem, "wrong mode")
    end
end)

test("loaded text sees the policy's world", function()
    equal(policy "mine = 7 return load('return mine')()", 7)
    equal(policy "return loadstring('return io')()", nil)
    equal(policy "return load('return x', 'n', 't', { x = 3 })()", 3)
    equal(policy "local parts = { 'return ', '4' } return load(function() return table.remove(parts, 1) end)()", 4)
    local chunk, problem = policy "return loadstring('x = = 1', '@named')"
    equal(chunk, nil)
    contains(problem, "named:1:")
    contains(failure "load(5)", "load: expected a string or a function")
end)

test("require gives protocols by name", function()
    equal(policy "return require('protocol/ipv4') == ipv4 and require('protocol.ipv4') == ipv4", true)
    contains(failure "require('protocol/ipv5')", "no protocol \"ipv5\" (nearest: \"ipv4\")")
end)

test("require finds files beside the policy, once", function()
    equal(policy "local m = require('plain') m.count = 1 return require('plain').count", 1)
    equal(policy "return require('plain').name", "plain")
    equal(policy "return require('deep/inner')", "deep plain")
    equal(policy "return require('deep.inner')", "deep plain")
    equal(policy "return tostring(require('silent')) .. tostring(made_by_silent)", "truetrue")
    equal(policy "return require('hashed')", "hashed")
end)

test("require stays inside the policy's directory", function()
    contains(failure "require('/etc/passwd')", "the path is absolute")
    contains(failure "require('../run')", "leaves the policy's directory")
    contains(failure "require('deep/../../run')", "leaves the policy's directory")
    contains(failure "require('')", "malformed")
    contains(failure "require('plain\\0x')", "malformed")
    contains(failure "require('...run')", "not found")
    contains(failure "require(5)", "expected a string, got number")
end)

test("require says what it tried", function()
    contains(failure "require('missing.module')", "module \"missing.module\" not found")
    contains(failure "require('missing.module')", "tests/lua/modules/missing/module.lua")
end)

test("a module that needs itself is an error with the way there", function()
    contains(failure "require('loop_a')", "loop_a -> loop_b -> loop_a")
    contains(failure "require('loop_a')", "loop_a -> loop_b -> loop_a")
end)

test("a broken module tells its own line and may be tried again", function()
    contains(failure "require('syntax')", "modules/syntax.lua:1:")
    contains(failure "require('fails_once')", "modules/fails_once.lua:2: first time")
    equal(policy "return require('fails_once')", 2)
end)

test("print joins its arguments with one space", function()
    policy [[
        print("a", 1, nil, true, ipv4.addr("1.2.3.4"))
        print()
        print("x\0y", setmetatable({}, { __tostring = function() return "mine" end }), nil)
    ]]
    equal(t.printed[1], "a 1 nil true 1.2.3.4")
    equal(t.printed[2], "")
    equal(t.printed[3], "x\0y mine nil")
    t.status = 9
    contains(failure "print('x')", "lua.output_max")
end)

test("string.split takes a plain delimiter", function()
    equal(policy "return table.concat(string.split('a.b..c', '.'), '|')", "a|b||c")
    equal(policy "return table.concat(('k=>v=>'):split('=>'), '|')", "k|v|")
    equal(policy "return #(''):split(',')", 1)
    equal(policy "return table.concat(('abc'):split(','), '|')", "abc")
    contains(failure "('x'):split('')", "the delimiter is empty")
    contains(failure "('x'):split()", "delimiter: expected a string, got nil")
end)

test("collectgarbage can't stop the collector", function()
    equal(type(policy "return collectgarbage('count')"), "number")
    policy "collectgarbage() collectgarbage('step')"
    contains(failure "collectgarbage('stop')", "policies may ask for")
end)

test("math.random follows the seed", function()
    local first = t.environment(".").math.random()
    equal(t.environment(".").math.random(), first)
    t.policy_environment = t.environment(t.root .. "/tests/lua/modules")
end)

test("an open world has everything, and still the policy's globals", function()
    t.native.unsafe = true
    local closed = t.policy_environment
    t.policy_environment = t.environment(t.root .. "/tests/lua/modules")
    t.native.unsafe = nil
    local done, problem = pcall(function()
        equal(type(policy "return io.open"), "function")
        equal(type(policy "return require('ffi').new"), "function")
        equal(policy "return require('plain').name", "plain")
        equal(policy "mine = 8 return loadstring('return mine')()", 8)
        equal(policy "return load('return haka')() == haka", true)
        equal(policy "return require('protocol/ipv4') == ipv4", true)
        equal(mine, nil)
    end)
    t.policy_environment = closed
    string.split = nil
    assert(done, problem)
end)
