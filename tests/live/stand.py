"""What the tests of live sources stand on: two hosts, haka between them, and what the hosts do."""
import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import lab

V4, V6 = lab.HOSTS["server"]
PATIENCE = 15
NOTHING = ""
POLICIES = Path(__file__).resolve().parent / "policies"
READ = (POLICIES / "readonly.lua").read_text()
LENGTHEN = (POLICIES / "lengthen.lua").read_text()
WATCH = """
haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    haka.alert{ description = "seen", severity = "low" }
end }
"""


class Haka:
    """A run that has begun, until end()."""

    def __init__(self, program, source, policy, *options, out=None):
        path = lab.FOLDER / "policy.lua"
        path.write_text(policy)
        self.out = open(lab.FOLDER / "out.txt", "w+")
        self.err = open(lab.FOLDER / "err.txt", "w+")
        self.process = subprocess.Popen([program, "run", *source, *map(str, options), str(path)],
                                        stdout=out or self.out, stderr=self.err)
        self.wait_for("live on")

    def said(self):
        return (lab.FOLDER / "err.txt").read_text()

    def printed(self):
        return (lab.FOLDER / "out.txt").read_text()

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
    source = doctor = ("-i", "client:server")
    capabilities = ("CAP_NET_ADMIN", "CAP_NET_RAW")
    prefix = 16

    def build(self):
        for host in lab.HOSTS:
            Path(f"/proc/sys/net/ipv6/conf/{host}/disable_ipv6").write_text("1")

    @contextlib.contextmanager
    def without_engine(self):
        """Packets pass meanwhile: the kernel joins the interfaces."""
        lab.run("ip", "link", "add", "join", "type", "bridge")
        for host in lab.HOSTS:
            lab.run("ip", "link", "set", host, "master", "join")
        lab.run("ip", "link", "set", "join", "up")
        try:
            yield
        finally:
            lab.run("ip", "link", "delete", "join")


class Xdp(Pair):
    """The same by AF_XDP: hosts send whole frames with their checksums."""
    name = "-i (xdp)"
    source, doctor = (*Pair.source, "--set", "live.af_xdp=true"), (*Pair.source, "--af-xdp")
    capabilities = (*Pair.capabilities, "CAP_BPF", "CAP_IPC_LOCK")

    def build(self):
        super().build()
        for host in lab.HOSTS:
            lab.run("ethtool", "-K", host, *lab.PLAIN)
            lab.inside(host, "ethtool", "-K", "wire", *lab.PLAIN)


class Queue:
    """A router whose FORWARD chain asks haka."""
    name = "--nfqueue"
    source = doctor = ("--nfqueue", "3")
    capabilities = Pair.capabilities
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
        self.rule("-A")

    def rule(self, how, *more):
        for tables in ("iptables-legacy", "ip6tables-legacy"):
            lab.run(tables, how, "FORWARD", "-j", "NFQUEUE", "--queue-num", "3", *more)

    @contextlib.contextmanager
    def without_engine(self):
        """Packets pass meanwhile, by --queue-bypass."""
        self.rule("-D")
        self.rule("-A", "--queue-bypass")
        try:
            yield
        finally:
            self.rule("-D", "--queue-bypass")
            self.rule("-A")


KINDS = {"pair": Pair, "xdp": Xdp, "queue": Queue}  # By the word of --source.


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
    # A router asks for no IPv6 neighbour before its own addresses are known to be unique.
    until = time.monotonic() + PATIENCE
    while any("tentative" in lab.run("ip", *there, "-6", "-o", "address")
              for there in ((), *(("-n", host) for host in lab.HOSTS))):
        must(time.monotonic() < until, "IPv6 addresses stay tentative")
        time.sleep(0.05)


def must(condition, what):
    if not condition:
        raise RuntimeError(what)


def freeze(process):
    """Stops it, and waits until none of its threads runs: a signal alone takes its time."""
    process.send_signal(signal.SIGSTOP)
    until = time.monotonic() + PATIENCE
    tasks = Path(f"/proc/{process.pid}/task")
    while any((task / "stat").read_text().rpartition(")")[2].split()[0] != "T" for task in tasks.iterdir()):
        must(time.monotonic() < until, "it can't be stopped")
        time.sleep(0.001)


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


class Runner:
    def __init__(self, program, kind):
        self.program, self.kind, self.running = program, kind, None

    def __call__(self, policy, *options):
        return self.over(self.kind.source, policy, *options)

    def over(self, source, policy, *options):
        self.running = Haka(self.program, source, policy, *options)
        return self.running

    def into(self, out, policy, *options):
        self.running = Haka(self.program, self.kind.source, policy, *options, out=out)
        return self.running

    def clean_up(self):
        if self.running and self.running.process.poll() is None:
            self.running.process.kill()
            self.running.process.wait()
