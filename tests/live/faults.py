#!/usr/bin/env python3
"""Faults: faults.py [--only WORD] [--source pair|xdp|queue] HAKA

What the traffic does, and what haka says, with two workers: when the worker process or the
supervisor is killed in mid-transfer, a rule raises, hangs, allocates without end, the policy is
broken by the time it is needed, the disk is full, a link goes, more comes than is walked. Exit: 0,
1, or 77 for skipped.
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import engine  # noqa: E402
import lab  # noqa: E402
import programs  # noqa: E402

PATIENCE = 40  # s, for one transfer.
HOME = lab.HOSTS["server"][0]
LOOK = """
haka.rule{ name = "look", hooks = { "tcp-connection-up" }, readonly = true,
           eval = function (self, pkt) pkt.stream:read() end }
"""
EDIT = """
haka.rule{ name = "edit", hooks = { "tcp-connection-up" }, eval = function (self, pkt)
    if not pkt.direction and not self[pkt.connection.id] then
        self[pkt.connection.id] = true
        pkt.stream:replace(4, "HTTP")
    end
    pkt.stream:read()
end }
"""
# A second of loading, about: for so long nobody is there after a fault.
SLOW = "local n = 0 for i = 1, 1e8 do n = n + i % 3 end\n"
# Everything behind comes later by a line: what passes untranslated is seen at once.
LENGTHEN = """
haka.rule{ name = "lengthens", hooks = { "tcp-connection-up" }, eval = function (self, pkt)
    if not pkt.direction and not self[pkt.connection.id] then
        self[pkt.connection.id] = true
        pkt.stream:advance(17)
        pkt.stream:insert("X-Longer: by a line\\r\\n")
    end
    pkt.stream:read()
end }
"""
# Held until there is much of it, so acknowledged here and not by the receiver; never changed.
HOLD = """
haka.rule{ name = "holds", hooks = { "tcp-connection-up" }, streamed = true, eval = function (self, pkt)
    if pkt.direction then return end
    while pkt.stream:wait(30000) > 0 do pkt.stream:advance(pkt.stream:available()) end
end }
"""
RAISE = """
haka.rule{ name = "raises", hooks = { "tcp-up" }, eval = function () error("on purpose") end }
"""
# Port 81 only, so that other traffic shows that all goes on.
LOOP = """
haka.rule{ name = "loops", hooks = { "tcp-connection-new" }, eval = function (self, pkt)
    local n = 0
    while pkt.connection.dstport == 81 do n = n + 1 end
end }
"""
GROW = """
haka.rule{ name = "grows", hooks = { "tcp-connection-new" }, eval = function (self, pkt)
    local all = {}
    while pkt.connection.dstport == 81 do all[#all + 1] = ("x"):rep(1000) .. #all end
end }
"""


# Some milliseconds for each datagram.
BUSY = """
haka.rule{ name = "busy", hooks = { "udp-up" }, eval = function ()
    local n = 0
    for i = 1, 3e6 do n = n + i % 3 end
end }
"""
ALERT = """
haka.rule{ name = "tells", hooks = { "tcp-connection-new" }, eval = function ()
    haka.alert{ description = ("long "):rep(1500) }
end }
"""


class Lab:
    def __init__(self, arguments, place, file):
        self.haka, self.source, self.place, self.file = arguments.haka, arguments.source, place, file
        self.faults, self.figures = [], []
        self.engine = None

    def check(self, holds, text):
        if not holds:
            self.faults.append(text)

    def write(self, policy):
        path = lab.FOLDER / "policy.lua"
        path.write_text(policy)
        return path

    def start(self, policy, *settings, options=(), place=None):
        words = [word for setting in ("supervisor.captures=/run/live", "control.socket=/run/live/control.sock",
                                      *settings) for word in ("--set", setting)]
        self.engine = engine.Engine(self.haka, self.write(policy), *words, *map(str, options),
                                    source=place or self.place)
        return self.engine

    def curl(self, path="small", port=80, patience=PATIENCE, server=HOME):
        """Its exit status and what it got."""
        done = subprocess.run(
            ["ip", "netns", "exec", "client", "curl", "-sS", "-m", str(patience),
             f"http://{server}:{port}/{path}"], capture_output=True, check=False)
        return done.returncode, done.stdout

    def download(self, server=HOME, *, rate="20M"):
        """A slow one in the background."""
        got = lab.FOLDER / "home" / f"got-{server}"
        got.unlink(missing_ok=True)
        process = subprocess.Popen(
            ["ip", "netns", "exec", "client", "curl", "-sS", "-m", str(PATIENCE), "--limit-rate", rate,
             "-o", str(got), f"http://{server}/file"], stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 10
        while (not got.exists() or got.stat().st_size < 1_000_000) and time.monotonic() < until:
            time.sleep(0.01)
        return process, got

    def end(self, running, status=0):
        got, said = running.end()
        self.check(got == status, f"ended with {got}:\n{said[-2000:]}")
        return said

    def outage(self, fault):
        """Does what is wrong while an echo leaves every 10 ms; how long none came back."""
        pings = subprocess.Popen(["ip", "netns", "exec", "client", "ping", "-D", "-i", "0.01", HOME], text=True,
                                 stdout=subprocess.PIPE)
        time.sleep(0.5)
        fault()
        time.sleep(1)
        pings.send_signal(signal.SIGINT)
        times = [float(at) for at in re.findall(r"^\[([\d.]+)\] \d+ bytes", pings.communicate(timeout=20)[0], re.M)]
        longest = max(later - earlier for earlier, later in zip(times, times[1:]))
        self.figures.append(f"nothing passed for {longest * 1000:.0f} ms")

    def killed(self, *settings, place=None):
        """kill -9 in mid-transfer: transfers through both workers come to their end, nobody is reset."""
        before = {host: lab.tcp_counters(host) for host in lab.HOSTS}
        running = self.start(LOOK, *settings, place=place)
        transfers = [self.download(server) for server in SERVERS]

        def fault():
            os.kill(running.worker(), signal.SIGKILL)
            running.wait_for("started again (restart 1)")
        self.outage(fault)
        for transfer, got in transfers:
            problem = transfer.communicate(timeout=PATIENCE + 5)[1]
            self.check(transfer.returncode == 0, f"the transfer was cut off: {problem}")
            self.check(got.exists() and got.read_bytes() == self.file, "the file differs")
        self.check(self.curl()[0] == 0, "no new connection after the restart")
        said = self.end(running)
        for host in lab.HOSTS:
            rsts = lab.tcp_counters(host)["OutRsts"] - before[host]["OutRsts"]
            self.check(rsts == 0, f"{host} sent {rsts} RSTs")
        self.check("killed by signal 9" in said, "the signal isn't named")
        self.check("are in /run/live/haka-fault-" in said, "no last packets")
        kept = sorted(lab.FOLDER.glob("haka-fault-*.pcapng"))
        # It may have been the first one of its connection, or none of TCP.
        self.check(kept and b"at work" in kept[-1].read_bytes(), "the packet at work wasn't kept")
        self.check(all(file.stat().st_mode & 0o777 == 0o600 for file in kept), "others may read the last packets")

    def killed_open(self):
        """The same, and while nobody is there packets pass."""
        if self.source != "queue":
            self.killed("supervisor.fail_open=true")
            return
        queues = self.place[1]
        rule = ("FORWARD", "1", "-j", "NFQUEUE", "--queue-balance", queues)
        lab.run("iptables-legacy", "-R", *rule, "--queue-bypass")
        self.killed()
        lab.run("iptables-legacy", "-R", *rule)

    def cut_off(self, policy, *settings, wanted=None):
        """kill -9 while streams are edited or held: no wrong byte comes, both ends are reset, nobody hangs."""
        running = self.start(policy, *settings)
        transfer, got = self.download()
        os.kill(running.worker(), signal.SIGKILL)
        begun = time.monotonic()
        transfer.communicate(timeout=PATIENCE + 5)
        self.check(transfer.returncode != 0, "an edited transfer went on")
        self.check(time.monotonic() - begun < 15, "the ends were left hanging")
        came = got.read_bytes()
        self.check((wanted or self.file).startswith(came), f"wrong bytes came among {len(came)}")
        until = time.monotonic() + 10
        while lab.open_connections("server") and time.monotonic() < until:
            time.sleep(0.1)
        self.check(not lab.open_connections("server"), "the server still holds its connection")
        self.check("tcp.edit-lost" in self.end(running), "tcp.edit-lost isn't counted")

    def killed_edited(self):
        self.cut_off(EDIT)

    def killed_lengthened(self):
        """Packets pass while nobody is there, but none whose numbers only the dead one knew."""
        self.cut_off(SLOW + LENGTHEN, "supervisor.fail_open=true", "lua.rule_timeout=8")

    def killed_holding(self):
        """What was acknowledged in the receiver's name is lost: nobody waits for it for ever."""
        self.cut_off(HOLD)

    def orphaned(self):
        """kill -9 of the supervisor: the worker process ends as asked, and the next engine begins at once."""
        running = self.start(LOOK, options=("--eve", "/run/live/eve.json"))
        transfer, got = self.download()
        worker = running.worker()
        running.kill()
        until = time.monotonic() + 10
        while engine.runs(worker) and time.monotonic() < until:
            time.sleep(0.01)
        self.check(not engine.runs(worker), "the worker process is still there")
        self.check("connections" in running.said(), "no summary")
        self.check(not Path("/run/live/control.sock").exists(), "its control socket is still there")
        running = self.start(LOOK, "tcp.midstream=accept")
        transfer.communicate(timeout=PATIENCE + 5)
        self.check(transfer.returncode == 0 and got.read_bytes() == self.file, "the transfer was cut off")
        self.end(running)

    def spoilt(self):
        """The policy is broken by the time a fault calls for it: tried again until it is mended."""
        running = self.start(LOOK)
        transfer, got = self.download()
        self.write("nonsense(")
        os.kill(running.worker(), signal.SIGKILL)
        running.wait_for("policy.lua:1")
        running.wait_for("tried again in")
        self.write(LOOK)
        running.wait_for("live on", 2)
        transfer.communicate(timeout=PATIENCE + 5)
        self.check(transfer.returncode == 0 and got.read_bytes() == self.file, "the transfer was cut off")
        self.end(running)

    def raises(self):
        """A rule that raises on every packet: dropped or passed as lua.on_error says."""
        running = self.start(RAISE)
        self.check(self.curl(patience=3)[0] == 28, "a connection passed a rule that fails")
        said = self.end(running)
        self.check("on purpose" in said and said.count("on purpose") < 20, "the error isn't told")
        running = self.start(RAISE, "lua.on_error=accept")
        self.check(self.curl() == (0, b"x" * 1000), "lua.on_error=accept let nothing pass")
        self.end(running)

    def loops(self):
        """A rule that loops in compiled code: named with its packet, and off after three times."""
        running = self.start(LOOP, "lua.rule_timeout=0.3", "lua.memory_max=64MiB")
        others = []
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                others.append(self.curl()[0])
        thread = threading.Thread(target=ask)
        thread.start()
        self.curl(port=81, patience=20)
        running.wait_for('rule "loops" is off from now on', patience=30)
        self.check(self.curl(port=81)[0] == 0, "with the rule off, port 81 isn't reached")
        stop.set()
        thread.join()
        self.check(others and not any(others), f"other requests failed: {others}")
        said = self.end(running)
        told = re.findall(r'rule "loops" \(.*policy.lua:\d+\) on packet \d+ ran longer than lua.rule_timeout', said)
        self.check(len(told) >= 3, "rule, place and packet are not told thrice")
        self.check("started again (restart 3)" in said, "not started again three times")

    def grows(self):
        """A rule that allocates without end: it fails, the packet is dropped, all goes on."""
        running = self.start(GROW, "lua.memory_max=16MiB")
        self.check(self.curl(port=81, patience=3)[0] == 28, "a connection passed a rule that fails")
        self.check(self.curl() == (0, b"x" * 1000), "other traffic doesn't go on")
        self.check("not enough memory" in self.end(running), "the limit isn't named")

    def crashes(self):
        """A signal in the worker process is told."""
        running = self.start(LOOK)
        self.check(self.curl()[0] == 0, "nothing passes")
        os.kill(running.worker(), signal.SIGSEGV)
        running.wait_for("started again (restart 1)")
        self.check(self.curl()[0] == 0, "nothing passes after the restart")
        self.check("signal 11" in self.end(running), "the signal isn't named")

    def full(self):
        """No room for -w and --eve: each is told once, traffic goes on; moved away and opened anew, it is written
        again; what is there can be read."""
        small = lab.FOLDER / "full"
        small.mkdir(exist_ok=True)
        lab.run("mount", "-t", "tmpfs", "-o", "size=1m", "full", small)
        running = self.start(ALERT, options=("--eve", small / "eve.json", "-w", small / "out.pcapng"))
        transfer, got = self.download()
        for _ in range(100):
            self.curl()
        transfer.communicate(timeout=PATIENCE + 5)
        self.check(transfer.returncode == 0 and got.read_bytes() == self.file, "the transfer was cut off")
        running.wait_for("out.pcapng: No space left")
        running.wait_for("eve.json: No space left")
        kept = small / "out.pcapng"
        read = subprocess.run([self.haka, "run", "-q", "-r", kept, self.write("")], capture_output=True, text=True,
                              check=False)
        self.check(read.returncode == 0, f"the capture can't be read: {read.stderr}")
        for line in (small / "eve.json").read_text().splitlines():
            json.loads(line)
        for name in ("out.pcapng", "eve.json"):
            shutil.move(small / name, lab.FOLDER / f"old-{name}")
        running.process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + 20
        seen = running.said().count("rule tells")
        # Both: what is moved away takes its room until it is no longer open.
        while not (kept.exists() and (small / "eve.json").exists()) and time.monotonic() < until:
            time.sleep(0.05)
        self.check(self.curl()[0] == 0, "nothing passes any more")
        said = self.end(running, status=1)
        self.check(said.count("traffic goes on") == 2, "not told once each")
        self.check("events that came later are not written" in said, "what is lost isn't counted")
        # Before the newest event may stand others that were on their way to the file.
        events = [json.loads(line) for line in (small / "eve.json").read_text().splitlines()]
        newest = max(map(int, re.findall(r"packet (\d+)  alert", said)))
        self.check(said.count("rule tells") > seen and events and events[-1]["pcap_cnt"] == newest,
                   f"the EVE file isn't written again: {len(events)} events, {said[-1000:]}")
        self.check(kept.stat().st_size > 500, "the capture isn't written again")
        lab.run("umount", small)

    def unplugged(self):
        """A link that goes and comes in mid-transfer: told, and the transfer goes on."""
        running = self.start(LOOK)
        transfer, got = self.download()
        for state in ("down", "up"):
            lab.run("ip", "link", "set", "server", state)
            time.sleep(1.5)
        transfer.communicate(timeout=PATIENCE + 5)
        self.check(transfer.returncode == 0 and got.read_bytes() == self.file, "the transfer was cut off")
        said = self.end(running)
        if self.source != "queue":
            self.check("server: the interface is down" in said and "server: the interface is up again" in said,
                       "it isn't told")

    def gone(self):
        """An interface that is deleted ends the run, and says so."""
        if self.source == "queue":
            return
        lab.run("ip", "link", "add", "one", "type", "veth", "peer", "name", "other")
        for name in ("one", "other"):
            lab.run("ip", "link", "set", name, "up")
        running = self.start(LOOK, place=("-i", "one:server", "-j", "2"))
        lab.run("ip", "link", "delete", "one")
        self.check(running.process.wait(20) == 1, "it went on, or ended well")
        self.check("one: the interface is gone" in running.said(), "it isn't told")

    def overrun(self):
        """More comes than is walked: what is lost is told and counted, the rest goes on."""
        running = self.start(BUSY, "nfqueue.length_max=64", "live.ring_frames=63",
                             options=("--metrics", "127.0.0.1:9477"))
        flood = ("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                 f"for i in range(5000): s.sendto(b'x' * 100, ('{HOME}', 9))")
        lab.inside("client", sys.executable, "-c", flood)
        running.wait_for("come faster than they are walked")
        self.check(self.curl() == (0, b"x" * 1000), "nothing passes any more")
        page = lab.run("curl", "-s", "http://127.0.0.1:9477/metrics")
        lost = sum(map(float, re.findall(r"^haka_kernel_drops_total\{.*\} (\S+)", page, re.M)))
        self.check(lost > 100, f"{lost} lost packets are counted")
        self.end(running)

    def asked_to_end(self):
        """SIGTERM under load: summary, status 0."""
        running = self.start(LOOK, options=("--eve", "/run/live/eve.json", "-w", "/run/live/end.pcapng"))
        transfers = [self.download(server) for server in SERVERS]
        begun = time.monotonic()
        said = self.end(running)
        self.figures.append(f"ended within {time.monotonic() - begun:.2f} s")
        self.check("packets" in said and "connections" in said, "no summary")
        for transfer, _ in transfers:
            transfer.kill()
            transfer.communicate()


TESTS = ("killed", "killed_open", "killed_edited", "killed_lengthened", "killed_holding", "orphaned", "spoilt", "crashes",
         "raises", "loops", "grows", "full", "unplugged", "gone", "overrun", "asked_to_end")
SERVERS = (HOME, "192.168.20.103")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("--source", choices=engine.stand.KINDS, default="pair")
    parser.add_argument("haka", type=lambda path: str(Path(path).resolve()))
    arguments = parser.parse_args()
    for tool in ("nginx", "curl"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            lab.skip(f"no {tool} here")
    lab.enter()
    place = engine.lay(arguments.source, workers=2)
    engine.add_addresses(arguments.source, "server", 4)
    lab.run("ip", "link", "set", "lo", "up")
    failed = 0
    with programs.Hosts(30_000_000) as hosts:
        (lab.FOLDER / "www" / "small").write_bytes(b"x" * 1000)
        hosts.start("nginx", 80, programs.NGINX.replace("listen 80;", "listen 80; listen 81;"), "-c",
                    lab.FOLDER / "nginx.conf", "-e", lab.FOLDER / "nginx.log")
        for name in TESTS:
            if arguments.only not in name:
                continue
            here = Lab(arguments, place, hosts.file.read_bytes())
            begun = time.monotonic()
            try:
                getattr(here, name)()
            except (OSError, RuntimeError, subprocess.TimeoutExpired) as problem:
                here.faults.append(str(problem))
            if here.engine:
                here.engine.clean_up()
            print(f"  {arguments.source} {name}: {'ok' if not here.faults else 'FAILED'}, "
                  f"{time.monotonic() - begun:.1f} s{''.join('; ' + figure for figure in here.figures)}", flush=True)
            for fault in here.faults:
                print(f"    {fault}")
            failed += bool(here.faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
