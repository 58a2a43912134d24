-- Lesson: changing a stream while it passes.
--
-- `stream:replace(n, text)` puts `text` in the place of the next n bytes, and it may be longer or
-- shorter. The receiver gets the new bytes; sequence numbers, lengths and checksums of everything
-- behind them follow. The rule isn't `readonly`: what `find(text, true)` keeps, because it may be
-- the beginning of the text, waits in the engine until the rule knows better.
--
-- The text stands in the head of the response. A policy that changes the length of a body must
-- change Content-Length, too.

local OLD = "Server: nginx/1.22.1"
local NEW = "Server: one of ours, and its version is not told"
local changed = 0

haka.rule{
    name = "no versions",
    hooks = { 'tcp-connection-up' },
    eval = function (self, pkt)
        if pkt.direction or pkt.connection.dstport ~= 80 then return end
        local stream = pkt.stream
        local at = stream:find(OLD, true)
        while at do
            stream:advance(at)
            if stream:replace(#OLD, NEW) == 0 then return end   -- TCP-MD5: no edits.
            changed = changed + 1
            at = stream:find(OLD, true)
        end
    end
}

-- A rule behind it sees the stream as it was left.
haka.rule{
    name = "what the client sees",
    hooks = { 'tcp-connection-up' },
    readonly = true,
    eval = function (self, pkt)
        local at = pkt.stream:find("Server: ")
        if at and not pkt.direction then
            pkt.stream:advance(at)
            print((pkt.stream:peek(pkt.stream:find("\r\n"))))
        end
    end
}

haka.on_exit(function () print(changed .. " responses changed") end)
