-- Every second line goes, an unfinished last one too.
haka.rule{
    hooks = { "tcp-connection-up" }, streamed = true,
    eval = function(self, pkt)
        local stream, stays = pkt.stream, true
        while stream:wait(1) > 0 do
            local at = stream:find("\n")
            local size = at and at + 1 or stream:available()
            if stays then
                stream:advance(size)
            else
                stream:erase(size)
            end
            if at then
                stays = not stays
            end
        end
    end
}
