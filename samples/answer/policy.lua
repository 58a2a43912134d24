-- Lesson: making a packet and sending it.
--
-- A packet is built from the outside in: `haka.packet.new` makes an empty one, `ipv4.create` writes
-- an IP header on it, `icmp.create` an ICMP header behind that. Lengths and checksums follow by
-- themselves. `send()` lets it leave behind the packet that is being handled; it meets the rules on
-- the way down only, never those on the way up.
--
-- This rule answers every echo request in the server's name, and drops the request.

local ECHO_REPLY, ECHO_REQUEST = 0, 8

local function reply_to(request)
    local ip = ipv4.create(haka.packet.new())
    ip.src, ip.dst, ip.ttl = request.ip.dst, request.ip.src, 64
    local reply = icmp.create(ip)
    reply.type, reply.code = ECHO_REPLY, 0
    reply.payload:resize(#request.payload)
    -- `ip.payload` is the whole ICMP message: from byte 5 on identifier, sequence number and data.
    local from, to = request.ip.payload, ip.payload
    for i = 5, #from do
        to[i] = from[i]
    end
    return reply
end

haka.rule{
    name = "answer ping",
    hooks = { 'icmp-up' },
    eval = function (self, pkt)
        if pkt.ip.version == 4 and pkt.type == ECHO_REQUEST then
            reply_to(pkt):send()
            pkt:drop()
        end
    end
}

haka.rule{
    name = "drop the server's answer",
    hooks = { 'icmp-up' },
    eval = function (self, pkt)
        if pkt.ip.version == 4 and pkt.type == ECHO_REPLY then pkt:drop() end
    end
}
