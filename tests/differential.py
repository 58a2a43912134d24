#!/usr/bin/env python3
"""Are the bytes of every connection those that tshark sees?

For each capture, and for connections of the benchmark's traffic chosen by a seed: the bytes of each
direction, as a policy prints them, equal those of `tshark -z follow,tcp,raw`. Only connections that
begin with their SYN count; the engine drops the others. Exit: 0 equal, 1 not, 77 nothing compared.
"""
import argparse
import ipaddress
import mmap
import random
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
TIME_MAX_S = 120
LEAP_S = 86_400
FIN, SYN, ACK = 0x01, 0x02, 0x10
CUT_BYTES = 100_000   # Of the benchmark's connections so much of each direction is compared.
SEGMENT_MAX = 1448    # A stream that was cut may end this much earlier when it is segmented otherwise.
# tshark takes an acknowledgement that comes before the bytes for a hole. What the reordered traffic
# carries is therefore asked of the traffic that it was made from.
BENCH = {"churn": "churn", "small": "small", "bulk": "bulk", "bulk-reordered": "bulk"}


def run(command):
    done = subprocess.run(command, capture_output=True, timeout=TIME_MAX_S, check=False)
    if done.returncode != 0:
        sys.exit(f"failed ({done.returncode}): {' '.join(map(str, command))}\n"
                 f"{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.decode(errors="replace")


def endpoint(address, port):
    return ipaddress.ip_address(address), int(port)


def node(text):
    address, port = text.rsplit(":", 1)
    return endpoint(address.strip("[]"), port)


def tshark_streams(capture):
    """(client, server) -> the connections between them in order, each a pair of byte strings."""
    fields = ["tcp.stream", "tcp.flags", "ip.src", "ip.dst", "ipv6.src", "ipv6.dst",
              "tcp.srcport", "tcp.dstport"]
    listing = run(["tshark", "-n", "-r", capture, "-Y", "tcp && !icmp && !icmpv6", "-T", "fields",
                   "-E", "occurrence=f", *[word for field in fields for word in ("-e", field)]])
    begun = {}  # tcp.stream -> (client, server), or None if it doesn't begin with its SYN.
    for line in listing.splitlines():
        stream, flags, src4, dst4, src6, dst6, sport, dport = line.split("\t")
        if stream and int(stream) not in begun:
            is_syn = int(flags, 16) & (SYN | ACK) == SYN
            begun[int(stream)] = (endpoint(src4 or src6, sport),
                                  endpoint(dst4 or dst6, dport)) if is_syn else None
    chosen = [stream for stream, ends in begun.items() if ends]
    found = defaultdict(list)
    if not chosen:
        return found
    follow = [word for stream in chosen for word in ("-z", f"follow,tcp,raw,{stream}")]
    followed = parse_follow(run(["tshark", "-n", "-q", "-r", capture, *follow]))
    for stream in sorted(chosen):
        client, server = begun[stream]
        first, sides = followed[stream]
        found[client, server].append(sides if first == client else sides[::-1])
    return found


def parse_follow(text):
    """tcp.stream -> (node 0, (bytes from node 0, bytes from node 1))."""
    followed = {}
    stream = first = sides = None
    for line in text.splitlines():
        if line.startswith("Filter: tcp.stream eq "):
            stream = int(line.rsplit(" ", 1)[1])
        elif line.startswith("Node 0: "):
            first = node(line[8:])
        elif line.startswith("Node 1: "):
            sides = (bytearray(), bytearray())
            followed[stream] = (first, sides)
        elif sides is not None and line.startswith("="):
            sides = None
        elif sides is not None:
            sides[line.startswith("\t")].extend(bytes.fromhex(line.strip()))
    return followed


def haka_streams(haka, capture):
    """The same as tshark_streams, of what the engine shows to a policy."""
    found, by_id = defaultdict(list), {}
    holes = defaultdict(bytes)  # tshark tells of a hole when bytes come behind it.
    for line in run([haka, "run", "-r", capture, "-q", HERE / "differential.lua"]).splitlines():
        what, *words = line.split(" ")
        if what == "new":
            sides = (bytearray(), bytearray())
            by_id[words[0]] = sides
            found[endpoint(*words[1:3]), endpoint(*words[3:5])].append(sides)
        elif what == "data":
            side = words[0], words[1]
            by_id[words[0]][words[1] == "server"].extend(holes.pop(side, b"")
                                                         + bytes.fromhex(words[2]))
        elif what == "gap":
            holes[words[0], words[1]] += f"[{words[2]} bytes missing in capture file]".encode()
    return found


def same(ours, theirs, cut):
    if not cut:
        return ours == theirs
    size = min(len(ours), len(theirs))
    return ours[:size] == theirs[:size] and max(len(ours), len(theirs)) - size <= 2 * SEGMENT_MAX


def differences(ours, theirs, cut=False):
    """What differs, in words; and how many connections and bytes were compared."""
    said, compared, total = [], 0, 0
    for ends in sorted(set(ours) | set(theirs)):
        name = "{}:{} -> {}:{}".format(*ends[0], *ends[1])
        mine, others = ours.get(ends, []), theirs.get(ends, [])
        if len(mine) != len(others):
            said.append(f"{name}: {len(mine)} connections, tshark sees {len(others)}")
        for number, (left, right) in enumerate(zip(mine, others)):
            compared += 1
            for side, sender in enumerate(("client", "server")):
                total += len(right[side])
                if not same(left[side], right[side], cut):
                    at = next((i for i, (a, b) in enumerate(zip(left[side], right[side]))
                               if a != b), min(len(left[side]), len(right[side])))
                    said.append(f"{name} (number {number}), from the {sender}: "
                                f"{len(left[side])} bytes, tshark has {len(right[side])}, they "
                                f"differ from byte {at} on: {bytes(left[side][at:at + 16])!r}, "
                                f"tshark {bytes(right[side][at:at + 16])!r}")
    return said, compared, total


def records(data):
    """(offset, bytes before the frame, size) of a pcap file of this machine."""
    at = 24
    while at + 16 <= len(data):
        size = struct.unpack_from("=I", data, at + 8)[0]
        yield at, at + 16, size
        at += 16 + size


def tcp_of(data, frame):
    """Of a TCP segment over IPv4 in Ethernet: forward key, backward key, seq, ack, size, flags."""
    if data[frame + 12:frame + 14] != b"\x08\x00" or data[frame + 23] != 6:
        return None
    ip = frame + 14
    tcp = ip + (data[ip] & 15) * 4
    source, target = data[ip + 12:ip + 16], data[ip + 16:ip + 20]
    sport, dport = data[tcp:tcp + 2], data[tcp + 2:tcp + 4]
    seq, ack = struct.unpack_from(">II", data, tcp + 4)
    end = ip + struct.unpack_from(">H", data, ip + 2)[0]
    size = end - tcp - (data[tcp + 12] >> 4) * 4
    return source + sport + target + dport, target + dport + source + sport, seq, ack, size, \
        data[tcp + 13]


def extract(capture, target, count, seed):
    """Writes `count` of the connections that begin with their SYN, the first CUT_BYTES of each
    direction of them. The choice depends on seed and connections, not on the order of packets."""
    with open(capture, "rb") as file, \
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        begun = set()
        for _, frame, _ in records(data):
            if data[frame + 47] & (SYN | ACK) == SYN:  # Without IP options the flags stand there.
                begun.add(tcp_of(data, frame)[0])
        chosen = set(random.Random(seed).sample(sorted(begun), min(count, len(begun))))
        first = {}  # Key of a direction -> number of its first byte.
        with open(target, "wb") as out:
            out.write(data[:24])
            for at, frame, size in records(data):
                segment = tcp_of(data, frame)
                if not segment or not (segment[0] in chosen or segment[1] in chosen):
                    continue
                forward, backward, seq, ack, length, flags = segment
                if flags & SYN:
                    first[forward] = seq + 1
                elif (seq - first.get(forward, seq)) % 2**32 + length > CUT_BYTES or (
                        flags & ACK and (ack - first.get(backward, ack)) % 2**32 > CUT_BYTES):
                    continue
                out.write(data[at:frame + size])
    return len(chosen)


def without_leaps(capture, target):
    """The capture, or a copy of it in which time stands still: packets that a program made and
    stamped by a clock of its own leap by years. tshark knows no timeouts, the engine does."""
    data = bytearray(capture.read_bytes())
    if data[:4] not in (struct.pack("=I", 0xa1b2c3d4), struct.pack("=I", 0xa1b23c4d)):
        return capture
    places = [at for at, _, _ in records(data)]
    seconds = [struct.unpack_from("=I", data, at)[0] for at in places]
    if all(abs(after - before) <= LEAP_S for before, after in zip(seconds, seconds[1:])):
        return capture
    for at in places:
        struct.pack_into("=II", data, at, seconds[0], 0)
    target.write_bytes(data)
    return target


def captures_in(paths):
    for path in paths:
        path = Path(path) if path.strip() else None  # An unset folder comes as an empty word.
        if path is None or not path.exists():
            print(f"skipped: no captures at '{path or ''}'")
        elif path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix in (".pcap", ".pcapng"))
        else:
            yield path


def jobs(options, scratch):
    """Name, what we read, what tshark reads, whether the streams were cut."""
    for capture in captures_in(options.captures):
        yield capture.name, without_leaps(capture, scratch / "still.pcap"), capture, False
    for name, origin in BENCH.items():
        capture = options.bench / f"{name}.pcap" if options.bench else None
        if capture is None or not capture.exists():
            print(f"skipped: no {name}.pcap of the benchmark")
            continue
        ours = scratch / f"{name}.pcap"
        extract(capture, ours, options.count, options.seed)
        theirs = ours
        if origin != name:
            theirs = scratch / f"{name}-origin.pcap"
            extract(options.bench / f"{origin}.pcap", theirs, options.count, options.seed)
        yield f"{name} (seed {options.seed})", ours, theirs, origin != name


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--haka", required=True, help="the engine")
    parser.add_argument("--bench", type=Path, help="folder of the benchmark's traffic")
    parser.add_argument("--count", type=int, default=200, help="connections of each such file")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("captures", nargs="*", help="files, or folders of them")
    options = parser.parse_args()
    if not shutil.which("tshark"):
        print("skipped: no tshark here")
        return 77

    failed = compared = 0
    with tempfile.TemporaryDirectory() as scratch:
        for name, ours, theirs, cut in jobs(options, Path(scratch)):
            said, connections, size = differences(haka_streams(options.haka, ours),
                                                  tshark_streams(theirs), cut)
            compared += connections
            failed += bool(said)
            print(f"{'DIFFERS' if said else 'equal'}: {name}, {connections} connections, "
                  f"{size} bytes", *said[:10], sep="\n    ", flush=True)
    if compared == 0:
        print("skipped: nothing to compare")
        return 77
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
