"""What passes: parts of sources.py."""
import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
import time

import lab
import programs
from stand import (LENGTHEN, NOTHING, PATIENCE, POLICIES, READ, V4, V6, WATCH, Pair, Queue, Xdp, client, connect,
                   exchange, listening, must)

START = (POLICIES / "start.lua").read_text()
FIREWALL = """
haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    local port = pkt.tcp.dstport
    if port == 81 then pkt:reset() elseif port == 82 then pkt:drop() end
end }
"""
RESET_AT_9 = """
haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, eval = function(self, pkt)
    if pkt.connection.dstport == 5011 and pkt.direction and pkt.stream:wait(9) == 9 then pkt:reset() end
end }
"""
COUNT = """
haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, eval = function(self, pkt)
    local count = 0
    while pkt.stream:wait(1) > 0 do
        count = count + pkt.stream:available()
        pkt.stream:advance(pkt.stream:available())
    end
    print("seen " .. count)
end }
"""


def pings(haka, kind):
    """Echoes of all sizes, in fragments too, neighbours found on the way."""
    live = haka(READ)
    for host in (V4, V6):
        for size in (0, 1400, 8000):
            lab.ping(host, size, count=2)
    live.end()


def tags(haka, kind):
    """VLAN tags, one and two, and frames of unknown kinds leave as they came."""
    if not isinstance(kind, Pair):
        return
    live = haka(READ)
    ends = {}
    for host in lab.HOSTS:
        with lab.at(host):
            ends[host] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        ends[host].bind(("wire", 0))
        ends[host].settimeout(PATIENCE)
        ends[host].setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: the tag taken out.
    addresses = bytes.fromhex("020000000009" "020000000008")
    kinds = {"8100" "0005" "9999": "one tag", "88a8" "0006" "8100" "0007" "9999": "two tags",
             "88b5": "no tag"}
    for head, name in kinds.items():
        frame = addresses + bytes.fromhex(head) + os.urandom(900)
        ends["client"].send(frame)
        until = time.monotonic() + PATIENCE
        while True:
            must(time.monotonic() < until, f"{name}: did not come")
            got, aux, _, _ = ends["server"].recvmsg(65536, 64)
            for _, _, data in aux:
                status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", data)
                if status & 0x10:
                    got = got[:12] + struct.pack("!HH", tpid, tci) + got[12:]
            if got[:12] == addresses:
                break
        must(got == frame, f"{name}: {got[:30].hex()} came in place of {frame[:30].hex()}")
    for end in ends.values():
        end.close()
    live.end()


def edits(haka, kind):
    """Every line gets longer, both ways, in segments that the kernel has joined."""
    live = haka(LENGTHEN, "--set", "tcp.edits_max=65536")
    data = (b"x" * 60 + b"\n") * 30_000
    for host in (V4, V6):
        for got in exchange(5000, host, data):
            must(got == data.replace(b"\n", b" (seen)\n"), f"{host}: {len(got)} bytes came, wrong")
    live.end()


def joined_datagrams(haka, kind):
    """Datagrams that their sender gave to the kernel as one (QUIC does) are told apart again."""
    data = os.urandom(12_000)
    change = """haka.rule{ hooks = { "%s" }, eval = function(self, pkt) pkt.%s = 33 end }"""
    changes = change % ("ipv4-up", "ttl") + change % ("ipv6-up", "hop_limit")
    for policy in (READ, READ + changes):
        live = haka(policy)
        for host in (V4, V6):
            with lab.at("server"):
                receiver = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
            with lab.at("client"):
                sender = socket.socket(receiver.family, socket.SOCK_DGRAM)
            receiver.bind((host, 6000))
            receiver.settimeout(PATIENCE)
            sender.setsockopt(socket.IPPROTO_UDP, 103, 1200)  # UDP_SEGMENT
            sender.sendto(data, (host, 6000))
            if isinstance(kind, Queue) and policy != READ:
                live.wait_for("doesn't take every packet that should leave: Message too long")
                continue
            for at in range(0, len(data), 1200):
                got = receiver.recv(65536)
                must(got == data[at:at + 1200], f"{host}: {len(got)} bytes came in place of the datagram at {at}")
        said = live.end()
        lost = "packets that should have left and the kernel didn't take: 2" in said
        must(lost == (isinstance(kind, Queue) and policy != READ), said)


def servers(haka, kind):
    """Files by HTTP and ssh are what they were, also behind an edited beginning; nginx under wrk; iperf3."""
    before = {host: lab.tcp_counters(host) for host in lab.HOSTS}
    with programs.Hosts(20_000_000) as hosts:
        works = list(hosts.works())
        for policy, text in (("start", START), ("readonly", READ)):
            live = haka(text)
            for name, work in works:
                faults = work(policy)
                must(not faults, f"{policy}: {name}: {faults}")
            for host in (V4, f"[{V6}]") if shutil.which("wrk") else ():
                said = client("wrk", "-t1", "-c16", "-d1s", f"http://{host}/file", "-H", "Range: bytes=0-999")
                must("Socket errors" not in said and "requests in" in said, said)
            if policy == "start":
                live.end()
    for host in (V4, V6) if shutil.which("iperf3") else ():
        server = subprocess.Popen(["ip", "netns", "exec", "server", "iperf3", "-s", "-1"],
                                  stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        client("iperf3", "-c", host, "-t", "1", "--bidir")
        server.wait(PATIENCE)
    live.end()
    for host in lab.HOSTS:
        wrong = lab.tcp_counters(host)["InCsumErrors"] - before[host]["InCsumErrors"]
        must(wrong == 0, f"{host}: {wrong} wrong checksums")


def firewall(haka, kind):
    """What the policy refuses: reset or dropped, and no scan sees what is behind."""
    live = haka(FIREWALL)
    for host in (V4, V6):
        for port in (80, 81, 82):
            with listening(port, host):
                begin = time.monotonic()
                try:
                    connect(port, host, 1.5).close()
                    got = "open"
                except ConnectionRefusedError:
                    got = "reset"
                except TimeoutError:
                    got = "silent"
                must(got == {80: "open", 81: "reset", 82: "silent"}[port],
                     f"{host} port {port}: {got} after {time.monotonic() - begin:.1f} s")
    if shutil.which("nmap"):
        scan = ("nmap", "-n", "-Pn", "-p", "80,81,82", "--max-retries", "1", "--host-timeout", "20s")
        seen = (("-sS", ("open", "closed", "filtered")), ("-sA", ("filtered",) * 3),
                ("-sF", ("open|filtered",) * 3), ("-sX", ("open|filtered",) * 3),
                ("-sS -f", ("open", "closed", "filtered")))
        for host in (V4, V6):
            with listening(80, host), listening(81, host), listening(82, host):
                for how, wanted in seen:
                    if host == V6 and "-f" in how:
                        continue  # nmap has no fragments there.
                    said = client(*scan, *how.split(), *(("-6",) if host == V6 else ()), host)
                    found = tuple(re.findall(r"^8\d/tcp +(\S+)", said, re.M))
                    must(found == wanted, f"nmap {how} {host}: {found}\n{said}")
    said = live.end()
    must("tcp.no-connection" in said, said)


def both_are_reset(host):
    with listening(5011, host) as listener:
        ends = [connect(5011, host), listener.accept()[0]]
    ends[0].sendall(b"123456789")
    for end in ends:
        end.settimeout(PATIENCE)
        try:
            must(False, f"{host}: {end.recv(100)} in place of a reset")
        except ConnectionResetError:
            end.close()


def resets(haka, kind):
    """A connection that the policy ends in the middle is reset at both of its ends."""
    live = haka(RESET_AT_9)
    for host in (V4, V6):
        both_are_reset(host)
    live.end()


def filtered(haka, kind):
    """What -f doesn't select passes unlooked."""
    live = haka(FIREWALL, "-f", "not port 81")
    with listening(81), listening(82):
        connect(81).close()
        with contextlib.suppress(TimeoutError):
            connect(82, timeout=1)
            raise RuntimeError("port 82 is open")
    live.end()


def translated(haka, kind):
    """Behind a router that hides the client's address, with what the doctor says for it."""
    if not isinstance(kind, Queue):
        return
    tools = ("iptables-legacy", "ip6tables-legacy")
    try:
        for tool in tools:
            lab.run(tool, "-t", "nat", "-A", "POSTROUTING", "-o", "server", "-j", "MASQUERADE")
    except RuntimeError:
        return  # This kernel translates no addresses.
    said = lab.run(haka.program, "doctor", *kind.source)
    for line in said.splitlines():
        if "--notrack" in line or "be_liberal" in line:
            lab.run("sh", "-c", line)
    said = lab.run(haka.program, "doctor", *kind.source)
    must("translates" not in said, said)
    live = haka(LENGTHEN + RESET_AT_9, "--set", "tcp.edits_max=65536")
    data = (b"n" * 60 + b"\n") * 5000
    for host in (V4, V6):
        for got in exchange(5000, host, data):
            must(got == data.replace(b"\n", b" (seen)\n"), f"{host}: {len(got)} bytes came, wrong")
        both_are_reset(host)
    live.end()
    for tool in tools:
        for table in ("nat", "raw"):
            lab.run(tool, "-t", table, "-F")


def workers(haka, kind):
    """Several workers: both directions of each connection meet the same one."""
    if isinstance(kind, Queue):
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            lab.run(tables, "-I", "FORWARD", "-j", "NFQUEUE", "--queue-balance", "4:5")
        live = haka.over(("--nfqueue", "4:5"), LENGTHEN, "--set", "tcp.edits_max=65536")
    else:
        more = () if isinstance(kind, Xdp) else ("-j", "2")  # It takes one.
        live = haka(LENGTHEN, *more, "--set", "tcp.edits_max=65536")
    data = (b"z" * 60 + b"\n") * 500
    v6 = "fd00" if isinstance(kind, Pair) else "fd01"
    addresses = [(V4, f"192.168.10.{last}", kind.prefix) for last in range(100, 116)]
    addresses += [(V6, f"{v6}::{last}", 64) for last in range(100, 116)]
    for host, address, prefix in addresses:
        lab.run("ip", "-n", "client", "address", "add", f"{address}/{prefix}", "dev", "wire",
                *(("nodad",) if host == V6 else ()))
    for host in (V4, V6):
        with listening(5002, host) as listener:
            for address in [own for to, own, _ in addresses if to == host]:
                with lab.at("client"):
                    one = socket.socket(socket.AF_INET6 if host == V6 else socket.AF_INET)
                one.bind((address, 0))
                one.settimeout(PATIENCE)
                one.connect((host, 5002))
                other = listener.accept()[0]
                one.sendall(data)
                one.shutdown(socket.SHUT_WR)
                got = b"".join(iter(lambda: other.recv(1 << 18), b""))
                must(got == data.replace(b"\n", b" (seen)\n"), f"{address}: {len(got)} bytes came")
                one.close()
                other.close()
    lab.ping(V4, 8000)
    said = live.end()
    must(("1 worker" if isinstance(kind, Xdp) else "2 workers") in said, said)
    if isinstance(kind, Queue):
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            lab.run(tables, "-D", "FORWARD", "1")


def marks(haka, kind):
    """The kernel's mark is read and written, of packets that change too."""
    policy = """
    local function rule(hook, hops, class)
        haka.rule{ hooks = { hook }, eval = function(self, pkt)
            if pkt.mark ~= %d then pkt:drop() return end
            %s
            if pkt[hops] %% 2 == 0 then pkt[class] = 4 end
        end }
    end
    rule("ipv4-up", "ttl", "tos")
    rule("ipv6-up", "hop_limit", "traffic_class")"""
    if isinstance(kind, Pair):
        live = haka(policy % (0, "local ok = pcall(function() pkt.mark = 1 end) if ok then pkt:drop() end"))
        lab.ping(V4)
        lab.ping(V6)
        live.end()
        return
    # Echoes alone: the router's own answers about neighbours must reach the server.
    tools = {"iptables-legacy": ("-p", "icmp", "--icmp-type", "echo-request"),
             "ip6tables-legacy": ("-p", "ipv6-icmp", "--icmpv6-type", "echo-request")}
    for tool, echoes in tools.items():
        lab.run(tool, "-t", "mangle", "-A", "PREROUTING", "-j", "MARK", "--set-mark", "5")
        lab.run(tool, "-t", "mangle", "-A", "POSTROUTING", *echoes, "-m", "mark", "!", "--mark", "7", "-j", "DROP")
    live = haka(policy % (5, "pkt.mark = 7"))
    for host in (V4, V6):
        for ttl in (63, 64):
            lab.ping(host, count=2, ttl=ttl)
    live.end()
    for tool in tools:
        lab.run(tool, "-t", "mangle", "-F")


def looks_only(haka, kind):
    """One interface: both directions are seen, nothing is decided."""
    if type(kind) is not Pair:  # What comes by AF_XDP others don't see.
        return
    joined = haka(NOTHING)
    policy = lab.FOLDER / "watch.lua"
    policy.write_text(WATCH + "haka.rule{ hooks = { 'tcp-up' }, "
                      "eval = function(self, pkt) pkt:drop() end }")
    with open(lab.FOLDER / "looks.txt", "w") as err:
        looks = subprocess.Popen([haka.program, "run", "-i", "client", policy], stderr=err)
    until = time.monotonic() + PATIENCE
    while "live on" not in (lab.FOLDER / "looks.txt").read_text() and time.monotonic() < until:
        time.sleep(0.02)
    for got in exchange(5003, V4, b"w" * 300_000):
        must(got == b"w" * 300_000, f"{len(got)} bytes came")
    looks.terminate()
    must(looks.wait(PATIENCE) == 0, "haka -i client failed")
    said = (lab.FOLDER / "looks.txt").read_text()
    must("dropped" in said, said)
    joined.end()


def pass_through(haka, kind):
    """Drops are marked only, and everything leaves as it came, held pieces included."""
    live = haka(READ + "haka.rule{ hooks = { 'tcp-up' }, eval = function(self, pkt) "
                "if pkt.srcport == 5004 then pkt:drop() end end }", "--pass-through")
    for host in (V4, V6):
        for got in exchange(5004, host, b"v" * 300_000):
            must(got == b"v" * 300_000, f"{len(got)} bytes came")
        lab.ping(host, 8000)
    must("dropped" in live.end(), live.said())


def taken_up(haka, kind):
    """With tcp.midstream = accept a transfer that began before the engine goes on, and rules see it."""
    for host in (V4, V6):
        data, came, faults = os.urandom(1 << 20) * 8, [bytearray(), bytearray()], []
        begun, go_on = threading.Event(), threading.Event()

        def send(i):
            for at in range(0, len(data), 1 << 16):
                ends[i].sendall(data[at:at + (1 << 16)])
                if at == 1 << 20:
                    begun.set()
                # Slowly until the engine is there, and the last part of it not before.
                go_on.wait(0.01 if at < len(data) // 2 else 60)
            ends[i].shutdown(socket.SHUT_WR)

        def receive(i):
            while piece := ends[i].recv(1 << 18):
                came[i].extend(piece)

        def work(what, i):
            try:
                what(i)
            except OSError as error:
                faults.append(f"{host}: {what.__name__} at end {i}: {error}")
        threads = [threading.Thread(target=work, args=(what, i), daemon=True)
                   for i in (0, 1) for what in (send, receive)]
        with kind.without_engine():
            with listening(5010, host) as listener:
                ends = [connect(5010, host), listener.accept()[0]]
            for end in ends:
                end.settimeout(60)  # A loss while nobody passes packets on is repaired late.
            for thread in threads:
                thread.start()
            must(begun.wait(PATIENCE), "nothing was sent")
        live = haka(COUNT, "--set", "tcp.midstream=accept")
        go_on.set()
        for thread in threads:
            thread.join(60)
        for end in ends:
            end.close()
        must(not faults, faults)
        for got in came:
            must(got == data, f"{host}: {len(got)} of {len(data)} bytes came, or others")
        live.end()
        seen = [int(count) for count in re.findall(r"seen (\d+)", live.printed())]
        must(len(seen) == 2 and min(seen) >= len(data) // 2, f"{host}: rules saw {seen} bytes of {len(data)}")
