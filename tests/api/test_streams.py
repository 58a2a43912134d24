"""Streams: the cursor, marks, gaps, streamed rules, free-standing streams of segments."""
import random

from haka_case import HakaCase
from packets import ACK, CLIENT, FIN, PSH, SERVER, SYN, Talk, exchange, tcp


def upload(*pieces, close=True, **ends):
    talk = Talk(**ends)
    return talk.open() + [talk.send(piece) for piece in pieces] + (talk.close() if close else [])


class Cursor(HakaCase):
    def test_every_method(self):
        self.expect("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            local s = pkt.stream
            if s:available() == 0 then
                expect.yes(s.eof) expect.equal(s:read(), nil) expect.equal(s:getchar(), -1)
                expect.equal(s:peek(), "") expect.equal(s:advance(3), 0) expect.equal(s:find("a"), nil)
                return
            end
            expect.equal(s:available(), 10) expect.no(s.eof) expect.equal(s.gap, 0)
            expect.equal(s:peek(3), "abc") expect.equal(s:peek(), "abcd\\0fghij") expect.equal(s:available(), 10)
            expect.equal(s:find("\\0f"), 4) expect.equal(s:find("zz"), nil) expect.equal(s:find("a"), 0)
            local b = s:read(2)
            expect.equal(#b, 2) expect.equal(tostring(b), "ab") expect.equal(b[1], 97) expect.equal(s:available(), 8)
            expect.equal(s:getchar(), 99)
            expect.equal(s:advance(1), 1) expect.equal(s:getchar(), 0) expect.equal(s:read(0), nil)
            local m = s:mark()
            expect.equal(tostring(s:read()), "fghij") expect.equal(s:read(), nil) expect.equal(s:getchar(), -1)
            s:seek(m) expect.equal(s:peek(1), "f") s:advance(2)
            s:seek(m, true) expect.equal(s:available(), 5)
            expect.fails("was unmarked", function() s:seek(m) end)
            expect.fails("was unmarked", function() s:unmark(m) end)
            expect.equal(s:advance(100), 5) expect.equal(s:advance(0), 0)
            expect.fails("stream has no field", function() return s.size end)
            expect.fails("stream has no field", function() s.size = 1 end)
            expect.fails("can't be written", function() s.eof = 1 end)
            expect.fails("stream:read: expected an integer", function() local x = s:read(-1) end)
            expect.fails("stream:read: expected an integer", function() local x = s:read("a") end)
            expect.fails("stream:peek", function() local x = s:peek(0.5) end)
            expect.fails("stream:advance", function() s:advance() end)
            expect.fails("stream:find", function() local x = s:find("") end)
            expect.fails("stream:find", function() local x = s:find(1) end)
            expect.fails("stream:seek", function() s:seek(1) end)
            expect.fails("stream:mark: readonly", function() s:mark(1) end)
            expect.fails("streamed = true", function() local x = s:wait(1) end)
            end }""", [frame for frame in upload(b"abcd\0fghij")[:5]], held=6 + 24 + 2 * 14)

    def test_what_a_rule_leaves_unread_is_skipped(self):
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            print(tostring(pkt.stream:read(2))) end }""", upload(b"abcd", b"efgh"))
        self.assertEqual(result.lines(), ["ab", "ef", "nil", "nil"])

    def test_a_mark_holds_what_follows_until_it_is_unmarked(self):
        result = self.run_policy("""local m, done
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            local s = pkt.stream
            if not pkt.direction then return end
            if not m then s:advance(1) m = s:mark() return end
            s:seek(m)
            print(s:peek())
            s:advance(100)
            if s:peek() == "" and not done then s:unmark(m) m = s:mark() done = true end end }""", upload(b"abcd", b"efgh", b"ijkl", b"mnop"))
        self.assertEqual(result.lines(), ["bcdefgh", "ijkl", "ijklmnop", "ijklmnop"], result)

    def test_a_partial_match_at_the_end_stays_with_keep(self):
        policy = """haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            if pkt.stream:find("needle"%s) then print("found") end end }"""
        frames = upload(b"hay nee", b"dle hay", b"needl", b"e", b"nneedle")
        self.assertEqual(self.run_policy(policy % ", true", frames).lines(), ["found"] * 3)
        self.assertEqual(self.run_policy(policy % "", frames).lines(), ["found"])

    def test_each_rule_has_its_own_cursor(self):
        result = self.run_policy("""
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                local b = pkt.stream:read(3) if b then print("one " .. tostring(b)) end end }
            haka.rule{ hooks = { "tcp-connection-up" }, readonly = true, eval = function(self, pkt)
                local b = pkt.stream:read() if b then print("two " .. tostring(b)) end end }""",
                                 upload(b"abcd"))
        self.assertEqual(result.lines(), ["one abc", "two abcd"])

    def test_a_rule_sees_only_what_the_rules_before_it_released(self):
        result = self.run_policy("""local m
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                local s = pkt.stream
                if not pkt.direction then return end
                if not m then s:advance(2) m = s:mark() else s:seek(m, true) end end }
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                local b = pkt.stream:read() if b then print(tostring(b)) end end }""", upload(b"abcd", b"efgh"))
        self.assertEqual(result.lines(), ["ab", "cdefgh"])

    def test_stream_handles_are_stale_after_their_hook(self):
        self.expect("""local kept
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                if kept then for _, use in pairs{
                    function() local x = kept:available() end, function() local x = kept:read() end,
                    function() local x = kept:getchar() end, function() local x = kept:peek() end,
                    function() kept:advance(1) end, function() local x = kept:find("a") end,
                    function() local x = kept:mark() end, function() return kept.eof end,
                    function() return kept.gap end } do expect.fails("stream is no longer valid", use) end
                end
                kept = kept or pkt.stream end }
            haka.rule{ hooks = { "udp-up" }, eval = function() end }""", upload(b"a", b"b")[:5], held=18)

    def test_event_handles_are_stale_after_their_hook_and_after_drop(self):
        self.expect("""local kept
            haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt) kept = pkt end }
            haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                local function stale(kept)
                    for _, use in pairs{ function() return kept.connection end, function() return kept.stream end,
                        function() return kept.direction end, function() return kept.tcp end,
                        function() kept:drop() end, function() kept:reset() end,
                        function() kept.next_dissector = "http" end } do
                        expect.fails("tcp-connection is no longer valid", use) end
                    expect.no(kept:valid())
                end
                stale(kept)
                expect.fails('tcp-connection has no field', function() return pkt.streams end)
                expect.fails("tcp-connection-new only", function() pkt.next_dissector = "http" end)
                pkt:drop()
                stale(pkt) end }""", upload(b"a"), held=2 * 15 + 4)

    def test_the_other_direction(self):
        self.expect("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            expect.equal(pkt.stream:available(), pkt.connection:stream(pkt.direction):available())
            expect.fails("direction", function() local x = pkt.connection:stream() end)
            expect.fails("direction", function() local x = pkt.connection:stream(1) end)
            end }""", held=4 * 5)

    def test_syn_and_bare_acks_do_not_run_tcp_connection_up(self):
        talk = Talk()
        frames = talk.open() + [talk.send(b"a"), talk.packet(False, ACK), talk.answer(b"b"),
                                talk.packet(True, ACK)] + talk.close() + [
            tcp(CLIENT, SERVER, 50000, 80, 1, 0, SYN), tcp(SERVER, CLIENT, 80, 50000, 0, 2, ACK | 4)]
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            print(#pkt.tcp.payload, pkt.tcp.flags.fin) end }""", frames)
        self.assertEqual(result.lines(), ["1 false", "1 false", "0 true", "0 true"])


class Order(HakaCase):
    def test_any_order_and_overlap_gives_the_same_bytes(self):
        rng = random.Random(7)
        body = bytes(rng.randrange(256) for _ in range(3000))
        for seed in range(10):
            rng = random.Random(seed)
            talk, pieces, at = Talk(client_seq=2**32 - 1500), [], 0
            opening = talk.open()
            while at < len(body):
                size = rng.randrange(1, 300)
                start = max(0, at - rng.randrange(0, 50))
                pieces.append((start, body[start:at + size]))
                at += size
            rng.shuffle(pieces)
            first = 2**32 - 1500 + 1
            frames = opening + [talk.packet(True, PSH | ACK, data, seq=first + start)
                                for start, data in pieces]
            result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                local b = pkt.stream:read()
                if b then local t = {} for i = 1, #b do t[i] = ("%02x"):format(b[i]) end
                    print(table.concat(t)) end end }""", frames, "--seed", seed)
            self.assertEqual("".join(result.lines()), body.hex(), f"seed {seed}")
            self.assertEqual(len(result.leaving()), len(frames))

    def test_a_gap_is_told_once(self):
        talk = Talk()
        frames = talk.open() + [talk.send(b"abc")]
        talk.send(b"lost!")
        frames += [talk.send(b"def"), talk.packet(False, ACK)]
        frames += [talk.packet(True, ACK) for _ in range(80)] + talk.close()
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            local s = pkt.stream
            local lost, again = s.gap, s.gap
            if s:available() > 0 then print(lost, again, tostring(s:read())) end end }""", frames)
        self.assertEqual(result.lines(), ["0 0 abc", "5 0 def"], result)
        self.assertIn("tcp.gap", result.err)

    def test_bytes_behind_an_open_hole_at_the_end_are_counted(self):
        talk = Talk()
        frames = talk.open()
        talk.send(b"lost!")
        frames += [talk.send(b"def")]
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
            print(tostring(pkt.stream:read())) end }
            haka.rule{ hooks = { "tcp-connection-end" }, eval = function(self, pkt) print(pkt.reason) end }
            haka.on_exit(function() print("exit") end)""", frames)
        self.assertEqual(result.lines()[-2:], ["end of input", "exit"])
        self.assertNotIn("def", result.out)
        self.assertIn("stream.unread", result.err)


STREAMED = """haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, eval = function(self, pkt)
    local s = pkt.stream
    while true do
        local n = s:wait(4)
        if n < 4 then print((pkt.direction and "> rest " or "< rest ") .. tostring(s:read()), s.eof) return end
        print((pkt.direction and "> " or "< ") .. tostring(s:read(4)))
    end end }"""


class Streamed(HakaCase):
    def test_wait_suspends_until_the_bytes_or_the_end(self):
        result = self.run_policy(STREAMED, upload(b"a", b"bc", b"defg", b"hijk", b"l", b"m"))
        self.assertEqual([line for line in result.lines() if line[0] == ">"],
                         ["> abcd", "> efgh", "> ijkl", "> rest m true"], result)

    def test_the_result_does_not_depend_on_segmentation(self):
        body = bytes(range(65, 91)) * 20
        results = set()
        for seed in range(12):
            rng, pieces, at = random.Random(seed), [], 0
            while at < len(body):
                size = len(body) if seed == 0 else 1 if seed == 1 else rng.randrange(1, 90)
                pieces.append(body[at:at + size])
                at += size
            results.add(tuple(line for line in self.run_policy(STREAMED, upload(*pieces)).lines()
                              if line[0] == ">"))
        self.assertEqual(len(results), 1)

    def test_at_the_end_of_input_a_waiting_rule_resumes_once_with_eof(self):
        result = self.run_policy(STREAMED + """
            haka.rule{ hooks = { "tcp-connection-end" }, eval = function() print("end") end }
            haka.on_exit(function() print("exit") end)""", upload(b"abcdef", close=False))
        self.assertEqual(result.lines(), ["> abcd", "> rest ef true", "end", "exit"], result)

    def test_many_connections_at_once(self):
        talks = [Talk(sport=2000 + i) for i in range(500)]
        frames = [frame for talk in talks for frame in talk.open()]
        for piece in (b"ab", b"cdef", b"gh"):
            frames += [talk.send(piece) for talk in talks]
        frames += [frame for talk in talks for frame in talk.close()]
        result = self.run_policy(STREAMED, frames)
        lines = [line for line in result.lines() if line[0] == ">"]
        self.assertEqual((lines.count("> abcd"), lines.count("> efgh"), len(lines)), (500, 500, 1500))

    def test_two_streamed_rules_and_a_plain_one(self):
        rule = """haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, readonly = %s,
            eval = function(self, pkt) while true do
                if pkt.stream:wait(%d) < %d then print("%s rest " .. pkt.stream:peek()) return end
                print("%s " .. tostring(pkt.stream:read(%d))) end end }"""
        result = self.run_policy(rule % ("true", 3, 3, "three", "three", 3) + rule % ("false", 5, 5, "five", "five", 5) +
                                 """haka.rule{ hooks = { "tcp-connection-up" }, eval = function(self, pkt)
                                    local b = pkt.stream:read() if b then print("plain " .. tostring(b)) end end }""",
                                 upload(b"abcd", b"efgh", b"ij"))
        for name, wanted in (("three", ["abc", "def", "ghi", "rest j"]), ("five", ["abcde", "fghij", "rest "])):
            got = [line[len(name) + 1:] for line in result.lines() if line.startswith(name)]
            self.assertEqual([g for g in got if g != "rest "], [w for w in wanted if w != "rest "], result)
        plain = "".join(line[6:] for line in result.lines() if line.startswith("plain"))
        self.assertEqual(plain, "abcdefghij", result)

    def test_what_a_waiting_rule_keeps_is_limited_by_name(self):
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, streamed = true,
            eval = function(self, pkt) pkt.stream:wait(200000) print("never") end }""",
                                 upload(*[b"x" * 1400] * 100))
        self.assertNotIn("never", result.out)
        self.assertIn("tcp.hold-limit", result.err)

    def test_an_error_in_a_streamed_rule_names_its_line_and_drops_the_connection(self):
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, name = "mine",
            eval = function(self, pkt)
                pkt.stream:wait(2)
                error("on purpose")
            end }""", upload(b"a", b"b", b"c"))
        self.assertIn("policy.lua:4: on purpose", result.err)
        self.assertIn('rule "mine" on packet 5', result.err)
        self.assertEqual(len(result.leaving()), 3)   # The first byte was held back for it.

    def test_wait_argument(self):
        self.expect("""haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, eval = function(self, pkt)
            for _, wrong in ipairs{ -1, 0.5, "1" } do
                expect.fails("stream:wait", function() pkt.stream:wait(wrong) end) end end }""",
                    upload(b"a")[:4], held=6)

    def test_drop_and_reset_in_a_streamed_rule(self):
        for what, leaving in (("drop", 3), ("reset", 5)):   # What it waits with is held back.
            result = self.run_policy(f"""haka.rule{{ hooks = {{ "tcp-connection-up" }}, streamed = true,
                eval = function(self, pkt) pkt.stream:wait(2) pkt:{what}() end }}""",
                                     upload(b"a", b"b", b"c", close=False))
            self.assertEqual(len(result.leaving()), leaving, result)
            self.assertNotIn(" error ", result.err)

    def test_coroutines_of_the_policy_do_not_mix_with_those_of_streamed_rules(self):
        result = self.run_policy("""haka.rule{ hooks = { "tcp-connection-up" }, streamed = true, eval = function(self, pkt)
            local inner = coroutine.wrap(function() coroutine.yield(1) pkt.stream:wait(100) coroutine.yield(2) end)
            print(inner()) print(pcall(inner)) end }""", upload(b"a", b"b", close=False))
        self.assertEqual(result.lines()[0], "1")


class FreeStanding(HakaCase):
    def test_segments_come_out_in_order(self):
        frames = [tcp(CLIENT, SERVER, 1, 2, seq, 1, flags, data) for seq, flags, data in (
            (2**32 - 3, SYN, b""), (4, ACK, b"ghi"), (2**32 - 2, ACK, b"abc"), (1, ACK, b"def"),
            (2**32 - 2, ACK, b"abc"), (7, FIN | ACK, b""))]
        result = self.expect("""haka.disable_dissector("tcp-connection")
            local stream = tcp.stream()
            expect.equal(stream.lastseq, nil)
            local n, out = 0, {}
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                n = n + 1
                if n == 1 then stream:init(pkt.seq) expect.equal(stream.lastseq, 4294967292) end
                stream:seq(pkt) stream:ack(pkt)
                stream:push(pkt)
                expect.fails("tcp is no longer valid", function() return pkt.seq end)
                while true do
                    local ready = stream:pop()
                    if not ready then break end
                    out[#out + 1] = ready.seq
                    expect.yes(ready:valid())
                    ready:send()
                end
                if n == 6 then
                    expect.equal(table.concat(out, " "), "4294967293 4294967294 1 4 4294967294 7")
                    expect.equal(stream.lastseq, 7)
                end end }""", frames, held=2 + 12 + 6 + 2)
        self.assertEqual([got.seq for got in result.leaving()],
                         [2**32 - 3, 2**32 - 2, 1, 4, 2**32 - 2, 7])
        self.assert_whole(result)

    def test_edits_move_the_numbers_of_both_directions(self):
        sent = [(True, 100, b""), (True, 101, b"hello world"), (True, 112, b"second"), (True, 101, b"hello world"),
                (False, 118 + 4, b""), (False, 112 + 4, b""), (False, 101, b""), (True, 118, b"")]
        frames = [tcp(CLIENT, SERVER, 1, 2, seq, 1, SYN if seq == 100 else ACK, data) if up else
                  tcp(SERVER, CLIENT, 2, 1, 1, seq, ACK) for up, seq, data in sent]
        result = self.run_policy("""haka.disable_dissector("tcp-connection")
            local up = tcp.stream()
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                if pkt.srcport == 2 then up:ack(pkt) return end
                if pkt.flags.syn then up:init(pkt.seq) end
                up:push(pkt)
                local at = up:find("world")
                if at then
                    up:advance(at)
                    up:replace(5, "everybody")
                    print(up:available(), up:getchar())
                end
                while true do
                    local ready = up:pop()
                    if not ready then break end
                    up:seq(ready)
                    ready:send()
                end end }""", frames)
        self.assertEqual(result.lines(), ["0 -1"], result)
        self.assertEqual([(got.seq if got.sport == 1 else got.ack, got.payload) for got in result.leaving()],
                         [(100, b""), (101, b"hello everybody"), (116, b"second"), (101, b"hello everybody"),
                          (118, b""), (112, b""), (101, b""), (122, b"")])
        self.assert_whole(result)

    def test_an_insertion_at_the_end_leaves_with_the_byte_before_it(self):
        frames = [tcp(CLIENT, SERVER, 1, 2, seq, 1, ACK, data)
                  for seq, data in ((1, b"abc"), (4, b"def"), (1, b"abc"))]
        result = self.run_policy("""haka.disable_dissector("tcp-connection")
            local up, n = tcp.stream(), 0
            up:init(1)
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                up:push(pkt)
                n = n + 1
                if n == 1 then up:advance(3) up:insert(haka.buffer("XY")) end
                if n == 2 then up:advance(1) print(up:erase(1)) end
                local ready = up:pop()
                up:seq(ready)
                ready:send() end }""", frames)
        self.assertEqual(result.lines(), ["1"], result)
        self.assertEqual([(got.seq, got.payload) for got in result.leaving()],
                         [(1, b"abcXY"), (6, b"df"), (1, b"abcXY")])
        self.assert_whole(result)

    def test_limits(self):
        policy = """haka.disable_dissector("tcp-connection")
            local stream, n = tcp.stream(), 0
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
                n = n + 1
                if n <= 2 then stream:push(pkt) return end
                expect.fails("at most 2 packets are held", function() stream:push(pkt) end)
                stream:insert("-") stream:advance(1) stream:insert("-") stream:advance(1)
                expect.fails("at most 2 edits", function() stream:insert("-") end)
                for i = 1, 2 do stream:pop():send() end
                stream:push(pkt)
                stream:pop():send()
            end }"""
        frames = [tcp(CLIENT, SERVER, 1, 2, seq, 0, ACK, b"abc") for seq in (1, 4, 7)]
        settings = ("--set", "tcp.held_segments_max=2", "--set", "tcp.edits_max=2")
        result = self.expect(policy, frames, *settings, held=4)
        self.assertEqual([packet.payload for packet in result.leaving()], [b"-a-bc", b"abc", b"abc"])

    def test_what_is_never_popped_is_dropped(self):
        result = self.run_policy("""haka.disable_dissector("tcp-connection")
            local stream = tcp.stream()
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt) stream:push(pkt) end }""",
                                 [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)])
        self.assertEqual(result.leaving(), [])
        self.assertIn("1  dropped", result.err)

    def test_a_changed_packet_leaves_rebuilt(self):
        result = self.run_policy("""haka.disable_dissector("tcp-connection")
            local stream = tcp.stream()
            haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt) stream:push(pkt)
                local p = stream:pop() p.payload[1] = 65 p.payload:resize(5) p:send() end }""",
                                 [tcp(CLIENT, SERVER, 1, 2, 1, 0, ACK, b"abc")])
        self.assertEqual(result.leaving()[0].payload, b"Abc\0\0")
        self.assert_whole(result)

    def test_errors(self):
        self.expect("""haka.rule{ hooks = { "tcp-up" }, eval = function(self, pkt)
            local s = tcp.stream()
            expect.fails("tcp_stream:init: seq", function() s:init(-1) end)
            expect.fails("tcp_stream:init: seq", function() s:init("1") end)
            expect.fails("tcp_stream:push", function() s:push(pkt.ip) end)
            expect.fails("tcp_stream:push", function() s:push() end)
            expect.fails("tcp_stream:seq", function() s:seq(1) end)
            expect.fails("tcp_stream:ack", function() s:ack(1) end)
            expect.fails("tcp_stream has no field", function() return s.size end)
            expect.fails("tcp_stream", function() s.size = 1 end)
            expect.fails("method called with a dot", function() s.pop() end)
            expect.equal(s:pop(), nil)
            end }""", [tcp(CLIENT, SERVER, 1, 2, 1, 0, SYN)], held=19)
