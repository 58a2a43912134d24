-- A text looked for in every byte of every stream, wherever the segments' borders fall.
local needle = "NEEDLE-IN-IT"
local hits = 0

haka.rule{
    name = "needle",
    hooks = { 'tcp-connection-up' },
    readonly = true,
    eval = function (self, pkt)
        local stream = pkt.stream
        local offset = stream:find(needle, true)
        while offset do
            hits = hits + 1
            stream:advance(offset + #needle)
            offset = stream:find(needle, true)
        end
    end
}

haka.on_exit(function ()
    print("hits", hits)
end)
