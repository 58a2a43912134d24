-- What runs per packet or per connection has to compile: an abort here is a slow policy there.
local t = ...
local test, compiles = t.test, t.compiles

test("the check itself sees what doesn't compile", function()
    local done, problem = pcall(compiles,
        "for i = 1, 20000 do local f = function() return i end f() end")
    t.equal(done, false)
    t.contains(problem, "NYI")
    done, problem = pcall(compiles, "return 1")
    t.equal(done, false)
    t.contains(problem, "nothing was compiled")
end)

test("finding a known IPv4 address compiles", function()
    compiles([[
        local v4, keep = ...
        for i = 1, 64 do keep[i] = v4(0x0a000000 + i) end
        local found = 0
        for i = 1, 20000 do if v4(0x0a000000 + i % 64 + 1) == keep[i % 64 + 1] then found = found + 1 end end
        assert(found == 20000)
    ]], t.modules.address.v4, {})
end)

test("making new IPv4 addresses compiles", function()
    compiles([[
        local v4, last = ...
        for i = 1, 20000 do last = v4(0x0b000000 + i) end
        assert(tostring(last) == "11.0.78.32")
    ]], t.modules.address.v4, 0)
end)

test("finding a known IPv6 address compiles", function()
    compiles([[
        local v6, keep = ...
        for i = 1, 64 do keep[i] = v6(0x20010db8, 0, 0, i) end
        local found = 0
        for i = 1, 20000 do
            if v6(0x20010db8, 0, 0, i % 64 + 1) == keep[i % 64 + 1] then found = found + 1 end
        end
        assert(found == 20000)
    ]], t.modules.address.v6, {})
end)

test("an IPv6 address outside the small table compiles", function()
    compiles([[
        local v6, last = ...
        for i = 1, 20000 do last = v6(0x20010db8, 0, i, i * 7) end
        assert(tostring(last) == "2001:db8::4e20:2:22e0")
    ]], t.modules.address.v6, 0)
end)

test("an address as a table key compiles", function()
    compiles([[
        local v4, hits = ..., {}
        for i = 1, 20000 do
            local address = v4(0x0a000000 + i % 16)
            hits[address] = (hits[address] or 0) + 1
        end
        assert(hits[v4(0x0a000001)] == 1250)
    ]], t.modules.address.v4)
end)

test("comparing an address compiles, with nil too", function()
    compiles([[
        local v4 = ...
        local wanted, n = v4(0x0a000001), 0
        for i = 1, 20000 do
            local address = v4(0x0a000000 + i % 2)
            if address == wanted and address ~= nil and address <= wanted then n = n + 1 end
        end
        assert(n == 10000)
    ]], t.modules.address.v4)
end)

test("IPv4 contains compiles", function()
    compiles([[
        local v4 = ...
        local net, inside = ipv4.network("192.168.10.0/25"), 0
        for i = 1, 20000 do
            if net:contains(v4(0xc0a80a00 + i % 256)) then inside = inside + 1 end
        end
        assert(inside > 9900 and inside < 10100)
    ]], t.modules.address.v4)
end)

test("IPv6 contains compiles", function()
    compiles([[
        local v6 = ...
        local net, inside = ipv6.network("2001:db8::/121"), 0
        for i = 1, 20000 do
            if net:contains(v6(0x20010db8, 0, 0, i % 256)) then inside = inside + 1 end
        end
        assert(inside > 9900 and inside < 10100)
    ]], t.modules.address.v6)
end)

test("a log call below the level compiles", function()
    compiles [[
        for i = 1, 20000 do
            haka.log.debug("filter", "entering packet filtering rules : %d --> %d", i, 80)
        end
    ]]
end)

test("logging a plain text compiles", function()
    compiles [[
        for i = 1, 20000 do haka.log.warning("filter", "authorizing http traffic") end
    ]]
end)

test("logging formatted numbers and strings compiles", function()
    compiles [[
        for i = 1, 20000 do haka.log.warning("filter", "%d from %s", i, "x") end
    ]]
end)

test("reading the time compiles", function()
    compiles [[
        local sum = 0
        for i = 1, 20000 do
            local now = haka.time()
            sum = sum + now.seconds + now.micro_seconds + now:toseconds()
        end
    ]]
end)

test("reading and writing a buffer compiles", function()
    compiles [[
        local b = haka.buffer(256)
        for i = 1, 20000 do b[i % 256 + 1] = (b[i % 255 + 1] + i) % 256 end
    ]]
end)
