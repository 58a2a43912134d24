"""haka run between two hosts, on either kind of source."""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import lab
import stand

FIRST_QUEUE = 3
SMALL = b"x" * 1000  # What /small is.


def lay(source, workers=1):
    """Two hosts with haka's place between them; returns the options of haka that fill it."""
    if source == "queue" and not shutil.which("iptables-legacy"):
        lab.skip("no iptables-legacy here")
    kind = stand.KINDS[source]()
    stand.build(kind)
    if source == "pair":
        return (*kind.source, "-j", str(workers))
    if workers == 1 or source == "xdp":  # It takes one worker.
        return kind.source
    queues = f"{FIRST_QUEUE}:{FIRST_QUEUE + workers - 1}"
    for tables in ("iptables-legacy", "ip6tables-legacy"):
        lab.run(tables, "-R", "FORWARD", "1", "-j", "NFQUEUE", "--queue-balance", queues)
    return ("--nfqueue", queues)


def add_addresses(source, host, count):
    """More addresses of a host: packets are spread by address pair, so all workers have work."""
    bits = 24 if source == "queue" else 16
    network = lab.HOSTS[host][0].rpartition(".")[0]
    addresses = [f"{network}.{last}" for last in range(100, 100 + count)]
    for address in addresses:
        lab.run("ip", "-n", host, "address", "add", f"{address}/{bits}", "dev", "wire")
    return addresses


class Engine:
    """haka run, begun."""

    def __init__(self, haka, policy, *options, source=("-i", ":".join(lab.HOSTS))):
        self.log = open(lab.FOLDER / "haka.log", "w+")
        self.process = subprocess.Popen([haka, "run", *options, *source, str(policy)],
                                        stdout=self.log, stderr=self.log)
        self.wait_for("live on")

    def said(self):
        self.log.flush()
        return Path(self.log.name).read_text()

    def wait_for(self, text, count=1, patience=20):
        until = time.monotonic() + patience
        while self.said().count(text) < count:
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"no \"{text}\" x{count}; haka said:\n{self.said()[-2000:]}")
            time.sleep(0.002)

    def end(self):
        """Exit status, what it said."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20), self.said()
        except subprocess.TimeoutExpired:
            self.clean_up()
            return "a kill, for it did not end by itself", self.said()

    def kill(self):
        """The supervisor; its worker process should end by itself."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def clean_up(self):
        """What of it still runs."""
        worker = self.worker() if self.process.poll() is None else None
        self.kill()
        if worker and runs(worker):
            os.kill(worker, signal.SIGKILL)

    def worker(self):
        """The number of the process that walks packets."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None


def runs(pid):
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def memory(pid):
    """Resident memory of a process in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
