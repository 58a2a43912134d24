-- Lesson: the fields of every packet.
--
-- A rule on `tcp-up` runs for each TCP packet on its way in, whatever connection it belongs to.
-- `pkt` is the TCP header, `pkt.ip` the IP header around it and `pkt.ip.raw` the packet as a whole.
-- Fields have the names of the protocol's own header; numbers are numbers, flags are booleans.

-- The names of the flags that are set, as tcpdump orders them.
local function names_of(flags)
    local names = {}
    for _, name in ipairs { "fin", "syn", "rst", "psh", "ack", "urg" } do
        if flags[name] then names[#names + 1] = name end
    end
    return table.concat(names, "+")
end

haka.rule{
    name = "show tcp",
    hooks = { 'tcp-up' },
    eval = function (self, pkt)
        local ip = pkt.ip   -- Of either family; each has the fields of its own header.
        local hops = ip.version == 4 and ip.ttl or ip.hop_limit
        print(("packet %d  %s:%d > %s:%d  ttl %d  %s"):format(ip.raw.number, tostring(ip.src),
            pkt.srcport, tostring(ip.dst), pkt.dstport, hops, names_of(pkt.flags)))
        print(("    seq %d  ack %d  window %d  header %d bytes  payload %d bytes  checksum %s")
            :format(pkt.seq, pkt.ack_seq, pkt.window_size, pkt.hdr_len, #pkt.payload,
                pkt:verify_checksum() and "right" or "wrong"))
        if pkt.flags.syn then
            local options = pkt.options
            print("    mss", options.mss, " window scale", options.window_scale, " sack",
                options.sack_permitted)   -- nil: the option isn't there
        end
    end
}
