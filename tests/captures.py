#!/usr/bin/env python3
"""The reference captures, row by row of their INDEX.md: captures.py HAKA FOLDER CHAPTER_POLICY

Packets are compared from the IP header on; time stamps of packets that the engine made are not.
Exit: 0 as the index says, 1 not, 77 when there are no captures.
"""
import os
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
if len(sys.argv) < 3 or not sys.argv[2] or not (Path(sys.argv[2]) / "INDEX.md").is_file():
    print("skipped: no reference captures (set HAKA_CAPTURES)")
    sys.exit(77)
os.environ["HAKA"] = str(Path(sys.argv[1]).resolve())
CAPTURES, CHAPTER = Path(sys.argv[2]).resolve(), Path(sys.argv[3]).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "api"))

import packets  # noqa: E402
from haka_case import HakaCase  # noqa: E402

RST = 4


def tshark(capture, *arguments):
    return subprocess.run(["tshark", "-n", "-r", str(capture), *arguments], capture_output=True,
                          check=True, timeout=120).stdout.decode(errors="replace")


def shark_fields(capture, names, condition):
    command = [word for name in names for word in ("-e", name)]
    text = tshark(capture, "-Y", condition, "-T", "fields", "-E", "occurrence=f",
                  "-o", "tcp.relative_sequence_numbers:FALSE", *command)
    return [[number(word) for word in line.split("\t")] for line in text.splitlines()]


def number(text):
    words = {"True": 1, "False": 0, "": 0}
    if text in words:
        return words[text]
    try:
        return int(text, 0)
    except ValueError:
        return text


class Index(HakaCase):
    def over(self, name, policy, *arguments, **options):
        return self.run_policy(policy, CAPTURES / name, *arguments, **options)

    def assert_equals_reference(self, reference, made=lambda packet: False):
        wanted, got = packets.read(CAPTURES / reference), packets.read(self.folder / "out.pcap")
        self.assertEqual([data.hex() for _, data in got], [data.hex() for _, data in wanted])
        for (when, data), (wanted_when, _) in zip(got, wanted):
            if not made(data):
                self.assertEqual(when, wanted_when)

    def test_standard_tcp_with_the_chapters_example(self):
        result = self.over("policy/standard-tcp.pcap", CHAPTER.read_text())
        drops = [line for line in result.lines() if line.endswith("Packet dropped : drop by default")]
        self.assertEqual(len(drops), 3, result)
        shown = [line for line in result.lines() if line.endswith("no connection found for tcp packet")]
        self.assertEqual(len(shown), 10)
        self.assertTrue(all(" low " in line for line in shown))
        self.assertIn("tcp.no-connection: 1 more in this second", result.lines())
        self.assertRegex(result.err, r"dropped +3 +rule: by a rule")
        self.assertRegex(result.err, r" 11 +tcp.no-connection: no connection found for tcp packet")
        self.assertEqual(result.err.count("authorizing http traffic"), 2)
        self.assertEqual(result.err.count("authorizing ssh traffic"), 1)
        self.assertEqual(result.err.count("no available dissector for ssh"), 1)
        read = packets.read(CAPTURES / "policy/standard-tcp.pcap")
        self.assertIn("the bytes are not HTTP/1", result.out)
        syns, refused, wanted = set(), set(), []
        for when, data in read:
            packet = packets.Parsed(data)
            if packet.protocol == 1:
                wanted.append((when, data))
                continue
            key = frozenset([(packet.src, packet.sport), (packet.dst, packet.dport)])
            if packet.flags == packets.SYN and packet.dst == "192.168.20.1" and packet.dport in (80, 22):
                syns.add(key)
            if packet.payload[:4] == b"GET " and b"\n\n" in packet.payload:
                refused.add(key)   # Bare LF, and then bytes that aren't HTTP.
            if key in syns - refused:
                wanted.append((when, data))
        self.assertEqual((len(syns), len(refused)), (3, 1))
        self.assertEqual(packets.read(self.folder / "out.pcap"), wanted)

    def test_groupfilter(self):
        result = self.over("policy/groupfilter.pcap", """
            local group = haka.rule_group{ name = "group",
                fini = function(self, pkt)
                    haka.alert{ description = "Packet dropped : drop by default",
                        targets = haka.alert.service("tcp/" .. pkt.tcp.dstport) }
                    pkt:drop()
                end,
                continue = function(self, pkt, ret) return not ret end }
            for _, port in ipairs{ 80, 22 } do
                group:rule{ hooks = { "tcp-connection-new" },
                    eval = function(self, pkt) if pkt.tcp.dstport == port then return true end end }
            end""")
        got, wanted = packets.read(self.folder / "out.pcap"), packets.read(CAPTURES / "policy/groupfilter-ref.pcap")
        self.assertEqual([data for _, data in got], [data for _, data in wanted])
        self.assertEqual(result.out.count("Packet dropped : drop by default"), 2)

    def test_ipfilter(self):
        result = self.over("policy/ipfilter.pcap", """
            local bad = ipv4.addr("192.168.10.10")
            haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt)
                if pkt.src == bad then
                    haka.alert{ description = "filtered", sources = haka.alert.address(pkt.src) }
                    pkt:drop()
                end end }""", "--set", "tcp.midstream=ignore")
        self.assert_equals_reference("policy/ipfilter-ref.pcap")
        self.assertEqual(result.out.count("filtered"), 3)

    def test_create(self):
        self.over("header/create.pcap", """
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                if pkt.dstport ~= 4444 and pkt.srcport ~= 4444 then return end
                local ip = ipv4.create(haka.packet.new())
                ip.ttl, ip.src, ip.dst = pkt.ip.ttl, pkt.ip.src, pkt.ip.dst
                local copy = tcp.create(ip)
                copy.srcport, copy.dstport = pkt.srcport + 10, pkt.dstport + 10
                copy.seq = pkt.seq + 1000
                if pkt.ack_seq ~= 0 then copy.ack_seq = pkt.ack_seq + 1000 end
                copy.window_size = pkt.window_size
                copy.flags.all = pkt.flags.all
                copy.payload:resize(#pkt.payload)
                for i = 1, #pkt.payload do copy.payload[i] = pkt.payload[i] end
                copy:send()
            end }""")
        self.assert_equals_reference("header/create-ref.pcap",
                                     lambda data: packets.Parsed(data).sport in (4454, 44403))

    def test_setchecksum(self):
        self.over("header/setchecksum.pcap", """haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            pkt:compute_checksum() end }""")
        self.assert_equals_reference("header/setchecksum-ref.pcap")

    def test_filter(self):
        refused = self.over("header/filter.pcap", """
            haka.rule{ hooks = { "tcp-nothing" }, eval = function(self, pkt) pkt:drop() end }""", status=2)
        self.assertIn("policy.lua:2:", refused.err)
        self.over("header/filter.pcap", "")
        self.assert_equals_reference("header/filter-ref.pcap")

    TCP = {"tcp.srcport": "pkt.srcport", "tcp.dstport": "pkt.dstport", "tcp.seq": "pkt.seq",
           "tcp.ack": "pkt.ack_seq", "tcp.hdr_len": "pkt.hdr_len", "tcp.window_size_value": "pkt.window_size",
           "tcp.checksum": "pkt.checksum", "tcp.urgent_pointer": "pkt.urgent_pointer",
           "tcp.flags.fin": "pkt.flags.fin", "tcp.flags.syn": "pkt.flags.syn", "tcp.flags.reset": "pkt.flags.rst",
           "tcp.flags.push": "pkt.flags.psh", "tcp.flags.ack": "pkt.flags.ack", "tcp.flags.urg": "pkt.flags.urg",
           "tcp.flags.ece": "pkt.flags.ecn", "tcp.flags.cwr": "pkt.flags.cwr", "tcp.len": "#pkt.payload",
           "ip.src": "pkt.ip.src", "ip.dst": "pkt.ip.dst"}
    IPV4 = {"ip.version": "pkt.version", "ip.hdr_len": "pkt.hdr_len", "ip.dsfield": "pkt.tos", "ip.len": "pkt.len",
            "ip.id": "pkt.id", "ip.flags.rb": "pkt.flags.rb", "ip.flags.df": "pkt.flags.df",
            "ip.flags.mf": "pkt.flags.mf", "ip.frag_offset": "pkt.frag_offset / 8", "ip.ttl": "pkt.ttl",
            "ip.proto": "pkt.proto", "ip.checksum": "pkt.checksum", "ip.src": "pkt.src", "ip.dst": "pkt.dst"}

    @unittest.skipUnless(shutil.which("tshark"), "needs tshark")
    def test_fields_equal_what_tshark_shows(self):
        for hook, condition, fields in (("tcp-up", "tcp && !icmp", self.TCP), ("ipv4-up", "ip", self.IPV4)):
            shown = ", ".join(f"({field})" for field in fields.values())
            policy = f"""local function shown(v)
                    return type(v) == "boolean" and (v and "1" or "0") or tostring(v) end
                haka.rule{{ hooks = {{ "{hook}" }}, eval = function(self, pkt)
                    local all = {{ {shown} }}
                    for i = 1, #all do all[i] = shown(all[i]) end
                    print(table.concat(all, " ")) end }}"""
            for name in sorted(CAPTURES.rglob("*.pcap")):
                result = self.over(name, policy, "-q", "--set", "tcp.midstream=ignore")
                wanted = shark_fields(name, list(fields), condition)
                got = [[number(word) for word in line.split()] for line in result.lines()]
                self.assertEqual(got, wanted, f"{name.name}: {hook}")

    @unittest.skipUnless(shutil.which("tshark"), "needs tshark")
    def test_streams_equal_what_tshark_follows(self):
        policy = """haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            local bytes = pkt.stream:read()
            if not bytes then return end
            local text = {}
            for i = 1, #bytes do text[i] = ("%02x"):format(bytes[i]) end
            print(pkt.connection.id, pkt.direction, table.concat(text)) end }"""
        for name in ("stream/streamread.pcap", "stream/oneconnection.pcap", "http/request-response.pcap",
                     "http/split-request.pcap"):
            result = self.over(name, policy, "-q")
            got = {}
            for line in result.lines():
                connection, direction, text = line.split()
                sides = got.setdefault(int(connection), {"true": "", "false": ""})
                sides[direction] += text
            for index, connection in enumerate(sorted(got)):
                followed = tshark(CAPTURES / name, "-q", "-z", f"follow,tcp,raw,{index}").splitlines()
                body = followed[followed.index("=" * 67) + 1:] if "=" * 67 in followed else followed
                lines = [line for line in body if line and not line.startswith(("Follow", "Filter", "Node", "="))]
                wanted = {"true": "".join(line for line in lines if not line.startswith("\t")),
                          "false": "".join(line[1:] for line in lines if line.startswith("\t"))}
                self.assertEqual(got[connection], wanted, f"{name} connection {connection}")
            self.assertGreater(len(got), 0, name)

    def test_stream_rst(self):
        self.over("stream/stream-rst.pcap", """haka.rule{ hooks = { "tcp-connection-up" },
            eval = function(self, pkt) if pkt.stream:available() > 10 then pkt:reset() end end }""")
        got, wanted = packets.parse(self.folder / "out.pcap"), packets.parse(CAPTURES / "stream/stream-rst-ref.pcap")
        self.assertEqual([packet.bad for packet in got if packet.flags & RST], [[]] * 6)

        def split(all_packets):
            return ([packet.data for packet in all_packets if not packet.flags & RST],
                    [(packet.src, packet.sport, packet.dport, packet.seq) for packet in all_packets
                     if packet.flags & RST])
        got_rest, got_resets = split(got)
        wanted_rest, wanted_resets = split(wanted)
        self.assertEqual(got_rest, wanted_rest)
        # The reference's last connection has one of its two RSTs only.
        self.assertEqual(set(wanted_resets) - set(got_resets), set())
        self.assertEqual(len(got_resets), 6)

    def test_http_captures_are_read(self):
        policy = """haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
                pkt.next_dissector = "http" end }
            haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
                print(pkt.request.method, #pkt.request.uri, pkt.request.headers.host) end }
            haka.rule{ hooks = { "http-response" }, eval = function(self, pkt)
                print(pkt.response.status, pkt.request.headers.host, pkt.response.headers.server) end }"""
        seen = {"request-response": ["GET 1 10.2.104.129", "200 10.2.104.129 Apache/2.2.8 (Ubuntu) DAV/2"],
                "split-request": ["GET 1346 10.2.104.129", "403 10.2.104.129 Apache/2.2.8 (Ubuntu) DAV/2"],
                "getiptcpfields": ["GET 1 127.0.0.1", "200 127.0.0.1 Apache/2.2.22 (Debian)"]}
        for name, lines in seen.items():
            result = self.over(f"http/{name}.pcap", policy, "--set", "tcp.midstream=ignore")
            self.assertEqual(result.lines(), lines)
        for name in ("request-response", "getiptcpfields"):
            self.over(f"http/{name}.pcap", policy, "--set", "tcp.midstream=ignore")
            self.assertEqual(packets.read(self.folder / "out.pcap"), packets.read(CAPTURES / f"http/{name}.pcap"))
        result = self.over("http/bad-request.pcap", policy)
        self.assertIn("rule http.bad-request-line", result.out)
        self.assertEqual(packets.read(self.folder / "out.pcap"), packets.read(CAPTURES / "http/bad-request-ref.pcap"))

    def test_a_split_request_leaves_with_the_streams_of_the_reference(self):
        policy = """haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
                pkt.next_dissector = "http" end }
            haka.rule{ hooks = { "http-request" }, eval = function() end }"""
        self.over("http/split-request.pcap", policy, "--set", "tcp.midstream=ignore")
        def streams(path):
            found = {}
            for packet in packets.parse(path):
                if packet.protocol == 6 and packet.payload:
                    found.setdefault((packet.src, packet.sport, packet.dst), {})[packet.seq] = packet.payload
            return {key: b"".join(data for _, data in sorted(of.items())) for key, of in found.items()}
        self.assertEqual(streams(self.folder / "out.pcap"), streams(CAPTURES / "http/split-request-ref.pcap"))

    def test_fields_of_a_connection(self):
        result = self.over("http/getiptcpfields.pcap", """haka.rule{ hooks = { "tcp-connection-new" },
            eval = function(self, pkt) local c = pkt.connection
                print(c.srcip, c.srcport, c.dstip, c.dstport, pkt.tcp.ip.src, pkt.tcp.srcport) end }""")
        first = packets.parse(CAPTURES / "http/getiptcpfields.pcap")[0]
        self.assertEqual(result.lines(), [f"{first.src} {first.sport} {first.dst} {first.dport} {first.src} "
                                          f"{first.sport}"])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1] + sys.argv[4:])
