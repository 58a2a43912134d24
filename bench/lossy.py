#!/usr/bin/env python3
"""Goodput of edited streams over a path that loses frames: lossy.py [options] LIVE_BRIDGE

Lines both ways at once over one connection between two kernels, as tests/live/live.py sends them. In
each round all policies meet the same seed of losses, and each is compared with that round's bridge
without an engine. What arrives is compared, too. Exit: 0 all right, 1 wrong bytes, 77 skipped.
"""
import argparse
import re
import statistics
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
LIVE = HERE.parent / "tests" / "live"
sys.dont_write_bytecode = True
sys.path.insert(0, str(LIVE))

import lab  # noqa: E402
import live  # noqa: E402

COUNTED = {"timeouts": "TCPTimeouts", "probes": "TCPLossProbes", "fast": "TCPFastRetrans",
           "resent": "RetransSegs", "doubled": "TCPDSACKRecv", "undone": "TCPFullUndo",
           "slow": "TCPSlowStartRetrans", "lost again": "TCPLostRetransmit"}


class Round:
    """One transfer: seconds, what the kernels counted, processor seconds of the bridge."""

    def __init__(self, options, policy, data, wanted, delay, seed):
        path = None if policy == "none" else LIVE / "policies" / f"{policy}.lua"
        before = live.kernel_counts()
        capture = f"{options.capture}/{policy}-{seed}" if options.capture else None
        bridge = lab.Bridge(options.bridge, path, loss=options.loss, reorder=options.reorder,
                            delay=delay, seed=seed, capture=capture,
                            settings=["tcp.edits_max=65536", *options.set])
        self.seconds, self.faults = live.transfer(data, wanted, options, options.loss == 0)
        self.faults += [] if not bridge.end() else []
        if bridge.process.returncode or " 0 refused, 0 missed" not in bridge.said:
            self.faults.append(bridge.said)
        self.cpu = float(re.search(r"([\d.]+) s of CPU\n$", bridge.said).group(1))
        after = live.kernel_counts()
        self.counts = {name: sum(after[host].get(counter, 0) - before[host].get(counter, 0)
                                 for host in lab.HOSTS) for name, counter in COUNTED.items()}


def measure(options, delay, data, wanted):
    """Rounds by policy."""
    rounds = {policy: [] for policy in options.policies}
    for seed in range(options.seed, options.seed + options.rounds):
        for policy in options.policies:
            done = Round(options, policy, data, wanted[policy], delay, seed)
            rounds[policy].append(done)
            if options.verbose:
                print(f"  {policy:<10}{seed:>4}{done.seconds:8.2f} s {done.counts}", flush=True)
            if done.faults:
                print("\n".join([f"{policy}, seed {seed}: WRONG"] + done.faults), flush=True)
                return rounds, False
    return rounds, True


def show(options, delay, rounds):
    bare = rounds["none"]
    print(f"\n{options.size:g} MB each way, {options.loss:g} % lost before and behind, {delay:g} ms a "
          f"passage, {len(bare)} rounds\n")
    print("| policy | MB/s | of none, all rounds | median | range | CPU s | "
          + " | ".join(COUNTED) + " |")
    print("|---" * (6 + len(COUNTED)) + "|")
    for policy, done in rounds.items():
        seconds = [one.seconds for one in done]
        ratios = [none.seconds / one.seconds for none, one in zip(bare, done)]
        speed = 2 * options.size * len(done) / sum(seconds)
        total = sum(one.seconds for one in bare) / sum(seconds)
        counts = [statistics.mean(one.counts[name] for one in done) for name in COUNTED]
        print(f"| {policy} | {speed:.1f} | {100 * total:.0f} % | {100 * statistics.median(ratios):.0f} % | "
              f"{100 * min(ratios):.0f} to {100 * max(ratios):.0f} % | "
              f"{statistics.mean(one.cpu for one in done):.2f} | "
              + " | ".join(f"{count:.1f}" for count in counts) + " |")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bridge")
    parser.add_argument("--size", type=float, default=10, help="MB each way")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1, help="of the first round's losses")
    parser.add_argument("--loss", type=float, default=1, help="%% of the frames, before and behind")
    parser.add_argument("--reorder", type=float, default=None, help="%% of the frames; as --loss")
    parser.add_argument("--delay", default="0,1", help="ms that a frame takes before, and behind")
    parser.add_argument("--policies", default="none,lengthen,shorten,delete")
    parser.add_argument("--congestion", default="cubic", help="the control that both hosts use")
    parser.add_argument("--set", action="append", default=[], help="a setting of the engine")
    parser.add_argument("--capture", help="folder for what both sides saw")
    parser.add_argument("--verbose", action="store_true", help="show each round")
    options = parser.parse_args()
    options.policies = options.policies.split(",")
    options.reorder = min(options.loss, 1) if options.reorder is None else options.reorder
    options.patience, options.time_limit = 60, 170
    lab.enter()
    lab.build(options.congestion)
    data = [live.make_lines(seed, int(options.size * 1e6)) for seed in (1, 2)]
    wanted = {policy: [live.POLICIES[policy](part) for part in data] for policy in options.policies}
    right = True
    for delay in map(float, options.delay.split(",")):
        rounds, all_right = measure(options, delay, data, wanted)
        right = right and all_right
        if all_right:
            show(options, delay, rounds)
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
