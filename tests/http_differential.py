#!/usr/bin/env python3
"""Requests and responses as haka sees them against those of tshark, over the captures given.

    http_differential.py --haka HAKA CAPTURE...      exit 77: skipped, with the reason
"""
import argparse
import collections
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

POLICY = """haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    pkt.next_dissector = "http" end }"""
FIELDS = ["ip.src", "ipv6.src", "tcp.srcport", "ip.dst", "ipv6.dst", "tcp.dstport", "http.request.method",
          "http.request.uri", "http.host", "http.user_agent", "http.response.code", "http.content_type"]


def of_tshark(path):
    """(client, port, server port) -> requests and responses, in order."""
    command = ["tshark", "-r", str(path), "-Y", "http.request or http.response", "-T", "fields",
               "-E", "separator=\x1f", "-E", "occurrence=a", "-E", "aggregator=\x1e"]
    for field in FIELDS:
        command += ["-e", field]
    found = collections.defaultdict(lambda: ([], []))
    for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
        src4, src6, sport, dst4, dst6, dport, method, uri, host, agent, code, kind = line.split("\x1f")
        if method:
            found[src4 or src6, sport, dport][0].append((method, uri, host, agent))
        else:
            found[dst4 or dst6, dport, sport][1].append((code, kind.partition(";")[0]))
    return found


def of_haka(haka, path):
    found = collections.defaultdict(lambda: ([], []))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "policy.lua").write_text(POLICY)
        subprocess.run([haka, "run", "-q", "-r", str(path), "--eve", f"{folder}/eve.json", "--set",
                        "tcp.midstream=ignore", "--set", "eve.ipv6_compress=true", f"{folder}/policy.lua"],
                       check=True, capture_output=True)
        for line in (Path(folder) / "eve.json").read_text().splitlines():
            record = json.loads(line)
            if record["event_type"] != "http":
                continue
            http = record["http"]
            of = found[record["src_ip"], str(record["src_port"]), str(record["dest_port"])]
            host = http.get("hostname", "") + (f":{http['http_port']}" if "http_port" in http else "")
            of[0].append((http["http_method"], http["url"], host, http.get("http_user_agent", "")))
            if "status" in http:
                of[1].append((str(http["status"]), http.get("http_content_type", "")))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--haka", required=True)
    parser.add_argument("captures", nargs="+", type=Path)
    options = parser.parse_args()
    if not shutil.which("tshark"):
        print("skipped: no tshark here")
        return 77
    failed = 0
    for path in filter(Path.exists, options.captures):
        ours, theirs = of_haka(options.haka, path), of_tshark(path)
        count = sum(len(of[0]) + len(of[1]) for of in theirs.values())
        for key in sorted(set(ours) | set(theirs)):
            if ours[key] != theirs[key]:
                failed += 1
                if failed < 5:
                    print(f"{path.name} {key}\n  haka:   {ours[key]}\n  tshark: {theirs[key]}"[:1500])
        print(f"{path.name}: {len(theirs)} connections, {count} messages")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
