#!/usr/bin/env python3
"""haka run on live traffic, real programs on both sides: sources.py [--only PART] [--source KIND] HAKA

Each part runs between two interfaces (-i) and behind the packet filter (--nfqueue): what the policy
refuses is refused, what it edits is edited, everything else is untouched; then what goes wrong
around it. Exit: 0 all as it must be, 1 not, 77 skipped.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import lab  # noqa: E402
import programs  # noqa: E402

V4, V6 = lab.HOSTS["server"]
PATIENCE = 15
NOTHING = ""
READ = (HERE / "policies" / "readonly.lua").read_text()
LENGTHEN = (HERE / "policies" / "lengthen.lua").read_text()
FIREWALL = """
haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    local port = pkt.tcp.dstport
    if port == 81 then pkt:reset() elseif port == 82 then pkt:drop() end
end }
"""
WATCH = """
haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    haka.alert{ description = "seen", severity = "low" }
end }
"""
HANG = 'haka.rule{ hooks = { "icmp-up" }, eval = function() while true do end end }'


class Haka:
    """A run that has begun, until end()."""

    def __init__(self, program, source, policy, *options):
        path = lab.FOLDER / "policy.lua"
        path.write_text(policy)
        self.out = open(lab.FOLDER / "out.txt", "w+")
        self.err = open(lab.FOLDER / "err.txt", "w+")
        self.process = subprocess.Popen([program, "run", *source, *map(str, options), str(path)],
                                        stdout=self.out, stderr=self.err)
        self.wait_for("live on")

    def said(self):
        return (lab.FOLDER / "err.txt").read_text()

    def wait_for(self, text, count=1):
        until = time.monotonic() + PATIENCE
        while self.said().count(text) < count:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"no \"{text}\" from haka:\n{self.said()}")
            time.sleep(0.02)

    def end(self, status=0):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            got = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise RuntimeError("haka did not end:\n" + self.said())
        if got != status:
            raise RuntimeError(f"haka ended with {got}:\n{self.said()}")
        return self.said()


class Pair:
    """Two interfaces that haka joins."""
    name = "-i"
    source = ("-i", "client:server")
    prefix = 16

    def build(self):
        for host in lab.HOSTS:
            Path(f"/proc/sys/net/ipv6/conf/{host}/disable_ipv6").write_text("1")


class Queue:
    """A router whose FORWARD chain asks haka."""
    name = "--nfqueue"
    source = ("--nfqueue", "3")
    prefix = 24

    def build(self):
        for word in ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"):
            Path(f"/proc/sys/{word}").write_text("1")
        for host, (v4, v6) in lab.HOSTS.items():
            gate4 = v4[:-1] + "254"
            v6 = "fd01::10" if host == "client" else v6
            gate6 = v6[:-2] + "fe"
            lab.run("ip", "address", "add", f"{gate4}/24", "dev", host)
            lab.run("ip", "address", "add", f"{gate6}/64", "dev", host, "nodad")
            lab.run("ip", "-n", host, "address", "flush", "dev", "wire", "scope", "global")
            lab.run("ip", "-n", host, "address", "add", f"{v4}/24", "dev", "wire")
            lab.run("ip", "-n", host, "address", "add", f"{v6}/64", "dev", "wire", "nodad")
            lab.run("ip", "-n", host, "route", "add", "default", "via", gate4)
            lab.run("ip", "-n", host, "-6", "route", "add", "default", "via", gate6)
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            lab.run(tables, "-A", "FORWARD", "-j", "NFQUEUE", "--queue-num", "3")


def build(kind):
    """Two hosts; their cards leave checksums and cutting to others, as cards do."""
    lab.run("mount", "-t", "tmpfs", "live", "/run")
    for folder in ("netns", "sshd", "live"):
        os.mkdir(f"/run/{folder}", 0o755)
    for host, (v4, v6) in lab.HOSTS.items():
        lab.run("ip", "netns", "add", host)
        lab.run("ip", "link", "add", "name", host, "type", "veth", "peer", "name", "wire", "netns", host)
        lab.run("ip", "-n", host, "link", "set", "lo", "up")
        lab.run("ip", "-n", host, "address", "add", f"{v4}/16", "dev", "wire")
        lab.run("ip", "-n", host, "address", "add", f"{v6}/64", "dev", "wire", "nodad")
        lab.run("ip", "-n", host, "link", "set", "wire", "up")
        lab.run("ip", "link", "set", host, "up")
    kind.build()


def must(condition, what):
    if not condition:
        raise RuntimeError(what)


def client(*command, **options):
    return lab.inside("client", *command, **options)


@contextlib.contextmanager
def listening(port, host=V4):
    with lab.at("server"):
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen()
    listener.settimeout(PATIENCE)
    with listener:
        yield listener


def connect(port, host=V4, timeout=PATIENCE):
    with lab.at("client"):
        connection = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    connection.settimeout(timeout)
    connection.connect((host, port))
    return connection


def exchange(port, host, data):
    """What each end got when both sent `data` at once."""
    with listening(port, host) as listener:
        ends = [connect(port, host), listener.accept()[0]]
    came = [bytearray(), bytearray()]

    def receive(i):
        while piece := ends[i].recv(1 << 18):
            came[i] += piece

    def send(i):
        ends[i].sendall(data)
        ends[i].shutdown(socket.SHUT_WR)
    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in (0, 1) for work in (send, receive)]
    for end in ends:
        end.settimeout(PATIENCE)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE * 2)
    for end in ends:
        end.close()
    return came


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


def servers(haka, kind):
    """Files by HTTP and ssh are what they were; nginx under wrk; iperf3."""
    before = {host: lab.tcp_counters(host) for host in lab.HOSTS}
    live = haka(READ)
    with programs.Hosts(20_000_000) as hosts:
        for name, work in hosts.works():
            faults = work("readonly")
            must(not faults, f"{name}: {faults}")
        if shutil.which("wrk"):
            said = client("wrk", "-t1", "-c16", "-d1s", f"http://{V4}/")
            must("Socket errors" not in said and "requests in" in said, said)
    if shutil.which("iperf3"):
        server = subprocess.Popen(["ip", "netns", "exec", "server", "iperf3", "-s", "-1"],
                                  stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        client("iperf3", "-c", V4, "-t", "1", "--bidir")
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
        with listening(80), listening(81), listening(82):
            for how, wanted in (("-sS", ("open", "closed", "filtered")),
                                ("-sA", ("filtered",) * 3), ("-sF", ("open|filtered",) * 3),
                                ("-sX", ("open|filtered",) * 3),
                                ("-sS -f", ("open", "closed", "filtered"))):
                said = client(*scan, *how.split(), V4)
                found = tuple(re.findall(r"^8\d/tcp +(\S+)", said, re.M))
                must(found == wanted, f"nmap {how}: {found}\n{said}")
    said = live.end()
    must("tcp.no-connection" in said, said)


def filtered(haka, kind):
    """What -f doesn't select passes unlooked."""
    live = haka(FIREWALL, "-f", "not port 81")
    with listening(81), listening(82):
        connect(81).close()
        with contextlib.suppress(TimeoutError):
            connect(82, timeout=1)
            raise RuntimeError("port 82 is open")
    live.end()


def workers(haka, kind):
    """Several workers: both directions of each connection meet the same one."""
    if isinstance(kind, Queue):
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            lab.run(tables, "-I", "FORWARD", "-j", "NFQUEUE", "--queue-balance", "4:5")
        live = haka.over(("--nfqueue", "4:5"), LENGTHEN, "--set", "tcp.edits_max=65536")
    else:
        live = haka(LENGTHEN, "-j", "2", "--set", "tcp.edits_max=65536")
    data = (b"z" * 60 + b"\n") * 500
    with listening(5002) as listener:
        for last in range(100, 116):
            address = f"192.168.10.{last}"
            lab.run("ip", "-n", "client", "address", "add", f"{address}/{kind.prefix}", "dev", "wire")
            with lab.at("client"):
                one = socket.socket()
            one.bind((address, 0))
            one.settimeout(PATIENCE)
            one.connect((V4, 5002))
            other = listener.accept()[0]
            one.sendall(data)
            one.shutdown(socket.SHUT_WR)
            got = b"".join(iter(lambda: other.recv(1 << 18), b""))
            must(got == data.replace(b"\n", b" (seen)\n"), f"{address}: {len(got)} bytes came")
            one.close()
            other.close()
    lab.ping(V4, 8000)
    said = live.end()
    must("2 workers" in said, said)
    if isinstance(kind, Queue):
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            lab.run(tables, "-D", "FORWARD", "1")


def marks(haka, kind):
    """The kernel's mark is read and written, of packets that change too."""
    policy = """haka.rule{ hooks = { "ipv4-up" }, eval = function(self, pkt)
        if pkt.mark ~= %d then pkt:drop() return end
        %s
        if pkt.ttl %% 2 == 0 then pkt.tos = 4 end
    end }"""
    if isinstance(kind, Pair):
        live = haka(policy % (0, "local ok = pcall(function() pkt.mark = 1 end) if ok then pkt:drop() end"))
        lab.ping(V4)
        live.end()
        return
    rules = (("PREROUTING", "-j", "MARK", "--set-mark", "5"),
             ("POSTROUTING", "-m", "mark", "!", "--mark", "7", "-j", "DROP"))
    for rule in rules:
        lab.run("iptables-legacy", "-t", "mangle", "-A", *rule)
    live = haka(policy % (5, "pkt.mark = 7"))
    for ttl in (63, 64):
        lab.ping(V4, count=2, ttl=ttl)
    live.end()
    lab.run("iptables-legacy", "-t", "mangle", "-F")


def looks_only(haka, kind):
    """One interface: both directions are seen, nothing is decided."""
    if not isinstance(kind, Pair):
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


def files(haka, kind):
    """SIGUSR1 opens --eve anew; a full disk is told once and stops nothing."""
    small = lab.FOLDER / "small"
    small.mkdir(exist_ok=True)
    lab.run("mount", "-t", "tmpfs", "-o", "size=64k", "small", small)
    eve = small / "eve.json"
    live = haka(WATCH, "--eve", eve, "-w", lab.FOLDER / "out.pcapng")
    with listening(80) as listener:
        connect(80).close()
        until = time.monotonic() + PATIENCE
        while not eve.read_text() and time.monotonic() < until:
            time.sleep(0.02)
        eve.rename(small / "old.json")
        live.process.send_signal(signal.SIGUSR1)
        while not eve.exists() and time.monotonic() < until:
            time.sleep(0.02)
        connect(80).close()
        while not eve.read_text() and time.monotonic() < until:
            time.sleep(0.02)
        for path in (eve, small / "old.json"):
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            must(len(lines) == 1 and lines[0]["event_type"] == "alert", f"{path}: {lines}")
        subprocess.run(["dd", "if=/dev/zero", f"of={small / 'fill'}", "bs=4k"], stderr=subprocess.DEVNULL)
        for _ in range(300):
            connect(80).close()
            listener.accept()[0].close()
        live.wait_for("traffic goes on")
        connect(80).close()
    must(live.said().count("No space left") == 1, live.said())
    said = live.end(status=1)
    must(re.search(r"; [1-9]\d* packets and events that came later are not written", said), said)
    lab.run("umount", small)


def troubles(haka, kind):
    """Without a supervisor, a rule that hangs ends the run and is named; what can't be had is named; a link that goes."""
    live = haka(HANG, "--set", "lua.rule_timeout=0.3", "--set", "supervisor.enabled=false")
    with contextlib.suppress(TimeoutError):
        lab.ping(V4, patience=1)
    must(live.process.wait(PATIENCE) == 1, "the hanging rule's run goes on")
    must("policy.lua:1" in live.said() and "lua.rule_timeout" in live.said(), live.said())
    live = haka(NOTHING)
    done = subprocess.run([haka.program, "run", *kind.source, lab.FOLDER / "policy.lua"],
                          capture_output=True, text=True, timeout=60) if isinstance(kind, Queue) else None
    must(done is None or (done.returncode == 2 and "queue 3: another program reads it" in done.stderr),
         done and done.stderr)
    done = subprocess.run([haka.program, "run", "-i", "nowhere:client", lab.FOLDER / "policy.lua"],
                          capture_output=True, text=True, timeout=60)
    must(done.returncode == 2 and "no such interface" in done.stderr, done.stderr)
    if isinstance(kind, Pair):
        lab.run("ip", "link", "set", "server", "down")
        live.wait_for("server: the interface is down")
        lab.run("ip", "link", "set", "server", "up")
        live.wait_for("server: the interface is up again")
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            with contextlib.suppress(TimeoutError):
                lab.ping(V4, patience=0.2)
                break
    lab.ping(V4)
    live.end()
    # More comes than is taken: it is told, and the rest goes on.
    live = haka(NOTHING, "--set", "nfqueue.length_max=4", "--set", "live.ring_frames=15", "--set",
                "supervisor.enabled=false")
    live.process.send_signal(signal.SIGSTOP)
    with lab.at("client"):
        many = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with many:
        for _ in range(50):
            many.sendto(b"x", (V4, 9))
    live.process.send_signal(signal.SIGCONT)
    live.wait_for("come faster than they are walked")
    lab.ping(V4)
    live.end()


PARTS = (pings, tags, edits, servers, firewall, filtered, workers, marks, looks_only, pass_through, files,
         troubles)


class Runner:
    def __init__(self, program, kind):
        self.program, self.kind, self.running = program, kind, None

    def __call__(self, policy, *options):
        return self.over(self.kind.source, policy, *options)

    def over(self, source, policy, *options):
        self.running = Haka(self.program, source, policy, *options)
        return self.running

    def clean_up(self):
        if self.running and self.running.process.poll() is None:
            self.running.process.kill()
            self.running.process.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("haka")
    parser.add_argument("--only", help="parts, separated by commas")
    parser.add_argument("--source", choices=("pair", "queue"), required=True)
    options = parser.parse_args()
    options.haka = os.path.abspath(options.haka)
    kind = {"pair": Pair, "queue": Queue}[options.source]()
    lab.enter()
    if isinstance(kind, Queue) and not shutil.which("iptables-legacy"):
        lab.skip("no iptables-legacy here")
    build(kind)
    failed = False
    for part in PARTS:
        if options.only and part.__name__ not in options.only.split(","):
            continue
        runner = Runner(options.haka, kind)
        begin = time.monotonic()
        try:
            part(runner, kind)
            result = "right"
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            failed = True
            result = f"FAILED: {type(error).__name__}: {error}"
            if runner.running:
                result += "\n" + runner.running.said()
        runner.clean_up()
        print(f"{kind.name:<10} {part.__name__:<11} {time.monotonic() - begin:>5.1f} s  {result}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
