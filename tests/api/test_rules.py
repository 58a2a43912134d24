"""Rules, groups, the order of hooks, dissectors written in Lua."""
from haka_case import HakaCase
from packets import ACK, CLIENT, SERVER, SYN, Talk, exchange, ip, tcp, udp

ONE = [udp(CLIENT, SERVER, 5, 6, b"abcd")]


class Rules(HakaCase):
    def test_definitions_are_checked_at_load(self):
        for policy, words in (
                ('haka.rule{ hooks = { "tcp-uq" }, eval = print }', 'nearest: "tcp-up"'),
                ('haka.rule{ hooks = {}, eval = print }', "hooks: the list is empty; a rule needs a hook"),
                ('haka.rule{ hooks = {}, eval = {} }', "hooks: the list is empty"),
                ('haka.rule{ hooks = { {} }, eval = print }', "expected a string, got table"),
                ('haka.rule{ hooks = print, eval = print }', "expected a list of hook names, got a function"),
                ('haka.rule{ hooks = "tcp-up", eval = print }', "hooks"),
                ('haka.rule{ hooks = { 1 }, eval = print }', "hooks"),
                ('haka.rule{ hooks = { "tcp-up" } }', "eval: expected a function"),
                ('haka.rule{ hooks = { "tcp-up" }, eval = 1 }', "eval: expected a function"),
                ('haka.rule{ hook = { "tcp-up" }, eval = print }', 'unknown field "hook" (nearest: "hooks")'),
                ('haka.rule{ hooks = { "tcp-up" }, eval = print, readonly = 1 }', "readonly"),
                ('haka.rule{ hooks = { "tcp-up" }, eval = print, name = 1 }', "name"),
                ('haka.rule{ hooks = { "tcp-up" }, eval = print, streamed = true }', "streamed"),
                ('haka.rule(1)', "expected a table"),
                ('haka.rule_group{ name = 1 }', "name"),
                ('haka.rule_group{ init = 1 }', "init"),
                ('haka.rule_group{ final = print }', 'unknown field "final"'),
                ('local g = haka.rule_group{ name = "g" } g.rule{ hooks = { "tcp-up" }, eval = print }', "dot"),
                ('haka.ruel{}', 'haka has no field "ruel" (nearest: "rule")'),
                ('haka.rule = 1', "can't be written"),
                ('haka.dissector{ name = "tcp", dissect = print }', "already"),
                ('haka.dissector{ dissect = print }', "name"),
                ('haka.dissector{ name = "x" }', "dissect"),
                ('haka.rule_hook("tcp-upp", nil)', 'nearest: "tcp-up"'),
                ('haka.disable_dissector("htpp")', 'nearest: "http"'),
                ('ipv4.register_proto(300, {})', "0 to 255"),
                ('ipv4.register_proto(89, {})', "haka.dissector"),
                ('ipv4.network("10.0.0.0/33")', "0 to 32"),
                ('ipv4.network("10.0.0/8")', "ipv4.addr"),
                ('ipv4.addr("1.2.3.256")', "ipv4.addr"),
                ('ipv4.addr(4294967296)', "0 to 4294967295"),
                ('ipv4.addr(1, 2, 3, 256)', "0 to 255"),
                ('ipv6.addr("1.2.3.4")', "ipv6.addr"),
                ('haka.buffer(-1)', "haka.buffer"),
                ('haka.on_exit(1)', "expected a function"),
        ):
            for command in ("run", "check"):
                self.write_policy("\n" + policy)
                arguments = ("-r", "in.pcap", "-w", "out.pcap") if command == "run" else ()
                result = self.run_policy("\n" + policy, ONE, status=None) if command == "run" else \
                    self.command("check", "policy.lua")
                self.assertEqual(result.status, 2, f"{policy}: {result}")
                self.assertIn("policy.lua:2:", result.err, policy)
                self.assertIn(words, result.err, policy)

    def test_rules_made_while_packets_flow_are_refused(self):
        result = self.run_policy("""haka.rule{ hooks = { "udp-up" }, eval = function()
            haka.rule{ hooks = { "udp-up" }, eval = print } end }""", ONE)
        self.assertIn("while the policy loads", result.err)

    def test_plain_rules_come_first_then_groups_in_order_of_creation(self):
        result = self.run_policy("""
            local function rule(name) return { hooks = { "udp-up" }, eval = function() print(name) end } end
            local b = haka.rule_group{ name = "b" }
            local a = haka.rule_group{ name = "a" }
            a:rule(rule "a1") b:rule(rule "b1") haka.rule(rule "plain1") a:rule(rule "a2")
            haka.rule(rule "plain2") b:rule(rule "b2")""", ONE)
        self.assertEqual(result.lines(), ["plain1", "plain2", "b1", "b2", "a1", "a2"])

    def test_a_group_runs_init_rules_continue_fini(self):
        result = self.run_policy("""
            local g = haka.rule_group{ name = "g",
                init = function(self, pkt) print("init", self.name, pkt.dissector) end,
                continue = function(self, pkt, ret) print("continue", ret) return ret ~= "stop" end,
                fini = function(self, pkt) print("fini") end }
            g:rule{ hooks = { "udp-up", "ipv4-up" }, name = "x", eval = function(self, pkt) print(self.name) return 7 end }
            g:rule{ hooks = { "udp-up" }, eval = function(self, pkt) return pkt.dstport == 6 and "stop" or nil end }
            g:rule{ hooks = { "udp-up" }, eval = function(self, pkt) print("last") end }""",
                                 ONE + [udp(CLIENT, SERVER, 5, 7, b"")])
        up = ["init g ipv4", "x", "continue 7", "fini"]
        self.assertEqual(result.lines(), up + ["init g udp", "x", "continue 7", "continue stop"] + up +
                         ["init g udp", "x", "continue 7", "continue nil", "last", "continue nil", "fini"])

    def test_a_drop_ends_the_evaluation_of_the_hook(self):
        for place in ("init", "eval", "continue", "fini"):
            body = {name: f'print("{name}")' + (" pkt:drop()" if name == place else "")
                    for name in ("init", "eval", "continue", "fini")}
            result = self.run_policy(f"""
                local g = haka.rule_group{{ init = function(self, pkt) {body["init"]} end,
                    continue = function(self, pkt) {body["continue"]} return true end,
                    fini = function(self, pkt) {body["fini"]} end }}
                g:rule{{ hooks = {{ "udp-up" }}, eval = function(self, pkt) {body["eval"]} end }}
                local h = haka.rule_group{{}}
                h:rule{{ hooks = {{ "udp-up" }}, eval = function() print("other group") end }}
                haka.rule{{ hooks = {{ "udp-down", "ipv4-down", "raw-down" }}, eval = function() print("down") end }}""", ONE)
            order = ["init", "eval", "continue", "fini"]
            self.assertEqual(result.lines(), order[:order.index(place) + 1])
            self.assertEqual(result.leaving(), [])

    def test_more_than_sixty_rules_on_a_hook(self):
        result = self.run_policy("""local n = 0
            for i = 1, 200 do haka.rule{ hooks = { "udp-up" }, eval = function() n = n + i end } end
            haka.on_exit(function() print(n) end)""", ONE * 100)
        self.assertEqual(result.lines(), [str(20100 * 100)])

    def test_order_of_hooks_for_one_packet(self):
        names = ["raw", "ipv4", "tcp", "tcp-connection"]
        hooks = [f"{name}-{way}" for name in names for way in ("up", "down")] + \
            ["tcp-connection-new", "tcp-connection-end"]
        policy = "".join(f'haka.rule{{ hooks = {{ "{hook}" }}, eval = function() print("{hook}") end }} '
                         for hook in hooks)
        talk = Talk()
        up, down = ["raw-up", "ipv4-up", "tcp-up"], ["tcp-down", "ipv4-down", "raw-down"]
        result = self.run_policy(policy, [talk.packet(True, SYN)])
        self.assertEqual([line for line in result.lines() if line != "tcp-connection-end"],
                         up + ["tcp-connection-new", "tcp-connection-down"] + down)
        frames = talk.open() + [talk.send(b"a")]
        result = self.run_policy(policy, frames)
        self.assertEqual(result.lines()[-9:], up + ["tcp-connection-up", "tcp-connection-down"] + down +
                         ["tcp-connection-end"])

    def test_raw_up_sees_frames_that_are_not_ip(self):
        result = self.run_policy("""haka.rule{ hooks = { "raw-up" }, eval = function(self, pkt)
            print(#pkt, pkt.next_dissector, pkt[1]) end }""", [b"\x10\x20\x30"], "--set",
                                 "exceptions.malformed=pass")
        self.assertEqual(result.lines(), ["3 nil 16"])


class Dissectors(HakaCase):
    OSPF = """
        local ospf = haka.dissector{ name = "ospf", hooks = { "ospf-hello" }, dissect = function(below)
            local p = below.payload
            if #p < 4 then haka.log.warning("ospf", "too short") below:drop() return nil end
            local self = { dissector = "ospf", below = below, type = p[2] }
            function self:valid() return self.below:valid() end
            function self:drop() self.below:drop() end
            function self:forge() p[3] = 0xff return self.below end
            if not haka.rule_hook("ospf-hello", self) then return nil end
            return self
        end }
        ipv4.register_proto(89, ospf) """

    def test_for_an_ip_protocol(self):
        result = self.run_policy(self.OSPF + """
            haka.rule{ hooks = { "ospf-hello" }, eval = function(self, pkt) print("hello", pkt.type) end }
            haka.rule{ hooks = { "ospf-up" }, eval = function(self, pkt) print("up", pkt.dissector)
                if pkt.type == 9 then pkt:drop() end end }
            haka.rule{ hooks = { "ospf-down" }, eval = function(self, pkt) print("down") end }
            haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt) print("ip", pkt.next_dissector) end }
            haka.rule{ hooks = { "ipv4-down" }, eval = function(self, pkt) print("ip down") end }""",
                                 [ip(CLIENT, SERVER, 89, b"\2\1\0\0"), ip(CLIENT, SERVER, 89, b"\2\x09\0\0"),
                                  ip(CLIENT, SERVER, 89, b"\2")])
        self.assertEqual(result.lines(), ["ip ospf", "hello 1", "up ospf", "down", "ip down",
                                          "ip ospf", "hello 9", "up ospf", "ip ospf"], result)
        self.assertEqual([got.body for got in result.leaving()], [b"\2\1\xff\0"])
        self.assert_whole(result)

    def test_disabled(self):
        result = self.run_policy(self.OSPF + """haka.disable_dissector("ospf")
            haka.rule{ hooks = { "ospf-up" }, eval = function(self, pkt) print("up") end }""",
                                 [ip(CLIENT, SERVER, 89, b"\2\1\0\0")])
        self.assertEqual((result.lines(), len(result.leaving())), ([], 1))

    def test_disabled_dissectors_of_the_engine(self):
        everything = "".join(f"""haka.rule{{ hooks = {{ "{name}" }}, eval = function() print("{name}") end }} """
                             for name in ("raw-up", "ipv4-up", "tcp-up", "tcp-connection-new", "udp-up"))
        frames = [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN), udp(CLIENT, SERVER, 5, 6, b"abcd")]
        for name, gone in (("tcp-connection", {"tcp-connection-new"}), ("tcp", {"tcp-up", "tcp-connection-new"}),
                           ("udp", {"udp-up"}), ("ipv4", {"ipv4-up", "tcp-up", "tcp-connection-new", "udp-up"})):
            result = self.run_policy(everything + f'haka.disable_dissector("{name}")', frames)
            seen = set(result.lines())
            self.assertEqual(seen & gone, set(), name)
            self.assertEqual(seen | gone, {"raw-up", "ipv4-up", "tcp-up", "tcp-connection-new", "udp-up"}, name)
            self.assertEqual(len(result.leaving()), 2, name)

    LINES = """
        haka.dissector{ name = "lines", hooks = { "lines-line" }, dissect = function(below)
            local stream = below.stream
            local self = { dissector = "lines", connection = below.connection, text = "" }
            while true do
                local at = stream:find("\\n", true)
                if not at then break end
                self.text = tostring(stream:read(at + 1)):sub(1, -2)
                if not haka.rule_hook("lines-line", self) then return nil end
            end
            local mark = stream:mark() below.connection.data = mark
            function self:drop() below:drop() end
            return self
        end } """

    def test_for_a_stream_chosen_by_next_dissector(self):
        result = self.run_policy("""
        haka.dissector{ name = "bytes", dissect = function(below)
            local got = below.stream:read()
            local self = { dissector = "bytes", text = got and tostring(got) or "", next_dissector = nil }
            function self:drop() below:drop() end
            return self
        end }
        haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
            expect_nil = pkt.next_dissector
            if pkt.tcp.dstport == 80 then pkt.next_dissector = "bytes" print(pkt.next_dissector) end end }
        haka.rule{ hooks = { "bytes-up" }, eval = function(self, pkt) print("up", pkt.text)
            if pkt.text == "evil" then pkt:drop() end end }
        haka.rule{ hooks = { "bytes-down" }, eval = function(self, pkt) print("down", pkt.text) end }""",
                                 exchange(b"ask", b"answer")[:5] + exchange(b"not", b"seen", sport=9, dport=81) +
                                 exchange(b"evil", b"answer", sport=10))
        self.assertEqual(result.lines(), ["bytes", "up ask", "down ask", "up answer", "down answer", "bytes",
                                          "up evil"], result)
        self.assertEqual(len(result.leaving()), 5 + 8 + 3)

    def test_next_dissector_stays_with_the_connection_and_an_unknown_name_drops_it(self):
        result = self.run_policy("""
            haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
                pkt.next_dissector = "htpt" end }""", exchange())
        self.assertIn('nearest: "http"', result.err)
        self.assertIn("policy.lua:3:", result.err)
        self.assertEqual(result.leaving(), [])

    def test_an_unknown_name_drops_even_when_the_policy_catches_the_error(self):
        result = self.run_policy("""
            haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
                pcall(function() pkt.next_dissector = "htpt" end) end }""", exchange())
        self.assertEqual(result.leaving(), [])

    def test_errors_in_a_dissector_name_it(self):
        result = self.run_policy("""local d = haka.dissector{ name = "bad", dissect = function(below)
                return 5 end }
            ipv4.register_proto(89, d)""", [ip(CLIENT, SERVER, 89, b"\2\1\0\0")])
        self.assertIn("dissect() must return a table or nil", result.err)
        self.assertIn("dissector bad", result.err)
