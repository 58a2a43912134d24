-- Lesson: searching a stream, also across the borders of its segments.
--
-- `tcp-connection-up` runs when a packet has brought new bytes of a connection, in order.
-- `pkt.stream` is this rule's own place in them: what a rule leaves unread is skipped when it ends.
-- A text whose first half came with one segment and whose second half comes with the next would be
-- missed, so `find(text, true)` keeps what may be the beginning of a match until more has come.
--
-- `readonly = true` promises not to change the stream: nothing is ever held back from the receiver.

local TEXT = "several segments"

local function count(stream, keep)
    local found = 0
    local at = stream:find(TEXT, keep)
    while at do
        found = found + 1
        stream:advance(at + #TEXT)
        at = stream:find(TEXT, keep)
    end
    return found
end

haka.rule{
    name = "piece by piece",
    hooks = { 'tcp-connection-up' },
    readonly = true,
    eval = function (self, pkt)
        local data = pkt.connection.data or { pieces = 0, stream = 0 }
        pkt.connection.data = data
        data.pieces = data.pieces + count(pkt.stream, false)
    end
}

haka.rule{
    name = "across borders",
    hooks = { 'tcp-connection-up' },
    readonly = true,
    eval = function (self, pkt)
        local data = pkt.connection.data
        data.stream = data.stream + count(pkt.stream, true)
    end
}

haka.rule{
    name = "report",
    hooks = { 'tcp-connection-end' },
    eval = function (self, pkt)
        local data = pkt.connection.data
        if data and data.stream > 0 then
            print(pkt.connection)
            print(("    %q: %d times, %d of them inside one piece"):format(TEXT, data.stream,
                data.pieces))
        end
    end
}
