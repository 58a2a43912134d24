#!/usr/bin/env python3
"""An attacker with parsers of its own against the HTTP dissector: no message that two readers could
understand differently ever leaves complete, and all others leave as they should.

    http_chaos.py HAKA [--seed N] [--connections N] [--runs N] [--only CONNECTION] [--keep FOLDER]

From a seed it makes connections with pipelined requests and responses, most of them damaged, in segments that are
small, repeated, out of order and contradicted. One policy looks only, another one edits heads and bodies. What leaves
is put together again, read by the readers of http_readers.py, and compared with what they make of what was sent.
"""
import argparse
import collections
import json
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE / "api"))

import packets  # noqa: E402
from http_attacker import Attacker  # noqa: E402
from http_readers import LOOSE, Strict  # noqa: E402

NEW = """haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt) pkt.next_dissector = "http" end }
"""
LOOK = NEW + """
local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end
haka.rule{ hooks = { "http-request", "http-response" }, streamed = true, READONLY eval = function(self, pkt)
    local request, response, id = pkt.request, pkt.response, pkt.connection.srcport
    local asked, line = pcall(function() return request.method .. " " .. request.uri end)
    local side, shown, about = "C", { asked and line or "" }, response or request
    if response then
        side, shown[2] = "S", ("%d %s"):format(response.status, response.reason)
    end
    shown[#shown + 1] = about.version
    for name, value in about.headers:each() do shown[#shown + 1] = name .. ":" .. value end
    print(id, side, "head", hex(table.concat(shown, "\\n")))
    local size, hash = 0, 0
    while about.data:wait(1) > 0 do
        local text = tostring(about.data:read())
        for i = 1, #text do hash = (hash * 31 + text:byte(i)) % 4294967296 end
        size = size + #text
    end
    print(id, side, "body", size .. " " .. hash)
end }
"""
EDIT = NEW + """
haka.rule{ hooks = { "http-request" }, eval = function(self, pkt) pkt.request.headers:add("X-Added", "1") end }
haka.rule{ hooks = { "http-request", "http-response" }, streamed = true, eval = function(self, pkt)
    local body = (pkt.response or pkt.request).data
    if not pcall(pkt.edit_body, pkt) then return end
    while body:wait(4) >= 4 do
        local at = body:find("word")
        if not at then
            body:advance(body:available() - 3)
        elseif pkt.response then
            body:advance(at) body:insert("another phrase") body:erase(4)
        else
            body:advance(at) body:replace(4, "another phrase")
        end
    end
end }
"""
WORD, PHRASE = b"word", b"another phrase"
PASSING = {"bare-lf", "no-host", "unasked-response", "cut-short", "gap"}
TIME_MAX_S = 120


class Received:
    """What an end takes of one direction: the first copy of a byte that is in order."""

    def __init__(self, first):
        self.first, self.data, self.later, self.differs, self.ended = first, bytearray(), {}, False, False

    def take(self, packet):
        at = (packet.seq - self.first + 2 ** 31) % 2 ** 32 - 2 ** 31
        new = packet.payload if at > len(self.data) else packet.payload[len(self.data) - at:]
        at = max(at, len(self.data))
        for index, byte in enumerate(new if self.later or at > len(self.data) else b""):
            self.differs |= self.later.setdefault(at + index, byte) != byte
        if at == len(self.data):
            self.data += new
            while (byte := self.later.pop(len(self.data), None)) is not None:
                self.data.append(byte)
            if self.later:
                self.later = {place: byte for place, byte in self.later.items() if place > len(self.data)}
        self.ended |= bool(packet.flags & packets.FIN)


class Run:
    """haka with one policy over the connections: what left, what was refused, noted and printed, by client port."""

    def __init__(self, options, folder, name, policy, settings):
        (folder / f"{name}.lua").write_text(policy)
        out, eve = folder / f"{name}.pcap", folder / f"{name}.json"
        done = subprocess.run([options.haka, "run", "-r", folder / "in.pcap", "-w", out, "--eve", eve, *settings,
                               folder / f"{name}.lua"], capture_output=True, timeout=TIME_MAX_S, check=False)
        errors = [line for line in done.stderr.decode(errors="replace").splitlines() if " error " in line]
        self.trouble = f"exit {done.returncode} {errors[:3]}" if done.returncode or errors else None
        self.left = collections.defaultdict(lambda: {True: Received(1001), False: Received(5001)})
        self.refused, self.noted, self.seen = (collections.defaultdict(lambda: collections.defaultdict(list))
                                               for _ in range(3))
        self.wrong, self.readonly = 0, "readonly" in policy
        for packet in packets.parse(out):
            side = packet.dport == 80
            self.wrong += len(packet.bad)
            if not packet.flags & packets.SYN:
                self.left[packet.sport if side else packet.dport][side].take(packet)
        for line in eve.read_text().splitlines():
            self.event(json.loads(line))
        for line in done.stdout.decode().splitlines():
            words = line.split(" ", 3)
            if len(words) == 4 and words[1] in "CS" and words[2] in ("head", "body"):
                self.seen[int(words[0])][words[1] == "C", words[2]].append(words[3])

    def event(self, record):
        port = record["src_port"] if record["dest_port"] == 80 else record["dest_port"]
        if record["event_type"] == "alert":
            self.refused[port][record["haka"]["rule"].removeprefix("http.")].append(record)
        elif record["event_type"] == "anomaly":
            self.noted[port][record["anomaly"]["event"].removeprefix("http.")].append(record)


class Case:
    """A connection, what the strict reader makes of it, and what is wrong with what haka did."""

    def __init__(self, attacker, lf_ends):
        self.attacker, self.lf_ends, self.port = attacker, lf_ends, 1024 + attacker.number
        self.model = {True: Strict(attacker.bytes[True], lf_ends=lf_ends)}
        self.model[False] = Strict(attacker.bytes[False], self.asked, lf_ends)
        self.bad = self.model[True].bad | self.model[False].bad
        self.surely = any(side.surely for side in self.model.values())
        self.doubtful = any(side.doubtful or (side.bad and not side.surely) for side in self.model.values())

    def asked(self, number, at):
        """The request which response `number` answers, of those that came before its head's end at `at`."""
        client = server = 0
        for side, data in self.attacker.flights:
            client, server = client + side * len(data), server + (not side) * len(data)
            if server >= at:
                break
        known = [request for request in self.model[True].messages if request.head_end <= client]
        return known[number] if number < len(known) else None

    def problems(self, run, edits):
        refused, noted = set(run.refused[self.port]), set(run.noted[self.port])
        last = self.last(False) if edits else None
        unread = last and last < len(self.model[False].messages) + bool(self.bad)
        # Its client would take an edited body that ends with the connection for whole.
        excused = edits and refused == {"cut-short"}
        left = {side: bytes(run.left[self.port][side].data) for side in (True, False)}
        if any(received.differs for received in run.left[self.port].values()):
            yield "copies that left differ"
        if self.surely and not refused and not unread:
            yield f"{self.bad} was not refused"
        if refused and not self.doubtful and not excused and not refused & self.bad:
            yield f"refused for {refused}, not for {self.bad or 'nothing'}"
        if not refused and not self.bad and not self.doubtful and not unread:
            wanted = self.model[True].notes | self.model[False].notes
            if wanted - {"cut-short"} != {name for name in noted if name in PASSING - {"cut-short"}}:
                yield f"noted {noted}, not {wanted}"
        for side in (True, False):
            yield from self.ambiguous(side, left[side], run.readonly)
            yield from (self.edited if edits else self.unchanged)(side, left[side], bool(refused))
            if not edits:
                yield from self.unseen(side, run.seen[self.port], bool(refused))
            if not refused and not run.left[self.port][side].ended:
                yield "the end didn't leave"
        if refused and not self.doubtful and not unread and not excused:
            yield from self.kept(left)

    def reread(self, side, data):
        if side:
            return Strict(data, lf_ends=self.lf_ends)
        asked = iter([message.asked for message in self.model[False].messages])
        return Strict(data, lambda number, at: next(asked, None), self.lf_ends)

    def ambiguous(self, side, left, readonly):
        """With `readonly` rules all of a head but its last byte leaves as it comes: to some, a CR ends it."""
        read = self.reread(side, left)
        if read.surely:
            yield f"what left has {read.bad}"
        methods = None if side else [message.asked.start[0] if message.asked else b"GET"
                                     for message in self.model[False].messages]
        ends = [style.ends(left, methods) for style in LOOSE if not (style.cr_ends and readonly)]
        if not read.bad or read.surely:
            ends.append([message.end for message in read.messages if message.end is not None])
        if any(other != ends[0] for other in ends):
            yield f"readers differ about what left: {ends}"

    def unchanged(self, side, left, refused):
        sent, model = self.attacker.bytes[side], self.model[side]
        if not refused and left != sent:
            yield f"{len(left)} bytes left of {len(sent)}, changed from {common(left, sent)} on"
        elif not sent.startswith(left):
            yield f"changed from {common(left, sent)} on"
        if model.surely and len(left) >= model.bad_end:
            yield f"{model.bad} left"

    def kept(self, left):
        """Messages that were complete before the first flight with an offence leave (the edited ones are read)."""
        at, before = {True: 0, False: 0}, {True: 0, False: 0}
        limit = {side: model.at if model.bad else 2 ** 60 for side, model in self.model.items()}
        for side, data in self.attacker.flights:
            before = dict(at)
            at[side] += len(data)
            if at[side] > limit[side]:
                break
        for side, model in self.model.items():
            wanted = sum(message.end is not None and message.end <= before[side] and message.framing != "close"
                         for message in model.messages)
            if sum(message.end is not None for message in self.reread(side, left[side]).messages) < wanted:
                yield f"of {wanted} messages before the offence not all left"

    def unseen(self, side, seen, refused):
        messages = self.model[side].messages
        if not side and self.model[True].bad and not self.model[True].surely:
            messages = messages[:len(self.model[True].messages)]  # Requests behind the doubt aren't in the model.
        heads = [shown(message, side).hex() for message in messages]
        bodies = [f"{len(message.body)} {hashed(message.body)}" for message in messages]
        whole = not refused and not self.bad
        got = seen[side, "head"]
        if got != heads if whole else got[:len(heads)] != heads[:len(got)]:
            yield f"saw heads {[bytes.fromhex(text) for text in got]}"
        got, sure = seen[side, "body"], sum(message.end is not None for message in messages)
        if got != bodies if whole else got[:sure] != bodies[:min(sure, len(got))]:
            yield f"saw bodies {got}, not {bodies}"

    def last(self, side):
        """How many messages leave of those that are edited: behind one that then ends with the connection, none."""
        for index, message in enumerate(self.model[side].messages, 1):
            if not side and message.length and is_old(message) and not stays(message):
                return index
        return None

    def edited(self, side, left, refused):
        wanted = [edit(message, side) for message in self.model[side].messages[:self.last(side)]
                  if message.end is not None]
        found = [message for message in self.reread(side, left).messages if message.end is not None]
        got = [plain(message) for message in found]
        whole = not refused and not self.bad
        if sum(message.framing != "close" for message in found) > len(wanted) and not self.bad and not self.doubtful:
            yield f"{len(got)} messages left of {len(wanted)}"
        sure = max(0, min(len(got), len(wanted) - 1))
        if got[:len(wanted)] != wanted if whole else got[:sure] != wanted[:sure]:
            yield f"edited to\n      {got}, not\n      {wanted}"


def common(one, other):
    return next((index for index, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))


def hashed(body):
    value = 0
    for byte in body:
        value = (value * 31 + byte) % 2 ** 32
    return value


def shown(message, side):
    request = message if side else message.asked
    lines = [request.start[0] + b" " + request.start[1] if request else b""]
    lines += [] if side else [b"%d %s" % message.start[1:]]
    return b"\n".join(lines + [b"HTTP/" + message.version] + [name + b":" + value for name, value in message.headers])


def plain(message):
    headers = [(name, value) for name, value in message.headers
               if name.lower() not in (b"content-length", b"transfer-encoding")]
    return message.start, headers, message.body, message.trailers


def is_old(message):
    return message.version == b"1.0" or (message.asked is not None and message.asked.version == b"1.0")


def stays(message):
    """An HTTP/1.0 client or server said so, and the other one can."""
    said, asked = message.words(b"connection"), message.asked
    wanted = asked and asked.version == b"1.0" and b"keep-alive" in asked.words(b"connection")
    return b"keep-alive" in said or (wanted and message.version == b"1.1" and b"close" not in said)


def edit(message, side):
    """The message as the editing policy shall leave it, without what frames it."""
    start, headers, body, trailers = plain(message)
    framed = message.framing in ("chunked", "length")
    kept = is_old(message) and framed and (side or message.framing == "chunked" or stays(message))
    if message.framing in ("length", "chunked", "close") and not kept:
        body = body.replace(WORD, PHRASE)
    return start, headers + [(b"X-Added", b"1")] * side, body, trailers


def play(options, seed, folder):
    """Problems found with one seed."""
    numbers = range(options.connections) if options.only is None else [options.only]
    settings = ["--set", "http.bare_lf=drop"] if seed % 4 == 3 else []
    cases = [Case(Attacker(seed, number), not settings) for number in numbers]
    frames = [(case.attacker.number * 200_000 + when, frame) for case in cases
              for when, frame in case.attacker.frames()]
    packets.write(folder / "in.pcap", sorted(frames, key=lambda timed: timed[0]))
    found = 0
    for name, policy in (("look", LOOK.replace("READONLY", "readonly = true," if seed % 2 else "")), ("edit", EDIT)):
        run = Run(options, folder, name, policy, settings)
        problems = [("", run.trouble)] if run.trouble else []
        problems += [("", f"{run.wrong} wrong checksums left")] if run.wrong else []
        problems += [(f" --only {case.attacker.number}", text) for case in cases
                     for text in case.problems(run, name == "edit")]
        for only, text in problems[:options.show]:
            print(f"--seed {seed} --connections {options.connections}{only}: {name}: {text[:3000]}")
        found += len(problems)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("haka")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--connections", type=int, default=150)
    parser.add_argument("--runs", type=int, default=2, help="so many seeds from the first on")
    parser.add_argument("--only", type=int, help="this connection alone")
    parser.add_argument("--show", type=int, default=5, help="so many problems of a run")
    parser.add_argument("--keep", type=Path, help="folder for captures and policies")
    options = parser.parse_args()
    found = 0
    for seed in range(options.seed, options.seed + options.runs):
        with tempfile.TemporaryDirectory() as folder:
            folder = options.keep or Path(folder)
            folder.mkdir(parents=True, exist_ok=True)
            found += play(options, seed, folder)
    print(f"{options.runs} x {options.connections} connections, {found} problems")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
