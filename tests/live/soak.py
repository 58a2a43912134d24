#!/usr/bin/env python3
"""Hours under load: soak.py [--minutes 30] [--source pair|queue|both] HAKA

Two hosts with haka -j 2 between them, every response edited: wrk on small pages, downloads of a
large file whose digest is known, a reload every 15 s (each fifth policy is wrong), files opened
anew, the control socket and the metrics page asked all the time. The memory of both processes is
sampled every 10 s. Ends with its slope, and says whether anything went wrong. Exit: 0, 1, or 77
for skipped.
"""
import argparse
import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import engine  # noqa: E402
import lab  # noqa: E402
import programs  # noqa: E402

SAMPLE_EVERY, RELOAD_EVERY, ASK_EVERY, TELL_EVERY, ROUND = 10, 15, 2, 60, 30  # s
PATIENCE = 120  # s, for one download.
BULK = 20_000_000
MARK, MARKED, MARK_EVERY = b"<old>", b"<new>", 10_000
PORT = 9477
# While tables and pools fill up; then memory may follow the load, and no more.
WARM_UP = 1 / 3  # Of the time.
GROWTH_MAX = 0.05  # Of the mean, over the time that is measured,
GROWTH_KIB = 2048  # or so much, whatever is more.
NGINX = programs.NGINX.replace("listen 80;", "listen 80; listen 81;").replace("connections 64", "connections 512")
POLICY = """
haka.rule{ name = "hands on", hooks = { "tcp-connection-new" }, eval = function (self, pkt)
    if pkt.tcp.dstport == 80 then pkt.next_dissector = "http" end
end }
haka.rule{ name = "heads", hooks = { "http-response" }, eval = function (self, pkt)
    pkt.response.headers["X-Soak"] = "generation %d"
end }
haka.rule{ name = "marks", hooks = { "tcp-connection-up" }, streamed = true, eval = function (self, pkt)
    local stream = pkt.stream
    if pkt.direction or pkt.connection.dstport ~= 81 or stream:wait(17) < 17 then return end
    stream:advance(17)  -- The status line.
    stream:insert("X-Soak: a line longer\\r\\n")
    while stream:wait(5) >= 5 do
        local at = stream:find("<old>")
        if at then
            stream:advance(at)
            stream:replace(5, "<new>")
        else
            stream:advance(stream:available() - 4)
        end
    end
end }
"""


def slope(samples):
    """KiB a minute, by least squares."""
    if len(samples) < 2:
        return 0.0
    times, values = [at / 60 for at, _ in samples], [value for _, value in samples]
    mean_time, mean = sum(times) / len(times), sum(values) / len(values)
    return (sum((at - mean_time) * (value - mean) for at, value in zip(times, values)) /
            sum((at - mean_time) ** 2 for at in times))


class Soak:
    def __init__(self, haka, source, minutes):
        self.haka, self.source, self.seconds = haka, source, minutes * 60
        self.faults = []
        self.memory = {"worker process": [], "supervisor": []}
        self.counts = dict.fromkeys(("requests", "downloads", "reloads", "refused", "asked"), 0)
        self.counters = {}
        self.ending = threading.Event()
        self.lock = threading.Lock()

    def fault(self, text):
        with self.lock:
            if len(self.faults) < 20:
                print(f"{self.source}: FAULT after {time.monotonic() - self.begun:.0f} s: {text}", flush=True)
                self.faults.append(text)

    def count(self, what, number=1):
        with self.lock:
            self.counts[what] += number

    def every(self, seconds, work):
        """Does `work` again and again, in a thread of its own."""
        def run():
            while not self.ending.wait(seconds):
                try:
                    work()
                except Exception as problem:  # noqa: BLE001: whatever it is, it's a fault.
                    self.fault(f"{work.__name__}: {type(problem).__name__}: {problem}")
        thread = threading.Thread(target=run)
        thread.start()
        return thread

    # What runs side by side.

    def small(self):
        """wrk for a while, to one address of the server: keep-alive, and a connection a request."""
        server = random.choice(self.servers)
        more = random.choice(((), ("-H", "Connection: close")))
        seconds = max(1, min(ROUND, int(self.left())))
        said = lab.inside("client", "wrk", "-t1", "-c8", f"-d{seconds}s", "--timeout", "20s", *more,
                          f"http://{server}/small", timeout=ROUND + 60)
        requests = re.search(r"(\d+) requests in", said)
        self.count("requests", int(requests[1]) if requests else 0)
        if not requests or int(requests[1]) == 0 or "Socket errors" in said or "Non-2xx" in said:
            self.fault(f"wrk: {said}")

    def bulk(self):
        """One download; its head is longer, its marks are other ones, and nothing else changes."""
        server, home = random.choice(self.servers), lab.FOLDER / "home"
        lab.inside("client", "curl", "-sS", "-f", "-m", PATIENCE, "-D", home / "head", "-o", home / "bulk",
                   f"http://{server}:81/bulk", timeout=PATIENCE + 10)
        if "X-Soak: a line longer" not in (home / "head").read_text():
            self.fault("a download's head was not edited")
        got = hashlib.sha256((home / "bulk").read_bytes()).hexdigest()
        if got != self.wanted:
            self.fault(f"a download has digest {got}, not {self.wanted}")
        self.count("downloads")

    def page(self):
        """One page through the rules on HTTP."""
        said = lab.inside("client", "curl", "-sS", "-f", "-i", "-m", 20, f"http://{random.choice(self.servers)}/small")
        head, _, body = said.partition("\n\n")
        if "X-Soak: generation" not in head or body.encode() != engine.SMALL:
            self.fault(f"a page came as {said[:300]!r}")

    def reload(self):
        """Another policy, and the files anew; each fifth policy is wrong, and the one before goes on."""
        number = self.counts["reloads"] + self.counts["refused"] + 1
        wrong = number % 5 == 0
        self.policy.write_text("nonsense(" if wrong else POLICY % number)
        status, said = self.ctl("reload")
        if wrong != (status == 1) or ("policy.lua:1" if wrong else "reloaded: generation") not in said:
            self.fault(f"reload {number}: {status}: {said}")
        self.count("refused" if wrong else "reloads")
        old = self.eve.with_name("old.json")
        self.eve.rename(old)
        self.engine.process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + 20
        while not self.eve.exists() and time.monotonic() < until:
            time.sleep(0.05)
        lines = old.read_text().splitlines()
        for line in lines[:100] + lines[-100:]:
            json.loads(line)
        old.unlink()

    def ctl(self, *words):
        done = subprocess.run([self.haka, "ctl", "--socket", str(self.control), *words], text=True,
                              capture_output=True, timeout=60, check=False)
        return done.returncode, done.stdout + done.stderr

    def ask(self):
        """Every question of the control socket, and the metrics page: no counter goes back."""
        for words in (("status",), ("--json", "stats"), ("connections", "port=81"), ("rules",)):
            status, said = self.ctl(*words)
            if status:
                self.fault(f"ctl {words}: {said}")
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=20) as page:
            text = page.read().decode()
        kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)", text, re.M))
        for name, labels, value in re.findall(r"^(\w+)(\{.*\})? (\S+)$", text, re.M):
            if kinds.get(name) == "counter" or re.sub(r"_(bucket|count|sum)$", "", name) in kinds and name not in kinds:
                before = self.counters.get((name, labels), 0.0)
                if float(value) < before:
                    self.fault(f"{name}{labels} went from {before} to {value}")
                self.counters[name, labels] = float(value)
        self.count("asked")

    def sample(self):
        now = time.monotonic() - self.begun
        worker = self.engine.worker()
        if worker != self.worker:
            self.fault(f"the worker process was {self.worker} and is {worker}")
            self.worker = worker
        self.memory["worker process"].append((now, engine.memory(worker)))
        self.memory["supervisor"].append((now, engine.memory(self.engine.process.pid)))

    def tell(self):
        figures = ", ".join(f"{what} {number}" for what, number in self.counts.items())
        memory = ", ".join(f"{process} {samples[-1][1]} KiB" for process, samples in self.memory.items() if samples)
        print(f"{self.source}: {(time.monotonic() - self.begun) / 60:.1f} min: {figures}; {memory}", flush=True)

    def left(self):
        return self.begun + self.seconds - time.monotonic()

    # The whole.

    def start(self):
        self.policy, self.eve = lab.FOLDER / "policy.lua", lab.FOLDER / "eve.json"
        self.control = lab.FOLDER / "control.sock"
        place = engine.lay(self.source, workers=2)
        self.policy.write_text(POLICY % 0)
        lab.run("ip", "link", "set", "lo", "up")
        self.servers = engine.add_addresses(self.source, "server", 8)
        block = random.Random(7).randbytes(MARK_EVERY - len(MARK)).replace(b"<", b"(")
        whole = (block + MARK) * (BULK // MARK_EVERY)
        self.wanted = hashlib.sha256(whole.replace(MARK, MARKED)).hexdigest()
        return place, whole

    def run(self):
        place, whole = self.start()
        with programs.Hosts(1000) as hosts:
            (lab.FOLDER / "www" / "small").write_bytes(engine.SMALL)
            (lab.FOLDER / "www" / "bulk").write_bytes(whole)
            hosts.start("nginx", 80, NGINX, "-c", lab.FOLDER / "nginx.conf", "-e", lab.FOLDER / "nginx.log")
            self.engine = engine.Engine(
                self.haka, self.policy, "--eve", str(self.eve), "--metrics", f"127.0.0.1:{PORT}", "--set",
                f"control.socket={self.control}", "--set", f"supervisor.captures={lab.FOLDER}", source=place)
            self.worker = self.engine.worker()
            self.begun = time.monotonic()
            threads = [self.every(0, self.small), self.every(0, self.small), self.every(0, self.bulk),
                       self.every(1, self.page), self.every(RELOAD_EVERY, self.reload),
                       self.every(ASK_EVERY, self.ask), self.every(SAMPLE_EVERY, self.sample),
                       self.every(TELL_EVERY, self.tell)]
            while self.left() > 0 and self.engine.process.poll() is None:
                time.sleep(0.2)
            self.ending.set()
            for thread in threads:
                thread.join()
            begun = time.monotonic()
            status, said = self.engine.end()
        if status or "restart" in said:
            self.fault(f"haka ended with {status}")
        self.tell()
        print(f"{self.source}: ended with status {status} in {time.monotonic() - begun:.2f} s", flush=True)
        print("\n".join(f"{self.source}: | {line}" for line in said.splitlines() if " reload" not in line
                        and "policy.lua:1" not in line))
        return self.judge()

    def judge(self):
        for process, samples in self.memory.items():
            measured = [sample for sample in samples if sample[0] > self.seconds * WARM_UP]
            if len(measured) < 3:
                print(f"{self.source}: {process}: too short a time to judge its memory")
                continue
            values = [value for _, value in measured]
            mean, rate = sum(values) / len(values), slope(measured)
            growth = rate * (measured[-1][0] - measured[0][0]) / 60
            flat = growth <= max(mean * GROWTH_MAX, GROWTH_KIB)
            print(f"{self.source}: {process}: mean {mean:.0f} KiB, {min(values)} to {max(values)}, "
                  f"slope {rate:+.1f} KiB a minute: {'flat' if flat else 'GROWS'}")
            if not flat:
                self.faults.append(f"the memory of the {process} grows")
        for what in ("requests", "downloads", "reloads", "refused", "asked"):
            if not self.counts[what]:
                self.faults.append(f"no {what}")
        print(f"{self.source}: {'; '.join(self.faults) if self.faults else 'no fault'}", flush=True)
        return 1 if self.faults else 0


def both(arguments):
    """Side by side, each in namespaces of its own."""
    ran = [subprocess.Popen([sys.executable, __file__, "--minutes", str(arguments.minutes), "--source", source,
                             arguments.haka]) for source in ("pair", "queue")]
    return max(process.wait() for process in ran)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--source", choices=("pair", "queue", "both"), default="both")
    parser.add_argument("haka", type=lambda path: str(Path(path).resolve()))
    arguments = parser.parse_args()
    for tool in ("nginx", "curl", "wrk"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            lab.skip(f"no {tool} here")
    if arguments.source == "both":
        return both(arguments)
    lab.enter()
    return Soak(arguments.haka, arguments.source, arguments.minutes).run()


if __name__ == "__main__":
    sys.exit(main())
