-- HTTP: no rule looks, ambiguity is still refused.
haka.rule{ hooks = { "tcp-connection-new" }, eval = function(self, pkt)
    if pkt.tcp.dstport == 80 then pkt.next_dissector = "http" end
end }
