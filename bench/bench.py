#!/usr/bin/env python3
"""Measures the engine against a bare libpcap loop and against other engines, on the same traffic.

CPU seconds (user and system) of whole processes, one core, warm page cache; the two programs of a
row take turns, and a row's ratio is the median of the ratios of neighbours, so that a machine that
gets slower or faster meanwhile hurts both alike.
"""
import argparse
import json
import os
import subprocess
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
RSS_MAX_MB = 64  # Besides 320 bytes for each tracked connection.

# What the row shows, capture, policy, aim as ratio to the bare loop.
SPEED = [
    ("churn, no policy", "churn", "empty.lua", 1.0),
    ("churn, firewall of the chapter", "churn", "firewall.lua", 2.0),
    ("churn, four fields and a flag", "churn", "fields.lua", 2.0),
    ("bulk, 12-byte text in every byte", "bulk", "needle.lua", 1.3),
    ("bulk reordered, the same", "bulk-reordered", "needle.lua", 2.0),
    ("bulk, 12-byte text made longer", "bulk", "replace.lua", 3.0),
    ("bulk, a line put before each stream", "bulk", "start.lua", 2.0),
    ("small, no policy", "small", "empty.lua", None),
    ("small, HTTP: method, uri, two headers", "small", "http-read.lua", 2.5),
    ("small, HTTP: a header added", "small", "http-add.lua", 4.0),
    ("churn, HTTP: method, uri, two headers", "churn", "http-read.lua", 3.0),
    ("bulk, HTTP: bodies nobody reads", "bulk", "http-read.lua", None),
]
# Loads that are meant to exhaust memory: what the row shows, kind and count for `generate`, and the
# limits that hold, in MB: the table's 1,048,576 connections, the streams' memory.
TABLE_MB, STREAMS_MB = 320, 1024
LOADS = [
    ("10 M SYNs from random addresses", "flood", 10_000_000, TABLE_MB),
    ("100,000 connections of one-byte segments, the last first", "tiny", 100_000,
     TABLE_MB + STREAMS_MB),
    ("10,000 connections that hold 1 MiB behind a hole", "hold", 10_000, TABLE_MB + STREAMS_MB),
]
LOAD_USERS = 100
BODIES = (1_000, 20_000)  # Connections in mid-body: what the difference takes, each takes.
BODY_BYTES_MAX = 4096
BODY_POLICIES = [("a rule that reads the head", "http-read.lua"),
                 ("a header was added", "http-add.lua")]
EDITING = {"replace.lua", "start.lua", "http-read.lua", "http-add.lua"}  # The others can't: no comparison.
PARTS = ["references", "speed", "memory", "bodies", "load", "workers"]
CAPTURES = ["churn", "bulk", "bulk-reordered", "small"]
NEEDLE_CAPTURES = {"bulk", "bulk-reordered"}


class Run:
    """One run of a program: what it used and what it wrote."""

    def __init__(self, command, core):
        if core is not None:
            command = ["taskset", "-c", str(core), *command]
        with tempfile.TemporaryFile() as output:
            start = time.perf_counter()
            pid = os.posix_spawnp(command[0], command, os.environ, file_actions=[
                (os.POSIX_SPAWN_DUP2, output.fileno(), 1)])
            _, status, usage = os.wait4(pid, 0)
            self.wall = time.perf_counter() - start
            output.seek(0)
            self.output = output.read().decode(errors="replace")
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"failed: {' '.join(command)}\n{self.output}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.rss_mb = usage.ru_maxrss / 1024


class Bench:
    def __init__(self, options):
        self.options = options
        self.missed = []
        self.results = []
        self.manifest = {}
        for line in (options.data / "manifest").read_text().splitlines():
            name, *words = line.split()
            self.manifest[name] = {key: int(value) for key, value in zip(words[::2], words[1::2])}

    def capture(self, name):
        return str(self.options.data / f"{name}.pcap")

    def warm(self, name):
        with open(self.capture(name), "rb", buffering=0) as file:
            while file.read(1 << 22):
                pass

    def reference(self, name, capture):
        return Run([str(self.options.tools / f"ref_{name}"), self.capture(capture)],
                   self.options.core)

    def ours(self, capture, policy, *more, core="same"):
        command = [str(self.options.haka), "run", "-r", self.capture(capture), "-q", *more]
        if policy == "firewall.lua" and self.options.log_option:
            command += [self.options.log_option, str(self.options.scratch / "log")]
        run = Run([*command, str(HERE / "policies" / policy)],
                  self.options.core if core == "same" else core)
        if policy == "needle.lua" and capture in NEEDLE_CAPTURES:
            self.check_hits(capture, run.output)
        return run

    def check_hits(self, capture, output):
        expected = self.manifest["bulk"]["connections"] * self.manifest["body"]["needles"]
        words = [line.split() for line in output.splitlines()]
        hits = sum(int(line[1]) for line in words if len(line) == 2 and line[0] == "hits")
        if hits != expected:
            sys.exit(f"{capture}: the text was found {hits} times, {expected} are in it")

    def compare(self, first, second):
        """Alternating runs of the two: their medians, and median and range of the ratios."""
        pairs = [(first(), second()) for _ in range(self.options.runs)]
        ratios = [a.cpu / max(b.cpu, 1e-3) for a, b in pairs]
        return {
            "first": statistics.median(a.cpu for a, _ in pairs),
            "second": statistics.median(b.cpu for _, b in pairs),
            "ratio": statistics.median(ratios),
            "low": min(ratios),
            "high": max(ratios),
            "rss_mb": max(a.rss_mb for a, _ in pairs),
        }

    def judge(self, case, good):
        if not good:
            self.missed.append(case)
        return "" if good else " **missed**"

    def references(self):
        print("\n| capture | packets | libpcap s | ns a packet | libpcap -O3 | libnids | libtins |\n"
              "|---|---|---|---|---|---|---|")
        for capture in CAPTURES:
            self.warm(capture)
            bare = []
            ratios = {"libpcap_o3": [], "libnids": [], "libtins": []}
            for _ in range(self.options.runs):
                for name, row in ratios.items():
                    bare.append(self.reference("libpcap", capture).cpu)
                    row.append(self.reference(name, capture).cpu / bare[-1])
            seconds = statistics.median(bare)
            packets = self.manifest[capture]["packets"]
            medians = {name: statistics.median(row) for name, row in ratios.items()}
            self.results.append({"case": f"references, {capture}", "seconds": seconds, **medians})
            print(f"| {capture} | {packets:,} | {seconds:.3f} | {seconds / packets * 1e9:.0f} | "
                  + " | ".join(f"{value:.2f}" for value in medians.values()) + " |", flush=True)

    def speed(self):
        print("\n| case | ours s | libpcap s | ratio | range | aim | to libnids | to libtins |\n"
              "|---|---|---|---|---|---|---|---|")
        for case, capture, policy, aim in SPEED:
            self.warm(capture)
            ours = lambda: self.ours(capture, policy)
            row = self.compare(ours, lambda: self.reference("libpcap", capture))
            nids = self.compare(ours, lambda: self.reference("libnids", capture))
            tins = self.compare(ours, lambda: self.reference("libtins", capture))
            faster = policy in EDITING or (nids["ratio"] < 1 and tins["ratio"] < 1)
            good = (aim is None or row["ratio"] <= aim) and faster
            self.results.append({"case": case, **row, "libnids": nids["ratio"],
                                 "libtins": tins["ratio"]})
            print(f"| {case} | {row['first']:.3f} | {row['second']:.3f} | {row['ratio']:.2f} | "
                  f"{row['low']:.2f}–{row['high']:.2f} | {'≤ %.1f' % aim if aim else ''}"
                  f"{self.judge(case, good)} | {nids['ratio']:.2f} | {tins['ratio']:.2f} |",
                  flush=True)

    def memory(self):
        print("\n| memory | peak | aim |\n|---|---|---|")
        few = self.ours("idle-few", "empty.lua").rss_mb
        many = self.ours("idle", "empty.lua").rss_mb
        added = self.manifest["idle"]["connections"] - self.manifest["idle-few"]["connections"]
        each = (many - few) * (1 << 20) / added
        print(f"| 1 M idle connections | {many:.0f} MB, {each:.0f} bytes each | ≤ 320 bytes"
              f"{self.judge('idle connections', each <= 320)} |")
        self.results.append({"case": "idle connections", "bytes_each": each, "rss_mb": many})
        for case, capture, policy, _ in SPEED:
            rss = self.ours(capture, policy).rss_mb
            self.results.append({"case": f"memory, {case}", "rss_mb": rss})
            tracked = self.manifest.get(capture, {}).get("connections", 0)
            aim = RSS_MAX_MB + 320 * tracked / (1 << 20)
            print(f"| {case} | {rss:.0f} MB | ≤ {aim:.0f} MB"
                  f"{self.judge('memory, ' + case, rss <= aim)} |", flush=True)

    def bodies(self):
        print("\n| memory of a connection in mid-body | bytes | aim |\n|---|---|---|")
        paths = []
        for count in BODIES:
            paths.append(self.options.scratch / f"bodies-{count}.pcap")
            subprocess.run([str(self.options.tools / "generate"), "bodies", str(paths[-1]),
                            "--count", str(count)], check=True, stdout=subprocess.DEVNULL)
        for case, policy in BODY_POLICIES:
            few, many = (Run([str(self.options.haka), "run", "-r", str(path), "-q",
                              str(HERE / "policies" / policy)], self.options.core).rss_mb
                         for path in paths)
            each = (many - few) * (1 << 20) / (BODIES[1] - BODIES[0])
            self.results.append({"case": f"mid-body, {case}", "bytes_each": each})
            print(f"| {case} | {each:.0f} | ≤ {BODY_BYTES_MAX}"
                  f"{self.judge('mid-body, ' + case, each <= BODY_BYTES_MAX)} |", flush=True)

    def load(self):
        print("\n| memory under attack | peak | aim | users among it who finished |\n|---|---|---|---|")
        for case, kind, count, limit in LOADS:
            generate = subprocess.Popen([str(self.options.tools / "generate"), kind, "/dev/stdout",
                                         "--count", str(count)],
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            with tempfile.TemporaryFile() as output:
                pid = os.posix_spawnp(
                    str(self.options.haka),
                    [str(self.options.haka), "run", "-r", "-", "--log-level", "error",
                     str(HERE / "policies" / "read.lua")], os.environ,
                    file_actions=[(os.POSIX_SPAWN_DUP2, generate.stdout.fileno(), 0),
                                  (os.POSIX_SPAWN_DUP2, output.fileno(), 1),
                                  (os.POSIX_SPAWN_DUP2, output.fileno(), 2)])
                generate.stdout.close()
                _, status, usage = os.wait4(pid, 0)
                output.seek(0)
                text = output.read().decode(errors="replace")
            generate.wait()
            closed = re.search(r"([\d,]+)\s+closed", text)
            users = int(closed.group(1).replace(",", "")) if closed else 0
            rss = usage.ru_maxrss / 1024
            good = status == 0 and rss <= limit + RSS_MAX_MB and users == LOAD_USERS
            self.results.append({"case": case, "rss_mb": rss, "users": users})
            print(f"| {case} | {rss:.0f} MB | ≤ {limit + RSS_MAX_MB} MB"
                  f"{self.judge(case, good)} | {users} of {LOAD_USERS} |", flush=True)

    def workers(self):
        self.warm("bulk")
        pairs = [(self.ours("bulk", "needle.lua", "-j", "1", core=None).wall,
                  self.ours("bulk", "needle.lua", "-j", "2", core=None).wall)
                 for _ in range(self.options.runs)]
        faster = [one / two for one, two in pairs]
        ratio = statistics.median(faster)
        self.results.append({"case": "two workers", "ratio": ratio})
        print("\n| two workers, bulk, wall clock | one s | two s | faster by | range | aim |\n"
              "|---|---|---|---|---|---|")
        print(f"| 12-byte text in every byte | {statistics.median(p[0] for p in pairs):.3f} | "
              f"{statistics.median(p[1] for p in pairs):.3f} | {ratio:.2f} | "
              f"{min(faster):.2f}–{max(faster):.2f} | ≥ 1.6"
              f"{self.judge('two workers', ratio >= 1.6)} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="folder that make-traffic.sh made")
    parser.add_argument("--tools", type=Path, required=True, help="folder of the ref_* programs")
    parser.add_argument("--haka", type=Path, help="the engine; without it only the references run")
    parser.add_argument("--runs", type=int, default=7, help="pairs of runs a row (default 7)")
    parser.add_argument("--core", type=int, default=os.cpu_count() - 1, help="where all run")
    parser.add_argument("--log-option", default="--log", help="the option that names the log file")
    parser.add_argument("--only", choices=PARTS)
    parser.add_argument("--json", type=Path, help="the results, for machines")
    parser.add_argument("--strict", action="store_true", help="exit 1 if an aim is missed")
    options = parser.parse_args()

    parts = [options.only] if options.only else PARTS
    with tempfile.TemporaryDirectory() as scratch:
        options.scratch = Path(scratch)
        bench = Bench(options)
        for part in parts:
            if part == "references" or options.haka:
                getattr(bench, part)()
    if options.json:
        options.json.write_text(json.dumps(bench.results, indent=1) + "\n")
    if bench.missed:
        print(f"\nmissed: {', '.join(bench.missed)}")
    return 1 if bench.missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
