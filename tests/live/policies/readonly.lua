-- Reads every byte, changes none.
haka.rule{
    hooks = { "tcp-connection-up" }, readonly = true, streamed = true,
    eval = function(self, pkt)
        while pkt.stream:wait(1) > 0 do
            pkt.stream:advance(pkt.stream:available())
        end
    end
}
