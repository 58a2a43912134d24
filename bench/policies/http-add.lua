-- HTTP: a header added to each request.
haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    if pkt.tcp.dstport == 80 then pkt.next_dissector = "http" end
end }

haka.rule{ hooks = { "http-request" }, eval = function(self, pkt)
    pkt.request.headers["X-Seen-By"] = "haka"
end }
