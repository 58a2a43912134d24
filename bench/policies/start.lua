-- Puts a line before the first byte of each direction of each connection, and looks no further.
haka.rule{
    hooks = { "tcp-connection-up" },
    eval = function (self, pkt)
        local connection = pkt.connection
        local seen = connection.data
        if not seen then
            seen = {}
            connection.data = seen
        end
        if not seen[pkt.direction] then
            seen[pkt.direction] = true
            pkt.stream:insert("X-Seen: yes\r\n")
        end
    end
}
