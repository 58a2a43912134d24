-- Edits the start of each connection only: a header more in the first HTTP request and response, a
-- line before the name of an ssh server (RFC 4253 4.2), the same name again of an ssh client.
haka.rule{
    hooks = { "tcp-connection-up" }, streamed = true,
    eval = function(self, pkt)
        local stream = pkt.stream
        if pkt.connection.dstport == 22 then
            stream:wait(4)
            if pkt.direction then
                stream:replace(4, "SSH-")
            else
                stream:insert("welcome\r\n")
            end
            return
        end
        local at = stream:find("\n")
        while not at do
            local known = stream:available()
            if stream:wait(known + 1) == known then
                return
            end
            at = stream:find("\n")
        end
        stream:advance(at + 1)
        stream:insert("X-Live: yes\r\n")
    end
}
