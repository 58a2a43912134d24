"""What goes wrong around a live run: parts of sources.py."""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import lab
from stand import (LENGTHEN, NOTHING, PATIENCE, READ, V4, V6, WATCH, Pair, Queue, Xdp, connect, exchange, freeze,
                   listening, must)

HANG = 'haka.rule{ hooks = { "icmp-up" }, eval = function() while true do end end }'


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
    freeze(live.process)
    with lab.at("client"):
        many = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with many:
        for _ in range(50):
            many.sendto(b"x", (V4, 9))
    live.process.send_signal(signal.SIGCONT)
    live.wait_for("come faster than they are walked")
    lab.ping(V4)
    live.end()


def doctor(haka, kind):
    """Exit status of `haka doctor`, what it says, and the commands in it."""
    done = subprocess.run([haka.program, "doctor", *kind.doctor], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, [line.strip() for line in done.stdout.splitlines() if line[:10].isspace()]


def refused(haka, kind):
    """What `haka run` says that doesn't begin: the same as `haka doctor`."""
    policy = lab.FOLDER / "policy.lua"
    policy.write_text(NOTHING)
    done = subprocess.run([haka.program, "run", *kind.source, policy], capture_output=True, text=True, timeout=60)
    must(done.returncode == 2, f"exit {done.returncode}: {done.stderr}")
    told = doctor(haka, kind)[1]
    for line in done.stderr.splitlines()[1:]:
        must(line in told, f"haka doctor doesn't say: {line}\n{told}")
    return done.stderr


def mended(haka, kind):
    """What the doctor finds is mended by the commands that it prints; until then run refuses."""
    def mend(found, *tools, then=lambda: None):
        status, said, commands = doctor(haka, kind)
        must(found in said, f"no \"{found}\" in\n{said}")
        if "fail" in found:
            must(status == 1 and found in refused(haka, kind), said)
        for command in dict.fromkeys(commands):
            if command.startswith(tools):
                lab.run("sh", "-c", command)
        then()
        status, said, _ = doctor(haka, kind)
        must(status == 0 and found not in said, f"not mended:\n{said}")
    if isinstance(kind, Pair):
        lab.run("ip", "link", "set", "client", "down")
        mend("fail  client: down", "ip link")
        lab.run("ip", "link", "set", "client", "mtu", "1400")
        mend("fail  client and server: packets of MTU 1500", "ip link")
        for host in lab.HOSTS:
            lab.run("ip", "link", "set", host, "mtu", "1500")
        if isinstance(kind, Xdp):
            for host in lab.HOSTS:
                lab.run("ip", "link", "set", host, "mtu", "4000")
            mend("fail  client: AF_XDP takes an MTU", "ip link")
            for host in lab.HOSTS:
                lab.run("ip", "link", "set", host, "mtu", "1500")
        with kind.without_engine():
            mend("fail  client: it belongs to join", "ip link")
        lab.run("ip", "address", "add", "10.9.9.9/24", "dev", "client")
        mend("warn  client: it has an address (10.9.9.9)", "ip address")
        joins = haka(NOTHING)
        mend("fail  server: another haka stands there", "kill", then=lambda: joins.process.wait(PATIENCE))
        must(joins.process.wait(PATIENCE) == 0, joins.said())
    else:
        kind.rule("-D")
        mend("warn  rules: none sends packets to queue 3", "iptables-legacy", "ip6tables-legacy")
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            lab.run(tables, "-D", "FORWARD", "1")
        kind.rule("-A")
        forwarding = [Path(f"/proc/sys/net/{word}") for word in ("ipv4/ip_forward", "ipv6/conf/all/forwarding")]
        for path in forwarding:
            path.write_text("0")
        mend("warn  forwarding: this machine forwards no packets", "sysctl")
        if shutil.which("nft"):
            kind.rule("-D")
            command = next(line for line in doctor(haka, kind)[2] if "nft " in line)[len("or, for both: "):]
            # Kernels are built without this statement; the rest is as it is printed.
            lab.run("sh", "-c", command.replace("queue flags bypass to 3", "accept"))
            lab.run("nft", "delete", "table", "inet", "haka")
            kind.rule("-A")
        reads = haka(NOTHING)
        must("fail  queue 3: another program reads it" in refused(haka, kind), "queue 3 is free")
        reads.end()
    haka(NOTHING)
    lab.ping(V4)
    haka.running.end()


def unprivileged(haka, kind):
    """Nobody is told which privileges are missing, and with them alone it works."""
    program = lab.FOLDER / "haka"
    shutil.copy(haka.program, program)
    policy = lab.FOLDER / "policy.lua"
    policy.write_text(NOTHING)
    nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all")
    command = (*nobody, program, "run", "--set", "control.socket=", *kind.source, policy)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    must(done.returncode == 2 and f"fail  privileges: {' and '.join(kind.capabilities)} missing" in done.stderr,
         done.stderr)
    if shutil.which("setcap") is None or subprocess.run(
            ["setcap", f"{','.join(kind.capabilities).lower()}+ep", program], capture_output=True).returncode:
        return
    with open(lab.FOLDER / "err.txt", "w") as err:
        live = subprocess.Popen(command, stderr=err)
    until = time.monotonic() + PATIENCE
    while "live on" not in (lab.FOLDER / "err.txt").read_text() and time.monotonic() < until:
        time.sleep(0.02)
    lab.ping(V4)
    live.terminate()
    must(live.wait(PATIENCE) == 0, (lab.FOLDER / "err.txt").read_text())


def interrupted(haka, kind):
    """Ctrl-C while bytes are being edited: it ends in time, and what was written can be read."""
    for supervised in ("true", "false"):
        written = lab.FOLDER / "cut.pcapng"
        live = haka(LENGTHEN, "-w", written, "--set", f"supervisor.enabled={supervised}")
        with listening(5001) as listener:
            one, other = connect(5001), listener.accept()[0]

        def send():
            with contextlib.suppress(OSError):
                while True:
                    one.sendall((b"x" * 60 + b"\n") * 1000)

        def receive():
            with contextlib.suppress(OSError):
                while other.recv(1 << 18):
                    pass
        for work in (send, receive):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.3)
        live.process.send_signal(signal.SIGINT)
        must(live.process.wait(PATIENCE) == 0, "it ended with a fault")
        must("packets " in live.said() and "end of input" in live.said(), live.said())
        for end in (one, other):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.shutdown(socket.SHUT_RDWR)
            end.close()
        policy = lab.FOLDER / "policy.lua"
        policy.write_text(NOTHING)
        lab.run(haka.program, "run", "-r", written, policy)


def to_a_pipe(haka, kind):
    """-w - gives frames to another program as they come; when it has gone, traffic goes on."""
    reads, writes = os.pipe()
    with open(writes, "wb") as out:
        live = haka.into(out, NOTHING, "-w", "-")
    lab.ping(V4)
    head = b""
    while len(head) < 24 + 16 + 84:
        head += os.read(reads, 4096)
    must(head[:4] == bytes.fromhex("4d3cb2a1"), f"no pcap: {head[:24].hex()}")
    os.close(reads)
    lab.ping(V4)
    live.wait_for("nobody reads the other end of the pipe any more; traffic goes on")
    lab.ping(V4)
    live.end(status=1)


def removed(haka, kind):
    """An interface that is taken away ends the run, which says so."""
    if not isinstance(kind, Pair):
        return
    for source in ("client:gone", "gone"):
        lab.run("ip", "link", "add", "gone", "type", "veth", "peer", "name", "other")
        lab.run("ip", "link", "set", "gone", "up")
        live = haka.over(("-i", source), NOTHING)
        lab.run("ip", "link", "delete", "gone")
        must(live.process.wait(PATIENCE) == 1, "it ended well")
        must("gone: the interface is gone" in live.said(), live.said())


def overflow(haka, kind):
    """With nfqueue.fail_open what a full queue doesn't take passes unlooked."""
    if not isinstance(kind, Queue):
        return
    live = haka(NOTHING, "--set", "nfqueue.length_max=1", "--set", "nfqueue.fail_open=true", "--set",
                "supervisor.enabled=false")
    freeze(live.process)
    with contextlib.suppress(TimeoutError):
        lab.ping(V4, patience=0.3)  # Waits in the queue.
    lab.ping(V4, count=3)
    live.process.send_signal(signal.SIGCONT)
    lab.ping(V4)
    live.end()


def hostile_frames():
    """Frames no host should send, from a seed."""
    chance = random.Random(7)
    ends = bytes.fromhex("020000000009" "020000000008")
    v4, v6 = (socket.inet_pton(family, address) for family, address in
              ((socket.AF_INET, V4), (socket.AF_INET6, V6)))
    from4, from6 = (socket.inet_pton(family, address) for family, address in
                    ((socket.AF_INET, lab.HOSTS["client"][0]), (socket.AF_INET6, lab.HOSTS["client"][1])))

    def ipv4(body, protocol=6, words=5, total=None, fragment=0, options=b""):
        total = 20 + len(options) + len(body) if total is None else total
        head = struct.pack("!BBHHHBBH", 0x40 | words, 0, total & 0xFFFF, chance.randrange(65536), fragment, 64,
                           protocol, 0) + from4 + v4 + options
        head = head[:10] + struct.pack("!H", lab.internet_sum(head)) + head[12:]
        return bytes.fromhex("0800") + head + body

    def ipv6(body, following=6, size=None):
        size = len(body) if size is None else size
        return bytes.fromhex("86dd") + struct.pack("!IHBB", 6 << 28, size & 0xFFFF, following, 64) + from6 + v6 + body

    def tcp(words=5, flags=0x10, options=b"", body=b""):
        return struct.pack("!HHIIBBHHH", 5555, 80, chance.getrandbits(32), chance.getrandbits(32), words << 4, flags,
                           1000, chance.getrandbits(16), 0) + options + body
    yield from (ends[:size] for size in (1, 13))
    for size in (0, 1, 2, 45, 1500):
        yield ends + bytes.fromhex("0800") + chance.randbytes(size)
        yield ends + bytes.fromhex("86dd") + b"\x60" + chance.randbytes(size)
        yield ends + bytes.fromhex("0806") + chance.randbytes(size)
    for count in (1, 2, 3, 20, 370):
        for tag in ("8100", "88a8", "9100"):
            yield ends + (bytes.fromhex(tag) + b"\x00\x05") * count + ipv4(tcp())
            yield ends + (bytes.fromhex(tag) + b"\x00\x05") * count
    for words in range(16):
        yield ends + ipv4(tcp(), words=words)
        yield ends + ipv4(tcp(words=words))
        yield ends + ipv6(tcp(words=words))
        yield ends + ipv4(tcp(words=words, flags=0x02, options=chance.randbytes(40)))
    for kind in range(256):
        yield ends + ipv4(tcp(words=6, flags=0x02, options=bytes((kind, chance.choice((0, 1, 3, 4, 255)), 0, 0))))
        yield ends + ipv4(b"\x00" * 8 + tcp(), words=7, options=bytes((kind, chance.randrange(256), 4, 0, 1, 1, 0, 0)))
        yield ends + ipv4(chance.randbytes(chance.randrange(60)), protocol=kind)
        yield ends + ipv6(chance.randbytes(chance.randrange(60)), following=kind)
        yield ends + ipv6(bytes((kind, chance.randrange(256))) + chance.randbytes(30), following=chance.choice((0, 43, 44, 60)))
        yield ends + ipv4(tcp(flags=kind, body=b"x" * chance.randrange(100)))
        yield ends + ipv4(bytes((kind, 0, 0, 0, 0, 0, 0, 0)) + ipv4(tcp())[2:][:chance.randrange(60)], protocol=1)
        yield ends + ipv6(bytes((kind, 0, 0, 0, 0, 0, 0, 0)) + ipv6(tcp())[2:][:chance.randrange(90)], following=58)
    for total in (0, 1, 19, 20, 21, 39, 40, 41, 1000, 65535):
        yield ends + ipv4(tcp(), total=total)
        yield ends + ipv6(tcp(), size=total)
        yield ends + ipv4(struct.pack("!HHHH", 53, 53, total, 0) + b"y" * 30, protocol=17)
    for offset in (0, 1, 2, 5, 100, 8191):
        for more in (0, 0x2000, 0x8000, 0x4000):
            yield ends + ipv4(tcp(body=b"z" * chance.randrange(50)), fragment=offset | more)
            yield ends + ipv6(struct.pack("!BBHI", 6, 0, (offset << 3 | (more == 0x2000)) & 0xFFFF, 77) + tcp(),
                              following=44)
    whole = [ends + ipv4(tcp(flags=0x18, body=b"GET / HTTP/1.1\r\n\r\n")), ends + ipv6(tcp(flags=0x18, body=b"x" * 90)),
             ends + ipv4(bytes.fromhex("0800f7ff00000000"), protocol=1)]
    for _ in range(2000):
        frame = bytearray(chance.choice(whole))
        for _ in range(chance.randrange(1, 6)):
            frame[chance.randrange(12, len(frame))] = chance.randrange(256)
        yield bytes(frame[:chance.choice((len(frame), chance.randrange(14, len(frame) + 1)))])


def garbage(haka, kind):
    """Frames that are no packets, from both ends, change nothing for others."""
    live = haka(READ + LENGTHEN)
    for mtu in (1500, 9000) if type(kind) is Pair else (1500,):
        for host in lab.HOSTS:
            lab.run("ip", "link", "set", host, "mtu", mtu)
            lab.inside(host, "ip", "link", "set", "wire", "mtu", mtu)
        for host in lab.HOSTS:
            with lab.at(host):
                sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            sender.bind(("wire", 0))
            # The router takes only what is for it.
            with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as card:
                card.bind((host, 0))
                gate = card.getsockname()[4] if isinstance(kind, Queue) else None
            with sender:
                for frame in hostile_frames():
                    frame = gate + frame[6:] if gate and len(frame) > 6 else frame
                    with contextlib.suppress(OSError):  # What its own kernel refuses.
                        sender.send(frame)
                with contextlib.suppress(OSError):
                    sender.send(os.urandom(8900))
        lab.ping(V4)
    for host in (V4, V6):
        for got in exchange(5020, host, b"line\n" * 2000):
            must(got == b"line (seen)\n" * 2000, f"{host}: {len(got)} bytes came, wrong")
    for host in lab.HOSTS:
        lab.run("ip", "link", "set", host, "mtu", 1500)
        lab.inside(host, "ip", "link", "set", "wire", "mtu", 1500)
    live.end()
