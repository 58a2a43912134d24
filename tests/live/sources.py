#!/usr/bin/env python3
"""haka run on live traffic, real programs on both sides: sources.py [--only PARTS] --source KIND HAKA

Each part runs between two interfaces (-i) or behind the packet filter (--nfqueue): what the policy
refuses is refused, what it edits is edited, everything else is untouched (traffic.py); then what
goes wrong around it (mishaps.py). Exit: 0 all as it must be, 1 not, 77 skipped.
"""
import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import lab  # noqa: E402
import mishaps  # noqa: E402
import traffic  # noqa: E402
from stand import KINDS, V4, Pair, Queue, Runner, build  # noqa: E402, F401

PARTS = (traffic.pings, traffic.tags, traffic.edits, traffic.joined_datagrams,
         traffic.servers, traffic.firewall, traffic.resets, traffic.filtered,
         traffic.translated, traffic.workers, traffic.marks, traffic.looks_only, traffic.pass_through,
         traffic.taken_up, mishaps.files, mishaps.troubles, mishaps.mended, mishaps.unprivileged, mishaps.interrupted,
         mishaps.to_a_pipe, mishaps.removed, mishaps.overflow, mishaps.garbage)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("haka")
    parser.add_argument("--only", help="parts, separated by commas")
    parser.add_argument("--source", choices=KINDS, required=True)
    options = parser.parse_args()
    options.haka = os.path.abspath(options.haka)
    kind = KINDS[options.source]()
    lab.enter()
    if isinstance(kind, Queue) and not shutil.which("iptables-legacy"):
        lab.skip("no iptables-legacy here")
    build(kind)
    failed = False
    for part in PARTS:
        if options.only and part.__name__ not in options.only.split(","):
            continue
        runner = Runner(options.haka, kind)
        begin = time.monotonic()
        try:
            part(runner, kind)
            result = "right"
        except (OSError, RuntimeError, subprocess.SubprocessError) as error:
            failed = True
            result = f"FAILED: {type(error).__name__}: {error}"
            if runner.running:
                result += "\n" + runner.running.said()
        runner.clean_up()
        print(f"{kind.name:<10} {part.__name__:<12} {time.monotonic() - begin:>5.1f} s  {result}", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
