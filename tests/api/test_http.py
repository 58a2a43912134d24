"""HTTP as policies see it, and what leaves."""
import json
import random
from collections import defaultdict

from haka_case import HakaCase
from packets import Talk

NEW = """haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    pkt.next_dissector = "http" end } """
GET = b"GET /a HTTP/1.1\r\nHost: x\r\nUser-Agent: me\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/html\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a\r\nhello\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n"
MIXED = [
    (True, b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nname=body"
           b"HEAD /3 HTTP/1.1\r\nHost: x\r\n\r\n"),
    (False, OK + b"HTTP/1.1 100 Continue\r\n\r\n" + CHUNKED + b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n"),
    (True, b"\r\nPUT /4 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nword\r\n1\r\n \r\n4\r\nword\r\n0\r\n\r\n"),
    (False, b"HTTP/1.1 204 No Content\r\n\r\n"),
    (True, b"GET /5 HTTP/1.1\r\nHost: x\r\n\r\n"),
    (False, b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil word close"),
]


def talk_of(parts, sport=40000, cuts=None, close=True):
    """A connection that says `parts`; `cuts` are the sizes of its segments, in turn, else whole parts."""
    talk = Talk(sport=sport)
    frames = talk.open()
    sizes = iter(cuts) if cuts is not None else None
    for from_client, data in parts:
        while data:
            size = len(data) if sizes is None else min(len(data), next(sizes))
            frames.append(talk.send(data[:size]) if from_client else talk.answer(data[:size]))
            data = data[size:]
    return frames + (talk.close() if close else [])


def streams(result):
    """What left, by client port: (client's bytes, server's bytes)."""
    found = defaultdict(lambda: {True: {}, False: {}})
    for packet in result.leaving():
        from_client = packet.dport == 80
        port = packet.sport if from_client else packet.dport
        if packet.payload:
            found[port][from_client][packet.seq] = packet.payload
    def joined(pieces, first):
        text, at = b"", first
        for seq in sorted(pieces):
            text += pieces[seq][max(0, at - seq):]
            at = max(at, seq + len(pieces[seq]))
        return text
    return {port: (joined(of[True], 1001), joined(of[False], 5001)) for port, of in found.items()}


SEEN = NEW + """
local said = {}
local function note(pkt, text) local c = pkt.connection c.data = (c.data or "") .. text .. "|" end
haka.rule{ hooks = { "http-up" }, readonly = true, eval = function(self, pkt)
    note(pkt, pkt.response and "up response" or "up request") end }
haka.rule{ hooks = { "http-request" }, READ eval = function(self, pkt) local r = pkt.request
    note(pkt, r.method .. " " .. r.uri .. " " .. r.version .. " " .. tostring(r.headers.HOST)) end }
haka.rule{ hooks = { "http-response" }, READ eval = function(self, pkt) local r = pkt.response
    note(pkt, pkt.request.uri .. " " .. r.status .. " " .. r.reason) end }
haka.rule{ hooks = { "http-request", "http-response" }, streamed = true, READ eval = function(self, pkt)
    local body = (pkt.response or pkt.request).data
    local text = ""
    while body:wait(1) > 0 do text = text .. tostring(body:read()) end
    note(pkt, "body " .. text) end }
haka.rule{ hooks = { "tcp-connection-end" }, eval = function(self, pkt)
    print(pkt.connection.srcport, pkt.connection.data) end }
"""
WORDS = NEW + """
haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
    pkt.request.headers["X-Added"] = "1" pkt.request.uri = pkt.request.uri .. "?more" end }
haka.rule{ hooks = { "http-request", "http-response" }, streamed = true, eval = function(self, pkt)
    pkt:edit_body()
    local body = (pkt.response or pkt.request).data
    while body:wait(4) > 0 do
        local at = body:find("word", true)
        if at then body:advance(at) body:replace(4, "longer phrase")
        else
            local keep = math.min(3, body:available())
            if body:wait(keep + 1) == keep then break end
            body:advance(body:available() - 3)
        end
    end
end }
"""


def unchunked(data):
    """Every chunked body of `data` with its chunks joined: their sizes depend on the segments."""
    out, at = b"", 0
    while True:
        head = data.find(b"\r\n\r\n", at)
        if head < 0:
            return out + data[at:]
        head += 4
        out += data[at:head]
        chunked = b"chunked" in data[at:head]
        at = head
        while chunked:
            end = data.index(b"\r\n", at)
            size = int(data[at:end].split(b";")[0], 16)
            at = end + 2
            if size == 0:
                out += b"<end>"
                chunked = False
            else:
                out += data[at:at + size]
                at += size + 2


class HttpTest(HakaCase):
    def test_rules_see_heads_bodies_and_pairs(self):
        result = self.run_policy(SEEN.replace("READ", ""), talk_of(MIXED))
        self.assertEqual(result.lines(), ["40000 " + "|".join([
            "up request", "GET /1 HTTP/1.1 x", "body ", "up request", "POST /2 HTTP/1.1 x", "body name=body",
            "up request", "HEAD /3 HTTP/1.1 x", "body ", "up response", "/1 200 OK", "body hello",
            "up response", "/2 100 Continue", "body ", "up response", "/2 200 OK", "body helloabc",
            "up response", "/3 200 OK", "body ", "up request", "PUT /4 HTTP/1.1 x", "body word word",
            "up response", "/4 204 No Content", "body ", "up request", "GET /5 HTTP/1.1 x", "body ",
            "up response", "/5 200 OK", "body until word close", ""])])
        wanted = (b"".join(d for c, d in MIXED if c), b"".join(d for c, d in MIXED if not c))
        self.assertEqual(streams(result), {40000: wanted})
        self.assertNotIn("events", result.err)

    def segmentations(self):
        random.seed(5)
        total = sum(len(data) for _, data in MIXED)
        frames = []
        for index in range(1000):
            top = 1 if index < 10 else random.choice((5, 30, 100, 200, 400))
            cuts = [random.randint(1, top) for _ in range(total)]
            frames += talk_of(MIXED, 10000 + index, cuts)
        at = 0
        for part, (_, data) in enumerate(MIXED):
            for cut in range(1, len(data)):
                parts = MIXED[:part] + [(MIXED[part][0], data[:cut]), (MIXED[part][0], data[cut:])] + \
                    MIXED[part + 1:]
                frames += talk_of(parts, 20000 + at)
                at += 1
        return frames, 1000 + at

    def test_segmentation_makes_no_difference(self):
        frames, count = self.segmentations()
        for policy in (SEEN.replace("READ", ""), SEEN.replace("READ", "readonly = true,")):
            result = self.run_policy(policy, frames)
            said = {line.split(" ", 1)[1] for line in result.lines()}
            self.assertEqual(len(result.lines()), count)
            self.assertEqual(len({"|".join(sorted(line.split("|"))) for line in said}), 1)
            left = set(streams(result).values())
            self.assertEqual(left, {(b"".join(d for c, d in MIXED if c), b"".join(d for c, d in MIXED if not c))})
        result = self.run_policy(WORDS, frames)
        self.assert_whole(result)
        left = {(unchunked(client), unchunked(server)) for client, server in streams(result).values()}
        self.assertEqual(len(left), 1)
        client, server = left.pop()
        self.assertIn(b"PUT /4?more HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Added: 1\r\n\r\n"
                      b"longer phrase longer phrase<end>", client)
        self.assertIn(b"POST /2?more HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nX-Added: 1\r\n\r\n"
                      b"name=body<end>", client)
        self.assertTrue(server.endswith(b"until longer phrase close"), server)
        self.assertIn(b"<end>T: u\r\n\r\n", server)

    def test_heads_are_read_and_written(self):
        head = b"GET /p?q=1 HTTP/1.1\r\nHost: x\r\nCookie: a=1; b=2\r\nX-Two:  one \r\nx-two: two\r\nNone:\r\n\r\n"
        result = self.expect(NEW + """haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
            local r, h = pkt.request, pkt.request.headers
            expect.equal(pkt.dissector, "http") expect.equal(pkt.response, nil)
            expect.equal(h["x-TWO"], "one") expect.equal(#h:all("X-Two"), 2) expect.equal(h.none, "")
            expect.equal(h.missing, nil) expect.equal(pkt.connection.srcport, 40000)
            expect.equal(r:split_uri().path, "/p") expect.equal(r:split_uri().args.q, "1")
            expect.equal(r:split_cookies().b, "2")
            local names = {}
            for name, value in h:each() do names[#names + 1] = name .. "=" .. value end
            expect.equal(table.concat(names, ","), "Host=x,Cookie=a=1; b=2,X-Two=one,x-two=two,None=")
            h["X-TWO"] = "three" expect.equal(#h:all("X-Two"), 1)
            h.cookie = nil h.Added = 5 h:add("added", "six") h.None = "now"
            r.method = "PUT" r.uri = "/other" r.version = "HTTP/1.0"
            expect.equal(h.added, "5") expect.equal(r.uri, "/other") expect.equal(r.method, "PUT")
            expect.fails("Content-Length", function() h["Content-Length"] = 5 end)
            expect.fails("bad-transfer-encoding", function() h["Transfer-Encoding"] = "chunked" end)
            expect.fails("Content-Length", function() r.method = "HEAD" end)
            expect.fails("control characters", function() h.a = "b\\r\\nc: d" end)
            expect.fails("not a header's name", function() h["a b"] = "c" end)
            expect.fails("http.bad-host", function() h:add("Host", "y") end)
            expect.fails("http.bad-target", function() r.uri = "x" end)
            expect.fails("http.bad-request-line", function() r.uri = "/a b" end)
            expect.fails("has no field", function() return r.status end)
            expect.fails("has no field", function() return r.urii end)
            expect.fails("has no body", function() r.data:insert("x") end)
            expect.fails("streamed", function() pkt:edit_body() end)
        end }""", talk_of([(True, head), (False, OK)]), held=39)
        self.assertEqual(streams(result)[40000][0],
                         b"PUT /other HTTP/1.0\r\nHost: x\r\nX-Two:  three \r\nNone: now\r\nAdded: 5\r\nadded: six\r\n\r\n")
        self.assert_whole(result)

    def test_responses_are_written(self):
        result = self.expect(NEW + """haka.rule{ hooks = { "http-response" }, eval = function(self, pkt)
            local r = pkt.response
            r.status = 203 r.reason = "Changed" r.headers["Content-Type"] = "text/plain"
            expect.fails("has left", function() pkt.request.uri = "/" end)
            expect.fails("Content-Length", function() r.status = 304 end)
            expect.fails("from 100 to 999", function() r.status = 1000 end)
        end }""", talk_of([(True, GET), (False, OK)]), held=6)
        self.assertEqual(streams(result)[40000][1], b"HTTP/1.1 203 Changed\r\nContent-Length: 5\r\n"
                                                    b"Content-Type: text/plain\r\n\r\nhello")

    def test_readonly_rules_change_nothing(self):
        self.expect(NEW + """haka.rule{ hooks = { "http-request" }, readonly = true, eval = function(self, pkt)
            expect.fails("readonly", function() pkt.request.headers.a = "b" end)
            expect.fails("readonly", function() pkt.request.uri = "/b" end)
            expect.fails("readonly", function() pkt:respond{} end) end }
            haka.rule{ hooks = { "http-request" }, readonly = true, streamed = true, eval = function(self, pkt)
            expect.fails("readonly", function() pkt:edit_body() end) end }""",
                    talk_of([(True, GET), (False, OK)]), held=8)

    def test_handles_end_with_their_hook(self):
        self.expect(NEW + """local kept, request, headers
            haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
                kept, request, headers = pkt, pkt.request, pkt.request.headers end }
            haka.rule{ hooks = { "http-response" }, eval = function(self, pkt)
                expect.fails("no longer valid", function() return request.uri end)
                expect.fails("no longer valid", function() return headers.host end)
                expect.fails("no longer valid", function() headers.host = "x" end)
                expect.fails("no longer valid", function() kept:drop() end)
                expect.no(kept:valid()) expect.yes(pkt:valid())
                pkt:drop()
                expect.fails("no longer valid", function() return pkt.request end) end }""",
                    talk_of([(True, GET), (False, OK)]), held=12)

    def test_a_dropped_request_does_not_leave(self):
        for verdict in ("drop", "reset"):
            result = self.run_policy(NEW + """haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
                pkt:%s() end }""" % verdict, talk_of([(True, GET[:20]), (True, GET[20:]), (False, OK)]))
            self.assertEqual(streams(result), {})
            self.assertEqual(sum(packet.flags & 4 != 0 for packet in result.leaving()), 2 * (verdict == "reset"))

    def test_a_rule_answers_in_the_servers_place(self):
        policy = NEW + """haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
            if pkt.request.uri == "/a" then pkt:respond{ status = 403, headers = { ["X-Why"] = "no" },
                body = "go away" } end end }
            haka.rule{ hooks = { "http-response" }, eval = function(self, pkt) print(pkt.response.status) end }"""
        answer = b"HTTP/1.1 403 Forbidden\r\nX-Why: no\r\nContent-Length: 7\r\nConnection: close\r\n\r\ngo away"
        result = self.run_policy(policy, talk_of([(True, GET), (False, OK), (True, GET), (False, OK)]))
        self.assertEqual(streams(result), {40000: (b"", answer)})
        self.assertEqual(result.lines(), [])
        self.assert_whole(result)
        self.assertEqual(sum(packet.flags & 1 for packet in result.leaving()), 2)
        # Behind a request that the server shall answer first.
        first = GET.replace(b"/a", b"/b")
        result = self.run_policy(policy, talk_of([(True, first + GET), (False, OK)]))
        self.assertEqual(streams(result), {40000: (first, OK + answer)})
        self.assertEqual(result.lines(), ["200"])

    def test_a_body_is_edited_before_it_leaves(self):
        policy = NEW + """haka.rule{ hooks = { "http-response" }, streamed = true, eval = function(self, pkt)
            pkt:edit_body() local body = pkt.response.data
            body:insert("<") body:wait(1000) body:advance(body:available()) body:insert(">") end }"""
        result = self.run_policy(policy, talk_of([(True, GET), (False, OK[:-3]), (False, OK[-3:] + OK[:30]),
                                                  (False, OK[30:])]), "--set", "http.unasked_response=pass")
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/html\r\n\r\n"
        self.assertEqual(unchunked(streams(result)[40000][1]), 2 * (head + b"<hello><end>\r\n"))

    def test_a_bad_chunk_is_refused_however_its_body_is_opened(self):
        policy = NEW + """haka.rule{ hooks = { "http-request" }, streamed = true, eval = function(self, pkt)
            local body = pkt.request.data while body:wait(1) > 0 do body:read() end end }"""
        post = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        for chunks in (b"5\r\nhello\n0\r\n\r\n", b"1\r\nx\r\n5\nabc\r\n0\r\n\r\n"):
            result = self.run_policy(policy, talk_of([(True, post + chunks)]))
            self.assertEqual(streams(result), {})
            self.assertRegex(result.err, "http.bad-chunk")

    def test_an_interim_response_elsewhere_changes_no_pairs(self):
        one, two = Talk(sport=40000), Talk(sport=40001)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        frames = one.open() + two.open() + [
            one.send(GET + GET.replace(b"GET /a", b"HEAD /b") + GET.replace(b"/a", b"/c")), two.send(GET),
            one.answer(OK[:-2]), two.answer(b"HTTP/1.1 100 Continue\r\n\r\n"), one.answer(OK[-2:] + head + OK)]
        result = self.run_policy(NEW + """haka.rule{ hooks = { "http-response" }, eval = function(self, pkt)
            print(pkt.connection.srcport, pkt.request.method, pkt.request.uri) end }""", frames)
        self.assertEqual(result.lines(), ["40000 GET /a", "40001 GET /a", "40000 HEAD /b", "40000 GET /c"])

    def test_a_response_that_nobody_asked_for_has_no_request(self):
        result = self.run_policy(NEW + """haka.rule{ hooks = { "http-up", "http-response" }, eval = function(self, pkt)
            local request = pkt.request
            print(pkt.response and pkt.response.status, request and request.method) end }
            haka.rule{ hooks = { "http-response" }, streamed = true, eval = function(self, pkt)
            pkt.response.data:wait(5) print(pkt.request and pkt.request.uri) end }""",
                                 talk_of([(True, GET), (False, OK + OK)]))
        self.assertEqual(result.lines(), ["nil GET", "200 GET", "200 GET", "/a", "200 nil", "200 nil", "nil"])

    def test_the_end_of_one_direction_hides_nothing_of_the_other(self):
        policy = NEW + """haka.rule{ hooks = { "http-request", "http-response" }, eval = function(self, pkt)
            print(pkt.request.uri, pkt.response and pkt.response.status) end }"""
        talk = Talk()
        post = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab"
        result = self.run_policy(policy, talk.open() + [talk.send(GET + post), talk.packet(True, 17), talk.answer(OK)])
        self.assertEqual(result.lines(), ["/a nil", "/b nil", "/a 200"])
        talk = Talk()
        bad = GET.replace(b"Host:", b"Host :")
        result = self.run_policy(policy, talk.open() + [
            talk.send(GET), talk.answer(OK[:-2]), talk.packet(False, 17), talk.send(GET + bad)])
        self.assertEqual(result.lines()[:3], ["/a nil", "/a 200", "/a nil"])
        self.assertIn("rule http.space-before-colon", result.out)
        self.assertNotIn(bad, streams(result)[40000][0])

    def test_nothing_follows_a_body_that_ends_with_the_connection(self):
        policy = NEW + """haka.rule{ hooks = { "http-response" }, streamed = true, eval = function(self, pkt)
            pkt:edit_body() pkt.response.data:insert("more ") end }"""
        result = self.run_policy(policy, talk_of([(True, GET + GET), (False, OK.replace(b"1.1", b"1.0") + OK)]))
        self.assertEqual(streams(result)[40000][1], b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\nmore hello")

    def test_old_peers_get_bodies_that_end_with_the_connection(self):
        policy = NEW + """haka.rule{ hooks = { "http-response" }, streamed = true, eval = function(self, pkt)
            local done, problem = pcall(pkt.edit_body, pkt)
            print(done, not done and problem:match("HTTP/1.0 peer"))
            if done then pkt.response.data:insert("more ") end end }"""
        get = GET.replace(b"1.1", b"1.0")
        result = self.run_policy(policy, talk_of([(True, get), (False, OK)]))
        self.assertEqual(streams(result)[40000][1], b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nmore hello")
        keep = OK.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n")
        result = self.run_policy(policy, talk_of([(True, get), (False, keep)]))
        self.assertEqual(result.lines(), ["false HTTP/1.0 peer"])
        self.assertEqual(streams(result)[40000][1], keep)

    def test_tunnels_pass_and_stay_visible(self):
        policy = NEW + """haka.rule{ hooks = { "tcp-connection-up" }, readonly = true, eval = function(self, pkt)
            print(pkt.direction, tostring(pkt.stream:read())) end }
            haka.rule{ hooks = { "http-request" }, eval = function(self, pkt) print(pkt.request.uri) end }"""
        connect = b"CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n"
        established = b"HTTP/1.1 200 Connection established\r\n\r\n"
        tls = b"\x16\x03\x01hello"
        for ask, answer in ((connect, established),
                            (b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: w\r\n\r\n",
                             b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: w\r\n\r\n")):
            result = self.run_policy(policy, talk_of([(True, ask + tls), (False, answer + tls), (True, tls)]))
            self.assertEqual(streams(result), {40000: (ask + tls + tls, answer + tls)})
            self.assertIn("true \x16\x03\x01hello", result.lines())
        refused = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
        result = self.run_policy(policy, talk_of([(True, connect + GET), (False, refused + OK)]))
        self.assertIn("/a", result.lines())
        self.assertEqual(streams(result), {40000: (connect + GET, refused + OK)})

    def test_offences_are_told_and_dropped_or_passed_by_setting(self):
        smuggled = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        parts = [(True, GET), (False, OK), (True, smuggled), (False, OK)]
        watch = """haka.rule{ hooks = { "http-request" }, eval = function(self, pkt) print(pkt.request.uri) end }"""
        result = self.run_policy(NEW + watch, talk_of(parts))
        self.assertIn("both Content-Length and Transfer-Encoding", result.out)
        self.assertRegex(result.err, "http.two-framings")
        self.assertEqual(streams(result), {40000: (GET, OK)})
        result = self.run_policy(NEW, talk_of(parts))   # Without any rule on HTTP.
        self.assertEqual(streams(result), {40000: (GET, OK)})
        result = self.run_policy(NEW + watch, talk_of(parts), "--set", "http.two_framings=pass")
        self.assertEqual(streams(result), {40000: (GET + smuggled, OK + OK)})
        self.assertIn("both Content-Length and Transfer-Encoding", result.out)
        self.assertEqual(result.lines()[0], "/a")
        self.assertNotIn("/", result.lines())
        result = self.run_policy(NEW, talk_of(parts), "--set", "http.two_framings=reset")
        self.assertEqual(sum(packet.flags & 4 != 0 for packet in result.leaving()), 2)
        bare = GET.replace(b"\r", b"")
        self.assertEqual(streams(self.run_policy(NEW, talk_of([(True, bare), (False, OK)]))), {40000: (bare, OK)})
        result = self.run_policy(NEW, talk_of([(True, bare), (False, OK)]), "--set", "http.bare_lf=drop")
        self.assertEqual(streams(result), {})

    def test_a_flood_of_offences_makes_ten_alerts_a_second(self):
        frames = [frame for port in range(25) for frame in talk_of([(True, b"\x16\x03\x01")], 30000 + port, close=False)]
        result = self.run_policy(NEW, frames)
        self.assertEqual(result.out.count("the bytes are not HTTP/1"), 10)
        self.assertRegex(result.err, r"25 +http.not-http")

    def test_limits_hold_at_their_edge(self):
        def run(parts, *settings):
            arguments = [word for setting in settings for word in ("--set", setting)]
            return streams(self.run_policy(NEW, talk_of(parts), *arguments))
        self.assertEqual(run([(True, GET), (False, OK)], f"http.head_bytes_max={max(len(GET), 67)}"),
                         {40000: (GET, OK)})
        long = GET[:-2] + b"A: " + b"b" * 60 + b"\r\n\r\n"
        self.assertEqual(run([(True, long)], f"http.head_bytes_max={len(long)}"), {40000: (long, b"")})
        self.assertEqual(run([(True, long)], f"http.head_bytes_max={len(long) - 1}"), {})
        self.assertEqual(run([(True, long)], "http.line_bytes_max=65"), {40000: (long, b"")})
        self.assertEqual(run([(True, long)], "http.line_bytes_max=64"), {})
        self.assertEqual(run([(True, GET)], "http.headers_max=2"), {40000: (GET, b"")})
        self.assertEqual(run([(True, GET)], "http.headers_max=1"), {})
        self.assertEqual(run([(True, GET * 3)], "http.pipeline_max=3"), {40000: (GET * 3, b"")})
        self.assertEqual(run([(True, GET), (True, GET)], "http.pipeline_max=1"), {40000: (GET, b"")})

    def test_eve_has_a_record_for_each_exchange(self):
        ask = b"GET /a HTTP/1.1\r\nHost: x:81\r\nUser-Agent: me\r\nReferer: r\r\n\r\n"
        moved = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Type: text/html; charset=x\r\nContent-Length: 5\r\n\r\nhello"
        self.run_policy(NEW, talk_of([(True, ask + GET + GET), (False, moved + CHUNKED)]), "--eve", "eve.json")
        records = [json.loads(line) for line in (self.folder / "eve.json").read_text().splitlines()]
        records = [record for record in records if record["event_type"] == "http"]
        self.assertEqual([record["tx_id"] for record in records], [0, 1, 2])
        self.assertEqual(records[0]["http"], {
            "hostname": "x", "http_port": 81, "url": "/a", "http_user_agent": "me", "http_content_type": "text/html",
            "http_refer": "r", "http_method": "GET", "protocol": "HTTP/1.1", "status": 302, "redirect": "/b",
            "length": 5})
        self.assertEqual(records[1]["http"]["length"], 8)
        self.assertNotIn("status", records[2]["http"])
        self.assertEqual({record["dest_port"] for record in records}, {80})

    def test_uris_and_cookies_never_fail(self):
        self.expect("""
            local u = http.uri.split("http://me:pw@Host:8080/a/../b?x=%41%26&x=2&y#f")
            expect.equal(u.scheme, "http") expect.equal(u.user, "me") expect.equal(u.pass, "pw")
            expect.equal(u.userinfo, "me:pw") expect.equal(u.authority, "me:pw@Host:8080")
            expect.equal(u.host, "Host") expect.equal(u.port, "8080") expect.equal(u.path, "/a/../b")
            expect.equal(u.args.x, "A&") expect.equal(u.args[2].value, "2") expect.equal(u.args.y, "")
            expect.equal(u.fragment, "f")
            expect.equal(tostring(u), "http://me:pw@Host:8080/a/../b?x=%41%26&x=2&y#f")
            expect.equal(tostring(u:normalize()), "http://me:pw@host:8080/b?x=A%26&x=2&y#f")
            expect.equal(http.uri.normalize("/%2541/%7e/../x"), "/%2541/x")
            expect.equal(http.uri.decode("%2541"), "%41")
            local c = http.cookies.split(' a=1; b = "x=y" ;;=z; c ; a=2')
            expect.equal(c.a, "1") expect.equal(c.b, '"x=y"') expect.equal(c.c, nil)
            local spaces = (" "):rep(65536)             -- Not in the square of their number.
            expect.equal(http.cookies.split("a=1" .. spaces .. "2").a, "1" .. spaces .. "2")
            expect.equal(next(http.cookies.split(spaces .. "a")), nil)
            expect.equal(http.cookies.split(spaces .. "a" .. spaces .. "=" .. spaces).a, "")
            for _, text in ipairs{ "", "%", "\\0", "=&=&", "://", "[", ("%"):rep(999), "?#?#" } do
                expect.equal(type(http.uri.split(text):normalize().path), "string")
                expect.equal(type(http.cookies.split(text)), "table")
            end""", held=38)

    def test_disabled_it_passes_everything(self):
        result = self.run_policy('haka.disable_dissector("http") ' + NEW, talk_of([(True, b"no http\0"), (False, OK)]))
        self.assertEqual(streams(result), {40000: (b"no http\0", OK)})

    def test_pass_through_looks_only(self):
        result = self.run_policy(NEW + """haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
            print(pkt.request.uri, pcall(function() pkt.request.uri = "/z" end)) end }""",
                                 talk_of([(True, GET), (False, OK)]), "--pass-through")
        self.assertIn("pass-through", result.out)
        self.assertEqual(streams(result), {40000: (GET, OK)})

    def test_framing_of_ours_is_never_left_in_the_middle(self):
        policy = NEW + """haka.rule{ hooks = { "http-request" }, streamed = true, eval = function(self, pkt)
            pkt:edit_body() local body = pkt.request.data
            while body:wait(1) > 0 do body:advance(body:available()) end end }"""
        post = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
        for bad, setting in ((b"x\r\n", "http.bad_chunk=pass"), (None, "http.not_http=pass")):
            parts = [(True, post), (True, bad) if bad else (False, b"SSH-2.0\r\n"), (True, b"rest")]
            result = self.run_policy(policy, talk_of(parts, close=False), "--set", setting)
            self.assertNotIn(b"rest", streams(result)[40000][0])
            self.assertEqual(sum(packet.flags & 4 != 0 for packet in result.leaving()), 2, setting)
        switch = b"HTTP/1.1 101 Go\r\n\r\n"
        upgrade = post.replace(b"Host", b"Upgrade: y\r\nHost")
        result = self.run_policy(policy, talk_of([(True, upgrade), (False, switch), (True, b"rest")], close=False))
        self.assertIn("a 101 response to a request without Upgrade", result.out)
        self.assertNotIn(b"rest", streams(result)[40000][0])
        wait = policy.replace("body:wait(1)", "body:wait(100)")
        result = self.run_policy(wait, talk_of([(True, post + b"40\r\n" + b"a" * 64), (True, b"rest")], close=False),
                                 "--set", "exceptions.hold=bypass", "--set", "tcp.undecided_bytes_max=64")
        self.assertEqual(sum(packet.flags & 4 != 0 for packet in result.leaving()), 2)

    def test_no_half_head_reaches_a_server(self):
        seen = NEW + 'haka.rule{ hooks = { "http-request" }, eval = function(self, pkt) print(pkt.request.uri) end }'
        for head in (b"GET /a HTTP/1.1\r\nHost: x\r\n", b"GET /a", b"GET /a\r\n"):
            for cuts in (None, iter([1] * 100)):
                result = self.run_policy(seen, talk_of([(True, head)], cuts=cuts))
                self.assertEqual(streams(result), {}, head)
                self.assertRegex(result.err, "http.bad-request-line" if b"a\r" in head else "http.cut-head")

    def test_a_rule_that_takes_upgrade_away_keeps_requests_readable(self):
        policy = NEW + """haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
            print(pkt.request.uri) pkt.request.headers.upgrade = nil end }"""
        ask = b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: w\r\n\r\n"
        self.assertEqual(self.run_policy(policy, talk_of([(True, ask + GET)])).lines(), ["/ws", "/a"])

    def test_a_client_of_old_that_stays_gets_no_body_until_the_end(self):
        policy = NEW + """haka.rule{ hooks = { "http-response" }, streamed = true, eval = function(self, pkt)
            print(pcall(pkt.edit_body, pkt)) end }"""
        get = GET.replace(b"1.1\r\n", b"1.0\r\nConnection: keep-alive\r\n")
        for head, said in ((b"", "false"), (b"Connection: close\r\n", "true")):
            result = self.run_policy(policy, talk_of([(True, get), (False, OK.replace(b"\r\n\r\n", b"\r\n" + head + b"\r\n"))]))
            self.assertTrue(result.out.startswith(said), result)

    def test_heads_reach_their_default_limits(self):
        def passes(head, cuts=None):
            return streams(self.run_policy(NEW, talk_of([(True, head)], cuts=cuts))) == {40000: (head, b"")}
        get = b"GET / HTTP/1.1\r\nHost: x\r\n"
        most = get + b"A: b\r\n" * 255 + b"\r\n"
        self.assertTrue(passes(most))
        self.assertFalse(passes(get + b"A: b\r\n" * 256 + b"\r\n"))
        longest = get + (b"A: " + b"b" * 16379 + b"\r\n") * 3
        longest += b"A: " + b"b" * (65536 - len(longest) - 7) + b"\r\n\r\n"
        self.assertEqual(len(longest), 65536)
        for sizes in (1400, 32768):
            self.assertTrue(passes(longest, iter([sizes] * 100)), sizes)
            self.assertFalse(passes(longest.replace(b"bb", b"bbb", 1), iter([sizes] * 100)), sizes)

    def test_bodies_and_streams_are_where_their_hooks_are(self):
        """Elsewhere a rule has no place in them, and must not get another's."""
        self.expect(NEW + """
            haka.rule{ hooks = { "http-up", "http-down" }, eval = function(self, pkt)
                expect.fails("http-request and http-response", function() local d = (pkt.response or pkt.request).data end)
                expect.fails("tcp-connection-up", function() local s = pkt.connection:stream(true) end) end }
            haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
                expect.fails("tcp-connection-up", function() local s = pkt.connection:stream(true) end)
                expect.fails("run by the engine", function() haka.rule_hook("http-request", pkt) end)
                expect.fails("needs a stream", function() haka.rule_hook("tcp-connection-up", pkt) end) end }
            haka.rule{ hooks = { "tcp-connection-up" }, readonly = true, eval = function(self, pkt)
                if pkt.direction and pkt.stream:available() > 0 then
                    expect.fails("run by the engine", function() haka.rule_hook("http-request", pkt) end) end end }
            haka.rule{ hooks = { "tcp-connection-end" }, eval = function(self, pkt)
                expect.fails("tcp-connection-up", function() local s = pkt.connection:stream(true) end) end }""",
                    talk_of([(True, GET), (False, OK)]), held=26)

    def test_a_group_has_a_place_in_bodies(self):
        self.expect(NEW + """local g = haka.rule_group{
                init = function(self, pkt) expect.equal(pkt.response.data:available(), 5) end,
                continue = function(self, pkt, ret) expect.equal(pkt.response.data:available(), 3) end,
                fini = function(self, pkt) end }
            g:rule{ hooks = { "http-response" }, eval = function(self, pkt)
                expect.equal(pkt.response.data:advance(2), 2) return true end }""",
                    talk_of([(True, GET), (False, OK)]), held=3)

    def test_a_rule_may_wait_for_a_body_it_has_not_looked_at(self):
        policy = NEW + """haka.rule{ hooks = { "http-request", "http-response" }, streamed = true, eval = function(self, pkt)
            coroutine.yield() print((pkt.response or pkt.request).data:available()) end }"""
        result = self.run_policy(policy, talk_of([(True, GET), (False, OK[:-2]), (False, OK[-2:])]))
        self.assertEqual(result.lines(), ["0", "3"])

    def test_a_rule_may_end_connections_while_http_is_read(self):
        # Its own one: no rule sees the head again, and its packet passes.
        result = self.run_policy(NEW + """haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
            print(pkt.request.uri) pkt.connection:close() end }""",
                                 talk_of([(True, GET)], close=False))
        self.assertEqual(result.lines(), ["/a"])
        self.assertEqual(streams(result), {40000: (GET, b"")})
        self.assertNotIn("http.", result.err)
        # One whose body is framed anew can't go on.
        result = self.run_policy(NEW + """haka.rule{ hooks = { "http-response" }, streamed = true, eval = function(self, pkt)
            pkt:edit_body() pkt.response.data:wait(3) pkt.connection:close() end }""",
                                 talk_of([(True, GET), (False, OK[:-3]), (False, OK[-3:])], close=False))
        self.assertNotIn(b"llo", streams(result)[40000][1])
        self.assertEqual(sum(packet.flags & 4 != 0 for packet in result.leaving()), 2)
        # Another one, in the middle of its body, which its own rules still see to the end.
        policy = NEW + """local other
            haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
                if not other then other = pkt.connection return end
                if other:valid() then other:VERDICT() end pkt.request.headers.added = "1" end }
            haka.rule{ hooks = { "http-response" }, streamed = true, eval = function(self, pkt)
                pkt.response.data:wait(99) print(pkt.connection.srcport, pkt.response.data:peek()) end }"""
        one, two = Talk(sport=40000), Talk(sport=40001)
        frames = one.open() + [one.send(GET), one.answer(OK[:-2])] + two.open() + \
            [two.send(GET + GET), two.answer(OK + OK)] + two.close()
        for verdict, said in (("close", ["40000 hel"]), ("drop", [])):
            result = self.run_policy(policy.replace("VERDICT", verdict), frames)
            self.assertEqual(result.lines(), said + ["40001 hello", "40001 hello"])
            self.assertEqual(streams(result)[40001], ((GET[:-2] + b"added: 1\r\n\r\n") * 2, OK + OK))

    def test_what_has_no_text_is_no_header(self):
        self.expect(NEW + """haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
            local h = pkt.request.headers
            h.address = pkt.connection.srcip expect.equal(h.address, "192.168.10.1")
            h.flag = true expect.equal(h.flag, "true")
            expect.fails("expected a text, got", function() h.a = {} end)
            expect.fails("expected a text, got", function() h:add("a", nil) end)
            expect.fails("expected a text, got", function() h.a = print end)
            expect.fails("expected a text, got", function() pkt.request.uri = {} end)
            expect.fails("headers: expected a table", function() pkt:respond{ headers = 5 } end)
            expect.fails("expected { name, value }", function() pkt:respond{ headers = { 5 } } end)
            expect.fails("expected a text, got", function() pkt:respond{ body = {} } end)
            expect.fails("edited_bytes_max", function() pkt:respond{ body = ("x"):rep(2 ^ 24) } end)
        end }""", talk_of([(True, GET), (False, OK)]), held=18)
