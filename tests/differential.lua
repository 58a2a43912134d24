-- Prints what every stream carries, for differential.py to compare with what others make of the
-- same capture:
--      new ID CLIENT PORT SERVER PORT
--      data ID client|server HEX         bytes in order, by their sender
--      gap ID client|server COUNT        so many bytes are not in the capture
local hex = {}
for byte = 0, 255 do
    hex[string.char(byte)] = string.format("%02x", byte)
end

haka.rule{
    name = "new",
    hooks = { 'tcp-connection-new' },
    eval = function (self, pkt)
        local c = pkt.connection
        print("new", c.id, c.srcip, c.srcport, c.dstip, c.dstport)
    end
}

haka.rule{
    name = "data",
    hooks = { 'tcp-connection-up' },
    readonly = true,
    eval = function (self, pkt)
        local stream = pkt.stream
        local id, sender = pkt.connection.id, pkt.direction and "client" or "server"
        local lost = stream.gap
        if lost and lost > 0 then
            print("gap", id, sender, lost)
        end
        while stream:available() > 0 do
            print("data", id, sender, (stream:peek(4096):gsub(".", hex)))
            stream:advance(4096)
        end
    end
}
