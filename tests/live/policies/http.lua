-- Every request gets another User-Agent, every page another word; other bodies pass unread.
haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    if pkt.tcp.dstport == 80 or pkt.tcp.dstport == 8080 then pkt.next_dissector = "http" end
end }

haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
    pkt.request.headers["User-Agent"] = "somebody else, with a longer name"
    if pkt.request.uri == "/secret" then pkt:respond{ status = 403, body = "no\n" } end
end }

local OLD, NEW = "sentence", "long sentence"
haka.rule{ hooks = { "http-response" }, streamed = true, eval = function(self, pkt)
    if pkt.response.headers["Content-Type"] ~= "text/html" or pkt.request.method == "HEAD"
        or pkt.response.status ~= 200 or pkt.request.version ~= "HTTP/1.1" then
        return
    end
    pkt:edit_body()
    local body = pkt.response.data
    while body:wait(#OLD) >= #OLD do
        local at = body:find(OLD)
        if at then
            body:advance(at)
            body:replace(#OLD, NEW)
        else
            body:advance(body:available() - #OLD + 1)
        end
    end
end }
