"""What policies can't reach, what `require` finds, and what --unsafe opens."""
from haka_case import HakaCase
from packets import CLIENT, SERVER, udp

ONE = [udp(CLIENT, SERVER, 5, 6, b"abcd")]


class Sandbox(HakaCase):
    def test_what_reaches_the_machine_is_absent(self):
        self.expect("""
            for _, name in ipairs{ "ffi", "debug", "io", "newproxy", "package", "dofile", "loadfile", "jit",
                "getfenv", "setfenv", "module", "gcinfo" } do
                expect.equal(rawget(_G, name), nil) end
            for _, name in ipairs{ "execute", "exit", "remove", "rename", "tmpname", "setlocale" } do
                expect.equal(rawget(os, name), nil) end
            expect.equal(rawget(string, "dump"), nil)
            for _, name in ipairs{ "ffi", "jit", "debug", "io", "os", "package", "string.buffer", "jit.util", "table.new", "bit.x" } do
                expect.fails("require", function() local x = require(name) end) end
            expect.equal(type(os.time()), "number") expect.equal(type(os.date()), "string")
            expect.equal(type(os.getenv("PATH")), "string") expect.equal(type(os.clock()), "number")
            """, ONE, held=12 + 6 + 1 + 20 + 4)

    def test_no_bytecode(self):
        (self.folder / "code.lua").write_bytes(b"\x1bLJ\x02\x00")
        self.expect(r"""
            local code = "\27LJ\2\0"
            local f, problem = load(code, "x", "b") expect.equal(f, nil) expect.yes(problem ~= nil)
            f = load(code) expect.equal(f, nil)
            f = loadstring(code) expect.equal(f, nil)
            local done = false
            f = load(function() if not done then done = true return code end end) expect.equal(f, nil)
            expect.no(pcall(require, "code"))
            expect.equal(load("return 5")(), 5) expect.equal(loadstring("return haka ~= nil")(), true)
            expect.equal(load("x = 7 return x", "y", "t", {})(), 7) expect.equal(x, nil)
            """, ONE, held=10)
        result = self.command("run", "-r", "in.pcap", "code.lua")
        self.assertEqual(result.status, 2, result)

    def test_globals_a_policy_overwrites_do_not_break_the_library(self):
        result = self.run_policy("""
            string.format, math.floor, table.insert, table.concat, coroutine.yield, bit.bor = nil
            string.rep = function() return "evil" end
            haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
                pkt.srcport = 9
                haka.alert{ description = "still", sources = haka.alert.address(pkt.ip.src) }
                haka.log.info("m", "%d", 5)
                print(("x"):rep(3), pkt.ip.src, haka.time()) end }
            type, pairs, tostring, ipairs, error, select, pcall, getmetatable, setmetatable, rawget = nil""", ONE)
        self.assertIn("xxx 192.168.10.1 2023-11-14", result.out)
        self.assertNotIn(" error ", result.err)
        self.assertEqual(result.leaving()[0].sport, 9)

    def test_metatables_are_hidden(self):
        self.expect("""
            haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
                for _, value in ipairs{ pkt, pkt.payload, pkt.ip, pkt.ip.flags, pkt.ip.src, haka.time(), haka.buffer(1),
                    ipv4.network("1.0.0.0/8"), tcp.stream(), haka, haka.log, haka.alert, "" } do
                    expect.no(type(getmetatable(value)) == "table")
                    expect.no((pcall(setmetatable, value, {})))
                end end }""", ONE, held=26)

    def test_require_finds_files_beside_the_policy_and_protocols(self):
        self.expect("""
            expect.equal(require("mine").value, 5) expect.equal(require("mine"), require("mine"))
            expect.equal(require("sub.deep"), "deep") expect.equal(require("sub/deep"), "deep")
            for name, module in pairs{ ipv4 = ipv4, ipv6 = ipv6, tcp = tcp, udp = udp, icmp = icmp, http = http } do
                expect.equal(require("protocol/" .. name), module) end
            expect.fails('nearest: "tcp"', function() local x = require("protocol/tpc") end)
            expect.fails("not found", function() local x = require("nowhere") end)
            expect.fails("leaves the policy's directory", function() local x = require("../mine") end)
            expect.fails("absolute", function() local x = require("/etc/passwd") end)
            expect.no(pcall(require, "broken")) expect.no(pcall(require, "circle"))
            """, ONE, held=4 + 6 + 8 + 2,
                    files={"mine.lua": "return { value = 5 }", "sub/deep.lua": "return 'deep'",
                           "broken.lua": "x = = 1", "circle.lua": "return require('circle')"})

    def test_an_error_in_a_required_file_names_its_line(self):
        result = self.run_policy('require("mine")', ONE, status=2, files={"mine.lua": "\n\nerror('there')"})
        self.assertIn("mine.lua:3: there", result.err)

    def test_unsafe_opens_all_of_it(self):
        policy = """
            local expect = require("expect")
            expect.equal(type(require("ffi").new), "function") expect.equal(type(io.open), "function")
            expect.equal(type(os.execute), "function") expect.equal(type(debug.getinfo), "function")
            expect.equal(type(string.dump), "function") expect.equal(type(newproxy), "function")
            expect.equal(loadstring(string.dump(function() return 5 end))(), 5)
            expect.equal(type(package.loadlib), "function")"""
        result = self.run_policy(policy, ONE, "--unsafe")
        self.assertIn("held 8 failed 0", result.lines())
        self.run_policy(policy, ONE, status=2)
