"""Two hosts and a bridge between them, in namespaces that end with this process."""
import contextlib
import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

HOSTS = {"client": ("192.168.10.1", "fd00::10"), "server": ("192.168.20.1", "fd00::20")}
TOOLS = ("unshare", "mount", "ip", "ethtool", "ss")
CLONE_NEWNET = 0x40000000
FOLDER = Path("/run/live")  # In memory, ours alone.
# Cards that compute no checksum and join no segments: frames are what a wire carries.
PLAIN = ("rx", "off", "tx", "off", "sg", "off", "tso", "off", "gso", "off", "gro", "off")


def skip(reason):
    print(f"skipped: {reason}")
    sys.exit(77)


def run(*command, **options):
    """What it printed; a failure shows what it said."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          timeout=options.pop("timeout", 60), **options)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit {done.returncode}\n"
                           f"{done.stdout}{done.stderr}")
    return done.stdout


def enter():
    """Runs this script again where it is root of its own network, processes and /run: all that it
    makes is gone when it ends, however it ends."""
    if os.environ.get("LIVE_INSIDE"):
        return
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    for tool in TOOLS:
        if not shutil.which(tool):
            skip(f"no {tool} here")
    if os.geteuid() != 0:
        skip("network namespaces need root")
    unshare = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
    probe = subprocess.run(unshare + ["sh", "-c", "mount -t tmpfs live /run && mkdir /run/netns && "
                                      "ip netns add a && ip link add x type veth peer name y netns a"],
                           capture_output=True, text=True)
    if probe.returncode:
        skip(f"this machine allows no network namespaces: {probe.stderr.strip()}")
    os.environ["LIVE_INSIDE"] = "1"
    os.execvp(unshare[0], unshare + [sys.executable] + sys.argv)


def build(congestion):
    run("mount", "-t", "tmpfs", "live", "/run")
    for folder in ("netns", "sshd", "live"):
        os.mkdir(f"/run/{folder}", 0o755)
    for host, (v4, v6) in HOSTS.items():
        run("ip", "netns", "add", host)
        run("ip", "link", "add", host, "type", "veth", "peer", "name", "wire", "netns", host)
        Path(f"/proc/sys/net/ipv6/conf/{host}/disable_ipv6").write_text("1")
        run("ethtool", "-K", host, *PLAIN)
        inside(host, "ethtool", "-K", "wire", *PLAIN)
        run("ip", "-n", host, "link", "set", "lo", "up")
        run("ip", "-n", host, "address", "add", f"{v4}/16", "dev", "wire")
        run("ip", "-n", host, "address", "add", f"{v6}/64", "dev", "wire", "nodad")
        run("ip", "-n", host, "link", "set", "wire", "up")
        run("ip", "link", "set", host, "up")
        # What one transfer learns of the path must not help the next.
        inside(host, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/tcp_no_metrics_save")
        # By route: the system may not let a namespace choose it for all.
        for family, network, metric in (("-4", "192.168.0.0/16", 0), ("-6", "fd00::/64", 256)):
            run("ip", "-n", host, family, "route", "replace", network, "dev", "wire", "proto",
                "kernel", "metric", metric, "congctl", congestion)
    # Neighbours are known, so that a lost question for one is no part of any result.
    for host, other in (("client", "server"), ("server", "client")):
        link = inside(other, "cat", "/sys/class/net/wire/address").strip()
        for address in HOSTS[other]:
            run("ip", "-n", host, "neighbour", "replace", address, "lladdr", link, "dev", "wire",
                "nud", "permanent")


def inside(host, *command, **options):
    return run("ip", "netns", "exec", host, *command, **options)


@contextlib.contextmanager
def at(host):
    """Sockets made meanwhile belong to that host."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{host}") as there:
        if libc.setns(there.fileno(), CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
        try:
            yield
        finally:
            libc.setns(home.fileno(), CLONE_NEWNET)


def tcp_counters(host):
    """The kernel's: RetransSegs, OutRsts, EstabResets, InCsumErrors, PAWSEstab and many others."""
    counters = {}
    lines = inside(host, "cat", "/proc/net/snmp", "/proc/net/netstat").splitlines()
    for names, values in zip(lines[::2], lines[1::2]):
        if names.startswith(("Tcp:", "TcpExt:")):
            counters.update(zip(names.split()[1:], map(int, values.split()[1:])))
    return counters


def open_connections(host, more=""):
    """Those that have not ended on both sides, as ss shows them."""
    lines = inside(host, "ss", f"-HtanO{more}", "state", "connected").splitlines()
    return [" ".join(line.split()) for line in lines if not line.startswith("TIME-WAIT")]


class Bridge:
    """live_bridge at work, and what it said at its end."""

    def __init__(self, program, policy, *, loss=0.0, reorder=0.0, delay=0.0, seed=1, settings=(),
                 capture=None):
        command = [program, "--loss-before", str(loss), "--loss-behind", str(loss), "--reorder",
                   str(reorder), "--delay", str(delay), "--seed", str(seed)]
        command += ["--policy", str(policy)] if policy else ["--none"]
        for setting in settings:
            command += ["--set", setting]
        self.said = ""
        self.recorders = []
        self.log = open(FOLDER / "bridge.log", "w+")
        self.process = subprocess.Popen(command + list(HOSTS), stdout=subprocess.PIPE, text=True,
                                        stderr=self.log)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the bridge did not start:\n{self.end()}")
        for host in HOSTS if capture else ():
            self.recorders.append(subprocess.Popen(
                ["tcpdump", "-i", host, "-s", "160", "-B", "65536", "-U", "--immediate-mode", "-Z",
                 "root", "-w", f"{capture}-{host}.pcap"], stderr=subprocess.DEVNULL))

    def end(self):
        for process in [self.process] + self.recorders:
            process.send_signal(signal.SIGTERM)
        try:
            self.said += self.process.communicate(timeout=20)[0]
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.said += "the bridge did not end and was killed\n" + self.process.communicate()[0]
        for recorder in self.recorders:
            recorder.wait(10)
        self.recorders = []
        self.log.seek(0)
        return self.log.read()[:2000] + self.said


def listen(host, port):
    with at(host):
        socket_ = socket.socket(socket.AF_INET)
    socket_.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    socket_.bind((HOSTS[host][0], port))
    socket_.listen()
    return socket_


def internet_sum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def ping(address, size=56, *, count=1, ttl=64, patience=5, gap=0.05):
    """The client's echoes, one after the other; a TimeoutError for the one that doesn't come back."""
    is_v6 = ":" in address
    with at("client"):
        asker = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_RAW,
                              socket.IPPROTO_ICMPV6 if is_v6 else socket.IPPROTO_ICMP)
    with asker:
        asker.setsockopt(*((socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) if is_v6 else
                           (socket.IPPROTO_IP, socket.IP_TTL)), ttl)
        asker.connect((address, 0))
        for number in range(count):
            name = os.urandom(2) + struct.pack("!H", number)
            body = name + os.urandom(size)
            head = struct.pack("!BBH", 128 if is_v6 else 8, 0, 0)
            if not is_v6:
                head = head[:2] + struct.pack("!H", internet_sum(head + body))
            asker.send(head + body)
            until = time.monotonic() + patience
            came = b""
            while came[4:] != body or came[0] != (129 if is_v6 else 0):
                asker.settimeout(max(0.001, until - time.monotonic()))
                came = asker.recv(65536)
                came = came if is_v6 else came[(came[0] & 15) * 4:]
            time.sleep(gap if number + 1 < count else 0)
