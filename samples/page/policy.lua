-- Lesson: changing the body of a response.
--
-- A rule that is `streamed` runs beside the body: `data:wait(n)` suspends it until n bytes of the
-- body are there, or its end. `pkt:edit_body()`, before the first wait, lets the body's length
-- change: the head leaves with chunked framing. What the rule has passed leaves; what it keeps, waits.
--
-- The word may lie across segments and chunks, so its last letters are kept until more has come. The
-- client must not ask for compressed bodies; a rule on requests sees to that.

local OLD, NEW = "sample", "wonderful sample"

haka.rule{
    hooks = { 'tcp-connection-new' },
    eval = function (self, pkt)
        if pkt.tcp.dstport == 80 then pkt.next_dissector = "http" end
    end
}

haka.rule{
    name = "no compression",
    hooks = { 'http-request' },
    eval = function (self, pkt) pkt.request.headers["Accept-Encoding"] = nil end
}

haka.rule{
    name = "praise",
    hooks = { 'http-response' },
    streamed = true,
    eval = function (self, pkt)
        if not (pkt.response.headers["Content-Type"] or ""):find("^text/html") then return end
        pkt:edit_body()
        local body, count = pkt.response.data, 0
        while body:wait(#OLD) >= #OLD do
            local at = body:find(OLD)
            if at then
                body:advance(at)
                body:replace(#OLD, NEW)
                count = count + 1
            else
                body:advance(body:available() - #OLD + 1)
            end
        end
        print(pkt.request.uri, count)
    end
}

haka.rule{
    name = "what the client sees",
    hooks = { 'http-response' },
    streamed = true,
    readonly = true,
    eval = function (self, pkt)
        local body = pkt.response.data
        while body:wait(1) > 0 do
            local text = tostring(body:read())
            for line in text:gmatch("[^\n]*" .. NEW .. "[^\n]*") do print(line) end
        end
    end
}
