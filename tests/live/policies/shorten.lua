-- Of every line its first half stays, rounded down; an unfinished last one stays whole. A line is
-- held until its end is known.
haka.rule{
    hooks = { "tcp-connection-up" }, streamed = true,
    eval = function(self, pkt)
        local stream = pkt.stream
        while stream:wait(1) > 0 do
            local size = stream:find("\n")
            while not size do
                local known = stream:available()
                if stream:wait(known + 1) == known then
                    return
                end
                size = stream:find("\n")
            end
            local half = math.floor(size / 2)
            stream:advance(half)
            stream:erase(size - half)
            stream:advance(1)
        end
    end
}
