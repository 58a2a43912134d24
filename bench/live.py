#!/usr/bin/env python3
"""What the engine costs live: live.py [--rounds N] [--idle N] --source pair|xdp|queue HAKA BARE_LIVE

Two hosts in namespaces, nginx at one, curl, wrk and ping at the other; between them in turn a loop
that lets everything through by the same means, and haka. Prints medians, ranges and ratios. xdp: the
loop is that of the pair, between cards that join nothing, and haka is measured by both means.
"""
import argparse
import os
import re
import signal
import socket
import statistics
import struct
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parent / "tests" / "live"))

import lab  # noqa: E402
import programs  # noqa: E402
import sources  # noqa: E402

FIREWALL = HERE.parent / "samples" / "firewall" / "policy.lua"
URL = f"http://{sources.V4}"


class Between:
    """A program between the hosts, until the block ends."""

    def __init__(self, *command):
        self.log = open(lab.FOLDER / "between.txt", "w+")
        self.process = subprocess.Popen([str(word) for word in command], stderr=self.log,
                                        stdout=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while "live on" not in (lab.FOLDER / "between.txt").read_text():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((lab.FOLDER / "between.txt").read_text())
            time.sleep(0.02)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


def client(*command):
    return lab.inside("client", *command, timeout=120)


def bulk():
    """MB/s of a download."""
    return float(client("curl", "-sSf", "-o", "/dev/null", "-w", "%{speed_download}", f"{URL}/big")) / 1e6


def requests():
    """Requests/s of 1 kB."""
    said = client("wrk", "-t1", "-c32", "-d2s", f"{URL}/small")
    return float(re.search(r"Requests/sec: +([0-9.]+)", said).group(1))


def latencies():
    """Round trips in microseconds, in order."""
    said = client("ping", "-n", "-i", "0.002", "-c", "500", sources.V4)
    return sorted(float(word) * 1000 for word in re.findall(r"time=([0-9.]+)", said))


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def compare(name, measure, betweens, rounds, unit):
    figures = {which: [] for which in betweens}
    for _ in range(rounds):
        for which, command in betweens.items():
            with Between(*command):
                measure()  # Once to warm up.
                figures[which].append(measure())
    medians = {which: statistics.median(values) for which, values in figures.items()}
    for which, values in figures.items():
        ratio = medians[which] / medians["bare"]
        print(f"| {name} | {which} | {medians[which]:,.0f} {unit} | {min(values):,.0f} to {max(values):,.0f} | "
              f"{100 * ratio:.0f} % |", flush=True)


def compare_latency(betweens, rounds):
    figures = {which: [] for which in betweens}
    for _ in range(rounds):
        for which, command in betweens.items():
            with Between(*command):
                latencies()
                figures[which].append(latencies())
    for which, runs in figures.items():
        p50 = statistics.median(percentile(run, 0.5) for run in runs)
        p99 = statistics.median(percentile(run, 0.99) for run in runs)
        print(f"| round trip | {which} | p50 {p50:.0f} µs, p99 {p99:.0f} µs | "
              f"{min(percentile(run, 0.5) for run in runs):.0f} to "
              f"{max(percentile(run, 0.5) for run in runs):.0f} (p50) | |", flush=True)


def frame(source, target, ports, seq, ack, flags):
    """A segment without payload between hosts that don't exist, so that nobody answers."""
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0x4000, 64, 6, 0, source, target)
    tcp = struct.pack("!HHIIBBHHH", *ports, seq, ack, 0x50, flags, 65535, 0, 0)
    return bytes.fromhex("0200000000aa" "0200000000bb" "0800") + ip + tcp


def open_idle(count):
    """Handshakes of `count` connections between hosts that then say nothing."""
    sockets = {}
    for host in lab.HOSTS:
        with lab.at(host):
            sockets[host] = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sockets[host].bind(("wire", 0))
    server = bytes([10, 99, 0, 1])
    at_once = 100
    for begin in range(0, count, at_once):
        tuples = [(struct.pack("!I", (10 << 24 | 98 << 16) + i // 50_000), 10_000 + i % 50_000)
                  for i in range(begin, min(begin + at_once, count))]
        for host, make in (("client", lambda a, p: frame(a, server, (p, 80), 100, 0, 0x02)),
                           ("server", lambda a, p: frame(server, a, (80, p), 200, 101, 0x12)),
                           ("client", lambda a, p: frame(a, server, (p, 80), 101, 201, 0x10))):
            for address, port in tuples:
                sockets[host].send(make(address, port))
            time.sleep(0.0005)


def idle(options, betweens, count):
    """Requests/s with and without idle connections, of the same run."""
    for _ in range(options.rounds):
        with Between(*betweens["haka"], "--set", "tcp.connections_max=2000000", "--set",
                     "tcp.half_open_percent=100", "-k", "none") as between:
            requests()
            without = requests()
            open_idle(count)
            time.sleep(1)
            beside = requests()
            supervisor = between.process.pid
            walks = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()[0]
            size = Path(f"/proc/{walks}/status").read_text()
        seen = re.search(r"connections +([0-9.,]+(?: [kM])?)", (lab.FOLDER / "between.txt").read_text())
        resident = re.search(r"VmRSS:\s+(\d+)", size).group(1)
        print(f"| {count:,} idle connections ({seen and seen.group(1)} seen) | haka | {beside:,.0f} requests/s | "
              f"{without:,.0f} before them | {100 * beside / without:.0f} % | {int(resident) // 1024} MB", flush=True)


def workers(options, kind):
    """One worker and two, 16 clients' addresses."""
    for last in range(100, 116):
        lab.run("ip", "-n", "client", "address", "add", f"192.168.10.{last}/{kind.prefix}", "dev", "wire")
    rates = {1: [], 2: []}
    for _ in range(options.rounds):
        for count, values in rates.items():
            source = kind.source
            if isinstance(kind, sources.Queue):
                source = ("--nfqueue", "3") if count == 1 else ("--nfqueue", "4:5")
                rule = ("-j", "NFQUEUE") + (("--queue-num", "3") if count == 1 else ("--queue-balance", "4:5"))
                lab.run("iptables-legacy", "-F", "FORWARD")
                lab.run("iptables-legacy", "-A", "FORWARD", *rule)
                more = ()
            else:
                more = ("-j", count)
            with Between(options.haka, "run", *source, *more, FIREWALL):
                runs = [subprocess.Popen(["ip", "netns", "exec", "client", "curl", "-sSf", "--interface",
                                          f"192.168.10.{last}", "-o", "/dev/null", f"{URL}/small?[1-400]"])
                        for last in range(100, 116)]
                begin = time.monotonic()
                for each in runs:
                    if each.wait(60):
                        raise RuntimeError("curl failed")
                values.append(16 * 400 / (time.monotonic() - begin))
    one, two = statistics.median(rates[1]), statistics.median(rates[2])
    print(f"| 16 clients | two workers | {two:,.0f} requests/s | one worker: {one:,.0f} | {100 * two / one:.0f} % |")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("haka")
    parser.add_argument("bare")
    parser.add_argument("--source", choices=sources.KINDS, required=True)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--idle", type=int, default=1_000_000)
    options = parser.parse_args()
    options.haka, options.bare = os.path.abspath(options.haka), os.path.abspath(options.bare)
    kind = sources.KINDS[options.source]()
    lab.enter()
    sources.build(kind)
    (lab.FOLDER / "empty.lua").write_text("")
    bare = (options.bare, "queue", 3) if options.source == "queue" else (options.bare, "pair", *lab.HOSTS)
    hakas = {"haka": (options.haka, "run", *kind.source)}
    if options.source == "xdp":
        hakas["haka by AF_PACKET"] = (options.haka, "run", *sources.Pair.source)
    with programs.Hosts(1000) as hosts:
        hosts.file.with_name("small").write_bytes(b"x" * 1000)
        hosts.file.with_name("big").write_bytes(b"x" * 400_000_000)
        next(hosts.works())
        print(f"| {options.source} | | median | range | of bare |\n|---|---|---|---|---|", flush=True)
        compare("bulk download", bulk,
                {"bare": bare} | {name: (*haka, lab.FOLDER / "empty.lua") for name, haka in hakas.items()},
                options.rounds, "MB/s")
        betweens = {"bare": bare} | {name: (*haka, FIREWALL) for name, haka in hakas.items()}
        compare("wrk, 1 kB, firewall", requests, betweens, options.rounds, "requests/s")
        compare_latency(betweens, options.rounds)
        if options.idle and options.source == "pair":
            idle(options, betweens, options.idle)
        if options.source != "xdp":
            workers(options, kind)


if __name__ == "__main__":
    main()
