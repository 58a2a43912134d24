local t = ...
local test, equal, contains, policy, failure = t.test, t.equal, t.contains, t.policy, t.failure
local v4, v6 = t.modules.address.v4, t.modules.address.v6

test("equal IPv4 addresses are one table key, however they were made", function()
    equal(policy [[
        local hits = {}
        hits[ipv4.addr("192.168.10.1")] = 1
        hits[ipv4.addr(0xc0a80a01)] = (hits[ipv4.addr(0xc0a80a01)] or 0) + 1
        hits[ipv4.addr(192, 168, 10, 1)] = hits[ipv4.addr(192, 168, 10, 1)] + 1
        return hits[(...)]
    ]], nil)
    local hits = { [policy "return ipv4.addr('192.168.10.1')"] = "here" }
    equal(hits[v4(0xc0a80a01)], "here")
    equal(hits[v4(bit.tobit(0xc0a80a01))], "here")
    equal(hits[v4(0xc0a80a02)], nil)
end)

test("many addresses stay distinct and find themselves again", function()
    local keep = {}
    for i = 0, 20000 do keep[v4(i * 214013 % 0x100000000)] = i end
    for i = 0, 20000 do equal(keep[v4(i * 214013 % 0x100000000)], i) end
    keep = {}
    for i = 0, 5000 do keep[v6(0x20010db8, i % 7, i % 3, i)] = i end
    collectgarbage()
    for i = 0, 5000 do equal(keep[v6(0x20010db8, i % 7, i % 3, i)], i) end
end)

test("forgotten addresses are collected", function()
    local weak = setmetatable({ v4(0x01020304), v6(1, 2, 3, 4) }, { __mode = "v" })
    for i = 0, 255 do v6(9, 9, 9, i * 3) v6(9, i, 9, i) v6(9, 0, 9, i) end
    collectgarbage()
    collectgarbage()
    equal(weak[1], nil)
    equal(weak[2], nil)
end)

test("addresses differ from everything else without an error", function()
    policy [[
        local others = { "1.2.3.4", 16909060, true, false, {}, print, ipv4.network("1.2.3.4/32"),
            ipv6.addr("::1.2.3.4"), ipv4.addr("1.2.3.5"), 1LL }
        for _, address in ipairs { ipv4.addr("1.2.3.4"), ipv6.addr("2001:db8::1") } do
            for i = 1, #others do
                assert(address ~= others[i] and others[i] ~= address, i)
            end
            assert(address ~= nil and nil ~= address)
            assert(address == address)
        end
        assert(ipv4.addr("1.2.3.4") == ipv4.addr(0x01020304))
    ]]
end)

test("addresses have an order within their family", function()
    policy [[
        local a, b, c = ipv4.addr("9.0.0.1"), ipv4.addr("10.0.0.0"), ipv4.addr("200.0.0.0")
        assert(a < b and b < c and not (c < a) and a <= a and a <= b and not (c <= b) and c > a)
        a, b, c = ipv6.addr("::1"), ipv6.addr("::1:0:0"), ipv6.addr("ff00::")
        assert(a < b and b < c and not (c < a) and a <= a and a <= b and not (c <= b))
    ]]
    contains(failure "return ipv4.addr(1) < ipv6.addr('::1')", "no order (0.0.0.1, ::1)")
    contains(failure "return ipv4.addr(1) < 5", "got 0.0.0.1 and 5")
    contains(failure "return ipv4.addr(1) <= nil", "expected two addresses")
end)

test("IPv4 addresses print dotted", function()
    for _, text in ipairs { "0.0.0.0", "255.255.255.255", "192.168.10.1", "1.0.0.255" } do
        equal(tostring(policy("return ipv4.addr(...)", text)), text)
    end
    equal(("%s"):format(v4(0x7f000001)), "127.0.0.1")
end)

test("IPv6 addresses print as RFC 5952 says", function()
    local texts = {
        ["::"] = "::", ["::1"] = "::1", ["1::"] = "1::", ["0:0:0:0:0:0:0:1"] = "::1",
        ["2001:0DB8::0001"] = "2001:db8::1", ["2001:db8:0:0:1:0:0:1"] = "2001:db8::1:0:0:1",
        ["2001:db8:0:1:1:1:1:1"] = "2001:db8:0:1:1:1:1:1", ["1:2:3:4:5:6:7:8"] = "1:2:3:4:5:6:7:8",
        ["1:0:0:2:0:0:0:3"] = "1:0:0:2::3", ["::ffff:1.2.3.4"] = "::ffff:1.2.3.4",
        ["::ffff:102:304"] = "::ffff:1.2.3.4", ["64:ff9b::192.0.2.33"] = "64:ff9b::c000:221",
        ["1:2:3:4:5:6:7::"] = "1:2:3:4:5:6:7:0", ["::2:3:4:5:6:7:8"] = "0:2:3:4:5:6:7:8",
        ["fe80::ffff:ffff:ffff:ffff"] = "fe80::ffff:ffff:ffff:ffff",
        ["1:2:3:4:5:6:1.2.3.4"] = "1:2:3:4:5:6:102:304",
    }
    for text, printed in pairs(texts) do
        equal(tostring(policy("return ipv6.addr(...)", text)), printed)
    end
end)

test("malformed text is refused by name", function()
    for _, text in ipairs { "", "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.4 ", "a.b.c.d",
        "1.2.3.-4", "1..2.3", "1.2.3.4/8", "1.2.3.0004", "1.2.3.4\0" } do
        contains(failure("ipv4.addr(...)", text), "ipv4.addr: expected dotted text")
    end
    for _, text in ipairs { "", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "::1::", "12345::",
        "g::", "1:2:3:4:5:6:7:8::", "::1.2.3", "1.2.3.4", "fe80::1%eth0", "1:", ":1", "1:::2",
        "::1.2.3.4:5", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4::5:6:7:8", "::01.2.3.4" } do
        contains(failure("ipv6.addr(...)", text), "ipv6.addr: expected text")
    end
end)

test("numbers out of range are refused with the range", function()
    contains(failure "ipv4.addr(-1)", "integer from 0 to 4294967295, got -1")
    contains(failure "ipv4.addr(4294967296)", "integer from 0 to 4294967295")
    contains(failure "ipv4.addr(1.5)", "got 1.5")
    contains(failure "ipv4.addr(0/0)", "integer from 0")
    contains(failure "ipv4.addr(1, 2, 3)", "argument 4: expected an integer from 0 to 255, got nil")
    contains(failure "ipv4.addr(1, 2, 256, 4)", "argument 3: expected an integer from 0 to 255, got 256")
    contains(failure "ipv4.addr()", "got nil")
    contains(failure "ipv4.addr({})", "ipv4.addr: expected")
    contains(failure "ipv6.addr(5)", "ipv6.addr: expected")
    contains(failure "ipv6.addr(ipv4.addr(1))", "got 0.0.0.1")
end)

test("networks tell what they contain", function()
    policy [[
        local net = ipv4.network("192.168.10.0/25")
        assert(net:contains(ipv4.addr("192.168.10.0")) and net:contains(ipv4.addr("192.168.10.127")))
        assert(not net:contains(ipv4.addr("192.168.10.128")) and not net:contains(ipv4.addr(0)))
        assert(tostring(net.net) == "192.168.10.0" and tostring(net.mask) == "255.255.255.128")
        assert(tostring(net) == "192.168.10.0/25")
        assert(ipv4.network(ipv4.addr("192.168.10.0"), 25) == net)
        assert(ipv4.network("192.168.10.0/26") ~= net and net ~= nil and net ~= "x")
        net = ipv6.network("2001:db8:0:8000::/49")
        assert(net:contains(ipv6.addr("2001:db8:0:ffff::1")))
        assert(not net:contains(ipv6.addr("2001:db8:0:7fff::1")))
        assert(not net:contains(ipv6.addr("2001:db9:0:ffff::1")))
        assert(tostring(net.mask) == "ffff:ffff:ffff:8000::" and tostring(net.net) == "2001:db8:0:8000::")
        assert(ipv6.network(ipv6.addr("2001:db8::"), 32):contains(ipv6.addr("2001:db8:ffff::")))
    ]]
    equal(#t.logged, 0)
end)

test("the shortest and longest prefixes work", function()
    policy [[
        local all, one = ipv4.network("0.0.0.0/0"), ipv4.network("200.1.2.3/32")
        assert(all:contains(ipv4.addr(0)) and all:contains(ipv4.addr("255.255.255.255")))
        assert(tostring(all.mask) == "0.0.0.0" and tostring(one.mask) == "255.255.255.255")
        assert(one:contains(ipv4.addr("200.1.2.3")) and not one:contains(ipv4.addr("200.1.2.2")))
        all, one = ipv6.network("::/0"), ipv6.network("ff02::1/128")
        assert(all:contains(ipv6.addr("ffff::")) and one:contains(ipv6.addr("ff02::1")))
        assert(not one:contains(ipv6.addr("ff02::2")) and not one:contains(ipv6.addr("ff03::1")))
        assert(ipv6.network("ff00::/8"):contains(ipv6.addr("ff02::2")))
    ]]
end)

test("contains is false for an address of the other family", function()
    policy [[
        assert(ipv4.network("0.0.0.0/0"):contains(ipv6.addr("::")) == false)
        assert(ipv6.network("::/0"):contains(ipv4.addr(0)) == false)
    ]]
    contains(failure "ipv4.network('1.0.0.0/8'):contains('1.2.3.4')", "expected an address, got \"1.2.3.4\"")
    contains(failure "ipv4.network('1.0.0.0/8'):contains(nil)", "expected an address, got nil")
    contains(failure "ipv4.network('1.0.0.0/8').contains(ipv4.addr(1))", "network:contains(...)")
end)

test("host bits of a network are masked with a warning", function()
    local net = policy "return ipv4.network('10.1.2.3/8')"
    equal(tostring(net), "10.0.0.0/8")
    equal(#t.logged, 1)
    equal(t.logged[1].module, "ipv4")
    equal(t.logged[1].level, 2)
    equal(t.logged[1].text, "network 10.1.2.3/8 has host bits set, taken as 10.0.0.0/8")
    equal(tostring(policy "return ipv6.network('2001:db8::1/32')"), "2001:db8::/32")
    equal(t.logged[2].module, "ipv6")
end)

test("malformed networks are refused with argument and range", function()
    contains(failure "ipv4.network('10.0.0.0')", "ipv4.network: expected text such as \"10.0.0.0/8\"")
    contains(failure "ipv4.network('10.0.0.0/33')", "ipv4.network: bits: expected an integer from 0 to 32, got 33")
    contains(failure "ipv4.network('10.0.0/8')", "ipv4.addr: expected dotted text")
    contains(failure "ipv4.network('10.0.0.0/-1')", "ipv4.network: expected text")
    contains(failure "ipv4.network('10.0.0.0/0000000008')", "ipv4.network: expected text")
    contains(failure "ipv4.network(ipv4.addr(1), '8')", "bits: expected an integer from 0 to 32")
    contains(failure "ipv4.network(ipv6.addr('::1'), 8)", "got ::1")
    contains(failure "ipv6.network('::/129')", "from 0 to 128, got 129")
    contains(failure "ipv6.network(5, 8)", "ipv6.addr: expected")
    contains(failure "ipv4.network()", "got nil")
end)

test("addresses and networks can't be changed and name unknown fields", function()
    contains(failure "ipv4.network('10.0.0.0/8').mastk = 1", "network has no field \"mastk\"")
    contains(failure "return ipv4.network('10.0.0.0/8').contians", "(nearest: \"contains\")")
    contains(failure "ipv4.network('10.0.0.0/8').net = 1", "network.net can't be written")
    contains(failure "ipv4.network('10.0.0.0/8').bits = 1", "network has no field \"bits\"")
    contains(failure "ipv4.addr(1).family = 6", "address has no field \"family\"")
    contains(failure "return ipv4.addr(1).octets", "address has no field \"octets\"")
end)

test("an error names the policy's line", function()
    contains(failure "local a\nlocal b = ipv4.addr('x')\nreturn a, b", "policy.lua:2: ipv4.addr")
end)
