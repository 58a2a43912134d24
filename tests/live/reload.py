#!/usr/bin/env python3
"""Reloads while requests run: reload.py [--reloads N] [--source pair|xdp|queue] HAKA

Two hosts, haka with two workers between them, nginx and wrk. Every response must come, every
connection must have been asked about, every byte read by the policy that accepted its connection;
and memory doesn't grow from reload to reload. Exit: 0, 1, or 77 for skipped.
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

import engine  # noqa: E402
import lab  # noqa: E402
import programs  # noqa: E402

# Each connection that a policy accepts is read to its end by it.
POLICY = """
local asked, scanned = 0, 0
haka.rule{ name = "number %d", hooks = { "tcp-connection-new" }, eval = function (self, pkt)
    pkt.connection.data = { asked = true }
    asked = asked + 1
end }
haka.rule{ hooks = { "tcp-connection-up" }, readonly = true, eval = function (self, pkt)
    local data = pkt.connection.data
    if not (data and data.asked) then haka.log.error("test", "a stream of nobody") end
    local bytes = pkt.stream:read()
    scanned = scanned + (bytes and #bytes or 0)
end }
haka.on_exit(function () haka.log.info("test", "asked " .. asked .. " scanned " .. scanned) end)
"""
WRONG_EVERY = 10
WARM_UP = 100  # Reloads, until memory must stay,
GROWTH_MAX = 1.1  # about.


def numbers(pattern, text):
    return [int(number.replace(",", "")) for number in re.findall(pattern, text, re.M)]


def reload_often(haka, place, reloads, servers):
    faults, memory = [], {}
    policy = lab.FOLDER / "policy.lua"
    policy.write_text(POLICY % 0)
    running = engine.Engine(haka, policy, source=place)
    clients = [subprocess.Popen(
        ["ip", "netns", "exec", "client", "wrk", "-t1", "-c10", "-d3000", "--timeout", "20s",
         "-H", "Connection: close", f"http://{server}/small"],
        stdout=subprocess.PIPE, text=True) for server in servers]
    begun = time.monotonic()
    for number in range(1, reloads + 1):
        wrong = number % WRONG_EVERY == 0
        policy.write_text("nonsense(" if wrong else POLICY % number)
        running.process.send_signal(signal.SIGHUP)
        if wrong:
            running.wait_for("could not be reloaded", number // WRONG_EVERY)
        else:
            running.wait_for(" reloaded: generation", number - number // WRONG_EVERY)
        memory[number] = engine.memory(running.worker())
    lasted = time.monotonic() - begun
    requests = 0
    for wrk in clients:
        wrk.send_signal(signal.SIGINT)
        said = wrk.communicate(timeout=60)[0]
        done = re.search(r"(\d+) requests in", said)
        requests += int(done[1]) if done else 0
        if not done or int(done[1]) < 10 or "Socket errors" in said or "Non-2xx" in said:
            faults.append(f"requests failed: {said}")
    status, log = running.end()
    if "a stream of nobody" in log:
        faults.append("a stream was shown to a policy that had not accepted its connection")
    if status:
        faults.append(f"haka ended with {status}")
    for event in ("tcp.no-connection", "tcp.midstream", "stream.unread"):
        if event in log:
            faults.append(f"{event}: a packet was not followed")
    seen, passed = numbers(r"^connections +([\d,]+) ", log), numbers(r"^streams +([\d,]+) ", log)
    asked, scanned = sum(numbers(r"asked (\d+)", log)), sum(numbers(r"scanned (\d+)$", log))
    if [asked] != seen or [scanned] != passed or not asked:
        faults.append(f"{seen} connections were there and {asked} asked about; {passed} bytes of streams and "
                      f"{scanned} read")
    if reloads > WARM_UP and memory[reloads] > memory[WARM_UP] * GROWTH_MAX:
        faults.append("memory grows")
    shown = ", ".join(f"{number}: {memory[number]} KiB" for number in sorted({1, WARM_UP, reloads // 2, reloads})
                      if number in memory)
    print(f"  {reloads} reloads in {lasted:.1f} s, {requests} requests, {asked} connections and {scanned} bytes, "
          f"all read; memory after {shown}")
    return faults + ([log[-3000:]] if faults else [])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reloads", type=int, default=50)
    parser.add_argument("--source", choices=engine.stand.KINDS, default="pair")
    parser.add_argument("haka", type=lambda path: str(Path(path).resolve()))
    arguments = parser.parse_args()
    for tool in ("nginx", "wrk"):
        if not shutil.which(tool, path=os.environ["PATH"] + ":/usr/sbin:/sbin"):
            lab.skip(f"no {tool} here")
    lab.enter()
    place = engine.lay(arguments.source, workers=2)
    servers = engine.add_addresses(arguments.source, "server", 4)
    with programs.Hosts(1000) as hosts:
        (lab.FOLDER / "www" / "small").write_bytes(engine.SMALL)
        hosts.start("nginx", 80, programs.NGINX, "-c", lab.FOLDER / "nginx.conf", "-e",
                    lab.FOLDER / "nginx.log")
        faults = reload_often(arguments.haka, place, arguments.reloads, servers[::3])
    for fault in faults:
        print(f"  {fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
