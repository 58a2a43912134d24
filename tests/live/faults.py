#!/usr/bin/env python3
"""Faults: faults.py [--only WORD] HAKA

What the traffic does, and what haka says, when the worker process is killed in mid-transfer, and
when a rule raises, hangs, allocates without end. Exit: 0, 1, or 77 for skipped.
"""
import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import lab  # noqa: E402
from engine import Engine  # noqa: E402
import programs  # noqa: E402

PATIENCE = 40  # s, for one transfer.
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


class Lab:
    def __init__(self, haka, file):
        self.haka, self.file = haka, file
        self.faults = []

    def check(self, holds, text):
        if not holds:
            self.faults.append(text)

    def start(self, policy, *settings):
        path = lab.FOLDER / "policy.lua"
        path.write_text(policy)
        options = [word for setting in ("supervisor.captures=/run/live", *settings)
                   for word in ("--set", setting)]
        return Engine(self.haka, path, *options)

    def curl(self, path="small", port=80, patience=PATIENCE):
        """Its exit status and what it got."""
        done = subprocess.run(
            ["ip", "netns", "exec", "client", "curl", "-sS", "-m", str(patience),
             f"http://192.168.20.1:{port}/{path}"], capture_output=True, check=False)
        return done.returncode, done.stdout

    def download(self, *, rate="20M"):
        """A slow one in the background."""
        got = lab.FOLDER / "home" / "got"
        process = subprocess.Popen(
            ["ip", "netns", "exec", "client", "curl", "-sS", "-m", str(PATIENCE), "--limit-rate", rate,
             "-o", str(got), "http://192.168.20.1/file"], stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 10
        while (not got.exists() or got.stat().st_size < 1_000_000) and time.monotonic() < until:
            time.sleep(0.01)
        return process, got

    def end(self, engine):
        status, said = engine.end()
        self.check(status == 0, f"ended with {status}:\n{said[-2000:]}")
        return said

    def killed(self, *settings):
        """kill -9 in mid-transfer: the transfer comes to its end."""
        engine = self.start(LOOK, *settings)
        transfer, got = self.download()
        os.kill(engine.worker(), signal.SIGKILL)
        engine.wait_for("started again (restart 1)")
        problem = transfer.communicate(timeout=PATIENCE + 5)[1]
        self.check(transfer.returncode == 0, f"the transfer was cut off: {problem}")
        self.check(got.exists() and got.read_bytes() == self.file, "the file differs")
        self.check(self.curl()[0] == 0, "no new connection after the restart")
        said = self.end(engine)
        self.check("killed by signal 9" in said, "the signal isn't named")
        self.check("are in /run/live/haka-fault-" in said, "no last packets")
        kept = sorted(lab.FOLDER.glob("haka-fault-*.pcapng"))
        self.check(kept and kept[-1].stat().st_size > 500, "the file of the last packets is empty")
        got.unlink(missing_ok=True)

    def killed_open(self):
        """The same, and while nobody is there frames pass."""
        self.killed("supervisor.fail_open=true")

    def killed_edited(self):
        """kill -9 while a stream is edited: both ends are reset, nobody hangs."""
        engine = self.start(EDIT)
        transfer, got = self.download()
        os.kill(engine.worker(), signal.SIGKILL)
        begun = time.monotonic()
        transfer.communicate(timeout=PATIENCE + 5)
        self.check(transfer.returncode != 0, "an edited transfer went on")
        self.check(time.monotonic() - begun < 15, "the ends were left hanging")
        got.unlink(missing_ok=True)
        until = time.monotonic() + 10
        while lab.open_connections("server") and time.monotonic() < until:
            time.sleep(0.1)
        self.check(not lab.open_connections("server"), "the server still holds its connection")
        said = self.end(engine)
        self.check("tcp.edit-lost" in said, "tcp.edit-lost isn't counted")

    def raises(self):
        """A rule that raises on every packet: dropped or passed as lua.on_error says."""
        engine = self.start(RAISE)
        self.check(self.curl(patience=3)[0] == 28, "a connection passed a rule that fails")
        said = self.end(engine)
        self.check("on purpose" in said and said.count("on purpose") < 20, "the error isn't told")
        engine = self.start(RAISE, "lua.on_error=accept")
        self.check(self.curl() == (0, b"x" * 1000), "lua.on_error=accept let nothing pass")
        self.end(engine)

    def hangs(self, name, policy, text):
        engine = self.start(policy, "lua.rule_timeout=0.3", "lua.memory_max=64MiB")
        others = []
        stop = threading.Event()

        def ask():
            while not stop.is_set():
                others.append(self.curl()[0])
        thread = threading.Thread(target=ask)
        thread.start()
        self.curl(port=81, patience=20)
        engine.wait_for(f'rule "{name}" is off from now on', patience=30)
        self.check(self.curl(port=81)[0] == 0, "with the rule off, port 81 isn't reached")
        stop.set()
        thread.join()
        self.check(others and not any(others), f"other requests failed: {others}")
        said = self.end(engine)
        self.check(said.count(text) >= 3, f'"{text}" is not told thrice')
        self.check("started again (restart 3)" in said, "not started again three times")

    def loops(self):
        """A rule that loops in compiled code: named, and off after three times."""
        self.hangs("loops", LOOP, "ran longer than lua.rule_timeout")

    def grows(self):
        """A rule that allocates without end: it fails, the packet is dropped, all goes on."""
        engine = self.start(GROW, "lua.memory_max=16MiB")
        self.check(self.curl(port=81, patience=3)[0] == 28, "a connection passed a rule that fails")
        self.check(self.curl() == (0, b"x" * 1000), "other traffic doesn't go on")
        self.check("not enough memory" in self.end(engine), "the limit isn't named")

    def crashes(self):
        """A signal in the worker process is told with the packet."""
        engine = self.start(LOOK)
        self.check(self.curl()[0] == 0, "nothing passes")
        os.kill(engine.worker(), signal.SIGSEGV)
        engine.wait_for("started again (restart 1)")
        self.check(self.curl()[0] == 0, "nothing passes after the restart")
        self.check("signal 11" in self.end(engine), "the signal isn't named")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="")
    parser.add_argument("haka", type=lambda path: str(Path(path).resolve()))
    arguments = parser.parse_args()
    for tool in ("nginx", "curl"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            lab.skip(f"no {tool} here")
    lab.enter()
    lab.build("reno")
    failed = 0
    with programs.Hosts(30_000_000) as hosts:
        (lab.FOLDER / "www" / "small").write_bytes(b"x" * 1000)
        hosts.start("nginx", 80, programs.NGINX.replace("listen 80;", "listen 80; listen 81;"), "-c",
                    lab.FOLDER / "nginx.conf", "-e", lab.FOLDER / "nginx.log")
        for name in ("killed", "killed_open", "killed_edited", "crashes", "raises", "loops", "grows"):
            if arguments.only not in name:
                continue
            here = Lab(arguments.haka, hosts.file.read_bytes())
            begun = time.monotonic()
            try:
                getattr(here, name)()
            except (RuntimeError, subprocess.TimeoutExpired) as problem:
                here.faults.append(str(problem))
            print(f"  {name}: {'ok' if not here.faults else 'FAILED'}, "
                  f"{time.monotonic() - begun:.1f} s", flush=True)
            for fault in here.faults:
                print(f"    {fault}")
            failed += bool(here.faults)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
