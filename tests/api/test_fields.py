"""Every field of every packet object: read, written with the checksums following, and refused."""
from haka_case import HakaCase
from packets import (ACK, CLIENT, CLIENT6, FIN, PSH, SERVER, SERVER6, SYN, Talk, exchange, ip, ping, tcp,
                     udp)

OPTIONS = (b"\x02\x04\x05\xb4" b"\x01" b"\x03\x03\x07" b"\x04\x02" b"\x08\x0a\x00\x00\x00\x09\xff\xff\xff\xf0")


def syn(**rest):
    return tcp(CLIENT, SERVER, 40000, 80, 4294967290, 0, SYN, options=OPTIONS, window=65535, urgent=3,
               ident=65535, ttl=255, **rest)


class Tcp(HakaCase):
    def test_fields_are_read_as_numbers(self):
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            expect.equal(pkt.srcport, 40000)
            expect.equal(pkt.dstport, 80)
            expect.equal(pkt.seq, 4294967290)
            expect.equal(pkt.ack_seq, 0)
            expect.equal(pkt.res, 0)
            expect.equal(pkt.hdr_len, 40)
            expect.equal(pkt.window_size, 65535)
            expect.equal(pkt.urgent_pointer, 3)
            expect.yes(pkt.checksum >= 0)
            expect.yes(pkt:verify_checksum())
            expect.equal(pkt.dissector, "tcp")
            expect.equal(pkt.next_dissector, "tcp-connection")
            expect.yes(pkt:valid())
            expect.equal(pkt.ip.dissector, "ipv4")
            expect.equal(tostring(pkt.ip.src), "192.168.10.1")
            expect.equal(pkt.ip.raw.dissector, "raw")
            expect.equal(#pkt.payload, 0)
            expect.equal(pkt.payload[1], nil)
        end }""", [syn()], held=18)

    def test_flags(self):
        flags = "fin syn rst psh ack urg ecn cwr".split()
        for bit, name in enumerate(flags):
            others = " ".join(f"expect.no(pkt.flags.{other}) pkt.flags.{name} = true" for other in flags
                              if other != name)
            result = self.expect(f"""haka.rule{{ hooks = {{ "tcp-up" }}, eval = function(self, pkt)
                pkt.flags.all = 0
                expect.no(pkt.flags.{name})
                pkt.flags.{name} = true
                expect.yes(pkt.flags.{name})
                expect.equal(pkt.flags.all, {1 << bit})
                {others}
                expect.equal(pkt.flags.all, {1 << bit})
                pkt.flags.{name} = false
                expect.equal(pkt.flags.all, 0)
                pkt.flags.all = {1 << bit}
                expect.yes(pkt.flags.{name})
            end }}
            haka.disable_dissector("tcp-connection")""", [syn()], held=13)
            self.assertEqual(result.leaving()[0].flags, 1 << bit)
            self.assert_whole(result)

    def test_written_fields_leave_with_right_checksums(self):
        result = self.run_policy("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            pkt.srcport = 1 pkt.dstport = 65535 pkt.seq = 4294967295 pkt.ack_seq = 2147483648
            pkt.res = 5 pkt.window_size = 0 pkt.urgent_pointer = 65535 pkt.flags.all = 255
            pkt.payload[1] = 0x58
        end }
        haka.disable_dissector("tcp-connection")""", [tcp(CLIENT, SERVER, 9, 9, 1, 1, ACK, b"abc")])
        got = result.leaving()[0]
        self.assertEqual((got.sport, got.dport, got.seq, got.ack, got.res, got.window, got.urgent,
                          got.flags, got.payload),
                         (1, 65535, 4294967295, 2147483648, 5, 0, 65535, 255, b"Xbc"))
        self.assert_whole(result)

    def test_a_written_checksum_stays(self):
        result = self.run_policy("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            pkt.window_size = 1  pkt.checksum = 0xbeef end }""", [syn()])
        self.assertEqual(result.leaving()[0].checksum, 0xBEEF)

    def test_compute_checksum(self):
        frame = bytearray(syn())
        frame[36] ^= 0xFF
        result = self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            expect.no(pkt:verify_checksum())
            pkt:compute_checksum()
            expect.yes(pkt:verify_checksum()) end }""", [bytes(frame)], held=2)
        self.assertEqual(result.leaving()[0].data, syn())

    def test_an_untouched_packet_leaves_as_it_came_wrong_checksum_included(self):
        frame = bytearray(syn())
        frame[36] ^= 0xFF
        result = self.run_policy("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            return pkt.srcport end }""", [bytes(frame)])
        self.assertEqual(result.leaving()[0].data, bytes(frame))

    def test_hdr_len_is_in_bytes_and_moves_the_payload(self):
        result = self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            expect.equal(#pkt.payload, 6)
            pkt.hdr_len = 24
            expect.equal(pkt.hdr_len, 24)
            expect.equal(#pkt.payload, 2)
            expect.equal(pkt.payload[1], 101)
            for _, wrong in ipairs{ 16, 22, 64, 28, "24" } do
                expect.fails("tcp.hdr_len", function() pkt.hdr_len = wrong end)
            end
        end } haka.disable_dissector("tcp-connection")""",
                             [tcp(CLIENT, SERVER, 9, 9, 1, 1, ACK, b"\1\1\1\1ef")], held=14)
        self.assert_whole(result)

    def test_wrong_values_are_refused_by_name_and_range(self):
        ranges = {"srcport": 65535, "dstport": 65535, "seq": 4294967295, "ack_seq": 4294967295, "res": 15,
                  "window_size": 65535, "checksum": 65535, "urgent_pointer": 65535}
        lines = "".join(f"""
            for _, wrong in ipairs{{ -1, {top + 1}, 0.5, "1", {{}}, true, 0/0, 1/0 }} do
                expect.fails("tcp.{name}: expected an integer from 0 to {top}",
                    function() pkt.{name} = wrong end)
            end
            expect.fails("tcp.{name}", function() pkt.{name} = nil end)""" for name, top in ranges.items())
        self.expect(f"""haka.rule{{ hooks = {{ "tcp-up" }}, eval = function(self, pkt) {lines}
            for _, name in ipairs{{ "fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr" }} do
                expect.fails("tcp.flags." .. name .. ": expected true or false",
                    function() pkt.flags[name] = 1 end)
            end
            expect.fails("tcp.flags.all: expected an integer from 0 to 255",
                function() pkt.flags.all = 256 end)
        end }}""", [syn()], held=2 * (9 * 8 + 9))

    def test_unknown_fields_are_errors_naming_class_and_field(self):
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            expect.fails('tcp has no field "sport"', function() return pkt.sport end)
            expect.fails('tcp has no field "sport"', function() pkt.sport = 1 end)
            expect.fails('nearest: "srcport"', function() return pkt.scrport end)
            expect.fails('tcp has no field 1', function() return pkt[1] end)
            expect.fails('tcp has no field "slot"', function() pkt.slot = 1 end)
            expect.fails('tcp has no field "slot"', function() return pkt.slot end)
            expect.fails('tcp has no field "generation"', function() return pkt.generation end)
            expect.fails("attempt to write to constant", function() pkt.slot_ = 1 end)
            expect.fails('tcp.flags has no field "sin"', function() return pkt.flags.sin end)
            expect.fails('tcp.flags has no field "sin"', function() pkt.flags.sin = true end)
            expect.fails('payload has no field "size"', function() return pkt.payload.size end)
            expect.fails("tcp.payload can't be written", function() pkt.payload = "x" end)
            expect.fails("tcp.ip can't be written", function() pkt.ip = 1 end)
            expect.fails("tcp.flags can't be written", function() pkt.flags = 1 end)
            expect.fails("tcp.drop can't be written", function() pkt.drop = 1 end)
            expect.fails("tcp.options can't be written", function() pkt.options = 1 end)
            expect.fails('tcp.options has no field "msss"', function() return pkt.options.msss end)
        end }""", [syn()], held=34)

    def test_options(self):
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            local seen = {}
            for kind, value in pkt.options do seen[#seen + 1] = kind .. ":" .. #value end
            expect.equal(table.concat(seen, " "), "2:2 1:0 3:1 4:0 8:8")
            expect.equal(pkt.options.mss, 1460)
            expect.equal(pkt.options.window_scale, 7)
            expect.yes(pkt.options.sack_permitted)
            expect.equal(pkt.options.timestamp.value, 9)
            expect.equal(pkt.options.timestamp.echo, 4294967280)
        end }""", [syn()], held=6)

    def test_options_of_a_segment_without_or_with_broken_ones(self):
        bare = tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)
        broken = tcp(CLIENT, SERVER, 1, 3, 1, 0, SYN, options=b"\x02\x09\x05\xb4")
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            local count = 0
            for kind, value in pkt.options do count = count + 1 end
            expect.equal(count, 0)
            expect.equal(pkt.options.mss, nil)
            expect.no(pkt.options.sack_permitted)
        end }""", [bare, broken], "--set", "exceptions.malformed=pass", held=6)

    def test_payload(self):
        result = self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            local p = pkt.payload
            if #p == 0 then return end
            expect.equal(#p, 3) expect.equal(p[1], 97) expect.equal(p[3], 99)
            expect.equal(p[0], nil) expect.equal(p[4], nil) expect.equal(p[1.5], nil)
            p[2] = 0
            expect.equal(p[2], 0)
            expect.fails("payload: index", function() p[0] = 1 end)
            expect.fails("payload: index", function() p[4] = 1 end)
            expect.fails("payload: byte", function() p[1] = 256 end)
            expect.fails("payload: byte", function() p[1] = "a" end)
            expect.fails("use stream:insert() or stream:erase()", function() p:resize(5) end)
        end }""", connection := (lambda t: t.open() + [t.send(b"abc")])(Talk()), held=17)
        self.assertEqual(len(result.leaving()), len(connection))
        self.assertEqual(result.leaving()[3].payload, b"a\0c")
        self.assert_whole(result)

    def test_bytes_written_on_tcp_up_count_as_the_senders(self):
        talk = Talk()
        result = self.run_policy("""
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                if #pkt.payload > 0 then pkt.payload[1] = 0x5a end end }
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                print(tostring(pkt.stream:read())) end }""", talk.open() + [talk.send(b"abc")])
        self.assertEqual(result.lines(), ["Zbc"], result)


class Ip(HakaCase):
    def test_ipv4_fields(self):
        self.expect("""haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt)
            expect.equal(pkt.version, 4) expect.equal(pkt.hdr_len, 24) expect.equal(pkt.tos, 0)
            expect.equal(pkt.len, 36) expect.equal(pkt.id, 65535) expect.equal(pkt.frag_offset, 0)
            expect.equal(pkt.ttl, 255) expect.equal(pkt.proto, 17)
            expect.yes(pkt:verify_checksum())
            expect.equal(pkt.src, ipv4.addr("192.168.10.1"))
            expect.equal(pkt.dst, ipv4.addr("192.168.20.1"))
            expect.no(pkt.flags.rb) expect.yes(pkt.flags.df) expect.no(pkt.flags.mf)
            expect.equal(pkt.flags.all, 2)
            expect.equal(#pkt.payload, 12) expect.equal(pkt.payload[12], 100)
            expect.equal(pkt.raw.dissector, "raw") expect.equal(pkt.next_dissector, "udp")
            expect.fails('ipv4 has no field "protocol"', function() return pkt.protocol end)
            expect.fails('ipv4.flags has no field "dff"', function() return pkt.flags.dff end)
        end }""", [udp(CLIENT, SERVER, 5, 6, b"abcd", ttl=255, ident=65535, options=b"\1\1\1\0")], held=23)

    def test_ipv4_fields_written(self):
        result = self.run_policy("""haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt)
            pkt.tos = 255 pkt.id = 1 pkt.ttl = 1 pkt.flags.df = false pkt.flags.rb = true
            pkt.src = ipv4.addr("10.1.2.3") pkt.dst = ipv4.addr("255.255.255.254")
        end }""", [udp(CLIENT, SERVER, 5, 6, b"abcd")])
        got = result.leaving()[0]
        self.assertEqual((got.tos, got.id, got.ttl, got.fragment, got.src, got.dst),
                         (255, 1, 1, 0x8000, "10.1.2.3", "255.255.255.254"))
        self.assert_whole(result)

    def test_ipv4_length_and_protocol(self):
        result = self.run_policy("""haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt)
            if pkt.id == 7 then pkt.len = 22 pkt.proto = 200 end end }""",
                                 [ip(CLIENT, SERVER, 201, b"abcd", ident=7)])
        self.assertEqual((result.leaving()[0].len, result.leaving()[0].protocol), (22, 200))
        self.assert_whole(result)

    def test_ipv4_ranges(self):
        ranges = {"version": 15, "tos": 255, "id": 65535, "ttl": 255, "proto": 255, "checksum": 65535,
                  "frag_offset": 65528}
        lines = "".join(f"""for _, wrong in ipairs{{ -1, {top + 1}, 0.5, "1" }} do
            expect.fails("ipv4.{name}: expected an integer from 0 to {top}",
                function() pkt.{name} = wrong end) end """ for name, top in ranges.items())
        self.expect(f"""haka.rule{{ hooks = {{ "ipv4-up" }}, eval = function(self, pkt) {lines}
            expect.fails("ipv4.frag_offset", function() pkt.frag_offset = 4 end)
            expect.fails("ipv4.len", function() pkt.len = 19 end)
            expect.fails("ipv4.len", function() pkt.len = 33 end)
            expect.fails("ipv4.hdr_len", function() pkt.hdr_len = 16 end)
            expect.fails("ipv4.hdr_len", function() pkt.hdr_len = 22 end)
            expect.fails("ipv4.hdr_len", function() pkt.hdr_len = 64 end)
            expect.fails("ipv4.src", function() pkt.src = "10.0.0.1" end)
            expect.fails("ipv4.src", function() pkt.src = 1 end)
            expect.fails("ipv4.dst", function() pkt.dst = ipv6.addr("::1") end)
            expect.fails("ipv4.flags.df", function() pkt.flags.df = 1 end)
            expect.fails("ipv4.flags.all", function() pkt.flags.all = 8 end)
        end }}""", [udp(CLIENT, SERVER, 5, 6, b"abcd")], held=2 * (7 * 4 + 11))

    def test_ipv6(self):
        result = self.expect("""haka.rule{ hooks = { "ipv6-up" }, eval = function(self, pkt)
            expect.equal(pkt.version, 6) expect.equal(pkt.traffic_class, 0)
            expect.equal(pkt.flow_label, 0) expect.equal(pkt.payload_len, 12)
            expect.equal(pkt.next_header, 17) expect.equal(pkt.hop_limit, 64)
            expect.equal(pkt.src, ipv6.addr("2001:db8:a::1"))
            expect.equal(tostring(pkt.dst), "2001:db8:b::1")
            expect.equal(#pkt.payload, 12)
            expect.fails('ipv6 has no field "ttl"', function() return pkt.ttl end)
            expect.fails("ipv6.flow_label: expected an integer from 0 to 1048575",
                function() pkt.flow_label = 1048576 end)
            expect.fails("ipv6.src", function() pkt.src = ipv4.addr("1.2.3.4") end)
            pkt.traffic_class = 0xab pkt.flow_label = 0xfffff pkt.hop_limit = 9
            expect.equal(pkt.traffic_class, 0xab) expect.equal(pkt.flow_label, 0xfffff)
            expect.equal(pkt.version, 6)
            pkt.src = ipv6.addr("fe80::1") pkt.dst = ipv6.addr("ff02::fb")
        end }""", [udp(CLIENT6, SERVER6, 5, 6, b"abcd")], held=18)
        got = result.leaving()[0]
        self.assertEqual((got.data[:4].hex(), got.ttl, got.src, got.dst),
                         ("6abfffff", 9, "fe80::1", "ff02::fb"))
        self.assert_whole(result)

    def test_tcp_ip_is_of_either_family(self):
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            expect.equal(pkt.ip.dissector, pkt.srcport == 4 and "ipv4" or "ipv6") end }""",
                    [tcp(CLIENT, SERVER, 4, 2, 1, 0, SYN), tcp(CLIENT6, SERVER6, 6, 2, 1, 0, SYN)], held=2)

    def test_bytes_of_a_raw_packet(self):
        frame = udp(CLIENT, SERVER, 5, 6, b"abcd")
        result = self.expect("""haka.rule{ hooks = { "raw-up" }, eval = function(self, pkt)
            expect.equal(#pkt, 32) expect.equal(pkt.length, 32) expect.equal(pkt[1], 0x45)
            expect.equal(pkt[32], 100) expect.equal(pkt[33], nil) expect.equal(pkt[0], nil)
            expect.equal(pkt.dissector, "raw") expect.equal(pkt.next_dissector, "ipv4")
            expect.fails("raw: index", function() pkt[33] = 1 end)
            expect.fails("raw.length can't be written", function() pkt.length = 1 end)
            pkt[32] = 0x21
        end }""", [frame], held=12)
        self.assertEqual(result.leaving()[0].payload, b"abc!")
        self.assert_whole(result)


class UdpAndIcmp(HakaCase):
    def test_udp(self):
        result = self.expect("""haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
            expect.equal(pkt.srcport, 5) expect.equal(pkt.dstport, 6) expect.equal(pkt.length, 12)
            expect.yes(pkt:verify_checksum()) expect.equal(#pkt.payload, 4)
            expect.yes(pkt.ip.dissector == "ipv4" or pkt.ip.dissector == "ipv6")
            expect.equal(pkt.dissector, "udp")
            expect.fails('udp has no field "seq"', function() return pkt.seq end)
            expect.fails("udp.srcport: expected an integer from 0 to 65535",
                function() pkt.srcport = 65536 end)
            pkt.srcport = 53 pkt.dstport = 5353
            pkt.payload:resize(7)
            expect.equal(#pkt.payload, 7) expect.equal(pkt.payload[7], 0)
            expect.equal(pkt.length, 15)
            pkt.payload[7] = 0x41
        end }""", [udp(CLIENT, SERVER, 5, 6, b"abcd"), udp(CLIENT6, SERVER6, 5, 6, b"abcd")], held=28)
        for got in result.leaving():
            self.assertEqual((got.sport, got.dport, got.length, got.payload),
                             (53, 5353, 15, b"abcd\0\0A"))
        self.assert_whole(result)

    def test_udp_payload_shrinks_and_grows_to_the_limit(self):
        result = self.expect("""haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
            expect.fails("payload:resize", function() pkt.payload:resize(-1) end)
            expect.fails("payload:resize", function() pkt.payload:resize(65536) end)
            expect.fails("larger than a packet may be", function() pkt.payload:resize(65508) end)
            pkt.payload:resize(pkt.dstport == 1 and 0 or 65507)
        end }""", [udp(CLIENT, SERVER, 5, 1, b"abcd"), udp(CLIENT, SERVER, 5, 2, b"abcd")], held=12)
        self.assertEqual([len(got.payload) for got in result.leaving()], [0, 65507])
        self.assert_whole(result)

    def test_icmp(self):
        result = self.expect("""haka.rule{ hooks = { "icmp-up" }, eval = function(self, pkt)
            expect.yes(pkt.type == 8 or pkt.type == 128) expect.equal(pkt.code, 0)
            expect.yes(pkt:verify_checksum()) expect.equal(pkt.dissector, "icmp")
            expect.fails('icmp has no field "seq"', function() return pkt.seq end)
            expect.fails("icmp.code", function() pkt.code = 256 end)
            pkt.code = 3
            pkt.payload:resize(#pkt.payload + 1)
        end }""", [ping(CLIENT, SERVER), ping(CLIENT6, SERVER6)], held=16)
        self.assertEqual([got.code for got in result.leaving()], [3, 3])
        self.assert_whole(result)


class EveryFrame(HakaCase):
    def test_a_rule_on_all_packets_of_a_longer_capture_survives_the_jit(self):
        frames = [frame for port in range(3000) for frame in exchange(sport=1024 + port)]
        result = self.run_policy("""local seen, n = {}, 0
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                n = n + pkt.hdr_len + #pkt.payload + (pkt.flags.syn and 1 or 0)
                seen[pkt.ip.src] = (seen[pkt.ip.src] or 0) + 1
                pkt.window_size = pkt.srcport
            end }
            haka.on_exit(function() print(n, seen[ipv4.addr("192.168.10.1")]) end)""", frames)
        self.assertEqual(len(result.leaving()), len(frames))
        self.assertEqual(result.lines(), [f"{sum(len(f) - 20 for f in frames) + 6000} {15000}"])
        self.assert_whole(result)
        self.assertTrue(all(got.window == got.sport for got in result.leaving()))
