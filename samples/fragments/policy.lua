-- Lesson: fragments.
--
-- `ipv4-up` and `ipv6-up` run for each fragment. Fragments are then held until their datagram is
-- whole, and `udp-up`, `icmp-up` and `tcp-up` run once, on the joined datagram. What passes leaves
-- as the fragments it came in; a drop drops them all.

haka.rule{
    name = "each fragment",
    hooks = { 'ipv4-up' },
    eval = function (self, pkt)
        if pkt.flags.mf or pkt.frag_offset > 0 then
            print(("packet %d: fragment of datagram %d, bytes %d to %d%s"):format(pkt.raw.number,
                pkt.id, pkt.frag_offset, pkt.frag_offset + pkt.len - pkt.hdr_len - 1,
                pkt.flags.mf and "" or ", the last"))
        end
    end
}

haka.rule{
    name = "large ping",
    hooks = { 'icmp-up' },
    eval = function (self, pkt)
        print(("ICMP from %s: type %d, %d bytes of payload"):format(tostring(pkt.ip.src), pkt.type,
            #pkt.payload))
    end
}

haka.rule{
    name = "no large datagram",
    hooks = { 'udp-up' },
    eval = function (self, pkt)
        if #pkt.payload > 1472 then
            haka.alert{
                description = ("UDP datagram of %d bytes"):format(#pkt.payload),
                severity = "low",
                sources = haka.alert.address(pkt.ip.src, pkt.srcport),
                targets = haka.alert.address(pkt.ip.dst, pkt.dstport),
            }
            pkt:drop()
        end
    end
}
