"""Two readers of HTTP/1 for tests: a strict one after RFC 9112, and loose ones as careless programs read.

They share no code. The strict reader names offences as docs/settings.md does, and stops at the first message
that has one. What it calls doubtful may be refused or not, as long as all readers frame it alike.
"""
import re
from dataclasses import dataclass, field

LINE_MAX, HEAD_MAX, HEADERS_MAX = 16384, 65536, 256
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TEXT = rb"[^\0-\x08\x0a-\x1f\x7f]"
REQUEST_LINE = re.compile(rb"(%s) ([^\0-\x20\x7f]+) HTTP/(1\.[01])" % TOKEN)
STATUS_LINE = re.compile(rb"HTTP/(1\.[01]) (\d{3})(?: (%s*))?" % TEXT)
FIELD = re.compile(rb"(%s):[ \t]*(%s*)" % (TOKEN, TEXT))
CHUNK = re.compile(rb'([0-9A-Fa-f]+)(?:[ \t]*;[ \t]*%s(?:[ \t]*=[ \t]*(?:%s|"(?:(?!["\\])%s|\\%s)*"))?)*'
                   % (TOKEN, TOKEN, TEXT, TEXT))
HOST = re.compile(rb"(?:(?:[A-Za-z0-9\-._~]|%[0-9A-Fa-f]{2})*|\[[0-9A-Fa-f:.]+\])(?::\d*)?")
TARGET = re.compile(rb"(?:http://([^/?]+))?(?:[/?](?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*)?")
START_OFFENCES = {"not-http", "bad-request-line", "bad-status-line", "bad-version", "bad-target", "bad-header"}
FRAMING = {b"content-length", b"transfer-encoding", b"host"}


@dataclass
class Message:
    start: tuple = ()       # Method, target, version; or version, status, reason.
    version: bytes = b""
    headers: list = field(default_factory=list)
    head_end: int = 0
    framing: str = "none"
    length: int = 0
    asked: object = None    # The request that a response answers.
    body: bytes = b""
    trailers: list = field(default_factory=list)
    end: int = None         # Behind its last byte; None when that never came.

    def all(self, name):
        return [value for key, value in self.headers if key.lower() == name]

    def words(self, name):
        return [word.strip(b" \t").lower() for value in self.all(name) for word in value.split(b",")]


class Strict:
    """One direction, read to its end or first offence. `asked(n, at)` is request n of a response whose head
    ends at `at`, None when there is none yet; without it, requests are read."""

    def __init__(self, data, asked=None, lf_ends=True):
        self.data, self.asked, self.lf_ends = data, asked, lf_ends
        self.messages, self.notes, self.doubtful = [], set(), False
        self.bad, self.bad_end, self.surely = set(), None, False
        self.at = self.answered = 0
        while self.at < len(data) and not self.bad and self.message():
            pass

    def offend(self, names, end, surely=True):
        self.bad, self.bad_end, self.surely = names, end, surely

    def message(self):
        at = self.head_start()
        lines, end, bad = self.lines(at)
        if end is None:
            if at < len(self.data):
                self.offend(bad | {"cut-head"}, len(self.data) + 1, False)
            return False
        message = Message(head_end=end)
        bad |= self.head(message, lines)
        if bad:
            self.offend(bad, end)
            return False
        self.messages.append(message)
        self.at = end
        self.take_body(message)
        return message.end is not None

    def head_start(self):
        """Behind an empty line, which may come before a request (RFC 9112, 2.2)."""
        at = self.at
        while self.data[at:at + 2] == b"\r\n" or self.data[at:at + 1] == b"\n":
            self.doubtful |= self.asked is not None or at > self.at or self.data[at:at + 1] == b"\n"
            at = self.data.index(b"\n", at) + 1
        return at

    def lines(self, start):
        """Lines from `start` to an empty one, the place behind that if it came, and what is wrong."""
        lines, at, bad = [], start, set()
        while True:
            newline = self.data.find(b"\n", at)
            end = newline + 1 if newline >= 0 else len(self.data)
            bad |= {"line-too-long"} if end - at > LINE_MAX else set()
            bad |= {"head-too-long"} if end - start > HEAD_MAX else set()
            line, at = self.data[at:end], end
            bad |= {name for byte, name in ((rb"\r(?!\n)", "bare-cr"), (rb"\0", "nul")) if re.search(byte, line)}
            if newline < 0:
                return lines, None, bad
            if line[-2:] != b"\r\n":
                self.notes.add("bare-lf")
                bad |= set() if self.lf_ends else {"bare-lf"}
            line = line[:-1].removesuffix(b"\r")
            if not line:
                return lines, end, bad
            lines.append(line)

    @staticmethod
    def fields(lines):
        found, bad = [], {"too-many-headers"} if len(lines) > HEADERS_MAX else set()
        for line in lines:
            match = FIELD.fullmatch(line)
            if match:
                found.append((match[1], match[2].rstrip(b" \t")))
            elif line[0] in b" \t":
                bad |= {"obs-fold", "bad-header"}
            else:
                bad |= {"bad-header"} | ({"space-before-colon"} if re.match(rb"[^:]*[ \t]", line) else set())
        return found, bad

    def head(self, message, lines):
        match = (STATUS_LINE if self.asked else REQUEST_LINE).fullmatch(lines[0] if lines else b"")
        message.headers, bad = self.fields(lines[1:])
        if not match:
            return bad | START_OFFENCES
        if self.asked:
            message.start, message.version = (match[1], int(match[2]), match[3] or b""), match[1]
            self.doubtful |= match[3] is None or not 100 <= int(match[2]) <= 599
            bad |= self.pair(message)
        else:
            message.start, message.version = (match[1], match[2], match[3]), match[3]
            bad |= self.target(message)
        return bad | self.frame(message)

    def pair(self, message):
        message.asked = self.asked(self.answered, message.head_end)
        if message.asked is None:
            self.notes.add("unasked-response")
        status = message.start[1]
        if status == 101:
            return set() if message.asked and message.asked.all(b"upgrade") else {"unasked-switch"}
        self.answered += status >= 200 and message.asked is not None
        return set()

    def target(self, message):
        method, target, version = message.start
        hosts, match = message.all(b"host"), TARGET.fullmatch(target)
        if version == b"1.1" and not hosts:
            self.notes.add("no-host")
        if len(hosts) > 1:
            return {"bad-host", "host-mismatch"}
        if method == b"CONNECT" or (method, target) == (b"OPTIONS", b"*"):
            return set()
        if len(method) > 20 or not match or not HOST.fullmatch(hosts[0] if hosts else b""):
            self.doubtful = True
        elif match[1] and hosts and match[1].lower() != hosts[0].lower():
            return {"host-mismatch", "bad-target", "bad-host"}
        return set()

    def frame(self, message):
        """How the body is framed (RFC 9112, 6.3), or why it can't be told."""
        lengths, codings = message.all(b"content-length"), message.all(b"transfer-encoding")
        words = message.words(b"content-length")
        status = message.start[1] if self.asked else 0
        bad = {"two-framings"} if lengths and codings else set()
        sizes = {int(word) if re.fullmatch(rb"[0-9]{1,99}", word) else -1 for word in words}
        bad |= {"bad-length"} if any(not 0 <= size < 2 ** 64 for size in sizes) else set()
        bad |= {"differing-lengths"} if len(sizes) > 1 else set()
        if codings and (message.version == b"1.0" or [coding.lower() for coding in codings] != [b"chunked"]):
            bad |= {"bad-transfer-encoding"}
        if (lengths or codings) and (100 <= status < 200 or status == 204):
            bad |= {"excluded-body"} if codings or sizes != {0} else set()
            self.doubtful = True
        if bad:
            return bad
        self.doubtful |= len(words) > 1 or any(len(word) > 15 for word in words)
        message.framing, message.length = self.kind(message, codings, words)
        return set()

    def kind(self, message, codings, words):
        status = message.start[1] if self.asked else None
        method = (message.asked.start[0] if message.asked else b"GET") if self.asked else message.start[0]
        if status is None and (method == b"CONNECT" or message.all(b"upgrade")):
            return "tunnel", 0      # This test grants all of them.
        if status == 101 or (status and method == b"CONNECT" and 200 <= status < 300):
            return "tunnel", 0
        if status is not None and (method == b"HEAD" or status in (204, 304) or status < 200):
            return "none", 0
        if codings:
            return "chunked", 0
        if words:
            return "length", int(words[0])
        return "close" if self.asked else "none", 0

    def take_body(self, message):
        if message.framing == "chunked":
            self.chunks(message)
            return
        left = len(self.data) - self.at
        size = {"none": 0, "length": message.length}.get(message.framing, left)
        message.body = self.data[self.at:self.at + size] if message.framing != "tunnel" else b""
        self.at += min(size, left)
        message.end = self.at if size <= left else None

    def chunks(self, message):
        while True:
            end = self.data.find(b"\n", self.at) + 1
            line = self.data[self.at:end or None]
            match = CHUNK.fullmatch(line.removesuffix(b"\r\n"))
            if not end or not match or line[-2:] != b"\r\n" or len(line) > LINE_MAX or len(match[1]) > 15:
                self.no_chunk(line, bool(end))
                return
            size, self.at = int(match[1], 16), end
            self.doubtful |= line[len(match[1])] in b" \t"
            if size == 0:
                self.take_trailers(message)
                return
            message.body += self.data[end:end + size]
            rest = self.data[end + size:end + size + 2]
            self.at = end + size + 2
            if not b"\r\n".startswith(rest):
                self.offend({"bad-chunk", "bare-cr"}, self.at)
            if rest != b"\r\n":
                return

    def no_chunk(self, line, complete):
        """A line without end, or a digit and blanks or an extension of doubtful form, may be refused or not."""
        names = {"bad-chunk", "nul", "bare-cr", "line-too-long", "bad-header"}
        doubtful = re.fullmatch(rb"[0-9A-Fa-f]+[ \t]*(;%s*)?\r\n" % TEXT, line) and len(line) < LINE_MAX
        self.offend(names, self.at + len(line) + (not complete), complete and not doubtful)

    def take_trailers(self, message):
        lines, end, bad = self.lines(self.at)
        message.trailers, wrong = self.fields(lines)
        self.doubtful |= bool(re.search(rb"(?<!\r)\n", self.data[self.at:end]))
        if {name.lower() for name, _ in message.trailers} & FRAMING:
            wrong.add("bad-trailer")
        if bad | wrong:
            self.offend(bad | wrong | {"bad-trailer", "bad-chunk"}, end or len(self.data) + 1, end is not None)
        elif end:
            message.end = self.at = end


@dataclass
class Loose:
    """Ends of the messages of one direction as a careless program sees them."""
    coding_wins: bool       # Transfer-Encoding over Content-Length.
    last: bool              # The last of two lengths, not the first.
    folds: bool             # A line that begins with blanks continues the one before, else it is one of its own.
    cr_ends: bool           # A CR alone ends a line, too.
    exact: bool             # "chunked" is the whole value, else it is somewhere in it.

    def ends(self, data, methods):
        """`methods[n]` is that of the request which response n answers; None: requests are read."""
        found, at = [], 0
        while at < len(data):
            stop = re.compile(rb"(?:\r\n|\n|\r(?=[^\n])){2}" if self.cr_ends else rb"\n\r?\n").search(data, at)
            if data[at:at + 1] in b"\r\n":
                at += 1
                continue
            if not stop:
                break
            lines = re.split(rb"\r\n|\n|\r" if self.cr_ends else rb"\r?\n", data[at:stop.start()].rstrip(b"\r"))
            method = b"GET" if methods is None or len(found) >= len(methods) else methods[len(found)]
            at = self.end(data, stop.end(), lines, methods is not None, method)
            if at is None or at > len(data):
                break
            found.append(at)
        return found

    def headers(self, lines):
        joined = []
        for line in lines:
            if line[:1] in (b" ", b"\t") and self.folds and joined:
                joined[-1] += line
            else:
                joined.append(line)
        for line in joined:
            name, _, value = line.partition(b":")
            yield name.strip(b"\0\t\x0b\x0c\r ").lower(), value.strip(b"\0\t\x0b\x0c\r ").lower()

    def end(self, data, at, lines, response, method):
        headers = list(self.headers(lines[1:]))
        status = int((re.findall(rb"\d{3}", lines[0].partition(b" ")[2]) or [b"200"])[0]) if response else 0
        if response and (method == b"HEAD" or status in (204, 304) or 100 <= status < 200 and status != 101):
            return at
        if status == 101 or method == b"CONNECT" and 200 <= status < 300:
            return len(data)
        if not response and (lines[0].startswith(b"CONNECT ") or dict(headers).get(b"upgrade")):
            return len(data)
        chunked = any(value == b"chunked" if self.exact else b"chunked" in value
                      for name, value in headers if name == b"transfer-encoding")
        lengths = [int(match[1]) for name, value in headers if name == b"content-length"
                   if (match := re.match(rb"\D{0,2}(\d+)", value))]
        if chunked and (self.coding_wins or not lengths):
            return self.chunked_end(data, at)
        if lengths:
            return at + lengths[-1 if self.last else 0] % 2 ** 64
        return len(data) if response else at

    @staticmethod
    def chunked_end(data, at):
        while True:
            newline = data.find(b"\n", at)
            if newline < 0:
                return None
            digits = re.match(rb"[ \t+]*(?:0x)?([0-9A-Fa-f]*)", data[at:newline])[1]
            size, at = int(digits or b"0", 16) % 2 ** 64, newline + 1
            if size == 0:
                stop = re.compile(rb"\n\r?\n").search(data, newline)
                return stop and stop.end()
            at += size
            at += data[at:at + 1] == b"\r"
            at += data[at:at + 1] == b"\n"


LOOSE = [Loose(True, False, True, False, False), Loose(False, True, False, True, False),
         Loose(True, True, False, False, True), Loose(False, False, True, True, True)]
