-- Lesson: rewriting heads.
--
-- `headers[name]` is the first header of that name, however it is spelled; written, it is the only
-- one; nil removes it. What nobody changed leaves byte for byte, in its order. Content-Length and
-- Transfer-Encoding can't be written: they say where the body ends.

haka.rule{
    hooks = { 'tcp-connection-new' },
    eval = function (self, pkt)
        if pkt.tcp.dstport == 80 then pkt.next_dissector = "http" end
    end
}

haka.rule{
    name = "what the server learns",
    hooks = { 'http-request' },
    eval = function (self, pkt)
        local headers = pkt.request.headers
        headers["User-Agent"] = "a client of ours"
        headers["Referer"] = nil
        headers:add("Via", "1.1 haka")
        -- Spelled as all others that mean the same, so that rules behind this one can compare.
        pkt.request.uri = tostring(pkt.request:split_uri():normalize())
    end
}

haka.rule{
    name = "what the client learns",
    hooks = { 'http-response' },
    eval = function (self, pkt)
        local headers = pkt.response.headers
        headers["Server"] = "web"
        headers["X-Content-Type-Options"] = "nosniff"
    end
}

-- Rules behind others see what these left.
haka.rule{
    name = "what passes",
    hooks = { 'http-request', 'http-response' },
    readonly = true,
    eval = function (self, pkt) (pkt.response or pkt.request):dump() end
}
