-- Every line gets a text at its end; an unfinished last one doesn't.
haka.rule{
    hooks = { "tcp-connection-up" }, streamed = true,
    eval = function(self, pkt)
        local stream = pkt.stream
        while stream:wait(1) > 0 do
            local at = stream:find("\n")
            if at then
                stream:advance(at)
                stream:insert(" (seen)")
                stream:advance(1)
            else
                stream:advance(stream:available())
            end
        end
    end
}
