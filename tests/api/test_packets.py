"""Handles, packets that a policy makes, connections from packets, pass-through mode."""
from haka_case import HakaCase
from packets import (ACK, CLIENT, CLIENT6, FIN, PSH, RST, SERVER, SERVER6, SYN, Talk, exchange, ping, tcp, udp)

STALE = """local kept = {}
local function all_stale()
    local count = 0
    for name, use in pairs{
        srcport = function() return kept.tcp.srcport end, write = function() kept.tcp.srcport = 1 end,
        flags = function() return kept.flags.syn end, set = function() kept.flags.syn = true end,
        length = function() return #kept.payload end, byte = function() return kept.payload[1] end,
        poke = function() kept.payload[1] = 1 end, src = function() return kept.ip.src end,
        dst = function() kept.ip.dst = ipv4.addr(1) end, raw = function() return #kept.raw end,
        raw1 = function() return kept.raw[1] end, drop = function() kept.tcp:drop() end,
        sum = function() kept.tcp:compute_checksum() end, ok = function() kept.tcp:verify_checksum() end,
        send = function() kept.tcp:send() end, resize = function() kept.payload:resize(1) end,
        connection = function() kept.tcp:getconnection() end, new = function() kept.tcp:newconnection() end,
        accept = function() kept.raw:accept() end, time = function() return kept.raw.timestamp end,
        options = function() return kept.options.mss end,
        each = function() for kind in kept.options do return kind end end,
    } do
        expect.fails("is no longer valid", use)
        count = count + 1
    end
    expect.no(kept.tcp:valid()) expect.no(kept.ip:valid()) expect.no(kept.raw:valid())
end
local function keep(pkt)
    kept = { tcp = pkt, flags = pkt.flags, payload = pkt.payload, ip = pkt.ip, raw = pkt.ip.raw,
        options = pkt.options }
end
"""
STALE_HELD = 22 * 2 + 3


class Handles(HakaCase):
    def test_a_handle_is_stale_after_its_hook(self):
        self.expect(STALE + """
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt) keep(pkt) end }
            haka.rule{ hooks = { "tcp-down" }, eval = all_stale }""",
                    [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)], held=STALE_HELD)

    def test_a_handle_is_stale_after_the_last_packet(self):
        self.expect(STALE + """
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt) keep(pkt) end }
            haka.on_exit(all_stale)""", [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)], held=0)

    def test_a_handle_is_stale_after_drop(self):
        self.expect(STALE + """
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                keep(pkt) pkt:drop() all_stale() end }""",
                    [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)], held=STALE_HELD)

    def test_an_ip_handle_dropped_through_its_tcp_packet(self):
        result = self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            local ip = pkt.ip
            ip:drop()
            expect.fails("ipv4 is no longer valid", function() return ip.src end)
            expect.fails("tcp is no longer valid", function() return pkt.srcport end)
            end }""", [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)], held=4)
        self.assertEqual(result.leaving(), [])

    def test_a_method_takes_its_own_handles_only(self):
        talk = Talk()
        frames = talk.open() + [talk.send(b"abc")]
        self.expect("""
            local forged = { { slot = 4000000000, generation = 0 }, { slot = 0, generation = 0 }, {}, 5, "x", true, print,
                setmetatable({}, { __index = function() return 4000000000 end }) }
            local function refuses(method, ...)
                expect.fails("call it as", function() method() end)
                for _, self in ipairs(forged) do expect.fails("call it as", function() method(self, 1) end) end
                for _, self in ipairs{ ... } do expect.fails("call it as", function() method(self, 1) end) end
            end
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                local tcp, s = pkt.tcp, pkt.stream
                for _, name in ipairs{ "drop", "reset", "valid" } do refuses(pkt[name], tcp, s) end
                for _, name in ipairs{ "drop", "send", "valid", "compute_checksum", "verify_checksum", "getconnection",
                    "newconnection", "forge" } do refuses(tcp[name], pkt, s) end
                for _, name in ipairs{ "available", "read", "getchar", "advance", "peek", "find", "mark", "seek", "unmark",
                    "wait" } do refuses(s[name], pkt, tcp) end
                for _, name in ipairs{ "drop", "reset", "close", "stream", "valid" } do refuses(pkt.connection[name], pkt, tcp) end
                for _, name in ipairs{ "resize", "accept", "drop", "send" } do refuses(tcp.ip.raw[name], pkt, tcp) end
                refuses(tcp.payload.resize, tcp, pkt) refuses(tcp.ip.payload.resize, tcp, pkt)
                refuses(ipv4.network("1.0.0.0/8").contains, tcp, pkt) refuses(haka.buffer(1).sub, tcp, pkt)
            end }""", frames, held=2 * 11 * (3 + 8 + 10 + 5 + 4 + 4))

    def test_a_change_that_takes_a_layer_away_ends_its_handles(self):
        for change in ("pkt.ip.len = 20", "pkt.ip.raw:resize(21)", "pkt.ip.payload:resize(3)", "pkt.ip.raw:resize(0)",
                       "pkt.ip.hdr_len = 40"):
            self.expect("""haka.disable_dissector("tcp-connection")
                haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                local payload, flags, options = pkt.payload, pkt.flags, pkt.options
                %s
                expect.fails("tcp is no longer valid", function() return pkt.urgent_pointer end)
                expect.fails("tcp is no longer valid", function() pkt.urgent_pointer = 1 end)
                expect.fails("no longer valid", function() return payload[1] end)
                expect.fails("no longer valid", function() flags.all = 1 end)
                expect.fails("no longer valid", function() return options.mss end)
            end }""" % change, [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)], held=10)
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            local raw = haka.packet.new()
            local ip = ipv4.create(raw)
            local made = tcp.create(ip)
            expect.equal(made.seq, 0) expect.equal(#raw, 40)
            raw:resize(3)
            expect.fails("no longer valid", function() made.urgent_pointer = 1 end)
            expect.fails("no longer valid", function() ip.dst = ipv4.addr(1) end)
        end }""", [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)], held=6)

    def test_a_connections_packet_that_a_rule_made_something_else(self):
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            pkt.tcp.ip.len = 20
            print(pcall(function() return pkt.tcp.seq end)) end }""", exchange())
        self.assertIn("made the packet something else", result.out)

    def test_a_stream_hook_needs_a_stream(self):
        result = self.run_policy("""
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function() end }
            haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt) haka.rule_hook("tcp-connection-up", pkt) end }""",
                                 [udp(CLIENT, SERVER, 5, 6, b"abcd")])
        self.assertIn("needs a stream", result.err)

    def test_equal_with_any_other_type_is_false(self):
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            local c = pkt:getconnection()
            for _, v in ipairs{ pkt, pkt.flags, pkt.payload, pkt.ip, pkt.ip.raw, pkt.ip.src, pkt.options,
                    haka.time(), haka.buffer(1), ipv4.network("1.0.0.0/8"), tcp.stream(), pkt.ip.flags } do
                for _, other in ipairs{ 1, "x", true, {}, print, "192.168.10.1" } do
                    expect.no(v == other) expect.yes(v ~= other)
                end
                expect.no(v == nil) expect.no(nil == v)
            end end }""", [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)], held=12 * 14)

    def test_equal_addresses_are_the_same_key_and_so_are_a_connections_handles(self):
        self.expect("""local hits, seen = {}, {}
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                hits[pkt.ip.src] = (hits[pkt.ip.src] or 0) + 1
                local connection = pkt:getconnection()
                if connection then seen[connection] = (seen[connection] or 0) + 1 end
            end }
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                seen[pkt.connection] = seen[pkt.connection] + 100 end }
            haka.rule{ hooks = { "tcp-connection-end" }, eval = function(self, pkt)
                expect.equal(hits[ipv4.addr("192.168.10.1")], 5)
                expect.equal(hits[ipv4.addr(192, 168, 20, 1)], 3)
                expect.equal(seen[pkt.connection], 407)
            end }""", held=3)

    def test_garbage_collection_at_any_time_keeps_equal_addresses_equal(self):
        self.expect("""local hits = {}
            haka.rule{ hooks = { "ipv4-up", "ipv6-up" }, eval = function(self, pkt)
                hits[pkt.src] = (hits[pkt.src] or 0) + 1 collectgarbage() end }
            haka.on_exit(function()
                expect.equal(hits[ipv4.addr("192.168.10.1")], 10)
                expect.equal(hits[ipv6.addr("2001:db8:a::1")], 10) end)""",
                    2 * exchange() + 2 * exchange(client=CLIENT6, server=SERVER6), held=0)


class Made(HakaCase):
    def test_a_packet_is_built_up_and_sent_behind_the_one_at_hand(self):
        for version, src, dst in ((4, CLIENT, SERVER), (6, CLIENT6, SERVER6)):
            result = self.expect(f"""haka.rule{{ hooks = {{ "tcp-up" }}, eval = function(self, pkt)
                local raw = haka.packet.new()
                local ip = ipv{version}.create(raw)
                ip.src, ip.dst = pkt.ip.src, pkt.ip.dst
                local made = tcp.create(ip)
                made.srcport, made.dstport = pkt.srcport + 10, pkt.dstport + 10
                made.seq, made.ack_seq, made.flags.all = pkt.seq + 1000, 77, pkt.flags.all
                made.window_size = 4321
                made.payload:resize(3)
                made.payload[1], made.payload[2], made.payload[3] = 97, 0, 99
                expect.equal(#made.payload, 3)
                expect.equal(made.hdr_len, 20)
                made:send()
                expect.fails("tcp is no longer valid", function() made:send() end)
                expect.fails("raw is no longer valid", function() return #raw end)
                expect.no(made:valid())
            end }}""", [tcp(src, dst, 1, 2, 5, 0, SYN)], held=7)
            first, second = result.leaving()
            self.assertEqual((second.sport, second.dport, second.seq, second.ack, second.flags,
                              second.window, second.payload, second.src, second.dst, second.ttl),
                             (11, 12, 1005, 77, SYN, 4321, b"a\0c", src, dst, 64))
            self.assertEqual(first.sport, 1)
            self.assert_whole(result)

    def test_udp_and_icmp_are_made_too(self):
        for version, src, dst in ((4, CLIENT, SERVER), (6, CLIENT6, SERVER6)):
            result = self.run_policy(f"""haka.rule{{ hooks = {{ "udp-up" }}, eval = function(self, pkt)
                local ip = ipv{version}.create(haka.packet.new())
                ip.src, ip.dst = pkt.ip.dst, pkt.ip.src
                local answer = udp.create(ip)
                answer.srcport, answer.dstport = pkt.dstport, pkt.srcport
                answer.payload:resize(2)
                answer.payload[1], answer.payload[2] = 111, 107
                answer:send()
                local below = ipv{version}.create(haka.packet.new())
                below.src, below.dst = pkt.ip.dst, pkt.ip.src
                local message = icmp.create(below)
                message.type, message.code = 3, 1
                message.payload:resize(8)
                message:send()
            end }}""", [udp(src, dst, 5, 6, b"abcd")])
            asked, answer, message = result.leaving()
            self.assertEqual((answer.src, answer.dst, answer.sport, answer.dport, answer.length,
                              answer.payload), (dst, src, 6, 5, 10, b"ok"))
            self.assertEqual((message.type, message.code, len(message.payload)), (3, 1, 8))
            self.assert_whole(result)

    def test_errors_of_making(self):
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            expect.fails("haka.packet.new: size", function() haka.packet.new(-1) end)
            expect.fails("haka.packet.new: size", function() haka.packet.new(65536) end)
            expect.fails("haka.packet.new: size", function() haka.packet.new("1") end)
            expect.fails("expected a raw packet", function() ipv4.create(pkt) end)
            expect.fails("expected a raw packet", function() ipv4.create() end)
            expect.fails("not on a captured packet", function() ipv4.create(pkt.ip.raw) end)
            expect.fails("not on a captured packet", function() tcp.create(pkt.ip) end)
            expect.fails("expected an ipv4 or ipv6 packet", function() tcp.create(haka.packet.new()) end)
            expect.fails("expected an ipv4 or ipv6 packet", function() udp.create(5) end)
            expect.fails("send() is for packets that the policy made", function() pkt:send() end)
            expect.fails("send() is for packets that the policy made", function() pkt.ip:send() end)
            expect.fails("send() is for packets that the policy made", function() pkt.ip.raw:send() end)
            local raw = haka.packet.new(30)
            expect.equal(#raw, 30)
            expect.equal(raw[30], 0)
            expect.fails("raw:send", function() raw:send() end)
            raw:resize(60)
            expect.equal(raw.length, 60)
            expect.fails("raw:resize", function() raw:resize(-1) end)
            raw:drop()
            expect.fails("raw is no longer valid", function() raw:send() end)
            end }""", [tcp(CLIENT, SERVER, 1, 2, 5, 0, SYN)], held=2 * 15 + 3)

    def test_sent_packets_run_the_down_hooks_and_not_the_up_hooks(self):
        result = self.run_policy("""
            for _, name in ipairs{ "raw-up", "ipv4-up", "udp-up", "udp-down", "ipv4-down", "raw-down" } do
                haka.rule{ hooks = { name }, eval = function(self, pkt) 
                    local raw = pkt.dissector == "udp" and pkt.ip.raw or pkt.dissector == "ipv4" and pkt.raw or pkt
                    print(name, #raw) end }
            end
            haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
                local made = udp.create(ipv4.create(haka.packet.new()))
                made:send() end }
            haka.rule{ hooks = { "udp-down" }, eval = function(self, pkt)
                if pkt.length == 8 then pkt.dstport = 9 end end }""", [udp(CLIENT, SERVER, 5, 6, b"abcd")])
        self.assertEqual(result.lines(), ["raw-up 32", "ipv4-up 32", "udp-up 32", "udp-down 32",
                                          "ipv4-down 32", "raw-down 32", "udp-down 28", "ipv4-down 28",
                                          "raw-down 28"], result)
        self.assertEqual(result.leaving()[1].dport, 9)
        self.assert_whole(result)

    def test_a_packet_sent_from_a_down_hook_of_a_sent_packet_is_an_error(self):
        result = self.run_policy("""haka.rule{ hooks = { "udp-down" }, eval = function(self, pkt)
            udp.create(ipv4.create(haka.packet.new())):send() end }""", [udp(CLIENT, SERVER, 5, 6, b"abcd")])
        self.assertIn("may not send another", result.err)

    def test_packets_left_unsent_are_bounded_and_not_leaked(self):
        frames = [udp(CLIENT, SERVER, 5, 6, b"abcd")] * 5000
        result = self.run_policy("""local n = 0
            haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
            local ip = ipv4.create(haka.packet.new(1000)) n = n + 1 end }
            haka.on_exit(function() print(n) end)""", frames)
        self.assertEqual(result.lines(), ["5000"], result)

    def test_too_many_packets_at_once_are_refused_by_name(self):
        result = self.run_policy("""haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
            local all = {}
            for i = 1, 1e6 do all[i] = haka.packet.new(10) end end }""", [udp(CLIENT, SERVER, 5, 6, b"abcd")])
        self.assertIn("lua.packets_max", result.err)

    def test_a_timestamp_is_the_packets_time(self):
        self.expect("""haka.rule{ hooks = { "raw-up" }, eval = function(self, pkt)
            local t = pkt.timestamp
            expect.equal(t.seconds, 1700000000) expect.equal(t.micro_seconds, 250000)
            expect.equal(t:toseconds(), 1700000000.25)
            expect.equal(tostring(t), "2023-11-14 22:13:20.250000")
            expect.yes(haka.time() == t) expect.no(t < haka.time()) expect.yes(t <= haka.time())
            expect.equal(haka.time() - t, 0)
            expect.fails('time has no field "second"', function() return t.second end)
            expect.fails("time.seconds can't be written", function() t.seconds = 1 end)
            end }""", [(250000, udp(CLIENT, SERVER, 5, 6, b"abcd"))], held=12)

    def test_drop_and_accept_on_the_raw_packet(self):
        result = self.run_policy("""
            haka.rule{ hooks = { "raw-up" }, eval = function(self, pkt)
                if pkt[20] == 1 then pkt:accept() else pkt:drop() end print("first") end }
            haka.rule{ hooks = { "raw-up" }, eval = function(self, pkt) print("second") end }
            haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt) print("ipv4-up") end }
            haka.rule{ hooks = { "raw-down" }, eval = function(self, pkt) print("raw-down") end }""",
                                 [udp(CLIENT, SERVER, 5, 6, b"abcd"), udp(CLIENT, "192.168.20.2", 5, 6, b"abcd")])
        self.assertEqual(len(result.leaving()), 1)
        self.assertEqual(result.lines()[0], "first")
        self.assertNotIn("second", result.lines())


class Connections(HakaCase):
    def test_getconnection_tells_connection_direction_and_dropped(self):
        talk = Talk()
        frames = talk.open() + [talk.send(b"x"), talk.answer(b"y"), talk.send(b"z"),
                                tcp(CLIENT, SERVER, 7, 7, 1, 1, ACK)]
        self.expect("""local n = 0
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                n = n + 1
                local connection, direction, dropped = pkt:getconnection()
                if n == 1 or n == 7 then
                    expect.equal(connection, nil) expect.equal(direction, nil) expect.no(dropped)
                elseif n == 6 then
                    expect.equal(connection, nil) expect.equal(direction, nil) expect.yes(dropped)
                else
                    expect.equal(tostring(connection.srcip), "192.168.10.1")
                    expect.equal(tostring(connection.dstip), "192.168.20.1")
                    expect.equal(connection.srcport, 40000) expect.equal(connection.dstport, 80)
                    expect.equal(direction, n ~= 2 and n ~= 5) expect.no(dropped)
                    expect.equal(type(connection.id), "number")
                    expect.equal(connection.state, n == 2 and "SYN_SENT" or n == 3 and "SYN_RECEIVED" or "ESTABLISHED")
                    if n == 5 then connection:drop() end
                end end }""", frames, held=3 * 3 + 4 * 8)

    def test_newconnection(self):
        result = self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                if pkt.flags.syn and not pkt.flags.ack then
                    local connection = pkt:newconnection()
                    connection.data = "mine"
                    expect.equal(connection.srcport, 40000)
                    expect.equal(pkt:getconnection(), connection)
                    expect.fails("there is a connection of this packet already", function() pkt:newconnection() end)
                elseif not pkt:getconnection() then
                    expect.fails("begins with a SYN", function() pkt:newconnection() end)
                end end }
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                expect.equal(pkt.connection.data, "mine") end }""",
                             exchange() + [tcp(CLIENT, SERVER, 7, 7, 1, 1, ACK)], held=2 + 2 + 4 + 2)
        self.assertEqual(len(result.leaving()), 8)

    def test_data_lives_as_long_as_its_connection(self):
        frames = exchange(sport=1) + exchange(sport=2)
        self.expect("""local weak = setmetatable({}, { __mode = "v" })
            haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
                expect.equal(pkt.connection.data, nil)
                pkt.connection.data = { port = pkt.tcp.srcport }
                weak[pkt.tcp.srcport] = pkt.connection.data end }
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                collectgarbage()
                expect.equal(pkt.connection.data.port, pkt.connection.srcport) end }
            haka.rule{ hooks = { "tcp-connection-end" }, eval = function(self, pkt)
                expect.equal(pkt.connection.data.port, pkt.connection.srcport)
                expect.equal(pkt.reason, "closed") end }
            haka.on_exit(function() collectgarbage()
                print(weak[1] == nil and weak[2] == nil and "collected" or "leaked") end)""",
                    frames, held=2 * (1 + 4 + 2)).lines().index("collected")

    def test_a_connection_handle_lives_until_the_connections_end(self):
        self.expect("""local kept
            haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
                if not kept then kept = pkt.connection else
                    expect.fails("connection is no longer valid", function() return kept.srcport end)
                    expect.fails("connection is no longer valid", function() return kept.data end)
                    expect.fails("connection is no longer valid", function() kept.data = 1 end)
                    expect.fails("connection is no longer valid", function() kept:drop() end)
                    expect.fails("connection is no longer valid", function() kept:reset() end)
                    expect.fails("connection is no longer valid", function() kept:close() end)
                    expect.fails("connection is no longer valid", function() local s = kept:stream(true) end)
                    expect.no(kept:valid())
                end end }
            haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
                expect.equal(kept.srcport, 1) expect.yes(kept:valid())
                expect.fails("connection has no field", function() return kept.port end)
                expect.fails("connection has no field", function() kept.port = 1 end)
                expect.fails("can't be written", function() kept.srcport = 1 end)
                kept:drop() end }""",
                    Talk(sport=1).open() + [udp(CLIENT, SERVER, 5, 6, b"a")] + Talk(sport=2).open(),
                    held=15 + 8)

    def test_drop_reset_and_close_from_another_hook(self):
        for what, leaving in (("drop", 0), ("reset", 2), ("close", 0)):
            talk = Talk()
            frames = talk.open() + [ping(CLIENT, SERVER), talk.send(b"abc"), talk.answer(b"defg")]
            result = self.run_policy(f"""local kept
                haka.rule{{ hooks = {{ "tcp-connection-new" }}, eval = function(self, pkt)
                    kept = pkt.connection end }}
                haka.rule{{ hooks = {{ "icmp-up" }}, eval = function() kept:{what}() end }}
                haka.rule{{ hooks = {{ "tcp-connection-end" }}, eval = function(self, pkt)
                    print(pkt.reason) end }}""", frames)
            got = result.leaving()
            self.assertEqual(len(got), 4 + leaving, (what, str(result)))
            if what == "reset":
                resets = [packet for packet in got if packet.protocol == 6 and packet.flags & RST]
                self.assertEqual({(packet.src, packet.seq) for packet in resets},
                                 {(CLIENT, 1001), (SERVER, 5001)})
            self.assert_whole(result)

    def test_drop_and_reset_on_tcp_connection_new(self):
        for what in ("drop", "reset"):
            talk = Talk()
            result = self.run_policy(f"""haka.rule{{ hooks = {{ "tcp-connection-new" }},
                eval = function(self, pkt) pkt:{what}() end }}""", talk.open() + [talk.send(b"abc")])
            got = result.leaving()
            if what == "drop":
                self.assertEqual(got, [])
            else:
                self.assertEqual((got[0].src, got[0].flags, got[0].ack), (SERVER, RST | ACK, 1001))
            self.assert_whole(result)

    def test_addresses_and_ports_are_those_of_client_and_server_in_both_directions(self):
        self.expect("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            local c = pkt.connection
            expect.equal(tostring(c.srcip), "2001:db8:a::1") expect.equal(tostring(c.dstip), "2001:db8:b::1")
            expect.equal(c.srcport, 40000) expect.equal(c.dstport, 80)
            expect.equal(pkt.direction, pkt.tcp.srcport == 40000) end }""",
                    exchange(client=CLIENT6, server=SERVER6), held=20)


class PassThrough(HakaCase):
    def test_every_change_is_an_error_that_names_the_mode(self):
        talk = Talk()
        frames = talk.open() + [talk.send(b"abc"), udp(CLIENT, SERVER, 5, 6, b"abcd")]
        result = self.expect("""
            local function refused(f) expect.fails("pass-through", f) end
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                expect.equal(haka.packet.mode(), haka.packet.PASSTHROUGH)
                refused(function() pkt.srcport = 1 end) refused(function() pkt.flags.syn = true end)
                refused(function() pkt.flags.all = 1 end) refused(function() pkt.checksum = 1 end)
                refused(function() pkt:compute_checksum() end) refused(function() pkt.ip.ttl = 1 end)
                refused(function() pkt.ip.src = ipv4.addr(1) end) refused(function() pkt.ip.flags.df = true end)
                refused(function() pkt.ip:compute_checksum() end) refused(function() pkt.ip.raw[1] = 1 end)
                refused(function() pkt.ip.raw:resize(1) end) refused(function() haka.packet.new() end)
                refused(function() pkt.hdr_len = 24 end) refused(function() pkt.payload:resize(1) end)
                refused(function() tcp.stream():push(pkt) end)
            end }
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                refused(function() pkt:reset() end) refused(function() pkt.connection:reset() end)
                pkt:drop() end }
            haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
                refused(function() pkt.payload[1] = 1 end) refused(function() pkt.payload:resize(9) end)
                pkt:drop() end }""", frames, "--pass-through", held=4 * 31 + 4 + 4)
        self.assertEqual([got.data for got in result.leaving()], frames)
        self.assertIn("dropped", result.err)

    def test_normal_mode(self):
        self.expect("""expect.equal(haka.packet.mode(), haka.packet.NORMAL)
            expect.no(haka.packet.NORMAL == haka.packet.PASSTHROUGH)""", held=2)
