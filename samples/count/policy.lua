-- Lesson: remembering something for each connection.
--
-- `connection.data` is the policy's own: any Lua value, kept as long as the connection and then
-- forgotten. `tcp-connection-end` runs once for each connection, whatever ended it.

haka.rule{
    name = "begin",
    hooks = { 'tcp-connection-new' },
    eval = function (self, pkt)
        pkt.connection.data = { up = 0, down = 0, first = haka.time(), last = haka.time() }
    end
}

haka.rule{
    name = "count",
    hooks = { 'tcp-connection-up' },
    readonly = true,
    eval = function (self, pkt)
        local data, new = pkt.connection.data, pkt.stream:available()
        data.last = haka.time()
        if pkt.direction then data.up = data.up + new else data.down = data.down + new end
    end
}

haka.rule{
    name = "end",
    hooks = { 'tcp-connection-end' },
    eval = function (self, pkt)
        local connection = pkt.connection
        local data = connection.data
        print(("%s:%d  %d bytes up, %d down in %.3f s: %s"):format(tostring(connection.dstip),
            connection.dstport, data.up, data.down, data.last - data.first, pkt.reason))
    end
}
