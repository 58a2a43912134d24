-- Four fields and a flag of every packet.
local sum, finals = 0, 0

haka.rule{
    name = "fields",
    hooks = { 'tcp-up' },
    eval = function (self, pkt)
        sum = sum + pkt.srcport + pkt.dstport + pkt.window_size + pkt.seq
        if pkt.flags.fin then
            finals = finals + 1
        end
    end
}

haka.on_exit(function ()
    print("sum", string.format("%.0f", sum), "finals", finals)
end)
