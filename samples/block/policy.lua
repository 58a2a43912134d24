-- Lesson: ending a connection because of what is said in it.
--
-- The packet that completes the offending text is at hand when the rule finds it. `pkt:reset()`
-- drops that packet and sends each end one RST with the sequence number that this end accepts; what
-- still comes of the connection is dropped.

local FORBIDDEN = "/missing"

haka.rule{
    name = "no " .. FORBIDDEN,
    hooks = { 'tcp-connection-up' },
    eval = function (self, pkt)
        local connection = pkt.connection
        if not pkt.direction or connection.dstport ~= 80 then return end
        if pkt.stream:find(FORBIDDEN, true) then
            haka.alert{
                description = "request for " .. FORBIDDEN,
                severity = "high",
                confidence = "high",
                completion = "failed",
                sources = haka.alert.address(connection.srcip, connection.srcport),
                targets = { haka.alert.address(connection.dstip, connection.dstport),
                    haka.alert.service("tcp/80", "http") },
            }
            pkt:reset()
        end
    end
}
