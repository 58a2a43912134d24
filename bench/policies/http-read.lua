-- HTTP: what most policies look at in each request.
local odd = 0
haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    if pkt.tcp.dstport == 80 then pkt.next_dissector = "http" end
end }

haka.rule{ hooks = { "http-request" }, readonly = true, eval = function(self, pkt)
    local request = pkt.request
    local headers = request.headers
    if request.method == "POST" or request.uri == "/evil" or headers["Host"] == "evil"
        or headers["User-Agent"] == nil then
        odd = odd + 1
    end
end }

haka.on_exit(function() print(odd .. " odd requests") end)
