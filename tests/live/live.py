#!/usr/bin/env python3
"""Real kernels on both sides of the engine: live.py [options] LIVE_BRIDGE

Sends lines both ways at once over one connection, through policies that change every line, over
paths that lose and reorder frames before and behind the engine, and compares what arrives with what
the policy should have made. Then nginx, curl and scp. Exit: 0 all as it must be, 1 not, 77 skipped.
"""
import argparse
import random
import socket
import struct
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE))

import lab  # noqa: E402
import programs  # noqa: E402

TEXT = b" (seen)"


def lengthen(data):
    return data.replace(b"\n", TEXT + b"\n")


def shorten(data):
    *lines, rest = data.split(b"\n")
    return b"".join([line[:len(line) // 2] + b"\n" for line in lines] + [rest])


def delete(data):
    *lines, rest = data.split(b"\n")
    kept = b"".join([line + b"\n" for line in lines[::2]])
    return kept + rest if len(lines) % 2 == 0 else kept


POLICIES = {"none": bytes, "readonly": bytes, "lengthen": lengthen, "shorten": shorten,
            "delete": delete}


def make_lines(seed, size):
    """Lines of all lengths, none like another, the last one unfinished for odd seeds."""
    chance = random.Random(seed)
    pool = bytes(chance.choices(b"abcdefghijklmnopqrstuvwxyz ,.;", k=100_000))
    parts, made = [], 0
    while made < size:
        spread = chance.random()
        length = (0 if spread < 0.02 else int(chance.expovariate(1 / 80)) if spread < 0.98
                  else chance.randrange(5000))
        begin = chance.randrange(len(pool) - 5000)
        line = b"%d %s\n" % (made, pool[begin:begin + length]) if length else b"\n"
        parts.append(line)
        made += len(line)
    return b"".join(parts)[:-1 if seed % 2 else None]


class End(threading.Thread):
    """One end of a connection: sends all, says so, and reads to the other's end."""

    def __init__(self, connection, data, patience):
        super().__init__(daemon=True)
        self.connection, self.data, self.patience = connection, data, patience
        self.came, self.error = bytearray(), None

    def run(self):
        self.connection.settimeout(self.patience)
        sender = threading.Thread(target=self.send, daemon=True)
        sender.start()
        try:
            while piece := self.connection.recv(1 << 18):
                self.came += piece
        except OSError as error:
            self.error = self.error or f"receiving: {error}"
        sender.join()

    def send(self):
        try:
            for begin in range(0, len(self.data), 1 << 18):
                self.connection.sendall(memoryview(self.data)[begin:begin + (1 << 18)])
            self.connection.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.error = self.error or f"sending: {error}"


def difference(got, wanted):
    if len(got) == len(wanted) and sha256(got).digest() == sha256(wanted).digest():
        return None
    first = next((i for i in range(0, len(wanted), 4096) if got[i:i + 4096] != wanted[i:i + 4096]),
                 len(wanted))
    while first < min(len(got), len(wanted)) and got[first] == wanted[first]:
        first += 1
    return (f"{len(got)} bytes came, {len(wanted)} should have; differ at {first}: "
            f"{bytes(got[first:first + 60])!r} in place of {wanted[first:first + 60]!r}")


def transfer(data, wanted, options, strict):
    """Seconds, and what went wrong."""
    faults = []
    before, older = kernel_counts(), ends_of_connections()
    with lab.listen("server", 5000) as listener:
        listener.settimeout(20)
        with lab.at("client"):
            client = socket.socket()
        client.settimeout(20)
        client.connect((lab.HOSTS["server"][0], 5000))
        server = listener.accept()[0]
    begin = time.monotonic()
    ends = [End(client, data[0], options.patience), End(server, data[1], options.patience)]
    for end in ends:
        end.start()
    for end in ends:
        end.join(max(1, begin + options.time_limit - time.monotonic()))
    seconds = time.monotonic() - begin
    sockets = [f"{host}: {line}" for host in lab.HOSTS for line in lab.open_connections(host, "i")]
    for name, end, bytes_wanted in (("client", ends[0], wanted[1]), ("server", ends[1], wanted[0])):
        if end.is_alive():
            faults.append(f"{name}: not done after {seconds:.0f} s")
        if end.error:
            faults.append(f"{name}: {end.error}")
        if wrong := difference(end.came, bytes_wanted):
            faults.append(f"{name}: {wrong}")
    if faults:
        faults += sockets
        for end in (client, server):  # Nothing of it disturbs the next.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    server.close()
    return seconds, faults + rest_of_connections(before, older, not faults, strict)


def ends_of_connections():
    """Both addresses of each, as ss shows them: what failed before is none of the next one's."""
    return {" ".join(line.split()[3:5]) for host in lab.HOSTS for line in lab.open_connections(host)}


def rest_of_connections(before, older, must_close, strict):
    """Connections that don't end, resets, damage. Where frames get lost or late an end that has
    forgotten the connection may answer a late one by a RST: not `strict`."""
    faults = []
    until = time.monotonic() + (15 if must_close else 0)
    left = True
    while left and time.monotonic() < until:
        time.sleep(0.02)
        left = [f"{host}: {line}" for host in lab.HOSTS for line in lab.open_connections(host)
                if not any(end in line for end in older)]
    if must_close and left:
        faults.append("still open: " + "; ".join(left))
    for host in lab.HOSTS:
        after = lab.tcp_counters(host)
        for name in ("EstabResets", "InCsumErrors") + (("OutRsts", "InErrs") if strict else ()):
            if after[name] != before[host][name]:
                faults.append(f"{host}: {name} {after[name] - before[host][name]}")
    return faults


def kernel_counts():
    return {host: lab.tcp_counters(host) for host in lab.HOSTS}


def counted_since(before):
    """What tells how a transfer went, one line for each host."""
    telling = ("RetransSegs", "TCPTimeouts", "TCPFastRetrans", "TCPDSACKRecv", "PAWSEstab",
               "TCPACKSkippedPAWS", "TCPACKSkippedSeq", "OutRsts", "EstabResets")
    after = kernel_counts()
    resent = sum(after[host]["RetransSegs"] - before[host]["RetransSegs"] for host in lab.HOSTS)
    return resent, "\n".join(host + ": " + ", ".join(
        f"{name} {after[host].get(name, 0) - before[host].get(name, 0)}" for name in telling)
        for host in lab.HOSTS)


class Table:
    def __init__(self):
        self.bare = {}
        self.failed = False
        print(f"{'policy':<12}{'loss %':>7}{'reorder %':>11}{'MB/s':>8}{'of none':>9}{'resent':>9}  "
              "result", flush=True)

    def row(self, policy, loss, reorder, speed, resent, faults, said):
        ratio = ""
        if policy == "none":
            self.bare[loss] = speed
        elif speed and self.bare.get(loss):
            ratio = f"{100 * speed / self.bare[loss]:.0f} %"
        shown = f"{speed:.1f}" if speed else ""
        print(f"{policy:<12}{loss:>7g}{reorder:>11g}{shown:>8}{ratio:>9}{resent:>9}  "
              f"{'FAILED' if faults else 'right'}", flush=True)
        if faults:
            self.failed = True
            print("\n".join("    " + line for line in "\n".join(faults + [said]).splitlines()[:40]),
                  flush=True)


def run_case(table, policy, loss, options, work, megabytes):
    reorder = options.reorder if loss else 0
    path = HERE / "policies" / f"{policy}.lua"
    capture = f"{options.capture}/{policy}-{loss:g}" if options.capture else None
    before = kernel_counts()
    bridge = lab.Bridge(options.bridge, None if policy == "none" else path, loss=loss,
                        reorder=reorder, settings=["tcp.edits_max=65536", *options.set],
                        capture=capture)  # A window full of lines has many edits.
    try:
        seconds, faults = work()
    except (OSError, RuntimeError, lab.subprocess.SubprocessError) as error:
        seconds, faults = 0, [f"{type(error).__name__}: {error}"]
    said = bridge.end()
    if bridge.process.returncode:
        faults.append(f"the bridge ended with {bridge.process.returncode}")
    if " 0 refused, 0 missed" not in bridge.said:
        faults.append("frames too long, or missed by the bridge")
    resent, counters = counted_since(before)
    table.row(policy, loss, reorder, megabytes / seconds if seconds and megabytes else 0, resent,
              faults, f"{counters}\n{said}")
    if options.verbose and not faults:
        print(f"{counters}\n{said}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bridge")
    parser.add_argument("--size", type=float, default=100, help="MB each way")
    parser.add_argument("--short", action="store_true", help="the sizes of the test suite")
    parser.add_argument("--only", help="policies, separated by commas")
    parser.add_argument("--loss", default="0,1,5", help="%% of the frames, before and behind")
    parser.add_argument("--reorder", type=float, default=1, help="%% of the frames, where some get lost")
    parser.add_argument("--congestion", default="cubic", help="the control that both hosts use")
    parser.add_argument("--patience", type=float, default=60, help="s without progress")
    parser.add_argument("--time-limit", type=float, default=900, help="s of one transfer")
    parser.add_argument("--set", action="append", default=[], help="a setting of the engine")
    parser.add_argument("--capture", help="folder for what both sides saw")
    parser.add_argument("--verbose", action="store_true", help="show the engine's summaries")
    options = parser.parse_args()
    lab.enter()
    lab.build(options.congestion)
    if options.short:
        options.size, options.patience, options.time_limit = 4, 15, 20
    losses = [float(loss) for loss in options.loss.split(",")]
    chosen = options.only.split(",") if options.only else [*POLICIES, "start"]
    table = Table()
    for policy, change in POLICIES.items():
        if policy not in chosen:
            continue
        wanted = None
        for loss in losses:
            size = options.size / 16 if options.short and loss > 1 else options.size
            if wanted is None or len(data[0]) > size * 1.1e6:
                data = [make_lines(seed, int(size * 1e6)) for seed in (1, 2)]
                wanted = [change(part) for part in data]
            run_case(table, policy, loss, options, lambda: transfer(data, wanted, options, loss == 0),
                     2 * size)
    for policy in ("readonly", "start"):
        for loss in losses[:2] if policy in chosen else ():
            with programs.Hosts(int(options.size * 1e6)) as hosts:
                for name, work in hosts.works():
                    print(f"  {name}:")
                    run_case(table, policy, loss, options,
                             lambda: checked(work, policy, loss == 0), 0)
    sys.exit(1 if table.failed else 0)


def checked(work, policy, strict):
    before, older = kernel_counts(), ends_of_connections()
    faults = work(policy)
    return 0, faults + rest_of_connections(before, older, not faults, strict)


if __name__ == "__main__":
    main()
