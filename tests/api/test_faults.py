"""Rules that fail, hang or eat memory; Ctrl-C; damaged files; exit codes; haka check."""
import os
import signal
import subprocess
import time
from pathlib import Path

import haka_case
import packets
from haka_case import HakaCase
from packets import ACK, CLIENT, SERVER, Talk, exchange, udp

ONE = [udp(CLIENT, SERVER, 5, 6, b"abcd")]
SIX = [udp(CLIENT, SERVER, 5, 6, b"%d" % number) for number in range(6)]


def on_udp(body, name="mine", hook="udp-up"):
    return f"""haka.rule{{ hooks = {{ "{hook}" }}, name = "{name}", eval = function(self, pkt) {body} end }} """


class Errors(HakaCase):
    def test_each_form_is_logged_and_drops_the_packet(self):
        for body, words in (
                ('error("plain")', "policy.lua:1: plain"), ("local x = nil + 1", "policy.lua:1: attempt to perform"),
                ('error({ code = 5 })', "table"), ("error(nil)", "nil"), ("error(5, 0)", "5"),
                ("error()", ""), ("error(true)", "boolean"), ("error(print)", "function"),
                ('error(setmetatable({}, { __tostring = function() return "told" end }))', "told"),
                ('error(setmetatable({}, { __tostring = function() error("worse") end }))', ""),
                ('error(setmetatable({}, { __tostring = function() return {} end }))', ""),
                ('coroutine.wrap(function() error("inside") end)()', "policy.lua:1: inside"),
                ("coroutine.yield()", "yield"),
                ("local function f() return 1 + f() end f()", "stack overflow"),
                ("local function f() return f() + 1 end pcall(f) error('after')", "after"),
                ("local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end print(t.x)",
                 "overflow"),
                ('error("nul \\0 esc \\27[1m")', "nul"),
                ('error(("x"):rep(100000))', "xxx"),
                ("error(pkt)", ""),
                ('string.rep("x", -1):bad()', "bad"),
        ):
            result = self.run_policy(on_udp(body), SIX[:3])
            self.assertIn(words, result.err, body)
            self.assertIn('rule "mine" on packet 1', result.err, body)
            self.assertNotIn("\x1b", result.err)
            self.assertEqual(result.leaving(), [], body)
            self.assertIn("rule-error", result.err)

    def test_on_error_accept_lets_the_packet_pass(self):
        result = self.run_policy(on_udp('error("x")'), SIX, "--set", "lua.on_error=accept")
        self.assertEqual(len(result.leaving()), 6)

    def test_a_traceback_the_first_time_then_a_count(self):
        result = self.run_policy(on_udp('error("x")'), SIX * 20)
        self.assertEqual(result.err.count("stack traceback"), 1)
        self.assertLess(result.err.count("policy.lua:1: x"), 12)
        self.assertIn("64", result.err)
        self.assertIn("120  rule-error", result.err)

    def test_an_error_on_a_stream_hook_drops_the_connection(self):
        result = self.run_policy(on_udp('if pkt.stream:available() > 0 then error("x") end', hook="tcp-connection-up"),
                                 exchange())
        self.assertEqual(len(result.leaving()), 3)
        result = self.run_policy(on_udp('error("x")', hook="tcp-connection-up"), exchange(), "--set", "lua.on_error=accept")
        self.assertEqual(len(result.leaving()), 8)

    def test_an_error_on_tcp_connection_end_and_down_hooks(self):
        result = self.run_policy(on_udp('error("x")', hook="tcp-connection-end"), exchange())
        self.assertEqual(len(result.leaving()), 8)
        self.assertIn("policy.lua:1: x", result.err)
        result = self.run_policy(on_udp('error("x")', hook="raw-down"), SIX)
        self.assertEqual(len(result.leaving()), 0)

    def test_rules_after_an_error_still_work_on_later_packets(self):
        result = self.run_policy("local n = 0 " + on_udp('n = n + 1 if n % 2 == 1 then error("x") end print(n)'), SIX * 500)
        self.assertEqual(len(result.leaving()), 1500)
        self.assertEqual(len(result.lines()), 1500)

    def test_an_error_inside_pcall_is_the_policys_own(self):
        result = self.run_policy(on_udp('print(pcall(error, "x"))'), ONE)
        self.assertEqual((result.lines(), len(result.leaving())), (["false x"], 1))

    def test_finalizers(self):
        result = self.run_policy(on_udp("""
            local p = newproxy(true) getmetatable(p).__gc = function() error("in gc") end p = nil collectgarbage()
            print("on")"""), SIX, "--unsafe", status=None)
        self.assertIn(result.status, (0, 1), result)
        self.assertNotIn("terminate", result.err)


class Memory(HakaCase):
    def hungry(self, body, *arguments):
        return self.run_policy("keep = {} " + on_udp(body) + on_udp("print(pkt.dstport)", "other"), SIX,
                               "--set", "lua.memory_max=20000000", *arguments)

    def test_slow_and_at_once(self):
        for body in ('while true do keep[#keep + 1] = { #keep } end', 'local s = ("x"):rep(1e9)',
                     'local s = "x" while true do s = s .. s end', "while true do keep[#keep + 1] = haka.buffer(100000) end",
                     'coroutine.wrap(function() while true do keep[#keep + 1] = { #keep } end end)()'):
            result = self.hungry(body + " keep = {}")
            self.assertIn("not enough memory", result.err, body)
            self.assertIn('rule "mine" on packet 1', result.err)
            self.assertIn("lua.memory_max", result.err)
            self.assertIn("20000000", result.err)
            self.assertEqual(result.leaving(), [])

    def test_what_compiled_code_takes_without_ever_leaving_it_ends_the_run(self):
        result = self.run_policy("keep = {} " + on_udp("local t = {} for i = 1, 1e9 do t[i] = i end"), SIX,
                                 "--set", "lua.memory_max=20000000", status=None)
        self.assertIn(result.status, (0, 1), result)   # Interpreted: an error; compiled: the end.
        self.assertRegex(result.err, 'rule "mine".* on packet 1[ :]')
        self.assertIn("lua.memory_max", result.err)

    def test_the_engine_lives_on_after_a_full_collection(self):
        result = self.hungry("if pkt.payload[1] == 48 then local t = {} while true do t[#t + 1] = { #t } end end")
        self.assertEqual((len(result.leaving()), result.lines()), (5, ["6"] * 5))

    def test_packets_count_too(self):
        result = self.hungry("while true do keep[#keep + 1] = haka.packet.new(60000) end")
        self.assertIn("not enough memory", result.err)

    def test_loading_beyond_the_limit_is_refused(self):
        result = self.run_policy("local t = {} while true do t[#t + 1] = { #t } end", ONE, "--set",
                                 "lua.memory_max=20000000", status=2)
        self.assertIn("lua.memory_max", result.err)


class Hangs(HakaCase):
    LOOPS = ("while true do end", "local n = 0 while true do n = n + 1 end",
             "while true do local x = pkt.srcport end", "while true do pcall(error, 'x') end",
             '(("a"):rep(30)):find(("a?"):rep(30) .. ("a"):rep(30) .. "b") '
             'local s = ("a"):rep(2000) s:find((".-"):rep(40) .. "b")',
             "local co = coroutine.wrap(function() while true do coroutine.yield() end end) while true do co() end",
             "while true do haka.time() end")

    def test_a_hanging_rule_ends_the_run_with_1_naming_rule_and_packet(self):
        for loop in self.LOOPS:
            result = self.run_policy(on_udp(f"print(pkt.payload[1]) if pkt.payload[1] == 51 then {loop} end"), SIX,
                                     status=1)
            self.assertIn('rule "mine"', result.err, loop)
            self.assertIn("packet 4", result.err, loop)
            self.assertIn("rule_timeout", result.err, loop)
            self.assertEqual([got.payload for got in result.leaving()], [b"0", b"1", b"2"], loop)
            self.assertEqual(result.lines(), ["48", "49", "50"], loop)
            self.assertIn("(2 s)", result.err, loop)

    def test_the_limit_is_a_setting(self):
        result = self.run_policy(on_udp("while true do end"), SIX, "--set", "lua.rule_timeout=200ms", status=1)
        self.assertIn("lua.rule_timeout (0.2 s)", result.err)

    def test_a_rule_that_sleeps_hangs_too(self):
        result = self.run_policy(on_udp('os.execute("exec sleep 10 >/dev/null 2>&1")'), SIX, "--unsafe", "--set",
                                 "lua.rule_timeout=100ms", status=1)
        self.assertIn("lua.rule_timeout (0.1 s)", result.err)

    def test_a_hang_in_a_streamed_rule_and_in_on_exit(self):
        for policy in ("""haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, name = "mine",
                eval = function(self, pkt) pkt.stream:wait(3) while true do end end }""",
                       "haka.on_exit(function() while true do end end)"):
            result = self.run_policy(policy, exchange(), "--set", "lua.rule_timeout=300ms", status=1)
            self.assertIn("rule_timeout", result.err)

    def test_with_two_workers(self):
        frames = [udp(f"10.0.0.{number + 1}", SERVER, 5, 6, b"%d" % number) for number in range(6)]
        result = self.run_policy(on_udp("if pkt.payload[1] == 51 then while true do end end"), frames, "-j", 2,
                                 "--set", "lua.rule_timeout=300ms", status=1)
        self.assertEqual([got.payload for got in result.leaving()], [b"0", b"1", b"2"])

    def test_a_policy_that_hangs_while_loading_ends_at_ctrl_c(self):
        self.write_policy("while true do end")
        packets.write(self.folder / "in.pcap", ONE)
        process = subprocess.Popen([haka_case.HAKA, "run", "-r", "in.pcap", "policy.lua"], cwd=self.folder,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.kill)
        until = time.monotonic() + 10
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
        self.assertIn(process.poll(), (1, 2, -signal.SIGINT))  # As it comes: second, first, too early.


class Interrupts(HakaCase):
    def interrupted(self, policy, frames, after_s=0.7, number=signal.SIGINT):
        """In its midst: when it has used so much time of a processor."""
        self.write_policy(policy)
        packets.write(self.folder / "in.pcap", frames)
        process = subprocess.Popen([haka_case.HAKA, "run", "-r", "in.pcap", "-w", "out.pcap", "policy.lua"],
                                   cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        used = 0
        while used < after_s and process.poll() is None:
            time.sleep(0.02)
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return process.returncode, out.decode(), err.decode()

    def test_during_a_hang(self):
        status, out, err = self.interrupted(
            on_udp('print("x") if pkt.payload[1] == 51 then while true do end end'), SIX)
        self.assertEqual((status, out), (1, "x\n" * 3), err)
        self.assertIn('rule "mine"', err)
        self.assertIn("packet 4", err)
        self.assertEqual(len(packets.parse(self.folder / "out.pcap")), 3)

    def test_during_normal_work(self):
        busy = on_udp("local n = 0 for i = 1, 2000000 do n = n + i end print(n)")
        for number in (signal.SIGINT, signal.SIGTERM):
            status, out, err = self.interrupted(busy, SIX * 2000, number=number)
            self.assertEqual(status, 1, err)
            self.assertIn("interrupted", err)
            self.assertEqual(len(packets.parse(self.folder / "out.pcap")), out.count("\n"))
            self.assertGreater(out.count("\n"), 0)


class Files(HakaCase):
    def test_a_truncated_file(self):
        path = self.folder / "cut.pcap"
        packets.write(path, SIX)
        path.write_bytes(path.read_bytes()[:-10])
        result = self.run_policy(on_udp("print(pkt.payload[1])"), path, status=1)
        self.assertEqual(len(result.lines()), 5)
        self.assertEqual(len(result.leaving()), 5)
        self.assertIn("truncated at byte 284", result.err)

    def test_files_that_are_none(self):
        for name, data in (("empty.pcap", b""), ("garbage.pcap", os.urandom(64)), ("text.pcap", b"hello, world" * 9)):
            (self.folder / name).write_bytes(data)
            result = self.run_policy(on_udp("print(1)"), name, status=2)
            self.assertIn(name, result.err)

    def test_an_output_that_cannot_be_written(self):
        self.write_policy("")
        packets.write(self.folder / "in.pcap", SIX * 20000)
        result = self.command("run", "-r", "in.pcap", "-w", "/dev/full", "policy.lua")
        self.assertNotEqual(result.status, 0, result)
        result = self.command("run", "-r", "in.pcap", "-w", "nowhere/out.pcap", "policy.lua")
        self.assertEqual(result.status, 2, result)


class Check(HakaCase):
    def test_a_good_policy_shows_its_rules_by_hook(self):
        self.write_policy("""
            local g = haka.rule_group{ name = "mine" }
            g:rule{ hooks = { "tcp-up", "udp-up" }, name = "both", eval = print }
            haka.rule{ hooks = { "tcp-connection-up" }, name = "reader", readonly = true, streamed = true, eval = print }
            haka.rule{ hooks = { "tcp-up" }, eval = print }""")
        result = self.command("check", "policy.lua")
        self.assertEqual(result.status, 0, result)
        for words in ("tcp-up", "udp-up", "mine", "both", "reader", "readonly", "streamed", "policy.lua:5"):
            self.assertIn(words, result.out)
        self.assertLess(result.out.index("policy.lua:5"), result.out.index("both"))

    def test_bad_policies_exit_2_and_name_the_line(self):
        for policy, words in (("\nlocal x = = 1", "policy.lua:2:"), ("\n\nhaka.ruel{}", "policy.lua:3:"),
                              ('\nerror("no")', "policy.lua:2: no"), ("\nerror({})", "table"),
                              ('\nhaka.rule{ hooks = { "tcp-pu" }, eval = print }', "policy.lua:2:"),
                              ("\nlocal function f() return 1 + f() end f()", "stack overflow"),
                              ("x = \"\\xzz\"", "policy.lua:1:")):
            self.write_policy(policy)
            result = self.command("check", "policy.lua")
            self.assertEqual(result.status, 2, f"{policy}: {result}")
            self.assertIn(words, result.err, policy)

    def test_a_missing_policy(self):
        result = self.command("check", "nowhere.lua")
        self.assertEqual(result.status, 2)
        self.assertIn("nowhere.lua", result.err)
