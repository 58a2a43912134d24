"""What the engine decides around the hooks: checksums, fragments, how connections end."""
import struct

from haka_case import HakaCase
from packets import ACK, CLIENT, FIN, RST, SERVER, SYN, Talk, exchange, ip, udp


def spoiled(packet):
    return packet[:36] + bytes([packet[36] ^ 1]) + packet[37:]


def fragments(datagram, size):
    """An IPv4 datagram without options cut into fragments of `size` bytes."""
    body, pieces = datagram[20:], []
    for at in range(0, len(body), size):
        more = 0x2000 if at + size < len(body) else 0
        pieces.append(ip(CLIENT, SERVER, datagram[9], body[at:at + size], ident=77,
                         fragment=more | at // 8))
    return pieces


class Checksums(HakaCase):
    def test_modes(self):
        talk = Talk()
        frames = talk.open() + [spoiled(talk.send(b"abc")), spoiled(talk.send(b"def"))]
        policy = """haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            print(tostring(pkt.stream:read())) end }"""
        for mode, printed, leaving, counted in (("auto", ["abc", "def"], 5, 2), ("none", ["abc", "def"], 5, 0),
                                                ("all", [], 3, 2)):
            result = self.run_policy(policy, frames, "-k", mode)
            self.assertEqual((result.lines(), len(result.leaving())), (printed, leaving), mode)
            self.assertEqual("tcp.bad-checksum" in result.err, counted > 0, mode)
            self.assertEqual([got.data for got in result.leaving()], frames[:leaving])


class Fragments(HakaCase):
    def test_the_datagram_is_seen_once_and_the_originals_leave(self):
        whole = udp(CLIENT, SERVER, 5, 6, b"x" * 100)
        pieces = fragments(whole, 40)
        result = self.run_policy("""
            haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt) print("ip", pkt.len) end }
            haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt) print("udp", #pkt.payload) end }""", pieces)
        self.assertEqual(result.lines(), ["ip 60", "ip 60", "ip 48", "udp 100"])
        self.assertEqual([got.data for got in result.leaving()], pieces)

    def test_a_changed_datagram_is_cut_anew(self):
        pieces = fragments(udp(CLIENT, SERVER, 5, 6, b"x" * 100), 40)
        result = self.run_policy("""haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt)
            pkt.payload[100] = 0x79 pkt.dstport = 9 pkt.payload:resize(130) end }""", pieces)
        got = result.leaving()
        self.assert_whole(result)
        self.assertTrue(all(len(packet.data) <= 60 for packet in got))
        body = b"".join(packet.body for packet in got)
        sport, dport, length, _ = struct.unpack("!HHHH", body[:8])
        self.assertEqual((sport, dport, length, body[8:]), (5, 9, 138, b"x" * 99 + b"y" + b"\0" * 30))

    def test_a_dropped_datagram_leaves_nothing(self):
        pieces = fragments(udp(CLIENT, SERVER, 5, 6, b"x" * 100), 40)
        result = self.run_policy("""haka.rule{ hooks = { "udp-up" }, eval = function(self, pkt) pkt:drop() end }""",
                                 pieces)
        self.assertEqual(result.leaving(), [])


class Ends(HakaCase):
    REASON = """haka.rule{ hooks = { "tcp-connection-end" }, eval = function(self, pkt)
        print(pkt.reason, pkt.connection.srcport) end } """

    def test_reasons(self):
        reset, refused, quiet, reused = (Talk(sport=port) for port in (1, 2, 3, 4))
        frames = [(0, frame) for frame in reset.open() + [reset.packet(True, RST | ACK)]]
        frames += [(1, refused.packet(True, SYN)), (1, refused.packet(False, RST | ACK))]
        frames += [(2, frame) for frame in quiet.open()]
        frames += [(3, frame) for frame in exchange(sport=5)]
        frames += [(4 * 3600 * 10**6, udp(CLIENT, SERVER, 1, 2, b""))]
        result = self.run_policy(self.REASON, frames)
        self.assertEqual(sorted(result.lines()), ["closed 5", "refused 2", "reset 1", "timeout 3"], result)
        result = self.run_policy(self.REASON + """haka.rule{ hooks = { "tcp-connection-up" },
            eval = function(self, pkt) pkt:drop() end }""", exchange())
        self.assertEqual(result.lines(), ["dropped 40000"])
        result = self.run_policy(self.REASON, reused.open())
        self.assertEqual(result.lines(), ["end of input 4"])

    def test_a_dropped_connection_is_silent_and_a_new_attempt_runs_the_rules_again(self):
        first, again = Talk(), Talk(client_seq=99999)
        frames = first.open() + [first.send(b"a"), Talk().packet(True, SYN)] + again.open()
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
            print(pkt.tcp.seq) if pkt.tcp.seq == 1000 then pkt:drop() end end }""", frames)
        self.assertEqual((result.lines(), len(result.leaving())), (["1000", "99999"], 3), result)

    def test_made_packets_on_exit_and_on_end(self):
        result = self.run_policy("""local function say(port)
                local made = udp.create(ipv4.create(haka.packet.new()))
                made.ip.src = ipv4.addr("1.2.3.4") made.dstport = port made:send() end
            haka.rule{ hooks = { "tcp-connection-end" }, eval = function() say(1) end }
            haka.on_exit(function() say(2) end)""", exchange()[:4])
        self.assertEqual([got.dport for got in result.leaving()[4:]], [1, 2], result)
        self.assert_whole(result)
