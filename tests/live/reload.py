#!/usr/bin/env python3
"""Reloads while requests run: reload.py [--reloads N] HAKA

Two hosts, `haka run -i client:server` between them, nginx and wrk. Every response must come, every
connection must have been asked about, every stream read. Exit: 0, 1, or 77 for skipped.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))

import lab  # noqa: E402
from engine import Engine  # noqa: E402
import programs  # noqa: E402

# Each connection that a policy accepts is read to its end by it.
POLICY = """
haka.rule{ name = "number %d", hooks = { "tcp-connection-new" }, eval = function (self, pkt)
    pkt.connection.data = { asked = true }
end }
haka.rule{ hooks = { "tcp-connection-up" }, readonly = true, eval = function (self, pkt)
    local data = pkt.connection.data
    if not (data and data.asked) then haka.log.error("test", "a stream of nobody") end
    pkt.stream:read()
end }
"""


def reload_often(haka, reloads):
    faults = []
    policy = lab.FOLDER / "policy.lua"
    policy.write_text(POLICY % 0)
    engine = Engine(haka, policy)
    wrk = subprocess.Popen(
        ["ip", "netns", "exec", "client", "wrk", "-t1", "-c20", "-d600", "--timeout", "10s",
         "-H", "Connection: close", "http://192.168.20.1/small"],
        stdout=subprocess.PIPE, text=True)
    begun = time.monotonic()
    for number in range(1, reloads + 1):
        policy.write_text("nonsense(" if number % 10 == 0 else POLICY % number)
        engine.process.send_signal(signal.SIGHUP)
        if number % 10 == 0:
            engine.wait_for("could not be reloaded", number // 10)
        else:
            engine.wait_for(" reloaded: generation", number - number // 10)
    lasted = time.monotonic() - begun
    wrk.send_signal(signal.SIGINT)
    said = wrk.communicate(timeout=60)[0]
    status, log = engine.end()
    requests = re.search(r"(\d+) requests in", said)
    if not requests or int(requests[1]) < 10:
        faults.append(f"wrk: {said}")
    if "Socket errors" in said or "Non-2xx" in said:
        faults.append(f"requests failed: {said}")
    if "a stream of nobody" in log:
        faults.append("a stream was shown to a policy that had not accepted its connection")
    if status:
        faults.append(f"haka ended with {status}")
    for event in ("tcp.no-connection", "tcp.midstream", "stream.unread"):
        if event in log:
            faults.append(f"{event}: a packet was not followed")
    print(f"  {reloads} reloads in {lasted:.1f} s, {requests and requests[1]} requests")
    return faults + ([log[-3000:]] if faults else [])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("haka", type=lambda path: str(Path(path).resolve()))
    arguments = parser.parse_args()
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            lab.skip(f"no {tool} here")
    lab.enter()
    lab.build("reno")
    with programs.Hosts(1000) as hosts:
        (lab.FOLDER / "www" / "small").write_bytes(b"x" * 1000)
        hosts.start("nginx", 80, programs.NGINX, "-c", lab.FOLDER / "nginx.conf", "-e",
                    lab.FOLDER / "nginx.log")
        faults = reload_often(arguments.haka, arguments.reloads)
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
