"""Connections of an attacker, from a seed: requests and responses, most of them damaged, and their packets.

Segments are small, repeated, out of order and contradicted: later copies say otherwise than the first.
"""
import random

import packets

DECOYS = [b"word", b"wor", b"d", b"\r\n", b"0\r\n\r\n", b"GET /x HTTP/1.1\r\nHost: y\r\n\r\n", b"\0\xff",
          b"abcdefgh" * 9, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"a\nb\r"]
HEADERS = [b"Accept: */*", b"X-Empty:", b"x-low:1", b"X-Tab:\ta\tb \t", b"X-Text: \xe9\xff", b"Cookie: a=b; c=d",
           b"X-Same: 1", b"X-Same: 2", b"User-Agent:  one (two)", b"X-Colon: a:b: c"]
HOSTILE_LINES = [
    b"Content-Length: 5", b"Content-Length: 0", b"Content-Length: 3, 4", b"Content-Length: 5, 5",
    b"Content-Length: +5", b"Content-Length: -1", b"Content-Length: 0x5", b"Content-Length: 5 5", b"Content-Length:",
    b"Content-Length: 5\r", b"Content-Length: 18446744073709551621", b"Content-Length: 4294967301",
    b"Content-Length: 05", b"Content-Length: 5,", b"Content-Length : 5", b"Content-Length\t: 5",
    b" Content-Length: 5", b"Content-Length\0: 5", b"Content-Length: 5\0", b"X: y\rContent-Length: 5",
    b"X: y\nContent-Length: 5", b"X: y\r\n Content-Length: 5", b"Content_Length: 5", b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: identity", b"Transfer-Encoding: gzip, chunked", b"Transfer-Encoding: chunked, identity",
    b"Transfer-Encoding: xchunked", b"Transfer-Encoding: \x0bchunked", b"Transfer-Encoding: \"chunked\"",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: CHUNKED", b"Transfer-Encoding:",
    b"Transfer-Encoding : chunked", b"Transfer-Encoding\0: chunked", b"X: y\rTransfer-Encoding: chunked",
    b"X: y\nTransfer-Encoding: chunked", b"Transfer-Encoding:\r\n chunked", b"Transfer-Encoding: chunked;x",
    b"Transfer-Encoding: chunked,", b"Transfer-Encoding\xa0: chunked", b"\t", b" x", b":", b"Host: other", b"Host: x",
    b"Host: a/b", b"no colon", b": none", b"X(: y", b"X: \x7f", b"X: \x01",
    b"X: " + b"y" * 16300, b"X: " + b"y" * 17000, b"\r\n".join([b"X: y"] * 260),
    b"\r\n".join([b"X: " + b"y" * 14000] * 5)]
STARTS = [b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"GET\t/ HTTP/1.1", b"GET / http/1.1", b"GET /",
          b"", b"GET / HTTP/2.0", b"GET / HTTP/1.2", b"GET / HTTP/1.10", b"GET /a b HTTP/1.1", b"GET x HTTP/1.1",
          b"HEAD / HTTP/1.1", b"GET http://other/ HTTP/1.1", b"G\0T / HTTP/1.1", b"HTTP/1.1 204 No", b"HTTP/1.1 200",
          b"HTTP/1.1 2000 OK", b"HTTP/1.1 101 Switch", b"HTTP/1.1 100 Go", b"HTTP/1.1  200 OK", b"HTTP/1.0 200 OK",
          b"HTTP/1.1 200 O\rK", b"HTTP/1.1 304 Same", b"HTTP/1.1 20 OK", b"ICY 200 OK", b"\x16\x03\x01",
          b"\r\n\r\nGET / HTTP/1.1"]
SIZES = [b"0x5", b"+5", b" 5", b"5 ", b"5 5", b"-1", b"", b"g", b"10000000000000005", b"100000005",
         b"FFFFFFFFFFFFFFFF", b"0000000000000000000000005", b"5;", b"5;a=\"", b"5;\r", b"5;a\nb", b"5\r", b"5\0",
         b"5;" + b"e" * 17000, b"0", b"00", b"5,5"]
TRAILERS = [b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: z", b" fold", b"X : y", b"X: y\rZ: w",
            b"X\0: y", b"X: y\nZ: w", b"none", b"X: y"]


class Attacker:
    """One connection's messages, and what becomes of them on the way."""

    def __init__(self, seed, number):
        self.random = random.Random(f"{seed} {number}")
        self.hostile = self.random.random() < 0.65
        self.sent, self.end = {True: [], False: []}, False
        for _ in range(self.random.randint(1, 6)):
            if not self.end:
                self.exchange()
        if self.hostile:
            for _ in range(self.random.choice((1, 1, 1, 2))):
                self.damage()
        self.number = number
        self.bytes = {side: b"".join(self.sent[side]) for side in (True, False)}
        self.flights = self.interleaved()

    def chance(self, share):
        return self.random.random() < share

    def body(self):
        return b"".join(self.random.choice(DECOYS) for _ in range(self.random.randint(0, 8)))

    def chunked(self, body):
        pieces, at = [], 0
        while at < len(body):
            size = min(self.random.randint(1, 90), len(body) - at)
            digits = self.random.choice((b"%x", b"%X", b"00%x")) % size
            extension = self.random.choice((b"", b"", b"", b";a", b";a=b", b'; q = "x;\\"y"', b";a;b=c"))
            pieces.append(digits + extension + b"\r\n" + body[at:at + size] + b"\r\n")
            at += size
        trailers = b"".join(self.random.sample([b"T: u\r\n", b"X-Last: a b\r\n"], self.random.choice((0, 0, 1, 2))))
        return b"".join(pieces) + b"0\r\n" + trailers + b"\r\n"

    def framed(self, start, headers, body, chunked):
        """A message; `chunked` None says nothing of the body's length."""
        headers = headers + self.random.sample(HEADERS, self.random.randint(0, 4))
        if chunked:
            headers.append(self.random.choice((b"Transfer-Encoding: chunked", b"transfer-encoding:Chunked ")))
        elif chunked is not None:
            headers.append(b"Content-Length: %d" % len(body))
        self.random.shuffle(headers)
        head = b"\r\n".join([start] + headers + [b"", b""])
        if self.chance(0.04):
            head = head.replace(b"\r\n", b"\n", self.random.choice((1, 2, 99)))
        return head + (self.chunked(body) if chunked else body)

    def exchange(self):
        method = self.random.choice((b"GET", b"GET", b"POST", b"POST", b"PUT", b"HEAD", b"DELETE", b"OPTIONS"))
        target = self.random.choice((b"/", b"/a?b=c", b"http://x/a", b"/%41;b", b"/word"))
        old = self.chance(0.1)
        version = b"1.0" if old else b"1.1"
        headers = [] if self.chance(0.05) else [b"Host: x"]
        if old and self.chance(0.5):
            headers.append(b"Connection: keep-alive")
        if not self.hostile and self.chance(0.03):
            self.tunnel()
            return
        has_body = method in (b"POST", b"PUT") or self.chance(0.05)
        chunked = (not old and self.chance(0.5)) if has_body else None
        request = self.framed(method + b" " + target + b" HTTP/" + version, headers,
                              self.body() if has_body else b"", chunked)
        self.sent[True].append((b"\r\n" if self.chance(0.03) else b"") + request)
        self.sent[False].append(self.response(method, old, b"Connection: keep-alive" in headers))

    def response(self, method, old, stays):
        status = self.random.choice((200, 200, 200, 404, 204, 304))
        start = b"HTTP/1.%d %d %s" % (self.chance(0.95), status, self.random.choice((b"OK", b"", b"All is well")))
        headers = [b"Connection: keep-alive"] if stays else []
        none = status in (204, 304) or method == b"HEAD"
        chunked = None if status == 204 or self.chance(0.15) else not old and start[7:8] == b"1" and self.chance(0.5)
        self.end = (chunked is None and not none) or (not stays and (old or start[7:8] == b"0"))
        if self.end and self.chance(0.5):
            headers = [b"Connection: close"]
        body = self.body() + (b"" if none else b"word")
        message = self.framed(start, headers, b"word" if none else body, chunked)
        if none:
            message = message[:message.index(b"\n\r\n" if b"\n\r\n" in message else b"\n\n") + 1] + b"\r\n"
        before = b"".join(b"HTTP/1.1 %d Wait\r\nX: y\r\n\r\n" % self.random.choice((100, 103))
                          for _ in range(2) if self.chance(0.05))
        return (b"" if old else before) + message

    def tunnel(self):
        ask, answer = self.random.choice((
            (b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"),
            (b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: w\r\n\r\n",
             b"HTTP/1.1 101 Go\r\nUpgrade: w\r\n\r\n")))
        self.sent[True].append(ask + self.body())
        self.sent[False].append(answer + self.body())
        self.end = True

    def damage(self):
        side = self.chance(0.6)
        at = self.random.randrange(len(self.sent[side]))
        whole = self.sent[side][at]
        kind = self.random.choice((self.hostile_line, self.hostile_line, self.hostile_start, self.hostile_chunk,
                                   self.hostile_bytes, self.hostile_slice, self.cut))
        self.sent[side][at] = kind(whole) if whole else b"\r\n"

    def hostile_line(self, whole):
        lines = whole.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
        line = self.random.choice(HOSTILE_LINES)
        kept = [one for one in lines[1:] if self.chance(0.7) or line[:9].lower() != one[:9].lower()]
        kept.insert(self.random.randint(0, len(kept)), line)
        rest = whole[len(b"\r\n".join(lines)):]
        rest = self.random.choice((rest, rest, b"\r\n\r\nhello", b"\r\n\r\n0\r\n\r\n"))
        return b"\r\n".join(lines[:1] + kept) + rest

    def hostile_start(self, whole):
        return self.random.choice(STARTS) + whole[max(0, whole.find(b"\r\n")):]

    def hostile_chunk(self, whole):
        start = whole[:whole.find(b"\r\n") + 2] + b"Transfer-Encoding: chunked\r\nHost: x\r\n\r\n"
        if start.startswith(b"HTTP"):
            start = start.replace(b"Host", b"X")
        bad = self.random.choice(SIZES) + b"\r\nhello\r\n"
        bad = self.random.choice((bad, bad, b"5\r\nhello!\r\n", b"5\r\nhello\n", b"5\r\nhello", b"5\nhello\r\n",
                                  b"5\r\nhello\r\r\n"))
        end = self.random.choice((b"", b"", self.random.choice(TRAILERS) + b"\r\n"))
        return start + b"3\r\nwor\r\n" + bad + b"1\r\nd\r\n0\r\n" + end + b"\r\n"

    def hostile_bytes(self, whole):
        data = bytearray(whole)
        for _ in range(self.random.choice((1, 1, 2, 5))):
            data[self.random.randrange(len(data))] = self.random.choice((self.random.randrange(256), *b"\0\r\n :\t,;0"))
        return bytes(data)

    def hostile_slice(self, whole):
        start, end = sorted(self.random.randrange(len(whole) + 1) for _ in range(2))
        byte = self.random.choice((b"\0", b"\r", b"\n", b" ", b"\r\n"))
        return self.random.choice((whole[:start] + whole[end:], whole[:end] + whole[start:],
                                   whole[:start] + byte + whole[start:]))

    def cut(self, whole):
        return whole[:self.random.randrange(len(whole))]

    def interleaved(self):
        """What each end says in turn: (from the client, bytes). No answer comes before its request."""
        at, flights = {True: 0, False: 0}, []
        while at[True] < len(self.bytes[True]) or at[False] < len(self.bytes[False]):
            side = self.chance(0.5)
            limit = len(self.bytes[True]) if side else self.answerable(at[True])
            size = min(limit - at[side], self.random.choice((99999, 99999, 2000, 300, 40)), 30000)
            if size > 0:
                flights.append((side, self.bytes[side][at[side]:at[side] + size]))
                at[side] += size
        return flights

    def answerable(self, client):
        asked = answered = 0
        for request, response in zip(self.sent[True], self.sent[False]):
            head = request.find(b"\r\n\r\n") + 4
            if client < asked + (len(request) if head < 4 or self.hostile else head):
                return answered
            asked, answered = asked + len(request), answered + len(response)
        return answered

    def segments(self, data, top):
        """(offset, bytes) in the order in which they come."""
        pieces, at = [], 0
        while at < len(data):
            size = self.random.randint(1, max(top, len(data) // 400))
            pieces.append((at, data[at:at + size]))
            at += size
        for index in range(len(pieces) - 1):
            if self.chance(self.disorder):
                other = min(len(pieces) - 1, index + self.random.randint(1, 4))
                pieces[index], pieces[other] = pieces[other], pieces[index]
        for _ in range(len(pieces)):
            if self.chance(self.disorder / 2):
                start = self.random.randrange(len(data))
                copy = (start, data[start:start + self.random.randint(1, 300)])
                pieces.insert(self.random.randrange(len(pieces) + 1), copy)
        if self.chance(self.disorder):
            start = self.random.randrange(len(data))
            pieces.append((start, self.random.choice((b"\0", b"\n", b"word")) * min(9, (len(data) - start) // 4)))
        return pieces

    def frames(self):
        """Packets, with the microseconds since the connection's start."""
        talk, top = packets.Talk(sport=1024 + self.number), self.random.choice((1, 3, 20, 100, 400, 1400))
        self.disorder = self.random.choice((0, 0, 0.1, 0.4))
        frames = talk.open()
        last = {side: index for index, (side, _) in enumerate(self.flights)}
        early = self.random.choice((True, True, False, None, None, None, None, None, None, None))
        for index, (side, data) in enumerate(self.flights):
            start = talk.ends[side][2]
            frames += [talk.packet(side, packets.ACK, piece, seq=start + at)
                       for at, piece in self.segments(data, top) if piece]
            talk.packet(side, packets.ACK, data)    # Counts on.
            frames.append(talk.packet(not side, packets.ACK))
            if side == early and last[side] == index:
                frames.append(talk.packet(side, packets.FIN | packets.ACK))
        first = not self.end and self.chance(0.7)
        frames += [talk.packet(side, packets.FIN | packets.ACK) for side in (first, not first)
                   if side != early or side not in last]
        frames.append(talk.packet(first, packets.ACK))
        step = self.random.randint(100_000, 600_000) // len(frames)
        return [(index * step, frame) for index, frame in enumerate(frames)]
