"""haka run between the two hosts of lab.py."""
import signal
import subprocess
import time
from pathlib import Path

import lab


class Engine:
    """haka run over the two interfaces."""

    def __init__(self, haka, policy, *options):
        self.log = open(lab.FOLDER / "haka.log", "w+")
        self.process = subprocess.Popen(
            [haka, "run", *options, "-i", ":".join(lab.HOSTS), str(policy)],
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
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(20)
        return status, self.said()

    def worker(self):
        """The number of the process that walks packets."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None
