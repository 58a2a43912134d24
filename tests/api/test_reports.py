"""Alerts, log, prints, on_exit, addresses, networks, buffers, math.random, strings."""
import json

from haka_case import HakaCase
from packets import CLIENT, SERVER, exchange, udp

ONE = [udp(CLIENT, SERVER, 5, 6, b"abcd")]


def on_one(body):
    return 'haka.rule{ hooks = { "udp-up" }, name = "mine", eval = function(self, pkt) ' + body + " end }"


class Alerts(HakaCase):
    def eve(self, policy, frames=None, *arguments):
        result = self.run_policy(policy, frames or ONE, "--eve", "eve.json", *arguments)
        lines = [json.loads(line) for line in result.text("eve.json").splitlines()]
        return result, [line for line in lines if line["event_type"] == "alert"]

    def test_every_field(self):
        result, alerts = self.eve(on_one("""
            haka.alert{ start_time = pkt.ip.raw.timestamp, end_time = haka.time(),
                description = "it happened", severity = "high", confidence = "low", completion = "failed",
                method = { description = "packets sent", ref = { "cve/2011-01", "http://x.y" } },
                sources = { haka.alert.address(pkt.ip.src, "evil.example", 5), haka.alert.service("tcp/22", "ssh") },
                targets = haka.alert.address(pkt.ip.dst), ref = "one" }"""))
        for text in ("it happened", "high", "packets sent", "cve/2011-01", "http://x.y", "evil.example",
                     "tcp/22", "ssh", "192.168.20.1", "one", "failed", "low", "mine", "2023-11-14 22:13:20"):
            self.assertIn(text, result.out)
        alert = alerts[0]
        self.assertEqual((alert["alert"]["signature"], alert["alert"]["severity"], alert["alert"]["gid"],
                          alert["alert"]["rev"]), ("it happened", 1, 1, 1))
        self.assertLess(alert["alert"]["signature_id"], 2**31)
        self.assertEqual((alert["src_ip"], alert["dest_ip"], alert["src_port"], alert["dest_port"],
                          alert["proto"], alert["timestamp"]),
                         (CLIENT, SERVER, 5, 6, "UDP", "2023-11-14T22:13:20.000000+0000"))

    def test_severities_and_actions(self):
        _, alerts = self.eve(on_one("""
            haka.alert{ severity = "low" } haka.alert{ severity = "medium" } haka.alert{ confidence = 0.5 }
            pkt:drop() haka.alert{ severity = "high", description = "dropped" }"""))
        self.assertEqual([alert["alert"]["severity"] for alert in alerts if "severity" in alert["alert"]][:2], [3, 2])

    def test_update(self):
        result, alerts = self.eve(on_one("""
            local ref = haka.alert{ description = "first", severity = "low" }
            haka.alert.update(ref, { severity = "high", description = "second" })
            haka.alert.update(ref, { completion = "successful" })"""))
        self.assertIn("second", result.out)
        self.assertIn("update", result.out)
        self.assertEqual(len(alerts), 3)

    def test_unknown_fields_and_values_are_named(self):
        self.expect(on_one("""
            expect.fails('unknown field "desc"', function() haka.alert{ desc = "x" } end)
            expect.fails('severity', function() haka.alert{ severity = "hihg" } end)
            expect.fails('"high"', function() haka.alert{ severity = "hihg" } end)
            expect.fails("severity", function() haka.alert{ severity = 3 } end)
            expect.fails("confidence", function() haka.alert{ confidence = {} } end)
            expect.fails("confidence", function() haka.alert{ confidence = 0/0 } end)
            expect.fails("completion", function() haka.alert{ completion = "done" } end)
            expect.fails("method", function() haka.alert{ method = "x" } end)
            expect.fails('unknown field "refs"', function() haka.alert{ method = { refs = 1 } } end)
            expect.fails("sources", function() haka.alert{ sources = "1.2.3.4" } end)
            expect.fails("targets", function() haka.alert{ targets = { haka.alert.address(1), 5 } } end)
            expect.fails("start_time", function() haka.alert{ start_time = "now" } end)
            expect.fails("description", function() haka.alert{ description = {} } end)
            expect.fails("empty", function() haka.alert{} end)
            expect.fails("expected a table", function() haka.alert("x") end)
            expect.fails("haka.alert.update", function() haka.alert.update(1, { severity = "low" }) end)
            expect.fails("haka.alert.address", function() haka.alert.address() end)
            expect.fails("haka.alert.address", function() haka.alert.address({}) end)
            expect.fails("haka.alert has no field", function() haka.alert.adress(1) end)
            """), ONE, held=38)

    def test_texts_of_any_bytes_are_kept_and_shown_escaped(self):
        result, alerts = self.eve(on_one(r"""
            haka.alert{ description = "nul \0 tab \t esc \27[31m quote \" \255 end" .. ("x"):rep(5000) }"""))
        self.assertNotIn("\x1b", result.out)
        self.assertNotIn("\0", result.out)
        self.assertIn("x" * 5000, result.out.replace("\n", ""))
        signature = alerts[0]["alert"]["signature"]
        self.assertTrue(signature.startswith("nul \0 tab \t esc \x1b[31m quote \" ") or "\\x00" in signature, signature[:60])
        self.assertTrue(signature.endswith("x" * 5000))


class Log(HakaCase):
    LEVELS = on_one("""for _, level in ipairs{ "error", "warning", "info", "debug" } do
            haka.log[level]("mod", "%s %d", level, 5) haka.log[level]("other", level) end haka.log("mod", "plain %s", 1)""")

    def levels(self, *arguments):
        result = self.run_policy(self.LEVELS, ONE, "-q", *arguments)
        return [" ".join(line.split()[2:4]) for line in result.err.splitlines()]

    def test_levels(self):
        self.assertEqual(self.levels(), ["error mod:", "error other:", "warning mod:", "warning other:", "info mod:",
                                         "info other:", "info mod:"])
        self.assertEqual(self.levels("--log-level", "warning", "--log-level", "mod=debug"),
                         ["error mod:", "error other:", "warning mod:", "warning other:", "info mod:", "debug mod:",
                          "info mod:"])
        self.assertEqual(self.levels("--log-level", "fatal"), [])

    def test_setlevel(self):
        result = self.run_policy('haka.log.setlevel("error") haka.log.setlevel("mod", "debug")' + self.LEVELS, ONE, "-q")
        self.assertEqual(len(result.err.splitlines()), 6)

    def test_log_goes_to_its_file(self):
        result = self.run_policy(self.LEVELS, ONE, "--log", "log.txt", "-q")
        self.assertEqual((result.err, len(result.text("log.txt").splitlines())), ("", 7))

    def test_fatal_ends_the_engine_with_1(self):
        for body in ('haka.log.fatal("mod", "the end")', 'pcall(haka.log.fatal, "mod", "the end")'):
            result = self.run_policy(on_one('print("x") ' + body) + """
                haka.on_exit(function() print("exit") end)""", ONE * 3, "--log-level", "fatal", status=1)
            self.assertIn("the end", result.err)
            self.assertEqual(result.out.count("x\n"), 1)

    def test_fatal_while_loading(self):
        result = self.run_policy('haka.log.fatal("mod", "the end")', ONE, status=1)
        self.assertIn("the end", result.err)
        self.assertIn("haka.log.fatal while loading", result.err)

    def test_bad_calls_are_errors_at_their_line(self):
        self.expect(on_one("""
            expect.fails("value 1 of the format", function() haka.log.info("m", "%d", "x") end)
            expect.fails("value 1 of the format", function() haka.log.info("m", "%d") end)
            expect.fails("unknown option", function() haka.log.info("m", "%y", 1) end)
            expect.fails("expected a module's name", function() haka.log.info() end)
            expect.fails("expected a module and a format", function() haka.log.info("m") end)
            expect.fails("expected a module and a format", function() haka.log.info("m", 5) end)
            expect.fails('unknown level "warn" (nearest: "warning")', function() haka.log.setlevel("warn") end)
            expect.fails("haka.log has no field", function() haka.log.warn("m", "x") end)
            """), ONE, held=16)

    def test_percent_and_nul_in_messages(self):
        result = self.run_policy(on_one(r'haka.log.info("m", "100%%") haka.log.info("m", "a\0b\27[1m\nc")'), ONE, "-q")
        self.assertIn("100%", result.err)
        self.assertNotIn("\x1b", result.err)
        self.assertNotIn("\0", result.err)

    def test_print(self):
        result = self.run_policy("""
            print("a", 1, nil, true, ipv4.addr("1.2.3.4"), setmetatable({}, { __tostring = function() return "mine" end }))
            print() print("two\\nlines")""", ONE, "-q")
        self.assertEqual(result.lines()[0], "a 1 nil true 1.2.3.4 mine")
        self.assertEqual(result.lines()[1], "")

    def test_output_of_one_event_is_bounded(self):
        for call in ('print(text)', 'haka.log.info("m", text)', "haka.alert{ description = text }"):
            result = self.run_policy(on_one(f'local text = ("x"):rep(1000000) for i = 1, 100000 do {call} end'), ONE)
            self.assertIn("lua.output_max", result.err[-3000:])


class LifeCycle(HakaCase):
    def test_on_exit_runs_all_in_order_one_failing_does_not_stop_the_next(self):
        result = self.run_policy("""haka.on_exit(function() print("one") end)
            haka.on_exit(function() error("on purpose") end)
            haka.on_exit(function() error({}) end)
            haka.on_exit(function() print("three") end)""", ONE)
        self.assertEqual(result.lines(), ["one", "three"])
        self.assertIn("policy.lua:2: on purpose", result.err)

    def test_on_exit_runs_after_the_connections_ends(self):
        result = self.run_policy("""haka.on_exit(function() print("exit") end)
            haka.rule{ hooks = { "tcp-connection-end" }, eval = function(self, pkt) print(pkt.reason) end }""",
                                 exchange()[:4])
        self.assertEqual(result.lines(), ["end of input", "exit"])

    def test_current_thread_is_0_based(self):
        self.assertEqual(self.run_policy("print(haka.current_thread())", ONE).lines(), ["0"])

    def test_random_follows_the_seed(self):
        policy = "print(math.random(1000000), math.random(1000000))"
        runs = [self.run_policy(policy, ONE, "--seed", seed).out for seed in (1, 1, 2)]
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])

    def test_two_workers_give_the_same_as_one(self):
        policy = """haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, eval = function(self, pkt)
            while pkt.stream:wait(5) >= 5 do
                print(pkt.connection.srcport, tostring(pkt.stream:read(5)))
                haka.alert{ description = "seen", sources = haka.alert.address(pkt.connection.srcip) } end end }
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                if pkt.srcport % 7 == 0 then pkt:drop() elseif pkt.srcport % 5 == 0 then pkt.ip.ttl = 9 end
                if pkt.dstport % 11 == 0 then error("on purpose") end end }"""
        frames = [frame for number in range(300)
                  for frame in exchange(sport=3000 + number, client=f"10.1.{number % 7}.{number % 200 + 1}")]
        results = []
        for workers in (1, 2, 3):
            result = self.run_policy(policy, frames, "--seed", 1, "-j", workers, "--eve", "eve.json", "-q")
            results.append((result.out, result.text("eve.json"), [got.data for got in result.leaving()]))
        self.assertEqual(results[0], results[1])
        self.assertEqual(results[0], results[2])

    def test_the_same_run_twice_gives_the_same(self):
        policy = """haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            print(math.random(100), pkt.ip.raw.timestamp) if math.random(3) == 1 then pkt:drop() end end }"""
        first, second = (self.run_policy(policy, exchange(), "--seed", 9, "-q") for _ in range(2))
        self.assertEqual(first.out, second.out)


class Values(HakaCase):
    def test_addresses_and_networks(self):
        self.expect("""
            local a = ipv4.addr("10.1.2.3")
            expect.yes(a == ipv4.addr(10, 1, 2, 3)) expect.yes(a == ipv4.addr(0x0a010203))
            expect.yes(rawequal(a, ipv4.addr("10.1.2.3"))) expect.yes(a < ipv4.addr("10.1.2.4"))
            expect.yes(a <= a) expect.no(a > a) expect.equal(tostring(a), "10.1.2.3")
            expect.equal(tostring(ipv4.addr(4294967295)), "255.255.255.255")
            expect.no(a == "10.1.2.3") expect.no(a == nil) expect.no(a == ipv6.addr("::ffff:10.1.2.3"))
            local n = ipv4.network("10.0.0.0/8")
            expect.equal(tostring(n), "10.0.0.0/8") expect.equal(tostring(n.net), "10.0.0.0")
            expect.equal(tostring(n.mask), "255.0.0.0") expect.yes(n:contains(a))
            expect.no(n:contains(ipv4.addr("11.0.0.0"))) expect.no(n:contains(ipv6.addr("::1")))
            expect.fails("contains", function() n:contains("10.1.2.3") end)
            expect.fails("contains", function() n:contains() end)
            expect.fails("network has no field", function() return n.bitss end)
            expect.fails("network", function() n.net = a end)
            expect.yes(ipv4.network("0.0.0.0/0"):contains(a)) expect.yes(ipv4.network(a, 32):contains(a))
            expect.no(ipv4.network(a, 32):contains(ipv4.addr("10.1.2.2")))
            expect.equal(tostring(ipv4.network("10.1.2.3/8")), "10.0.0.0/8")
            expect.equal(tostring(ipv6.addr("2001:DB8:0:0::1")), "2001:db8::1")
            expect.yes(ipv6.network("2001:db8::/32"):contains(ipv6.addr("2001:db8:ffff::")))
            expect.yes(ipv6.network("::/0"):contains(ipv6.addr("::")))
            expect.no(ipv6.network("::/0"):contains(a))
            """, ONE, held=33)

    def test_host_bits_are_masked_with_a_warning_at_load(self):
        result = self.run_policy('\nipv4.network("10.1.2.3/8")', ONE)
        self.assertIn("warning", result.err)
        self.assertIn("host bits", result.err)

    def test_buffers(self):
        self.expect(r"""
            local b = haka.buffer("a\0c")
            expect.equal(#b, 3) expect.equal(b[1], 97) expect.equal(b[2], 0) expect.equal(tostring(b), "a\0c")
            b[2] = 255
            expect.equal(tostring(b), "a\255c") expect.equal(tostring(b:sub(2)), "\255c")
            expect.equal(tostring(b:sub(1, 2)), "a\255") expect.equal(tostring(b:sub(-1)), "c")
            expect.equal(#b:sub(3, 2), 0) expect.equal(tostring(haka.buffer(2)), "\0\0")
            expect.fails("buffer: index", function() return b[0] end)
            expect.fails("buffer: index", function() return b[4] end)
            expect.fails("buffer: index", function() b[4] = 1 end)
            expect.fails("buffer: byte", function() b[1] = 256 end)
            expect.fails("buffer has no field", function() return b.length end)
            expect.fails("haka.buffer", function() local x = haka.buffer() end)
            expect.fails("lua.memory_max", function() local x = haka.buffer(2^40) end)
            """, ONE, held=10 + 14)

    def test_strings_with_nul(self):
        self.expect(r"""
            expect.equal(#"a\0b", 3) expect.equal(("a\0b"):byte(2), 0)
            local parts = string.split("a,,b", ",")
            expect.equal(#parts, 3) expect.equal(parts[2], "")
            expect.equal(string.split("a\0b\0c", "\0")[3], "c") expect.equal(("x.y"):split(".")[2], "y")
            expect.fails("delimiter is empty", function() string.split("a", "") end)
            expect.fails("string.split", function() string.split(nil, ",") end)
            """, ONE, held=10)
