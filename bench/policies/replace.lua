-- Replaces a 12-byte text by a longer one wherever it stands, also across segments.
haka.rule{
    hooks = { "tcp-connection-up" },
    eval = function (self, pkt)
        local stream = pkt.stream
        local at = stream:find("NEEDLE-IN-IT", true)
        while at do
            stream:advance(at)
            stream:replace(12, "SOMETHING-LONGER")
            at = stream:find("NEEDLE-IN-IT", true)
        end
    end
}
